//! Every key of every table is made and parsed here and in the files of this folder, and nowhere
//! else.
//!
//! **`torale-projections-<generation>`** (written by consumer, deactivation and replay; read by
//! all):
//!
//! | item | pk | sk | attributes |
//! |---|---|---|---|
//! | entity | `u#` user, `k#` API key, `t#` task, `x#` execution, `n#` notification, `w#` SHA-256 of a run, `s#` schedule, each with its id | `e` | `state`: its winning events; a task also has `totals`, a linked user `linked` and `links` |
//! | user's totals | `u#<user>` | `t` | `tasks`, `active`, `p` |
//! | user's day | `u#<user>` | `d#<yyyymmdd>` | `<hour>e` executions, `<hour>n` notifications, `p` |
//! | API key of a user | `u#<user>` | `a#<key>` | `of`: pk of the key |
//! | active task, live key, unpaused schedule | `o#<user>` | `t#<task>`, `k#<key>`, `s#<schedule>` | of a task and a schedule, `at`: since when; of a schedule, `of` and `task` |
//! | schedule of a task | `v#<task>` | schedule id | `of`: schedule id; of an unpaused one, `at`: since when |
//! | deleted schedules of a task | `v#<task>` | `\u{1}` | `p` |
//! | execution of a task | `t#<task>` | `c#`, start, execution | |
//! | unpaused schedule of a task | `t#<task>` | `d#<schedule>` | `cron`, `zone`: when it fires |
//! | query totals | `q#<query hash>` | `e` | `query`, `tasks`, `active` |
//! | executions of a query | `q#<query hash>` | `x#<lane>` | `n`, `s`, `f`, `d`, `p` |
//! | key look-up | `h#<SHA-256 of the key>` | `0#` of a live key, `1#` of a refused one, then its id | `user`, unless the key has too many claims |
//! | identity | `i#<clerk user id>` | `e` | `state`; `users`: how many users that exist name it |
//! | identity's link | `i#<clerk user id>` | `u#<user>` | `created`: the event that created the user, if it exists |
//! | identity's login | `i#<clerk user id>` | `a#`, time, id and source of that event, user | `created` |
//! | user's link | `y#<user>` | clerk user id | `of`: clerk user id; `state`: what the identity says |
//! | identity's claim | `z#<user>` | clerk user id | `of`: clerk user id |
//! | row of a list | `r#<index>#<status>#<lane>`, with a filter `r#<index>/<filter>#...` | time, then id | `of`: pk of the entity where the sort key does not name it; of executions, errors and schedules what a page shows, see `projections/summary.rs` |
//! | user by email | `r#emails#<all or active>#<first character>` | 243 characters of the folded email, id inverted | `email`: the folded email, if it is longer |
//! | row of the ranking | `r#queries` | inverted count, query hash | `query`, up to 512 bytes |
//! | node of an index | `c#<index>#<lane>`, with a filter that has nodes `c#<index>/<filter>#<lane>` | `h#<yyyymmddhh>`, `m#<yyyymm>`, errors with `#<type>`; of indexes with nodes of days also `d#<yyyymmdd>`; of executions and workflows `n#<yyyymmddhhmm>` of minutes that crowd | `<slot><measure>`, `p` |
//! | node of the ranking | `c#queries` | `b#<inverted block>` or `k#<inverted count>` | `<slot>n`, `p` |
//! | task states | `c#tasks#<lane>` | `t` | `total`, `active`, `paused`, `p` |
//!
//! `p` is a counter's population: when it reaches 0 the counter is empty and its item is deleted.
//!
//! | table | pk | sk | attributes | rule |
//! |---|---|---|---|---|
//! | `torale-events` | `<yyyymmddhh of receipt>#<lane>` | time of receipt, writer, part | `events` (zstd NDJSON), `n` | insert only |
//! | `torale-quarantine` | `<first digit of sk>` | SHA-256 of the body, part | `reason`, `code`, `body`, `received_at`, `parts` | deleted when it is redriven |
//! | `torale-control` | `generation` | `live` | `generation`, `lanes`; `beside`, `beside_lanes`: the shadow generation | by replay alone |
//! | `torale-control` | `log` | `beginning` | `hour` of the log's first record | by whoever appends, once an instance |
//! | `torale-control` | `generation` | `last` | `number`: the greatest in a name of a generation | by replay alone |
//! | `torale-control` | `rebuild#<generation>` | `plan`, `unit#<unit>`, `position`, `dropping` | see `replay/rebuild.rs` | by replay alone, until the generation is dropped; `dropping` stays |
//! | `torale-control` | `runs#<generation>#<unit>` | number | `lines` (zstd NDJSON): subtotals, see `replay/rebuild/subtotals.rs` | by replay alone, until the generation is built |
//! | `torale-control` | `import#<digest>` | `begun` | | by replay alone |
//! | `torale-control` | `temporal#<SHA-256 of the server's address and the namespace>` | `sync` | `until`, `window`, `seen`: how far its runs were read, see `store/temporal.rs` of the platform | by temporal-sync alone |
//! | `torale-control` | `links#<SHA-256 of a generation and a Clerk id>` | `commands`; `links` where none may be requested | `content`, `after`, `through`: of which users its links are up to date, see `projections/links/progress.rs` | by the consumer and replays, of an identity that very many users share |
//! | `torale-control` | `limit#<user>` | `requests` | see `access/rate_limits.rs`, `expires_at` | one conditional write a request |
//! | `torale-control` | `key#<key id>` | `used` | `at`: when an API key was used last | once for each minute in which a key is used |
//! | `torale-control` | `deactivation#<user>` | `patch` | `event`, `at`, `tasks`, `by`: the last deactivation that an admin requested | with its event |
//! | `torale-control` | `deactivation#<user>` | `cause` | `event`, `logins`: for which cause and which logins commands were requested last | with their outbox entry, or when nothing deactivates the user any more |
//! | `torale-control` | `outbox` | cause, target | `order`, `cursor`, see `deactivation/outbox.rs` | until its commands are sent |
//! | `torale-audit` | `r#<yyyymmddhh>#<lane>` | time, chain, number | `record`: JSON text, see `audit/record.rs` | insert only |
//! | `torale-audit` | `seals` | number | `statement`, `heads`, `signature`, see `audit/seal.rs` | insert only, by audit-seal alone |
//! | `torale-audit-index` | `<facet>/` and the partition of a row or node above | | as rows and nodes of `audit` above | by audit-seal, and again by `cargo audit-verify reindex` |

