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
//! | execution of a task | `t#<task>` | `x#`, start, execution | |
//! | query totals | `q#<query hash>` | `e` | `query`, `tasks`, `active`, `n`, `s`, `f`, `d` |
//! | key look-up | `h#<SHA-256 of the key>` | `0#` of a live key, `1#` of a revoked one, then its id | `user` |
//! | identity | `i#<clerk user id>` | `e` | `state`; `users`: how many users that exist name it |
//! | identity's link | `i#<clerk user id>` | `u#<user>` | `created`: the event that created the user, if it exists |
//! | identity's login | `i#<clerk user id>` | `a#`, time, id and source of that event, user | `created` |
//! | user's link | `y#<user>` | clerk user id | `of`: clerk user id; `state`: what the identity says |
//! | identity's claim | `z#<user>` | clerk user id | `of`: clerk user id |
//! | row of a list | `r#<index>#<status>#<lane>` | time, then id | `of`: pk of the entity where the sort key does not name it |
//! | row of the ranking | `r#queries` | inverted count, query hash | |
//! | node of an index | `c#<index>#<lane>` | `h#<yyyymmddhh>`, `m#<yyyymm>`, errors with `#<type>`; of indexes with series also `d#<yyyymmdd>` | `<slot><measure>`, `p` |
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
//! | `torale-control` | `rebuild#<generation>` | `plan`, `unit#<unit>`, `position`, `dropping` | see `replay/rebuild.rs` | by replay alone, until the generation is dropped |
//! | `torale-control` | `runs#<generation>#<unit>` | number | `lines` (zstd NDJSON): subtotals, see `replay/rebuild/subtotals.rs` | by replay alone, until the generation is built |
//! | `torale-control` | `import#<digest>` | `begun` | | by replay alone |
//! | `torale-control` | `limit#<user>` | `requests` | see `access/rate_limits.rs`, `expires_at` | one conditional write a request |
//! | `torale-control` | `key#<key id>` | `used` | `at`: when an API key was used last | once a minute a key |
//! | `torale-control` | `deactivation#<user>` | `patch` | `event`, `at`, `tasks`, `clerk`: the last deactivation that an admin requested | with its event |
//! | `torale-control` | `deactivation#<user>` | `cause` | `event`, `clerk`: the last cause by which an identity deactivated the user | with its outbox entry |
//! | `torale-control` | `outbox` | cause, target | `order`, `cursor`, see `deactivation/outbox.rs` | until its commands are sent |
//! | `torale-audit` | `r#<yyyymmddhh>#<lane>` | time, chain, number | `record`: JSON text, see `audit/record.rs` | insert only |
//! | `torale-audit` | `seals` | number | `statement`, `heads`, `signature`, see `audit/seal.rs` | insert only, by audit-seal alone |
//! | `torale-audit-index` | `<facet>/` and the partition of a row or node above | | as rows and nodes of `audit` above | by audit-seal, and again by `cargo audit-verify reindex` |

mod audit;
mod budget;
mod control;
mod details;
mod identity;
mod parts;
mod ranking;
mod replay;

use crate::storage::item::{Item, Key};
use crate::values::digest::{sha256, sha256_hex};
use crate::values::ids::{EntityKey, ExecutionId, KeyHash, KeyId, ScheduleId, TaskId, UserId};
use crate::values::time::{Day, Hour, Month, Timestamp};
use parts::{Digits, Fixed, Id, MAX_ID, Part, Short, fixed, is_whole, key, pk, sk, unescaped};
use serde::Serialize;

pub use audit::*;
pub use budget::{BUDGET, KeyBudget};
pub use control::*;
pub use details::*;
pub use identity::*;
pub use parts::{MAX_PK_BYTES, MAX_SK_BYTES};
pub use ranking::*;
use replay::log_part;
pub use replay::*;

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

/// A list or a set of windows over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Index {
    /// Executions by `started_at`.
    Executions,
    /// Failed executions by `completed_at`, counted by error type.
    Errors,
    /// Users by `created_at`.
    Users,
    /// Active users by `last_login`: windows only.
    Logins,
    /// Notifications by the time they were sent: windows only.
    Notifications,
    /// Workflow runs by `start_time`.
    Workflows,
    /// Schedules by `created_at`.
    Schedules,
    /// Audit records by time, in a table of their own.
    Audit,
}

impl Index {
    /// Whether the index has a node for each day, from which a series by hour is read
    /// (`GET /admin/stats/series`).
    pub const fn has_day_nodes(self) -> bool {
        match self {
            Self::Executions | Self::Users | Self::Logins | Self::Notifications | Self::Workflows => true,
            // A series of errors is read from the nodes of the executions.
            Self::Errors | Self::Schedules | Self::Audit => false,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Executions => "executions",
            Self::Errors => "errors",
            Self::Users => "users",
            Self::Logins => "logins",
            Self::Notifications => "notifications",
            Self::Workflows => "workflows",
            Self::Schedules => "schedules",
            Self::Audit => "audit",
        }
    }
}

