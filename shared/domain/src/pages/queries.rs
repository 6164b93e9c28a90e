//! GET /admin/queries: every distinct query with what its tasks add up to, most tasks first.

use super::window::{LIMIT, average};
use crate::projections::index;
use crate::requests::parameters::{PageRequest, ParameterReader, QueryParameters};
use crate::storage::item::Item;
use crate::storage::keys;
use crate::storage::read::{Range, ReadPlan, Reader};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// What is asked for.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct QueriesQuery {
    #[serde(flatten)]
    page: PageRequest,
}

impl QueryParameters for QueriesQuery {
    fn read(params: &mut ParameterReader) -> Self {
        let page = params.page(&LIMIT);
        Self { page }
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QueriesPage {
    /// The page, most tasks first.
    pub queries: Vec<QueryRow>,
    /// Distinct queries on all pages.
    pub total: i128,
    /// The page asked for.
    pub page: u64,
    /// Rows a page, as asked for.
    pub limit: u64,
}

/// One query.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QueryRow {
    /// The query, by which tasks are brought together.
    pub search_query: String,
    /// Its tasks that are not deleted.
    pub total_tasks: i128,
    /// Those of them that are active.
    pub active_tasks: i128,
    /// Executions of these tasks, of all time.
    pub total_executions: i128,
    /// Successful ones among those that ended, to two decimals; 0 if none did.
    #[serde(serialize_with = "hundredths")]
    #[schemars(with = "f64", range(min = 0, max = 1))]
    pub success_rate: i128,
    /// Mean duration of those that ended, in milliseconds; 0 if none did.
    pub avg_duration_ms: i128,
}

/// Hundredths as a number with two decimals.
fn hundredths<S: Serializer>(hundredths: &i128, serializer: S) -> Result<S::Ok, S::Error> {
    let small = u32::try_from(*hundredths).unwrap_or(0);
    serializer.serialize_f64(f64::from(small) / 100.0)
}

/// A page that begins within this many rows from the top is read straight, without walking the counted index.
const STRAIGHT: usize = 150;

/// All rows of the ranking, first first.
pub(super) fn ranking() -> Range {
    Range { pk: keys::RANKING_ROWS.to_owned(), ..Range::default() }
}

/// Two round trips near the top, four anywhere else.
pub async fn answer<R: Reader>(reader: &R, query: &QueriesQuery) -> Result<QueriesPage, R::Error> {
    let (offset, rows) = (query.page.offset(), query.page.rows());
    let straight = offset <= STRAIGHT;
    let blocks = Range {
        pk: keys::RANKING_NODES.to_owned(),
        from: Some(keys::RANKING_BLOCKS.0.to_owned()),
        to: Some(keys::RANKING_BLOCKS.1.to_owned()),
        ..Range::default()
    };
    let top = straight.then(|| Range { limit: Some(offset + rows), ..ranking() });
    let mut found = reader.read(ReadPlan::ranges([blocks].into_iter().chain(top).collect())).await?;
    let blocks: Vec<Item> = found.take_ranges(1).into_iter().flatten().collect();
    let ranked = if straight {
        found.take_ranges(1).into_iter().flatten().skip(offset).collect()
    } else {
        rows_far_down(reader, &blocks, offset, rows).await?
    };
    Ok(QueriesPage {
        queries: self::rows(reader, &ranked).await?,
        total: blocks.iter().map(|block| block.number(index::POPULATION)).sum(),
        page: query.page.page,
        limit: query.page.limit,
    })
}

/// Descends from the number of tasks to the first digits of the hash, then reads the rows.
async fn rows_far_down<R: Reader>(
    reader: &R,
    blocks: &[Item],
    offset: usize,
    rows: usize,
) -> Result<Vec<Item>, R::Error> {
    let mut counts: Vec<(u32, i128)> = blocks.iter().flat_map(counts_of).collect();
    counts.sort_by_key(|(tasks, _)| std::cmp::Reverse(*tasks));
    let Some((tasks, within)) = descend(counts, offset) else { return Ok(Vec::new()) };
    let node = keys::ranking_digits(tasks);
    let found = reader.read(ReadPlan::gets([node.clone()])).await?;
    let digits = found.items.get(&node).into_iter().flat_map(|item| {
        let slots = item.attributes.keys().filter(|name| *name != index::POPULATION);
        slots.map(|digits| (digits.clone(), item.number(digits)))
    });
    let Some((digits, skip)) = descend(digits.collect(), within) else { return Ok(Vec::new()) };
    let from = Some(keys::ranking_from(tasks, &digits));
    let range = Range { from, limit: Some(skip + rows), ..ranking() };
    let found = reader.read(ReadPlan::ranges(vec![range])).await?;
    Ok(found.ranges.into_iter().flatten().skip(skip).collect())
}

/// How many queries have each number of tasks, in one block.
fn counts_of(block: &Item) -> impl Iterator<Item = (u32, i128)> {
    let first = keys::parse_ranking_block(&block.key).unwrap_or(0);
    block.attributes.keys().filter_map(move |name| {
        let (slot, _) = index::parse_slot(name)?;
        Some((first + u32::try_from(slot).ok()?, block.number(name)))
    })
}

fn descend<K>(slots: Vec<(K, i128)>, offset: usize) -> Option<(K, usize)> {
    let mut before = offset;
    for (key, count) in slots {
        let count = usize::try_from(count).unwrap_or(0);
        if before < count {
            return Some((key, before));
        }
        before -= count;
    }
    None
}

/// The queries of some rows of the ranking: one round trip.
pub(super) async fn rows<R: Reader>(reader: &R, ranked: &[Item]) -> Result<Vec<QueryRow>, R::Error> {
    if ranked.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<_> =
        ranked.iter().filter_map(|row| keys::ranking_query(&row.key)).map(keys::query).collect();
    let found = reader.read(ReadPlan::gets(keys.iter().cloned())).await?;
    // A query whose last task went between the two reads is no longer there.
    Ok(keys.iter().filter_map(|key| found.items.get(key)).map(query_row).collect())
}

fn query_row(item: &Item) -> QueryRow {
    let (success, failed) = (item.number("s"), item.number("f"));
    QueryRow {
        search_query: item.text("query").unwrap_or_default().to_owned(),
        total_tasks: item.number("tasks"),
        active_tasks: item.number("active"),
        total_executions: item.number("n"),
        success_rate: average(success * 100, success + failed),
        avg_duration_ms: average(item.number("d"), success + failed),
    }
}