mod audit;
mod budget;
mod control;
mod details;
mod emails;
mod identity;
mod lists;
mod ranking;
mod replay;
mod segments;

use crate::storage::item::{Item, Key};
use crate::values::digest::{sha256, sha256_hex};
use crate::values::ids::{ApiKeyHash, ApiKeyId, EntityKey, ExecutionId, ScheduleId, TaskId, UserId};
use crate::values::time::{Day, Hour, Minute, Month, Timestamp};
use segments::{Digits, Fixed, Id, KeySegment, MAX_ID, Short, fixed, is_whole, key, pk, sk, unescaped};

pub use audit::*;
pub use budget::{BUDGET, KeyBudget};
pub use control::*;
pub use details::*;
pub use emails::*;
pub use identity::*;
pub use lists::*;
pub use ranking::*;
use replay::log_part;
pub use replay::*;
pub use segments::{MAX_PK_BYTES, MAX_SK_BYTES};

/// The append-only log of events.
pub const EVENTS_TABLE: &str = "torale-events";
/// Quarantined messages.
pub const QUARANTINE_TABLE: &str = "torale-quarantine";
/// Pointers and other small shared state.
pub const CONTROL_TABLE: &str = "torale-control";
/// The audit trail.
pub const AUDIT_TABLE: &str = "torale-audit";
/// The counted index over the audit trail.
pub const AUDIT_INDEX_TABLE: &str = "torale-audit-index";
/// Projections: this and the generation's name.
pub const PROJECTIONS_TABLE_PREFIX: &str = "torale-projections-";
/// The generation that a new installation starts with.
pub const FIRST_GENERATION: &str = "g1";
/// The attribute that holds a partition key.
pub const PK: &str = "pk";
/// The attribute that holds a sort key.
pub const SK: &str = "sk";
/// Lanes of the event log, a property of its keys.
pub const LOG_LANES: u32 = 4;