/// The part of an index that holds the rows of one status, so that a filter reads only its own
/// rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusPartition {
    /// Indexes without statuses.
    All,
    /// Executions that have not ended.
    Running,
    /// Executions that succeeded.
    Success,
    /// Executions that failed.
    Failed,
    /// Active users or schedules.
    Active,
    /// Deactivated users, paused schedules.
    Inactive,
}

impl StatusPartition {
    const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Active => "active",
            Self::Inactive => "inactive",
        }
    }
}

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
    key((fixed!(QUERY), Short::<32>(query_hash)), ENTITY)
}

/// The attribute that holds the whole id where a key has only its beginning and a hash.
pub const WHOLE_ID: &str = "id";

/// The most bytes of a key's id in the sort key of a look-up, or of a live key: what is left beside
/// the two bytes before it.
const ID_IN_SK: usize = MAX_SK_BYTES - 2;

/// The id of an API key that its look-up and its row as a live key must hold as [`WHOLE_ID`]: one
/// that does not fit into their sort keys.
pub fn whole_id(id: &KeyId) -> Option<&str> {
    (!is_whole::<ID_IN_SK>(id.as_str())).then_some(id.as_str())
}

/// The id in an item with such a sort key: `rest` is what follows the two bytes before it.
fn id_of(item: &Item, rest: &str) -> Option<KeyId> {
    match item.text(WHOLE_ID) {
        Some(id) => KeyId::parse(id),
        None => KeyId::parse(&unescaped(rest)),
    }
}

const LIVE: &str = "0#";
const REVOKED: &str = "1#";

/// Look-ups of API keys by the hash of the whole key; live ones come first. The item holds
/// [`whole_id`].
pub fn key_lookup(hash: &KeyHash, id: &KeyId, revoked: bool) -> Key {
    let state = if revoked { fixed!(REVOKED) } else { fixed!(LIVE) };
    key(key_lookup_part(hash), (state, Id::<ID_IN_SK>(id.as_str())))
}

fn key_lookup_part(hash: &KeyHash) -> impl Part {
    (fixed!("h#"), Short::<64>(hash.as_str()))
}

/// The partition that holds all keys with one hash.
pub fn key_lookup_pk(hash: &KeyHash) -> String {
    pk(key_lookup_part(hash))
}

/// The id of the key that a look-up stands for, and whether it is revoked.
pub fn parse_key_lookup(item: &Item) -> Option<(KeyId, bool)> {
    let sk = &item.key.sk;
    let (rest, revoked) = match sk.strip_prefix(LIVE) {
        Some(rest) => (rest, false),
        None => (sk.strip_prefix(REVOKED)?, true),
    };
    Some((id_of(item, rest)?, revoked))
}

const fn owned_part(user: UserId) -> (Fixed<2>, UserId) {
    (fixed!("o#"), user)
}

/// The row of an active task: it is paused when its user is deactivated.
pub fn active_task(user: UserId, task: TaskId) -> Key {
    key(owned_part(user), (fixed!("t#"), task))
}

/// The row of a live API key: it is revoked when its user is deactivated. The item holds
/// [`whole_id`].
pub fn live_key(user: UserId, id: &KeyId) -> Key {
    key(owned_part(user), (fixed!(LIVE_KEYS), Id::<ID_IN_SK>(id.as_str())))
}

/// The prefix of the sort keys of [`live_key`]s.
pub const LIVE_KEYS: &str = "k#";

/// The partition of a user's active tasks and live keys: they are stopped when the user is
/// deactivated.
pub fn owned(user: UserId) -> String {
    pk(owned_part(user))
}

/// The row of an unpaused schedule: it is paused when its user is deactivated.
pub fn unpaused_schedule(user: UserId, id: &ScheduleId) -> Key {
    key(owned_part(user), (fixed!("s#"), Id::<ID_IN_SK>(id.as_str())))
}

/// The resource that a row of [`owned`] stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owned {
    /// An active task.
    Task(TaskId),
    /// A live API key.
    Key(KeyId),
    /// An unpaused schedule; the row's attributes name it.
    Schedule,
}

/// Reads a row of [`owned`]; `None` for a row that this system never writes, which its reader must
/// report.
pub fn parse_owned(item: &Item) -> Option<Owned> {
    match item.key.sk.split_once('#')? {
        ("t", id) => TaskId::parse(id).map(Owned::Task),
        ("k", rest) => id_of(item, rest).map(Owned::Key),
        ("s", _id) => Some(Owned::Schedule),
        (_other, _) => None,
    }
}

/// The least sort key after this one.
pub fn next(sk: &str) -> String {
    if sk.len() < MAX_SK_BYTES {
        return format!("{sk}\0");
    }
    // No sort key continues one of the greatest length: the next one has a greater last character.
    following(sk)
}

