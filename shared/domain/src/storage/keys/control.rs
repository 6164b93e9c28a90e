//! Keys of the control table, and what an item of it is by its key.

use super::{
    Fixed, ID_IN_ROW, Id, Key, KeyRange, MAX_ID, Short, fixed, following, key, last_generation,
    log_beginning, sk,
};
use crate::values::digest::sha256_hex;
use crate::values::ids::{ApiKeyId, ClerkUserId, UserId};
use serde::Serialize;

/// How the partitions of each kind of item begin; the rest of one, where there is any, follows a
/// `#`.
pub(super) const GENERATION: &str = "generation";
pub(super) const LOG: &str = "log";
pub(super) const REBUILD: &str = "rebuild";
pub(super) const RUNS: &str = "runs";
pub(super) const IMPORT: &str = "import";
const TEMPORAL: &str = "temporal";
const LINKS: &str = "links";
const LIMIT: &str = "limit";
const KEY: &str = "key";
const DEACTIVATION: &str = "deactivation";
/// The partition of outbox entries: commands that are still to be sent.
pub const OUTBOX: &str = "outbox";

/// Between the kind of an item and the rest of its partition.
pub(super) const SHARP: Fixed<1> = fixed!("#");
/// The most bytes of the id of an event, which causes an outbox entry. Beyond that, its beginning and a hash.
const MAX_EVENT_ID: usize = 480;
/// A line break and the id of a user.
const OTHER_USER: usize = 37;

/// What an item of the control table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// The pointer to the live generation, or the greatest number that one was named by.
    Generation,
    /// The hour in which the log begins.
    LogBeginning,
    /// A user's last deactivation that an admin asked for.
    Deactivation,
    /// An outbox entry.
    #[serde(rename = "order")]
    OutboxEntry,
    /// A principal's rate limits.
    Limit,
    /// The last use of an API key.
    KeyUse,
    /// Of the building of a generation.
    Rebuild,
    /// Subtotals of the building of a generation.
    #[serde(rename = "run")]
    Subtotals,
    /// An import that has begun.
    Import,
    /// How far Temporal's runs were read.
    TemporalSync,
    /// How far an identity's links are up to date.
    LinkProgress,
}

/// What an item of the control table is by its key; `None` for keys that this system never writes.
/// For items that are never restored from a copy, the partition alone decides.
pub fn parse_control(key: &Key) -> Option<Control> {
    let (kind, rest) = key.pk.split_once('#').unwrap_or((&key.pk, ""));
    match kind {
        GENERATION => [live_generation(), last_generation()].contains(key).then_some(Control::Generation),
        LOG => (*key == log_beginning()).then_some(Control::LogBeginning),
        DEACTIVATION => {
            let user = UserId::parse(rest)?;
            let notes = [deactivation(user), requested_commands(user), requested_for_others(user)];
            notes.contains(key).then_some(Control::Deactivation)
        }
        OUTBOX => Some(Control::OutboxEntry),
        LIMIT => Some(Control::Limit),
        KEY => Some(Control::KeyUse),
        REBUILD => Some(Control::Rebuild),
        RUNS => Some(Control::Subtotals),
        IMPORT => Some(Control::Import),
        TEMPORAL => Some(Control::TemporalSync),
        LINKS => Some(Control::LinkProgress),
        _never_written => None,
    }
}

/// The rate limits of a principal.
pub fn limit(user: UserId) -> Key {
    key((fixed!(LIMIT), SHARP, user), fixed!("requests"))
}

/// The last deactivation of a user that an admin asked for.
pub fn deactivation(user: UserId) -> Key {
    key((fixed!(DEACTIVATION), SHARP, user), fixed!("patch"))
}

/// The last cause for which commands were requested for this user.
pub fn requested_commands(user: UserId) -> Key {
    key((fixed!(DEACTIVATION), SHARP, user), fixed!("cause"))
}

/// That commands were requested for other users, by a cause that the reactivation of this one takes back.
pub fn requested_for_others(user: UserId) -> Key {
    key((fixed!(DEACTIVATION), SHARP, user), fixed!("others"))
}

/// An outbox entry: of a whole deactivation, or of one resource (`target`) that appeared after it.
pub fn outbox(cause: &str, target: &str) -> Key {
    let (event, user) = cause_parts(cause);
    key(fixed!(OUTBOX), (event, user, SHARP, Id::<ID_IN_ROW>(target)))
}

/// The event of a cause and, after a line break, the user if it is another than the event names: however long the
/// event's id is, all of its users stand together.
fn cause_parts(cause: &str) -> (Id<'_, MAX_EVENT_ID>, Short<'_, OTHER_USER>) {
    let user = cause.rfind('\n').filter(|at| UserId::parse(&cause[at + 1..]).is_some());
    let (event, user) = cause.split_at(user.unwrap_or(cause.len()));
    (Id(event), Short(user))
}

/// The outbox entries of a cause, and those of causes whose ids begin with its id and a `#`.
pub fn outbox_of(cause: &str) -> KeyRange {
    let (event, user) = cause_parts(cause);
    let from = sk((event, user, SHARP));
    let to = following(&from);
    KeyRange { pk: OUTBOX.to_owned(), from, to }
}

/// The outbox entries of a deactivation that are of other users than the one it names.
pub fn outbox_of_others(event: &str) -> KeyRange {
    let from = sk((Id::<MAX_EVENT_ID>(event), fixed!("\n")));
    let to = following(&from);
    KeyRange { pk: OUTBOX.to_owned(), from, to }
}

/// When an API key was used last.
pub fn key_used(id: &ApiKeyId) -> Key {
    key((fixed!(KEY), SHARP, Id::<MAX_ID>(id.as_str())), fixed!("used"))
}

/// How far the runs of a server of Temporal and a namespace of it were read.
pub fn temporal_sync(source: &str) -> Key {
    let digest = sha256_hex(&[source.as_bytes()]);
    key((fixed!(TEMPORAL), SHARP, Short::<64>(&digest)), fixed!("sync"))
}

/// How far the links of an identity are up to date in a generation; apart, whether the commands that are due with them
/// were requested too.
pub fn link_progress(generation: &str, clerk: &ClerkUserId, commands: bool) -> Key {
    let digest = sha256_hex(&[generation.as_bytes(), clerk.as_str().as_bytes()]);
    let partition = (fixed!(LINKS), SHARP, Short::<64>(&digest));
    if commands { key(partition, fixed!("commands")) } else { key(partition, fixed!("links")) }
}

/// The pointer to the live generation.
pub fn live_generation() -> Key {
    key(fixed!(GENERATION), fixed!("live"))
}
