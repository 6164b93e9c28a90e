//! Every key of every table is made and parsed here and in the files of this folder, and nowhere
//! else.
//!
//! **`torale-projections-<generation>`** (written by consumer, deactivation and replay; read by
//! all):
//!
//! | item | pk | sk | attributes |
//! |---|---|---|---|
//! | entity | `u#` user, `k#` API key, `t#` task, `x#` execution, `n#` notification, `w#` SHA-256 of a run, `s#` schedule, each with its id | `e` | `state`: its winning events; a task also has `totals` |
//! | user's totals | `u#<user>` | `t` | `tasks`, `active`, `p` |
//! | user's day | `u#<user>` | `d#<yyyymmdd>` | `<hour>e` executions, `<hour>n` notifications, `p` |
//! | active task, live key | `o#<user>` | `t#<task>`, `k#<key>` | of a task, `at`: since when |
//! | query totals | `q#<query hash>` | `e` | `query`, `tasks`, `active`, `n`, `s`, `f`, `d` |
//! | key look-up | `h#<SHA-256 of the key>` | `0#` of a live key, `1#` of a revoked one, then its id | `user` |
//! | login look-up | `l#<clerk user id>` | user id | |
//! | row of a list | `r#<index>#<status>#<lane>` | time, then id | `of`: pk of the entity where the sort key does not name it |
//! | row of the ranking | `r#queries` | inverted count, query hash | |
//! | node of an index | `c#<index>#<lane>` | `h#<yyyymmddhh>` or `m#<yyyymm>`, errors with `#<type>` | `<slot><measure>`, `p` |
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
//! | `torale-control` | `deactivation#<user>` | `patch` | `event`, `at`, `tasks`: the last deactivation that an admin requested | with its event |
//! | `torale-control` | `outbox` | cause, target | `order`, `cursor`, see `deactivation/outbox.rs` | until its commands are sent |
//! | `torale-audit` | `r#<yyyymmddhh>#<lane>` | time, chain, number | `record`: JSON text, see `audit/record.rs` | insert only |
//! | `torale-audit` | `seals` | number | `statement`, `heads`, `signature`, see `audit/seal.rs` | insert only, by audit-seal alone |
//! | `torale-audit-index` | `<facet>/` and the partition of a row or node above | | as rows and nodes of `audit` above | by audit-seal, and again by `cargo audit-verify reindex` |

mod audit;
mod control;
mod ranking;
mod replay;

use crate::storage::item::Key;
use crate::values::digest::{sha256, sha256_hex};
use crate::values::ids::{ClerkUserId, EntityKey, ExecutionId, KeyHash, KeyId, TaskId, UserId};
use crate::values::time::{Day, Hour, Month, Timestamp};
use serde::Serialize;

pub use audit::*;
pub use control::*;
pub use ranking::*;
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

const ENTITY: &str = "e";
const QUERY: &str = "q#";

fn key(pk: String, sk: impl Into<String>) -> Key {
    Key { pk, sk: sk.into() }
}

/// The item of an entity.
pub fn entity(entity: &EntityKey) -> Key {
    let pk = match entity {
        EntityKey::User(id) => user_pk(*id),
        EntityKey::ApiKey(id) => format!("k#{}", escaped(id.as_str())),
        EntityKey::Task(id) => format!("t#{id}"),
        EntityKey::Execution(id) => format!("x#{id}"),
        EntityKey::Notification(id) => format!("n#{}", escaped(id.as_str())),
        EntityKey::Run(workflow, run) => {
            format!("w#{}", sha256_hex(&[workflow.as_str().as_bytes(), run.as_str().as_bytes()]))
        }
        EntityKey::Schedule(id) => format!("s#{}", escaped(id.as_str())),
    };
    key(pk, ENTITY)
}

/// The item of a user.
pub fn user(id: UserId) -> Key {
    entity(&EntityKey::User(id))
}

/// The item of an execution.
pub fn execution(id: ExecutionId) -> Key {
    entity(&EntityKey::Execution(id))
}