/// The least text that is greater than every text with this prefix.
fn following(prefix: &str) -> String {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        if let Some(greater) = (last..=char::MAX).nth(1) {
            text.push(greater);
            break;
        }
    }
    text
}

/// The number of tasks by state, in one lane.
pub fn task_states(lane: Lane) -> Key {
    key((fixed!("c#tasks#"), lane), fixed!("t"))
}

fn rows_part(index: Index, status: StatusPartition, lane: Lane) -> impl Part {
    (fixed!("r#"), index, fixed!("#"), status, fixed!("#"), lane)
}

/// The partition with the rows of one status in one lane, ordered by time, then id.
pub fn rows(index: Index, status: StatusPartition, lane: Lane) -> String {
    pk(rows_part(index, status, lane))
}

/// The most bytes of each id in the sort key of a row.
const ID_IN_ROW: usize = 480;

/// The row of an entity in the list of a time. Of an id over 480 bytes the key has the beginning and a
/// hash.
pub fn row(index: Index, status: StatusPartition, lane: Lane, at: Timestamp, id: &[&str]) -> Key {
    let ids = [id.first(), id.get(1)].map(|id| id.map(|id| Id::<ID_IN_ROW>(id)));
    key(rows_part(index, status, lane), (time_part(at), ids))
}

fn time_part(at: Timestamp) -> Digits<ROW_TIME_DIGITS> {
    Digits(at.millis().into())
}

/// The least sort key of a row at a time.
pub fn row_time(at: Timestamp) -> String {
    sk(time_part(at))
}

const ROW_TIME_DIGITS: usize = 13;

fn row_id(key: &Key) -> Option<&str> {
    key.sk.get(ROW_TIME_DIGITS..)
}

/// The execution that a row of a list of executions stands for.
pub fn row_execution(key: &Key) -> Option<ExecutionId> {
    row_id(key).and_then(ExecutionId::parse)
}

/// The user that a row of the list of users stands for.
pub fn row_user(key: &Key) -> Option<UserId> {
    row_id(key).and_then(UserId::parse)
}

/// The entity that a row with an `of` attribute stands for.
pub fn row_entity(of: &str) -> Key {
    Key::stored(of.to_owned(), ENTITY.0.to_owned())
}

fn nodes_part(index: Index, lane: Lane) -> impl Part {
    (fixed!("c#"), index, fixed!("#"), lane)
}

/// The partition with the nodes of an index in one lane.
pub fn nodes(index: Index, lane: Lane) -> String {
    pk(nodes_part(index, lane))
}

/// An error's type after a node's time.
fn tag_part(tag: Option<&str>) -> Option<(Fixed<1>, Short<'_, MAX_TAG>)> {
    tag.map(|tag| (fixed!("#"), Short(tag)))
}

/// The most bytes of a tag.
const MAX_TAG: usize = 64;

/// The node of an hour: one slot a minute. `tag` is an error's type.
pub fn hour_node(index: Index, lane: Lane, hour: Hour, tag: Option<&str>) -> Key {
    key(nodes_part(index, lane), (hour_part(hour), tag_part(tag)))
}

/// The node of a month: one slot a day.
pub fn month_node(index: Index, lane: Lane, month: Month, tag: Option<&str>) -> Key {
    key(nodes_part(index, lane), (month_part(month), tag_part(tag)))
}

const fn hour_part(hour: Hour) -> (Fixed<2>, Hour) {
    (fixed!("h#"), hour)
}

const fn month_part(month: Month) -> (Fixed<2>, Month) {
    (fixed!("m#"), month)
}

/// The least sort key of an hour's nodes.
pub fn hour_sk(hour: Hour) -> String {
    sk(hour_part(hour))
}

/// The least sort key of a month's nodes.
pub fn month_sk(month: Month) -> String {
    sk(month_part(month))
}

/// A sort key greater than that of every node with this prefix.
pub fn after(sk: &str) -> String {
    format!("{sk}~")
}

/// A sort key greater than that of every [`live_key`], and less than any other.
pub fn after_live_keys() -> String {
    following(LIVE_KEYS)
}

/// Which node an item is, and its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Of an hour.
    Hour(Hour),
    /// Of a day.
    Day(Day),
    /// Of a month.
    Month(Month),
}

/// Reads the sort key of a node.
pub fn parse_node(key: &Key) -> Option<(Node, Option<&str>)> {
    let (level, rest) = key.sk.split_once('#')?;
    let (bucket, tag) = match rest.split_once('#') {
        Some((bucket, tag)) => (bucket, Some(tag)),
        None => (rest, None),
    };
    let node = match level {
        "h" => Node::Hour(Hour::parse(bucket)?),
        "d" => Node::Day(Day::parse(bucket)?),
        "m" => {
            Node::Month(Month { year: bucket.get(..4)?.parse().ok()?, month: bucket.get(4..)?.parse().ok()? })
        }
        _ => return None,
    };
    Some((node, tag))
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
    key(Short::<32>(digit), (Short::<64>(&hash), fixed!("#"), part))
}
