//! Keys of the audit trail and of its index.

use super::{Key, Lanes, ROW_TIME_DIGITS, key, row_time};
use crate::values::ids::ChainId;
use crate::values::time::{Hour, Timestamp};

/// A record of the audit trail: by the hour of its chain, then time, chain and number.
pub fn audit_record(chain: &ChainId, seq: u64, at: Timestamp) -> Key {
    key(audit_partition(chain), format!("{}{chain}#{seq:010}", row_time(at)))
}

fn audit_partition(chain: &ChainId) -> String {
    let lane = AUDIT_LANES.of(chain.to_string().as_bytes());
    format!("{AUDIT_RECORDS}{}#{}", chain.hour().digits(), lane.0)
}

/// Lanes of the audit trail: a partition takes a thousand records a second.
const AUDIT_LANES: Lanes = Lanes(4);

/// The partitions with the audit records of the chains that began in an hour.
pub fn audit_records(hour: Hour) -> impl Iterator<Item = String> {
    AUDIT_LANES.all().map(move |lane| format!("{AUDIT_RECORDS}{}#{}", hour.digits(), lane.0))
}

/// The hour of a partition of audit records.
pub fn parse_audit_records(pk: &str) -> Option<Hour> {
    Hour::parse(pk.strip_prefix(AUDIT_RECORDS)?.split_once('#')?.0)
}

/// How every partition of audit records begins.
const AUDIT_RECORDS: &str = "r#";

/// The record that a row of the audit trail's index stands for: rows have the sort keys of their
/// records.
pub fn audit_row_record(row: &Key) -> Option<Key> {
    let chain = row.sk.get(ROW_TIME_DIGITS..)?.split('#').next()?;
    Some(key(audit_partition(&ChainId::parse(chain)?), row.sk.clone()))
}

/// A seal of the audit trail.
pub fn audit_seal(number: u64) -> Key {
    key(AUDIT_SEALS.to_owned(), format!("{number:010}"))
}

/// The partition of all seals.
pub const AUDIT_SEALS: &str = "seals";

/// A partition of one facet of the audit trail's index; a facet has all partitions of an index of
/// its own.
pub fn in_facet(facet: &str, pk: &str) -> String {
    format!("{facet}/{pk}")
}