/// What a table needs to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// The table's name.
    pub name: String,
    /// Attribute of the partition key, a text.
    pub hash_key: &'static str,
    /// Attribute of the sort key, a text.
    pub range_key: Option<&'static str>,
    /// Attribute with the time at which an item may go, in unix seconds.
    pub ttl: Option<&'static str>,
}

/// Every table of a new installation.
pub fn tables() -> Vec<TableSpec> {
    let projections = projections_table(FIRST_GENERATION);
    [
        (EVENTS_TABLE, None),
        (&projections, None),
        (CONTROL_TABLE, Some("expires_at")),
        (AUDIT_TABLE, None),
        (AUDIT_INDEX_TABLE, None),
        (QUARANTINE_TABLE, None),
    ]
    .map(|(name, ttl)| TableSpec { name: name.to_owned(), hash_key: PK, range_key: Some(SK), ttl })
    .into()
}

/// The table of a generation of projections.
pub fn projections_table(generation: &str) -> String {
    format!("{PROJECTIONS_TABLE_PREFIX}{generation}")
}

/// How many lanes a generation spreads its hot items over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes(u32);

impl Lanes {
    /// A single lane: items that are not spread.
    pub const ONE: Self = Self(1);
    /// The lanes of a new installation.
    pub const DEFAULT: Self = Self(2);
    /// The most lanes a generation may have.
    pub const MAX: u32 = 64;

    /// At least 1 and at most [`Lanes::MAX`].
    pub fn new(lanes: u32) -> Option<Self> {
        (1..=Self::MAX).contains(&lanes).then_some(Self(lanes))
    }

    /// The number of lanes.
    pub const fn count(self) -> u32 {
        self.0
    }

    /// Every lane.
    pub fn all(self) -> impl Iterator<Item = Lane> {
        (0..self.0).map(Lane)
    }

    /// The lane of an identifier.
    pub fn of(self, id: &[u8]) -> Lane {
        let [a, b, c, d, ..] = sha256(&[id]);
        Lane(u32::from_be_bytes([a, b, c, d]) % self.0)
    }
}

/// One lane: everything about one task, or one user, lies in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(u32);

const ENTITY: Fixed<1> = fixed!("e");
const QUERY: &str = "q#";

/// The item of an entity.
pub fn entity(entity: &EntityKey) -> Key {
    match entity {
        EntityKey::User(id) => key(user_pk(*id), ENTITY),
        EntityKey::Identity(clerk) => key(identity::identity_part(clerk), ENTITY),
        EntityKey::ApiKey(id) => key((fixed!("k#"), Id::<MAX_ID>(id.as_str())), ENTITY),
        EntityKey::Task(id) => key((fixed!("t#"), *id), ENTITY),
        EntityKey::Execution(id) => key((fixed!("x#"), *id), ENTITY),
        EntityKey::Notification(id) => key((fixed!("n#"), Id::<MAX_ID>(id.as_str())), ENTITY),
        EntityKey::Run(workflow, run) => {
            let hash = sha256_hex(&[workflow.as_str().as_bytes(), run.as_str().as_bytes()]);
            key((fixed!("w#"), Short::<64>(&hash)), ENTITY)
        }
        EntityKey::Schedule(id) => key((fixed!("s#"), Id::<MAX_ID>(id.as_str())), ENTITY),
    }
}

/// The item of a user.
pub fn user(id: UserId) -> Key {
    entity(&EntityKey::User(id))
}

/// The item of an execution.
pub fn execution(id: ExecutionId) -> Key {
    entity(&EntityKey::Execution(id))
}

const fn user_pk(user: UserId) -> (Fixed<2>, UserId) {
    (fixed!("u#"), user)
}

