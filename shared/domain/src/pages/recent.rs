//! Recent executions: what the list of executions and the list of errors have in common.

use super::entities::{DisplayNames, read_entities};
use super::listing::{ListRequest, ListResult};
use crate::entities::readings::Execution;
use crate::projections::entity::Entity;
use crate::projections::index::Timeline;
use crate::storage::item::{Item, Key};
use crate::storage::keys;
use crate::storage::read::{Corrupt, Reader};
use crate::values::ids::ExecutionId;
use std::collections::HashMap;

/// A page of a list whose rows stand for executions.
pub(super) struct RecentExecutions<T> {
    /// The rows of the page, newest first.
    pub(super) rows: Vec<T>,
    /// The number of rows on all pages.
    pub(super) total: i128,
    /// The sums of the window.
    pub(super) timeline: Timeline,
}

/// Reads the page, its executions, and the names of their users and tasks: three round trips near
/// the top, at most five anywhere else. `row` renders an execution; `None` leaves it out.
pub(super) async fn read<R: Reader, T>(
    reader: &R,
    request: &ListRequest<'_>,
    row: impl Fn(ExecutionId, &Execution<'_>, &DisplayNames) -> Option<T>,
) -> Result<RecentExecutions<T>, R::Error> {
    let ListResult { rows, total, timeline } = request.read(reader).await?;
    let id = |row: &Item| keys::row_execution(&row.key).ok_or_else(|| Corrupt::new(&row.key, "no execution"));
    let ids = rows.iter().map(id).collect::<Result<Vec<_>, _>>()?;
    let entities = read_ids(reader, &ids).await?;
    Ok(RecentExecutions { rows: shown(reader, &entities, row).await?, total, timeline })
}

/// Executions as they are shown, with the names of their users and tasks: one round trip; none without
/// executions. `row` renders an execution; `None` leaves it out.
pub(super) async fn shown<R: Reader, T>(
    reader: &R,
    entities: &[(ExecutionId, Entity)],
    row: impl Fn(ExecutionId, &Execution<'_>, &DisplayNames) -> Option<T>,
) -> Result<Vec<T>, R::Error> {
    let executions: Vec<_> =
        entities.iter().filter_map(|(id, entity)| Some((*id, Execution::of(&entity.state)?))).collect();
    let owners = executions.iter().map(|(_, execution)| (execution.task_id, execution.user_id));
    let names = DisplayNames::read(reader, owners).await?;
    Ok(executions.iter().filter_map(|(id, execution)| row(*id, execution, &names)).collect())
}

/// How many executions are read at once where all of a task's are looked at: what is not wanted of
/// them does not stay in memory.
pub(super) const AT_ONCE: usize = 1000;

/// Some executions, in their order: one round trip; none without ids.
pub(super) async fn read_ids<R: Reader>(
    reader: &R,
    ids: &[ExecutionId],
) -> Result<Vec<(ExecutionId, Entity)>, R::Error> {
    let keys: Vec<Key> = ids.iter().map(|id| keys::execution(*id)).collect();
    let by_key: HashMap<&Key, ExecutionId> = keys.iter().zip(ids.iter().copied()).collect();
    let entities = read_entities(reader, &keys).await?.into_iter();
    Ok(entities.filter_map(|(key, entity)| Some((*by_key.get(&key)?, entity))).collect())
}