fn user_pk(user: UserId) -> String {
    format!("u#{user}")
}

/// A user's numbers of tasks.
pub fn user_totals(user: UserId) -> Key {
    key(user_pk(user), "t")
}

/// A user's executions and notifications on one day, by hour.
pub fn user_day(user: UserId, day: Day) -> Key {
    key(user_pk(user), format!("d#{}", day.digits()))
}

/// The items of a user that the list of users shows: the days from `day` on, then the entity and
/// its totals.
pub fn user_since(user: UserId, day: Day) -> (String, String) {
    (user_pk(user), format!("d#{}", day.digits()))
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
    key(format!("{QUERY}{query_hash}"), ENTITY)
}

const LIVE: &str = "0#";
const REVOKED: &str = "1#";

/// Look-ups of API keys by the hash of the whole key; live ones come first.
pub fn key_lookup(hash: &KeyHash, id: &KeyId, revoked: bool) -> Key {
    let state = if revoked { REVOKED } else { LIVE };
    key(key_lookup_pk(hash), format!("{state}{}", escaped(id.as_str())))
}

/// The partition that holds all keys with one hash.
pub fn key_lookup_pk(hash: &KeyHash) -> String {
    format!("h#{}", hash.as_str())
}

/// The id of the key that a look-up stands for, and whether it is revoked.
pub fn parse_key_lookup(key: &Key) -> Option<(KeyId, bool)> {
    let (id, revoked) = match key.sk.strip_prefix(LIVE) {
        Some(id) => (id, false),
        None => (key.sk.strip_prefix(REVOKED)?, true),
    };
    Some((KeyId::parse(&unescaped(id))?, revoked))
}

/// Look-up of a user by their id at the identity provider.
pub fn login_lookup(clerk: &ClerkUserId, user: UserId) -> Key {
    key(login_lookup_pk(clerk), user.to_string())
}

/// The partition that holds all users with one id at the identity provider.
pub fn login_lookup_pk(clerk: &ClerkUserId) -> String {
    format!("l#{}", escaped(clerk.as_str()))
}

/// The user that a login's look-up stands for.
pub fn parse_login_lookup(key: &Key) -> Option<UserId> {
    UserId::parse(&key.sk)
}

/// The row of an active task: it is paused when its user is deactivated.
pub fn active_task(user: UserId, task: TaskId) -> Key {
    key(owned(user), format!("t#{task}"))
}

/// The row of a live API key: it is revoked when its user is deactivated.
pub fn live_key(user: UserId, id: &KeyId) -> Key {
    key(owned(user), format!("{LIVE_KEYS}{}", escaped(id.as_str())))
}

/// The prefix of the sort keys of [`live_key`]s.
pub const LIVE_KEYS: &str = "k#";

/// The partition of a user's active tasks and live keys: they are stopped when the user is
/// deactivated.
pub fn owned(user: UserId) -> String {
    format!("o#{user}")
}

/// The resource that a row of [`owned`] stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owned {
    /// An active task.
    Task(TaskId),
    /// A live API key.
    Key(KeyId),
}

/// Reads a row of [`owned`]; `None` for a row that this system never writes, which its reader must
/// report.
pub fn parse_owned(key: &Key) -> Option<Owned> {
    match key.sk.split_once('#')? {
        ("t", id) => TaskId::parse(id).map(Owned::Task),
        ("k", id) => KeyId::parse(&unescaped(id)).map(Owned::Key),
        (_neither_task_nor_key, _) => None,
    }
}

/// The least sort key after this one.
pub fn next(sk: &str) -> String {
    format!("{sk}\0")
}

/// The number of tasks by state, in one lane.
pub fn task_states(lane: Lane) -> Key {
    key(format!("c#tasks#{}", lane.0), "t")
}

/// The partition with the rows of one status in one lane, ordered by time, then id.
pub fn rows(index: Index, status: StatusPartition, lane: Lane) -> String {
    format!("r#{}#{}#{}", index.name(), status.name(), lane.0)
}

