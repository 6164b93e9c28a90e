//! GET /admin/queries: every distinct query with what its tasks add up to, most tasks first
//! (docs/contract/http.md, "GET /admin/queries").

use super::list_parameters::{LIMIT, average};
use super::listing::{MAX_OFFSET_OF_SMALL_ROWS, each_once};
use crate::projections::ranking;
use crate::requests::parameters::{PageRequest, ParameterReader, QueryParameters};
use crate::storage::item::{Item, Key};
use crate::storage::keys::{self, Lanes};
use crate::storage::read::{Range, ReadPlan, Reader};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// The parameters of the request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct QueriesParameters {
    #[serde(flatten)]
    page: PageRequest,
}

impl QueryParameters for QueriesParameters {
    fn read(params: &mut ParameterReader) -> Self {
        let page = params.page(&LIMIT);
        Self { page }
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QueriesPage {
    /// The queries on the page, most tasks first.
    pub queries: Vec<QueryRow>,
    /// Distinct queries on all pages.
    pub total: i128,
    /// The number of the page, as requested.
    pub page: u64,
    /// The number of rows on a page, as requested.
    pub limit: u64,
}

/// One query.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QueryRow {
    /// The query: the exact text that its tasks share.
    pub search_query: String,
    /// The number of its tasks that are not deleted.
    pub total_tasks: i128,
    /// The number of its active tasks.
    pub active_tasks: i128,
    /// The number of executions of these tasks, of all time.
    pub total_executions: i128,
    /// The share of successes among finished executions, to two decimals; 0 if none finished.
    #[serde(serialize_with = "hundredths")]
    #[schemars(with = "f64", range(min = 0, max = 1))]
    pub success_rate: i128,
    /// The mean duration of the finished executions, in milliseconds; 0 if none finished.
    pub avg_duration_ms: i128,
}

/// Serialises hundredths as a number with two decimals.
pub(super) fn hundredths<S: Serializer>(hundredths: &i128, serializer: S) -> Result<S::Ok, S::Error> {
    let small = u32::try_from(*hundredths).unwrap_or(0);
    serializer.serialize_f64(f64::from(small) / 100.0)
}

/// Two round trips near the top, four anywhere else; one more if a replica lags behind the ranking.
///
/// # Errors
/// If the store does not answer.
pub async fn answer<R: Reader>(reader: &R, query: &QueriesParameters) -> Result<QueriesPage, R::Error> {
    let (offset, limit) = (query.page.offset(), query.page.rows());
    let near_top = offset <= MAX_OFFSET_OF_SMALL_ROWS;
    let top = near_top.then(|| ranking::rows(None, offset + limit));
    let ranges = [ranking::blocks()].into_iter().chain(top).collect();
    let mut found = reader.read(ReadPlan::ranges(ranges)).await?;
    let blocks: Vec<Item> = found.take_ranges(1).into_iter().flatten().collect();
    let ranked = if near_top {
        found.take_ranges(1).into_iter().flatten().skip(offset).collect()
    } else {
        read_by_descent(reader, &blocks, offset, limit).await?
    };
    Ok(QueriesPage {
        queries: read_rows(reader, &ranked).await?,
        total: ranking::population(&blocks),
        page: query.page.page,
        limit: query.page.limit,
    })
}

/// Descends from the number of tasks to the first digits of the hash, and reads the ranking's rows from there. Where
/// fewer queries have that number than were counted a moment before, the page begins with the next smaller one.
async fn read_by_descent<R: Reader>(
    reader: &R,
    blocks: &[Item],
    offset: usize,
    limit: usize,
) -> Result<Vec<Item>, R::Error> {
    let Some(tasks) = ranking::tasks_at(blocks, offset) else { return Ok(Vec::new()) };
    let by_digits = keys::ranking_digits(tasks.slot);
    let found = reader.read(ReadPlan::gets([by_digits.clone()])).await?;
    let (from, skip) = match ranking::digits_at(found.items.get(&by_digits), tasks.skip) {
        Some(digits) => (keys::ranking_from(tasks.slot, &digits.slot), digits.skip),
        None => (keys::ranking_from(tasks.slot.saturating_sub(1), ""), 0),
    };
    let range = ranking::rows(Some(from), skip + limit);
    let found = reader.read(ReadPlan::ranges(vec![range])).await?;
    Ok(found.ranges.into_iter().flatten().skip(skip).collect())
}

/// The queries that some rows of the ranking stand for, in their order: one round trip; none without rows. One that a
/// lagging replica does not have yet costs another, strongly consistent.
pub(super) async fn read_rows<R: Reader>(reader: &R, ranked: &[Item]) -> Result<Vec<QueryRow>, R::Error> {
    // One whose number of tasks changes while they are read may be there with both.
    let hashes = each_once(ranked.iter().filter_map(|row| keys::ranking_query(&row.key)));
    let rows = read_queries(reader, &hashes, false).await?;
    let missing = hashes.into_iter().zip(&rows).filter(|(_, row)| row.is_none()).map(|(hash, _)| hash);
    let mut again = read_queries(reader, &missing.collect::<Vec<_>>(), true).await?.into_iter();
    // A query whose last task was removed between the two reads no longer exists.
    Ok(rows.into_iter().filter_map(|row| row.or_else(|| again.next().flatten())).collect())
}

/// The queries with some hashes: one round trip; none without hashes.
async fn read_queries<R: Reader>(
    reader: &R,
    hashes: &[&str],
    consistent: bool,
) -> Result<Vec<Option<QueryRow>>, R::Error> {
    if hashes.is_empty() {
        return Ok(Vec::new());
    }
    let lanes = reader.lanes();
    let items: Vec<Vec<Item>> = if lanes.count() <= FEW_LANES {
        let keys = hashes.iter().flat_map(|hash| query_keys(hash, lanes));
        let found = reader.read(ReadPlan { consistent, ..ReadPlan::gets(keys) }).await?.items;
        let of_query =
            |hash: &&str| query_keys(hash, lanes).filter_map(|key| found.get(&key).cloned()).collect();
        hashes.iter().map(of_query).collect()
    } else {
        let range = |hash: &&str| Range { pk: keys::query_partition(hash), ..Range::default() };
        let plan = ReadPlan::ranges(hashes.iter().map(range).collect());
        reader.read(ReadPlan { consistent, ..plan }).await?.ranges
    };
    Ok(items.iter().map(|items| query_row(items)).collect())
}

/// Up to so many lanes, the items of queries are read by their keys: few calls. With more, each query's are a range:
/// its units do not grow with the lanes.
const FEW_LANES: u32 = 2;

/// The items of a query: its totals, and the sums of its executions.
fn query_keys(hash: &str, lanes: Lanes) -> impl Iterator<Item = Key> {
    let executions = lanes.all().map(move |lane| keys::query_executions(hash, lane));
    std::iter::once(keys::query(hash)).chain(executions)
}

/// The row of a query; `None` if it has no totals.
fn query_row(items: &[Item]) -> Option<QueryRow> {
    let totals = items.iter().find(|item| keys::is_query(&item.key))?;
    // In a generation that an earlier release has built, the totals hold executions as well.
    let sum = |name: &str| items.iter().map(|item| item.number(name)).sum::<i128>();
    let (success, failed) = (sum("s"), sum("f"));
    Some(QueryRow {
        search_query: totals.text("query").unwrap_or_default().to_owned(),
        total_tasks: totals.number("tasks"),
        active_tasks: totals.number("active"),
        total_executions: sum("n"),
        success_rate: average(success * 100, success + failed),
        avg_duration_ms: average(sum("d"), success + failed),
    })
}
