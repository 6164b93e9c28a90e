//! GET /admin/audit: the requests of the last hours, newest first (docs/contract/http.md, "GET
//! /admin/audit").
//!
//! The index holds the sealed records, so a request is listed within about a minute. Each
//! combination of filters has a counted index of its own, a *facet*.

use super::list_parameters::{HOURS, LIMIT, last_hours};
use super::listing::{ListRequest, RowContent};
use crate::audit::record::record_id;
use crate::audit::{AuditedRequest, ChainedRecord, facets};
use crate::projections::views;
use crate::requests::parameters::{PageRequest, ParameterReader, QueryParameters};
use crate::storage::item::{Item, Key};
use crate::storage::keys::{self, Index, Lanes, StatusPartition};
use crate::storage::read::{Range, ReadPlan, ReadResult, Reader};
use crate::values::ids::UserId;
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashMap;

/// The parameters of the request.
#[derive(Debug, Clone, Serialize)]
pub struct AuditParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    hours: u64,
    #[serde(flatten)]
    page: PageRequest,
}

impl QueryParameters for AuditParameters {
    fn read(params: &mut ParameterReader) -> Self {
        let principal = params.user("principal", "Only requests of this user.");
        let action = params.action("action", "Only requests for this action, such as `stats.read`.");
        let hours = params.integer(&HOURS);
        let page = params.page(&LIMIT);
        Self { principal, action, hours, page }
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditPage {
    /// The requests on the page, newest first.
    pub records: Vec<AuditRow>,
    /// Requests on all pages.
    pub total: i128,
    /// The number of the page, as requested.
    pub page: u64,
    /// The number of rows on a page, as requested.
    pub limit: u64,
}

/// One request.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum AuditRow {
    /// The record of the request. Its place in the chain follows from the id.
    Recorded {
        /// Its place in the trail.
        id: String,
        /// What is recorded.
        #[serde(flatten)]
        entry: Box<AuditedRequest>,
    },
    /// A record that was indexed and no longer exists: someone has tampered with the trail.
    Missing {
        /// Its place in the trail.
        id: String,
        /// Always true.
        #[schemars(extend("const" = true))]
        missing: bool,
    },
}

/// Reads one facet as if the table held no other: plans and what they find have the partitions of an index of its own.
/// Lists select no further single items, so [`ReadPlan::selected`] is not translated.
struct FacetReader<'a, R> {
    index: &'a R,
    name: String,
}

impl<R: Reader> Reader for FacetReader<'_, R> {
    type Error = R::Error;

    fn lanes(&self) -> Lanes {
        self.index.lanes()
    }

    async fn read(&self, plan: ReadPlan) -> Result<ReadResult, Self::Error> {
        let partitions: Vec<String> = plan.ranges.iter().map(|range| range.pk.clone()).collect();
        let gets: HashMap<Key, Key> =
            plan.gets.into_iter().map(|key| (keys::key_in_facet(&self.name, &key), key)).collect();
        let in_facet = |range: Range| Range { pk: keys::in_facet(&self.name, &range.pk), ..range };
        let ranges = plan.ranges.into_iter().map(in_facet).collect();
        let found =
            self.index.read(ReadPlan { gets: gets.keys().cloned().collect(), ranges, ..plan }).await?;

        let single = |(key, item): (Key, Item)| {
            let key = gets.get(&key).cloned().unwrap_or(key);
            (key.clone(), Item { key, ..item })
        };
        let in_partition = |(partition, items): (String, Vec<Item>)| {
            let item = |item: Item| Item { key: Key::stored(partition.clone(), item.key.sk), ..item };
            items.into_iter().map(item).collect()
        };
        Ok(ReadResult {
            items: found.items.into_iter().map(single).collect(),
            ranges: partitions.into_iter().zip(found.ranges).map(in_partition).collect(),
        })
    }
}

/// `index` reads the audit index, `records` the audit trail itself. Two round trips near the top,
/// at most four anywhere else, and there one more while rows move; strongly consistent.
///
/// # Errors
/// If the store does not answer.
pub async fn answer<R: Reader>(
    index: &R,
    records: &R,
    query: &AuditParameters,
    now: Timestamp,
) -> Result<AuditPage, R::Error> {
    let request = ListRequest {
        list: Index::Audit.into(),
        partitions: &[StatusPartition::All],
        since: Some(last_hours(now, query.hours)),
        now,
        page: query.page,
        consistent: true,
        rows: RowContent::References(&[views::OF]),
    };
    let facet = FacetReader { index, name: facets::facet(query.principal, query.action.as_deref()) };
    let listed = request.read(&facet).await?;
    let keys: Vec<Key> = listed.rows.iter().filter_map(|row| keys::audit_row_record(&row.key)).collect();
    let mut found = ReadResult::default();
    if !keys.is_empty() {
        found = records.read(ReadPlan::gets(keys.iter().cloned()).consistent()).await?;
    }
    let row = |key: &Key| match found.items.get(key).and_then(ChainedRecord::load) {
        Some(link) => Some(AuditRow::Recorded { id: link.record.id(), entry: Box::new(link.record.entry) }),
        None => {
            let (chain, seq) = keys::audit_row_place(key)?;
            Some(AuditRow::Missing { id: record_id(&chain, seq), missing: true })
        }
    };
    Ok(AuditPage {
        records: keys.iter().filter_map(row).collect(),
        total: listed.total,
        page: query.page.page,
        limit: query.page.limit,
    })
}