const fn user_day_sk(day: Day) -> (Fixed<2>, Day) {
    (fixed!("d#"), day)
}

/// A user's numbers of tasks.
pub fn user_totals(user: UserId) -> Key {
    key(user_pk(user), fixed!("t"))
}

/// A user's executions and notifications on one day, by hour.
pub fn user_day(user: UserId, day: Day) -> Key {
    key(user_pk(user), user_day_sk(day))
}

/// The items of a user that the list of users shows: the days from `day` on, then the entity and
/// its totals.
pub fn user_since(user: UserId, day: Day) -> (String, String) {
    (pk(user_pk(user)), sk(user_day_sk(day)))
}

/// The day of a [`user_day`] item; `None` for the other items of a user.
pub fn parse_user_day(key: &Key) -> Option<Day> {
    Day::parse(key.sk.strip_prefix("d#")?)
}

/// The hash that stands for a query in keys: 128 bits of its SHA-256, in hexadecimal.
pub fn query_hash(query: &str) -> String {
    let digest = sha256(&[query.as_bytes()]);
    hex::encode(digest.get(..16).unwrap_or_default())
}

/// The totals of all tasks that have a query.
pub fn query(query_hash: &str) -> Key {
    key((fixed!(QUERY), Short::<64>(query_hash)), ENTITY)
}

/// Whether this is the key of a query's totals, of all keys in a query's partition.
pub fn is_query(key: &Key) -> bool {
    key.sk == sk(ENTITY)
}

/// The sums of the executions of all tasks of a lane that have a query.
pub fn query_executions(query_hash: &str, lane: Lane) -> Key {
    key((fixed!(QUERY), Short::<64>(query_hash)), (fixed!("x#"), lane))
}

/// The partition of a query: its totals, and the sums of its executions.
pub fn query_partition(query_hash: &str) -> String {
    pk((fixed!(QUERY), Short::<64>(query_hash)))
}

/// The attribute that holds the whole id where a key has only its beginning and a hash.
pub const WHOLE_ID: &str = "id";

/// The most bytes of a key's id in the sort key of a look-up, or of a live key: what is left beside
/// the two bytes before it.
const ID_IN_SK: usize = MAX_SK_BYTES - 2;

/// The id of an API key that its look-up and its row as a live key must hold as [`WHOLE_ID`]: one
/// that does not fit into their sort keys.
pub fn whole_id(id: &ApiKeyId) -> Option<&str> {
    (!is_whole::<ID_IN_SK>(id.as_str())).then_some(id.as_str())
}

/// The id in an item with such a sort key: `rest` is what follows the two bytes before it.
fn id_of(item: &Item, rest: &str) -> Option<ApiKeyId> {
    match item.text(WHOLE_ID) {
        Some(id) => ApiKeyId::parse(id),
        None => ApiKeyId::parse(&unescaped(rest)),
    }
}

const LIVE: &str = "0#";
const REVOKED: &str = "1#";

/// Look-ups of API keys by the hash of the whole key; live ones come first. The item holds
/// [`whole_id`].
pub fn key_lookup(hash: &ApiKeyHash, id: &ApiKeyId, revoked: bool) -> Key {
    let state = if revoked { fixed!(REVOKED) } else { fixed!(LIVE) };
    key(key_lookup_part(hash), (state, Id::<ID_IN_SK>(id.as_str())))
}

fn key_lookup_part(hash: &ApiKeyHash) -> impl KeySegment {
    (fixed!("h#"), Short::<64>(hash.as_str()))
}

/// The partition that holds all keys with one hash.
pub fn key_lookup_pk(hash: &ApiKeyHash) -> String {
    pk(key_lookup_part(hash))
}

/// The id of the key that a look-up stands for, and whether it is revoked.
pub fn parse_key_lookup(item: &Item) -> Option<(ApiKeyId, bool)> {
    let sk = &item.key.sk;
    let (rest, revoked) = match sk.strip_prefix(LIVE) {
        Some(rest) => (rest, false),
        None => (sk.strip_prefix(REVOKED)?, true),
    };
    Some((id_of(item, rest)?, revoked))
}

