//! Keys of lists: the rows of an index and the nodes that count them.

use super::{
    Day, Digits, ENTITY, Fixed, Hour, Id, Key, KeySegment, Lane, Minute, Month, Short, Timestamp, fixed, key,
    pk, sk,
};
use crate::values::ids::{ExecutionId, TaskId, UserId};
use serde::Serialize;

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
    /// Tasks by `created_at`.
    Tasks,
    /// Audit records by time, in a table of their own.
    Audit,
}

impl Index {
    /// Whether the index has a node for each day: the first day of a window is counted by its hours, and
    /// a series by hour is read from it (`GET /admin/stats/series`).
    pub const fn has_day_nodes(self) -> bool {
        match self {
            Self::Executions | Self::Users | Self::Logins | Self::Notifications | Self::Workflows => true,
            // A series of errors is read from the nodes of the executions.
            Self::Errors | Self::Schedules | Self::Tasks | Self::Audit => false,
        }
    }

    /// Whether the index has a node for each minute in which many rows are to be expected
    /// ([`crate::projections::index::has_node`]).
    pub const fn has_minute_nodes(self) -> bool {
        match self {
            Self::Executions | Self::Workflows => true,
            // Failures are counted among the executions; nothing else happens because a schedule fires.
            Self::Errors
            | Self::Users
            | Self::Logins
            | Self::Notifications
            | Self::Schedules
            | Self::Tasks
            | Self::Audit => false,
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
            Self::Tasks => "tasks",
            Self::Audit => "audit",
        }
    }
}

/// The part of an index that holds the rows of one status, so that a list of one status reads only its
/// own rows.
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
    /// Active users, schedules or tasks.
    Active,
    /// Deactivated users, paused schedules.
    Inactive,
    /// Paused tasks; a paused schedule is inactive.
    Paused,
    /// Completed tasks.
    Completed,
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
            Self::Paused => "paused",
            Self::Completed => "completed",
        }
    }
}

impl KeySegment for StatusPartition {
    const MAX: usize = 9;

    fn write(&self, key: &mut String) {
        key.push_str(self.name());
    }
}

/// Which rows of an index a list has. Those of each filter have partitions of their own, so that a list reads
/// only what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexFilter<'a> {
    /// All rows.
    Whole,
    /// Failures of one error type. The nodes of the whole index count them by tag.
    ErrorType(&'a str),
    /// The tasks of one user.
    User(UserId),
    /// The tasks with one query, by its [hash](super::query_hash).
    Query(&'a str),
}

/// An index with a filter: what a list shows and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilteredIndex<'a> {
    /// The index.
    pub index: Index,
    /// Which of its rows.
    pub filter: IndexFilter<'a>,
}

impl From<Index> for FilteredIndex<'_> {
    fn from(index: Index) -> Self {
        Self { index, filter: IndexFilter::Whole }
    }
}

impl<'a> FilteredIndex<'a> {
    /// The tag of the rows in the nodes that count them; `None` where the nodes have no tags, or of
    /// all rows.
    pub const fn tag(&self) -> Option<&'a str> {
        match self.filter {
            IndexFilter::ErrorType(tag) => Some(tag),
            IndexFilter::Whole | IndexFilter::User(_) | IndexFilter::Query(_) => None,
        }
    }

    /// The index and filter whose nodes count the rows: all of them where the nodes have tags.
    const fn counted(self) -> Self {
        match self.filter {
            IndexFilter::ErrorType(_) => Self { index: self.index, filter: IndexFilter::Whole },
            IndexFilter::Whole | IndexFilter::User(_) | IndexFilter::Query(_) => self,
        }
    }
}

/// The name of the index, and of the filter after a slash.
impl KeySegment for FilteredIndex<'_> {
    const MAX: usize = MAX_INDEX + 1 + MAX_TAG;

    fn write(&self, key: &mut String) {
        key.push_str(self.index.name());
        let filter = match self.filter {
            IndexFilter::Whole => return,
            IndexFilter::ErrorType(text) | IndexFilter::Query(text) => text.to_owned(),
            IndexFilter::User(user) => user.to_string(),
        };
        (fixed!("/"), Short::<MAX_TAG>(&filter)).write(key);
    }
}

/// The most bytes of the name of an index.
const MAX_INDEX: usize = 13;

/// The number of tasks by state, in one lane.
pub fn task_states(lane: Lane) -> Key {
    key((fixed!("c#tasks#"), lane), fixed!("t"))
}

fn rows_part<'a>(list: impl Into<FilteredIndex<'a>>, status: StatusPartition, lane: Lane) -> impl KeySegment {
    (fixed!("r#"), list.into(), fixed!("#"), status, fixed!("#"), lane)
}

/// The partition with the rows of one status in one lane, ordered by time, then id.
pub fn rows<'a>(list: impl Into<FilteredIndex<'a>>, status: StatusPartition, lane: Lane) -> String {
    pk(rows_part(list, status, lane))
}

/// The most bytes of each id in the sort key of a row.
pub(super) const ID_IN_ROW: usize = 480;

