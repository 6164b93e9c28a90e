//! Keys of rebuilds in the control table, of the log and of the quarantine, and the hash that
//! spreads keys evenly.

use super::control::{GENERATION, IMPORT, LOG, REBUILD, RUNS, SHARP};
use super::{Digits, ENTITY, Fixed, Id, Key, KeySegment, LOG_LANES, QUERY, Short, fixed, key, pk, row_time};
use crate::values::digest::sha256;
use crate::values::time::{Hour, Timestamp};

/// A number that spreads keys evenly, the same wherever it is computed.
pub fn spread_hash(pk: &str, sk: &str) -> u32 {
    let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = sha256(&[pk.as_bytes(), sk.as_bytes()]);
    u32::from_be_bytes([a, b, c, d])
}

/// Whether an item is an entity's own: every change of what the entity contributes is bound to it.
pub fn is_entity(key: &Key) -> bool {
    key.sk == ENTITY.0 && !key.pk.starts_with(QUERY)
}

/// The partition of everything about the building of a generation, but for its subtotals.
pub fn rebuild_partition(generation: &str) -> String {
    pk(rebuild_part(generation))
}

const fn rebuild_part(generation: &str) -> (Fixed<7>, Fixed<1>, Id<'_, MAX_NAME>) {
    (fixed!(REBUILD), SHARP, Id(generation))
}

/// The most bytes of the name of a generation, or of a unit.
const MAX_NAME: usize = 256;

/// The plan of a rebuild.
pub fn rebuild_plan(generation: &str) -> Key {
    key(rebuild_part(generation), fixed!("plan"))
}

/// The prefix of the sort keys of units.
pub const UNITS: &str = "unit#";

/// One unit of a rebuild, by its name.
pub fn rebuild_unit(generation: &str, unit: &str) -> Key {
    key(rebuild_part(generation), (fixed!(UNITS), Short::<MAX_NAME>(unit)))
}

/// The moment up to which a generation holds all that the log held.
pub fn position(generation: &str) -> Key {
    key(rebuild_part(generation), fixed!("position"))
}

/// The partition of the subtotals that one unit has stored for later stages.
pub fn subtotals_partition(generation: &str, unit: &str) -> String {
    pk(subtotals_part(generation, unit))
}

fn subtotals_part<'a>(generation: &'a str, unit: &'a str) -> impl KeySegment + 'a {
    (fixed!(RUNS), SHARP, Id::<MAX_NAME>(generation), SHARP, Short::<MAX_NAME>(unit))
}

/// One piece of these subtotals.
pub fn subtotals_piece(generation: &str, unit: &str, number: u32) -> Key {
    key(subtotals_part(generation, unit), Digits::<6>(number.into()))
}

/// That a generation is being dropped, or was: its name is not used again.
pub fn dropping(generation: &str) -> Key {
    key(rebuild_part(generation), fixed!("dropping"))
}

/// The greatest number that a generation was named by.
pub fn last_generation() -> Key {
    key(fixed!(GENERATION), fixed!("last"))
}

/// The hour in which the log begins.
pub fn log_beginning() -> Key {
    key(fixed!(LOG), fixed!("beginning"))
}

/// An import that has begun, by the digest of its manifest.
pub fn import(digest: &str) -> Key {
    key((fixed!(IMPORT), SHARP, Short::<64>(digest)), fixed!("begun"))
}

/// A partition of the log.
pub fn log_partition(hour: Hour, lane: u32) -> String {
    pk(log_part(hour, lane))
}

pub(super) fn log_part(hour: Hour, lane: u32) -> impl KeySegment {
    (hour, fixed!("#"), Digits::<2>(lane.into()))
}

/// The lanes of the log that hold entities, each all of its events.
pub fn entity_lanes() -> impl Iterator<Item = u32> {
    0..LOG_LANES
}

/// The lane of events whose type is unknown when they are received: a later release may know their
/// entity.
pub const UNKNOWN_LANE: u32 = LOG_LANES;

/// All lanes of the log.
pub fn log_lanes() -> impl Iterator<Item = u32> {
    entity_lanes().chain([UNKNOWN_LANE])
}

/// The least sort key of records that the log received at a time or later.
pub fn log_from(received_at: Timestamp) -> String {
    row_time(received_at)
}

/// Hour, lane and time of receipt of a part of the log.
pub fn parse_log(key: &Key) -> Option<(Hour, u32, Timestamp)> {
    let (hour, lane) = key.pk.split_once('#')?;
    let at = key.sk.split('#').next()?.parse().ok()?;
    Some((Hour::parse(hour)?, lane.parse().ok()?, Timestamp::from_millis(at)))
}

/// The key of what is taken from a part of the log into another lane; `None` of a key that is none of the log. It names
/// the former lane, so that what comes from two lanes does not meet.
pub fn log_moved(key: &Key, lane: u32) -> Option<Key> {
    let (hour, former, _) = parse_log(key)?;
    Some(Key::stored(log_partition(hour, lane), format!("{}#{former:02}", key.sk)))
}

/// The partitions of the quarantine.
pub fn quarantine_partitions() -> impl Iterator<Item = String> {
    (0..16).map(|digit| format!("{digit:x}"))
}

/// The message and the part that an item of the quarantine holds: the SHA-256 of the body, and a
/// number from 0.
pub fn parse_quarantine(key: &Key) -> Option<(&str, usize)> {
    let (message, part) = key.sk.split_once('#')?;
    Some((message, part.parse().ok()?))
}