const fn stoppable_part(user: UserId) -> (Fixed<2>, UserId) {
    (fixed!("o#"), user)
}

/// The row of an active task: it is paused when its user is deactivated.
pub fn active_task(user: UserId, task: TaskId) -> Key {
    key(stoppable_part(user), (fixed!("t#"), task))
}

/// The row of a live API key: it is revoked when its user is deactivated. The item holds
/// [`whole_id`].
pub fn live_key(user: UserId, id: &ApiKeyId) -> Key {
    key(stoppable_part(user), (fixed!(LIVE_KEYS), Id::<ID_IN_SK>(id.as_str())))
}

/// The prefix of the sort keys of [`live_key`]s.
pub const LIVE_KEYS: &str = "k#";

/// The partition of a user's active tasks and live keys: they are stopped when the user is
/// deactivated.
pub fn stoppable_of(user: UserId) -> String {
    pk(stoppable_part(user))
}

/// The row of an unpaused schedule: it is paused when its user is deactivated.
pub fn unpaused_schedule(user: UserId, id: &ScheduleId) -> Key {
    key(stoppable_part(user), (fixed!("s#"), Id::<ID_IN_SK>(id.as_str())))
}

/// The resource that a row of [`stoppable_of`] stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoppableRow {
    /// An active task.
    Task(TaskId),
    /// A live API key.
    Key(ApiKeyId),
    /// An unpaused schedule; the row's attributes name it.
    Schedule,
}

/// Reads a row of [`stoppable_of`]; `None` for a row that this system never writes, which its reader must
/// report.
pub fn parse_stoppable_row(item: &Item) -> Option<StoppableRow> {
    match item.key.sk.split_once('#')? {
        ("t", id) => TaskId::parse(id).map(StoppableRow::Task),
        ("k", rest) => id_of(item, rest).map(StoppableRow::Key),
        ("s", _id) => Some(StoppableRow::Schedule),
        (_other, _) => None,
    }
}

/// The least sort key after this one.
pub fn next(sk: &str) -> String {
    if sk.len() < MAX_SK_BYTES {
        return format!("{sk}\0");
    }
    // No sort key continues one of the greatest length: the next one has a greater character in the place of one of its
    // last.
    following(sk)
}

/// The least sort key that is greater than every one with this prefix; the greatest of all if there is none.
fn following(prefix: &str) -> String {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // A greater character may take more bytes.
        let fits = |greater: &char| text.len() + greater.len_utf8() <= MAX_SK_BYTES;
        if let Some(greater) = (last..=char::MAX).nth(1).filter(fits) {
            text.push(greater);
            return text;
        }
    }
    char::MAX.to_string().repeat(MAX_SK_BYTES / char::MAX.len_utf8())
}

/// A sort key greater than that of every [`live_key`], and less than any other.
pub fn after_live_keys() -> String {
    following(LIVE_KEYS)
}

/// The key of a record of the log: one part of a batch of received events.
pub fn log(received_at: Timestamp, lane: u32, writer: &str, part: usize) -> Key {
    let part = Digits::<4>(i128::try_from(part).unwrap_or(i128::MAX));
    let record = (time_part(received_at), fixed!("#"), Short::<64>(writer), fixed!("#"), part);
    key(log_part(received_at.hour(), lane), record)
}

/// The log lane of an entity.
pub fn log_lane(of: &EntityKey) -> u32 {
    Lanes(LOG_LANES).of(entity(of).pk.as_bytes()).0
}

/// The key of a part of a quarantined message: the same message always has the same keys.
pub fn quarantine(body: &[u8], part: usize) -> Key {
    let hash = sha256_hex(&[body]);
    let digit = hash.get(..1).unwrap_or_default();
    let part = Digits::<2>(i128::try_from(part).unwrap_or(i128::MAX));
    key(Short::<64>(digit), (Short::<64>(&hash), fixed!("#"), part))
}