/// The row of an entity in the list of a time. Of an id over 480 bytes the key has the beginning and a
/// hash.
pub fn row<'a>(
    list: impl Into<FilteredIndex<'a>>,
    status: StatusPartition,
    lane: Lane,
    at: Timestamp,
    id: &[&str],
) -> Key {
    let ids = [id.first(), id.get(1)].map(|id| id.map(|id| Id::<ID_IN_ROW>(id)));
    key(rows_part(list, status, lane), (time_part(at), ids))
}

pub(super) fn time_part(at: Timestamp) -> Digits<ROW_TIME_DIGITS> {
    Digits(at.millis().into())
}

/// The least sort key of a row at a time.
pub fn row_time(at: Timestamp) -> String {
    sk(time_part(at))
}

pub(super) const ROW_TIME_DIGITS: usize = 13;

fn row_id(key: &Key) -> Option<&str> {
    key.sk.get(ROW_TIME_DIGITS..)
}

/// Whether an item is a row of a list.
pub fn is_row(key: &Key) -> bool {
    key.pk.starts_with("r#")
}

/// Whether a row is in the list of a status.
pub fn is_row_of(key: &Key, status: StatusPartition) -> bool {
    key.pk.rsplit('#').nth(1) == Some(status.name())
}

/// The time of a row of a list.
pub fn row_at(key: &Key) -> Option<Timestamp> {
    key.sk.get(..ROW_TIME_DIGITS)?.parse().ok().map(Timestamp::from_millis)
}

/// The execution that a row of a list of executions stands for.
pub fn row_execution(key: &Key) -> Option<ExecutionId> {
    row_id(key).and_then(ExecutionId::parse)
}

/// The user that a row of the list of users stands for.
pub fn row_user(key: &Key) -> Option<UserId> {
    row_id(key).and_then(UserId::parse)
}

/// The task that a row of a list of tasks stands for.
pub fn row_task(key: &Key) -> Option<TaskId> {
    row_id(key).and_then(TaskId::parse)
}

/// The entity that a row with an `of` attribute stands for.
pub fn row_entity(of: &str) -> Key {
    Key::stored(of.to_owned(), ENTITY.0.to_owned())
}

pub(super) fn nodes_part<'a>(list: impl Into<FilteredIndex<'a>>, lane: Lane) -> impl KeySegment {
    (fixed!("c#"), list.into().counted(), fixed!("#"), lane)
}

/// The partition with the nodes of an index in one lane.
pub fn nodes<'a>(list: impl Into<FilteredIndex<'a>>, lane: Lane) -> String {
    pk(nodes_part(list, lane))
}

/// An error's type after a node's time.
fn tag_part(tag: Option<&str>) -> Option<(Fixed<1>, Short<'_, MAX_TAG>)> {
    tag.map(|tag| (fixed!("#"), Short(tag)))
}

/// The most bytes of a tag.
const MAX_TAG: usize = 64;

/// The node of an hour: one slot a minute. `tag` is an error's type.
pub fn hour_node<'a>(list: impl Into<FilteredIndex<'a>>, lane: Lane, hour: Hour, tag: Option<&str>) -> Key {
    key(nodes_part(list, lane), (hour_part(hour), tag_part(tag)))
}

/// The node of a day: one slot an hour.
pub fn day_node<'a>(list: impl Into<FilteredIndex<'a>>, lane: Lane, day: Day) -> Key {
    key(nodes_part(list, lane), day_part(day))
}

/// The node of a minute: one slot a second.
pub fn minute_node(index: Index, lane: Lane, minute: Minute) -> Key {
    key(nodes_part(index, lane), (fixed!("n#"), minute))
}

/// The node of a month: one slot a day.
pub fn month_node<'a>(
    list: impl Into<FilteredIndex<'a>>,
    lane: Lane,
    month: Month,
    tag: Option<&str>,
) -> Key {
    key(nodes_part(list, lane), (month_part(month), tag_part(tag)))
}

const fn hour_part(hour: Hour) -> (Fixed<2>, Hour) {
    (fixed!("h#"), hour)
}

const fn day_part(day: Day) -> (Fixed<2>, Day) {
    (fixed!("d#"), day)
}

const fn month_part(month: Month) -> (Fixed<2>, Month) {
    (fixed!("m#"), month)
}

/// The least sort key of an hour's nodes.
pub fn hour_sk(hour: Hour) -> String {
    sk(hour_part(hour))
}

/// The sort key of a day's node.
pub fn day_sk(day: Day) -> String {
    sk(day_part(day))
}

/// The least sort key of a month's nodes.
pub fn month_sk(month: Month) -> String {
    sk(month_part(month))
}

/// A sort key greater than that of every node with this prefix.
pub fn after(sk: &str) -> String {
    format!("{sk}~")
}

/// Which node an item is, and its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Of a minute.
    Minute(Minute),
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
        "n" => Node::Minute(Minute::parse(bucket)?),
        "h" => Node::Hour(Hour::parse(bucket)?),
        "d" => Node::Day(Day::parse(bucket)?),
        "m" => {
            Node::Month(Month { year: bucket.get(..4)?.parse().ok()?, month: bucket.get(4..)?.parse().ok()? })
        }
        _ => return None,
    };
    Some((node, tag))
}
