//! GET /admin/audit: who asked for what in the last hours, newest first.
//!
//! The index holds what is sealed, so a request is listed within a minute or so. Every filter is a facet: a counted
//! index of its own.

use super::listing::Listing;
use super::{HOURS, LIMIT, last_hours};
use crate::audit::{Entry, Link, facets};
use crate::ids::UserId;
use crate::item::Key;
use crate::keys::{self, Index, Lanes, Stream};
use crate::params::{Fault, PageOf, Params, Query};
use crate::read::{Found, Range, Reader, Reads};
use crate::time::Timestamp;
use serde::Serialize;

/// What is asked for.
#[derive(Debug, Clone, Serialize)]
pub struct AuditQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    hours: u64,
    #[serde(flatten)]
    page: PageOf,
}

impl Query for AuditQuery {
    fn parse(query: &str) -> Result<Self, Vec<Fault>> {
        let mut params = Params::parse(query);
        let principal = params.user("principal");
        let action = params.action("action");
        let hours = params.integer("hours", HOURS.0, HOURS.1).unwrap_or(HOURS.2);
        let page = params.page(LIMIT.0, LIMIT.1);
        params.finish(Self { principal, action, hours, page })
    }
}

/// The answer.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the README describes each field by this name")]
pub struct AuditPage {
    pub records: Vec<AuditRow>,
    pub total: i128,
    pub page: u64,
    pub limit: u64,
}

/// One request.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "the README describes each field by this name")]
pub enum AuditRow {
    /// Its record, without its place in the chain, which the id tells.
    Recorded {
        id: String,
        #[serde(flatten)]
        entry: Box<Entry>,
    },
    /// A record that was there once, by its place: someone has tampered with the trail.
    Missing { id: String, missing: bool },
}

/// Reads one facet of the index as if it were an index of its own.
struct Facet<'a, R> {
    index: &'a R,
    name: String,
}

impl<R: Reader> Reader for Facet<'_, R> {
    type Error = R::Error;

    fn lanes(&self) -> Lanes {
        self.index.lanes()
    }

    async fn read(&self, reads: Reads) -> Result<Found, Self::Error> {
        let within = |range: Range| Range { pk: keys::in_facet(&self.name, &range.pk), ..range };
        let ranges = reads.ranges.into_iter().map(within).collect();
        self.index.read(Reads { ranges, ..reads }).await
    }
}

/// Two round trips near the top, at most four anywhere else.
pub async fn answer<R: Reader>(
    index: &R,
    records: &R,
    query: &AuditQuery,
    now: Timestamp,
) -> Result<AuditPage, R::Error> {
    let listed = Listing {
        index: Index::Audit,
        streams: &[Stream::All],
        since: Some(last_hours(now, query.hours)),
        offset: query.page.offset(),
        rows: query.page.rows(),
        consistent: true,
    };
    let facet = Facet { index, name: facets::facet(query.principal, query.action.as_deref()) };
    let listed = listed.read(&facet).await?;
    let keys: Vec<Key> = listed.rows.iter().filter_map(|row| keys::audit_row_record(&row.key)).collect();
    let mut found = Found::default();
    if !keys.is_empty() {
        found = records.read(Reads::gets(keys.iter().cloned()).consistent()).await?;
    }
    let row = |key: &Key| match found.items.get(key).and_then(Link::load) {
        Some(link) => AuditRow::Recorded { id: link.record.id(), entry: Box::new(link.record.entry) },
        None => AuditRow::Missing { id: key.sk.clone(), missing: true },
    };
    Ok(AuditPage {
        records: keys.iter().map(row).collect(),
        total: listed.total,
        page: query.page.page,
        limit: query.page.limit,
    })
}
