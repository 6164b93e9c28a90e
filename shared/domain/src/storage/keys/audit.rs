//! Keys of the audit trail and of its index.

use super::segments::KeySegment;
use super::{Digits, Fixed, Key, Lane, Lanes, ROW_TIME_DIGITS, Short, fixed, key, pk, time_part};
use crate::values::ids::ChainId;
use crate::values::time::{Hour, Timestamp};

/// A record of the audit trail: by the hour of its chain, then time, chain and number.
pub fn audit_record(chain: &ChainId, seq: u64, at: Timestamp) -> Key {
    let name = chain.to_string();
    let record = (time_part(at), Short::<MAX_CHAIN>(&name), fixed!("#"), Digits::<10>(seq.into()));
    key(audit_partition(chain), record)
}

/// The most bytes of a chain's name: its hour, a hyphen, and 64 letters and digits.
const MAX_CHAIN: usize = 80;

fn audit_partition(chain: &ChainId) -> (Fixed<2>, Hour, Fixed<1>, Lane) {
    audit_part(chain.hour(), AUDIT_LANES.of(chain.to_string().as_bytes()))
}

const fn audit_part(hour: Hour, lane: Lane) -> (Fixed<2>, Hour, Fixed<1>, Lane) {
    (fixed!(AUDIT_RECORDS), hour, fixed!("#"), lane)
}

/// Lanes of the audit trail: a partition takes a thousand records a second.
const AUDIT_LANES: Lanes = Lanes(4);

/// The partitions with the audit records of the chains that began in an hour.
pub fn audit_records(hour: Hour) -> impl Iterator<Item = String> {
    AUDIT_LANES.all().map(move |lane| pk(audit_part(hour, lane)))
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
    let (chain, _) = audit_row_place(row)?;
    Some(Key::stored(pk(audit_partition(&chain)), row.sk.clone()))
}

/// The chain and the number of the record that a row of the audit trail's index stands for.
pub fn audit_row_place(row: &Key) -> Option<(ChainId, u64)> {
    let (chain, seq) = row.sk.get(ROW_TIME_DIGITS..)?.split_once('#')?;
    Some((ChainId::parse(chain)?, seq.parse().ok()?))
}

/// A seal of the audit trail.
pub fn audit_seal(number: u64) -> Key {
    key(fixed!(AUDIT_SEALS), Digits::<10>(number.into()))
}

/// The partition of all seals.
pub const AUDIT_SEALS: &str = "seals";

/// A partition of one facet of the audit trail's index; a facet has all partitions of an index of
/// its own.
pub fn in_facet(facet: &str, partition: &str) -> String {
    pk(facet_part(facet, partition))
}

/// The key of an item of the index in one facet.
pub fn key_in_facet(facet: &str, of: &Key) -> Key {
    Key { pk: in_facet(facet, &of.pk), sk: of.sk.clone() }
}

/// The row of a record in the index: rows have the sort keys of their records.
pub fn audit_row(facet: &str, partition: &str, record: &Key) -> Key {
    Key { pk: in_facet(facet, partition), sk: record.sk.clone() }
}

fn facet_part<'a>(facet: &'a str, partition: &'a str) -> impl KeySegment + 'a {
    (Short::<MAX_FACET>(facet), fixed!("/"), Short::<MAX_PARTITION>(partition))
}

/// The most bytes of a facet's name: a user, and an action whose name a caller may have made up.
const MAX_FACET: usize = 1024;
/// The most bytes of an index's partition.
const MAX_PARTITION: usize = 64;