/// The row of an entity in the list of a time. Ids over 480 bytes are cut in the key and told
/// apart by a hash.
pub fn row(index: Index, status: StatusPartition, lane: Lane, at: Timestamp, id: &[&str]) -> Key {
    let parts: Vec<String> = id.iter().map(|part| short_enough(part)).collect();
    key(rows(index, status, lane), format!("{}{}", row_time(at), parts.join(SEPARATOR)))
}

/// The least sort key of a row at a time.
pub fn row_time(at: Timestamp) -> String {
    format!("{:013}", at.millis())
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
    key(of.to_owned(), ENTITY)
}

const MAX_ID_BYTES: usize = 480;

fn short_enough(id: &str) -> String {
    let text = escaped(id);
    if text.len() <= MAX_ID_BYTES {
        return text;
    }
    let beginning = text.get(..text.floor_char_boundary(MAX_ID_BYTES - 17)).unwrap_or_default();
    format!("{beginning}{SEPARATOR}{}", &sha256_hex(&[id.as_bytes()])[..16])
}

const SEPARATOR: &str = "\u{1}";

/// Keeps the order of texts and frees the lowest characters, so that a separator sorts before
/// every id.
fn escaped(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for character in id.chars() {
        match character {
            '\u{0}' => text.push_str("\u{2}\u{1}"),
            '\u{1}' => text.push_str("\u{2}\u{2}"),
            '\u{2}' => text.push_str("\u{2}\u{3}"),
            other => text.push(other),
        }
    }
    text
}

fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut id = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        match (character, character == '\u{2}') {
            (_, true) => match characters.next() {
                Some('\u{1}') => id.push('\u{0}'),
                Some('\u{2}') => id.push('\u{1}'),
                Some(_) | None => id.push('\u{2}'),
            },
            (other, false) => id.push(other),
        }
    }
    id
}

/// The partition with the nodes of an index in one lane.
pub fn nodes(index: Index, lane: Lane) -> String {
    format!("c#{}#{}", index.name(), lane.0)
}

/// The node of an hour: one slot a minute. `tag` is an error's type.
pub fn hour_node(index: Index, lane: Lane, hour: Hour, tag: Option<&str>) -> Key {
    key(nodes(index, lane), tagged(hour_sk(hour), tag))
}

/// The node of a month: one slot a day.
pub fn month_node(index: Index, lane: Lane, month: Month, tag: Option<&str>) -> Key {
    key(nodes(index, lane), tagged(month_sk(month), tag))
}

/// The least sort key of an hour's nodes.
pub fn hour_sk(hour: Hour) -> String {
    format!("h#{}", hour.digits())
}

/// The least sort key of a month's nodes.
pub fn month_sk(month: Month) -> String {
    format!("m#{:04}{:02}", month.year, month.month)
}

/// A sort key greater than that of every node with this prefix.
pub fn after(sk: &str) -> String {
    format!("{sk}~")
}

fn tagged(sk: String, tag: Option<&str>) -> String {
    match tag {
        Some(tag) => format!("{sk}#{tag}"),
        None => sk,
    }
}

/// Which node an item is, and its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Of an hour.
    Hour(Hour),
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
        "m" => {
            Node::Month(Month { year: bucket.get(..4)?.parse().ok()?, month: bucket.get(4..)?.parse().ok()? })
        }
        _ => return None,
    };
    Some((node, tag))
}

/// The key of a record of the log: one part of a batch of received events.
pub fn log(received_at: Timestamp, lane: u32, writer: &str, part: usize) -> Key {
    key(log_partition(received_at.hour(), lane), format!("{}#{writer}#{part:04}", row_time(received_at)))
}

/// The log lane of an entity.
pub fn log_lane(of: &EntityKey) -> u32 {
    Lanes(LOG_LANES).of(entity(of).pk.as_bytes()).0
}

/// The key of a part of a quarantined message: the same message always has the same keys.
pub fn quarantine(body: &[u8], part: usize) -> Key {
    let hash = sha256_hex(&[body]);
    key(hash.get(..1).unwrap_or_default().to_owned(), format!("{hash}#{part:02}"))
}
