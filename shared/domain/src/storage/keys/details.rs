//! Keys of what belongs to one task or one user: rows in the partition of that task or user, for the
//! answers about one thing.

use super::{
    ENTITY, Fixed, ID_IN_SK, Id, Key, MAX_ID, ROW_TIME_DIGITS, fixed, following, key, pk, sk, time_part,
    user_pk,
};
use crate::values::ids::{ApiKeyId, ExecutionId, ScheduleId, TaskId, UserId};
use crate::values::time::Timestamp;

/// All items of a partition whose sort keys have one beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// The partition key.
    pub pk: String,
    /// The least sort key.
    pub from: String,
    /// A sort key greater than that of every such item, and less than any other.
    pub to: String,
}

/// Executions of a task lie below its unpaused schedules, and both below its entity: the entity, the
/// schedules and the newest executions are one range, read downwards.
const EXECUTIONS: Fixed<2> = fixed!("c#");
const UNPAUSED: Fixed<2> = fixed!("d#");
const KEYS: Fixed<2> = fixed!("a#");

const fn task_pk(task: TaskId) -> (Fixed<2>, TaskId) {
    (fixed!("t#"), task)
}

/// The row of a schedule of a task that is not deleted, paused or not.
pub fn task_schedule(task: TaskId, id: &ScheduleId) -> Key {
    key(task_schedules_part(task), Id::<MAX_ID>(id.as_str()))
}

/// The partition of a task's schedules.
pub fn task_schedules(task: TaskId) -> String {
    pk(task_schedules_part(task))
}

/// How many schedules of a task are deleted: events have named schedules of it, whatever is left of them. It is found
/// with the task's schedules, before all of them: no id is written like this.
pub fn deleted_schedules(task: TaskId) -> Key {
    key(task_schedules_part(task), fixed!("\u{1}"))
}

/// Whether a key of the partition of a task's schedules is that of [`deleted_schedules`].
pub fn is_deleted_schedules(key: &Key) -> bool {
    key.sk == "\u{1}"
}

const fn task_schedules_part(task: TaskId) -> (Fixed<2>, TaskId) {
    (fixed!("v#"), task)
}

/// The row of an unpaused schedule in the partition of its task.
pub fn task_unpaused(task: TaskId, id: &ScheduleId) -> Key {
    key(task_pk(task), (UNPAUSED, Id::<ID_IN_SK>(id.as_str())))
}

/// The rows of the unpaused schedules of a task.
pub fn task_unpaused_schedules(task: TaskId) -> KeyRange {
    beginning_with(pk(task_pk(task)), UNPAUSED)
}

/// Whether an item is a row of [`task_unpaused_schedules`].
pub fn is_task_unpaused(key: &Key) -> bool {
    key.sk.starts_with(UNPAUSED.0)
}

/// A task's entity, unpaused schedules and executions: the last ones of this range.
pub fn task_summary(task: TaskId) -> KeyRange {
    KeyRange { to: ENTITY.0.to_owned(), ..task_executions(task) }
}

/// The row of an execution of a task, ordered by its start, then its id.
pub fn task_execution(task: TaskId, started_at: Timestamp, id: ExecutionId) -> Key {
    key(task_pk(task), (EXECUTIONS, time_part(started_at), id))
}

/// The rows of the executions of a task, oldest first.
pub fn task_executions(task: TaskId) -> KeyRange {
    beginning_with(pk(task_pk(task)), EXECUTIONS)
}

/// The rows of the executions of a task that began at a time or later, oldest first.
pub fn task_executions_since(task: TaskId, first: Timestamp) -> KeyRange {
    KeyRange { from: sk((EXECUTIONS, time_part(first))), ..task_executions(task) }
}

/// The execution that a row of [`task_executions`] stands for.
pub fn parse_task_execution(key: &Key) -> Option<ExecutionId> {
    ExecutionId::parse(key.sk.strip_prefix(EXECUTIONS.0)?.get(ROW_TIME_DIGITS..)?)
}

/// The row of an API key of a user, revoked or not. Of an id that does not fit the key has the
/// beginning and a hash.
pub fn user_key(user: UserId, id: &ApiKeyId) -> Key {
    key(user_pk(user), (KEYS, Id::<ID_IN_SK>(id.as_str())))
}

/// The rows of the API keys of a user.
pub fn user_keys(user: UserId) -> KeyRange {
    beginning_with(pk(user_pk(user)), KEYS)
}

pub(super) fn beginning_with(pk: String, prefix: Fixed<2>) -> KeyRange {
    KeyRange { pk, from: prefix.0.to_owned(), to: following(prefix.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::keys;
    use crate::values::ids::EntityKey;
    use uuid::Uuid;

    const AT: Timestamp = Timestamp::from_millis(1_774_953_030_500);

    #[test]
    fn the_rows_of_a_task_lie_in_their_ranges_and_beside_its_entity() {
        let (task, run) = (TaskId(Uuid::from_u128(2)), ExecutionId(Uuid::from_u128(3)));
        let executions = keys::task_executions(task);
        let within =
            |range: &KeyRange, key: &Key| key.pk == range.pk && (&range.from..=&range.to).contains(&&key.sk);

        let row = keys::task_execution(task, AT, run);

        assert_eq!(row.sk, format!("c#1774953030500{run}"));
        assert!(within(&executions, &row));
        assert_eq!(parse_task_execution(&row), Some(run));
        assert!(within(&keys::task_executions_since(task, AT), &row));
        assert!(!within(&keys::task_executions_since(task, AT.plus(1)), &row));
        let entity = keys::entity(&EntityKey::Task(task));
        assert_eq!(entity.pk, row.pk);
        assert!(!within(&executions, &entity));
    }

    /// The list of users reads their days, entity and totals in one range, but no keys.
    #[test]
    fn the_keys_of_a_user_lie_before_what_the_list_of_users_reads() {
        let user = UserId(Uuid::from_u128(1));
        let row = keys::user_key(user, &ApiKeyId::parse("\u{10ffff}").unwrap());
        let KeyRange { pk, from, to } = keys::user_keys(user);
        let (listed, first) = keys::user_since(user, AT.day());

        assert!(row.pk == pk && (from..=to).contains(&row.sk));
        assert!(row.pk == listed && row.sk < first);
    }
}
