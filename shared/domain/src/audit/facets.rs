//! Facets: the counted indexes over sealed records, one for each combination of filters of `GET
//! /admin/audit`.
//!
//! This is the one place outside of the diff of projections that adds amounts to counters. A
//! record never changes, so nothing is ever subtracted; and a record is added once, because its
//! rows must not exist yet.

use super::record::AuditRecord;
use crate::projections::index::{self, Sums};
use crate::storage::item::{Attributes, Key};
use crate::storage::keys::{self, Index, Lane, Lanes, PK, StatusPartition};
use crate::storage::write::{Action, Condition, Write};
use crate::values::ids::UserId;
use std::collections::BTreeMap;

/// The most records that one transaction indexes: each has 4 rows and at most 8 counters, and a
/// transaction holds at most 100 items.
pub const RECORDS_AT_ONCE: usize = 8;

/// The name of the facet for these filters: the requests of a user, for an action, both,
/// or all requests.
pub fn facet(user: Option<UserId>, action: Option<&str>) -> String {
    match (user, action) {
        (None, None) => "all".to_owned(),
        (Some(user), None) => format!("user#{user}"),
        (None, Some(action)) => format!("action#{action}"),
        (Some(user), Some(action)) => format!("user#{user}#{action}"),
    }
}

/// The names of the facets that a record is in.
fn facets_of(record: &AuditRecord) -> Vec<String> {
    let action = Some(record.entry.action.as_str());
    let user = record.entry.principal.user_id;
    let mut facets = vec![facet(None, None), facet(None, action)];
    if user.is_some() {
        facets.extend([facet(user, None), facet(user, action)]);
    }
    facets
}

/// Facets are not spread over lanes.
fn lane() -> Lane {
    Lanes::ONE.of(&[])
}

/// The row of a record in a facet.
fn row(record: &AuditRecord, facet: &str) -> Key {
    keys::audit_row(facet, &keys::rows(Index::Audit, StatusPartition::All, lane()), &record.key())
}

/// The row that exists if and only if a record is indexed, because a transaction writes all of its
/// items or none.
pub fn indexed_row(record: &AuditRecord) -> Key {
    row(record, &facet(None, None))
}

/// The transaction that indexes some records, at most [`RECORDS_AT_ONCE`]. It fails if one of them
/// is indexed already.
pub fn index_writes(records: &[&AuditRecord]) -> Vec<Write> {
    let mut writes = Vec::new();
    let mut counters: BTreeMap<Key, BTreeMap<String, i128>> = BTreeMap::new();
    for record in records {
        for facet in facets_of(record) {
            let conditions = vec![Condition::Absent(PK.to_owned())];
            writes.push(Write {
                key: row(record, &facet),
                action: Action::Put(Attributes::new()),
                conditions,
            });
            let sums = Sums::of_rows(1);
            let amounts = index::node_amounts(Index::Audit, lane(), record.entry.at, None, &sums);
            for (key, attribute, amount) in amounts {
                let key = keys::key_in_facet(&facet, &key);
                *counters.entry(key).or_default().entry(attribute).or_default() += amount;
            }
        }
    }
    let add = |(key, amounts): (Key, BTreeMap<String, i128>)| {
        let action =
            Action::Update { add: amounts.into_iter().collect(), set: Vec::new(), remove: Vec::new() };
        Write { key, action, conditions: Vec::new() }
    };
    writes.extend(counters.into_iter().map(add));
    writes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::ChainWriter;
    use crate::audit::record::tests::{AT, entry};
    use crate::values::time::DAY;

    #[test]
    fn a_transaction_of_records_that_share_no_counter_holds_at_most_a_hundred_items() {
        let links: Vec<_> = (0..8_i64)
            .map(|i| {
                let at = AT.plus(-40 * DAY * i);
                let mut entry = entry(at, &format!("action.{i}"));
                entry.principal.user_id = UserId::parse(&format!("00000000-0000-0000-0000-00000000000{i}"));
                ChainWriter::start(at, "abc").next_record(entry).unwrap()
            })
            .collect();
        let records: Vec<_> = links.iter().map(|link| &link.record).collect();
        assert_eq!(records.len(), RECORDS_AT_ONCE);
        let writes = index_writes(&records);
        assert_eq!(writes.len(), 96);
        let keys: std::collections::BTreeSet<_> = writes.into_iter().map(|write| write.key).collect();
        assert_eq!(keys.len(), 96, "no item twice");
    }
}
