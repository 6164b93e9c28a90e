//! Lists whose rows stand for executions: what the list of executions and the list of errors have in common.

use super::listing::{ListRequest, ListResult};
use super::referenced_entities::{ReferencedEntities, named, read_listed};
use crate::entities::readings::Execution;
use crate::projections::entity::Entity;
use crate::projections::index::Timeline;
use crate::projections::summary::{Carried, Owners, Summary};
use crate::storage::item::Key;
use crate::storage::keys;
use crate::storage::read::{Corrupt, Range, ReadPlan, Reader};
use crate::values::ids::{EntityKey, ExecutionId, TaskId};
use crate::values::time::Timestamp;
use std::collections::{HashMap, HashSet};

/// A page of a list whose rows stand for executions, with the totals of its window.
pub(super) struct ExecutionListResult<S> {
    /// The page.
    pub(super) page: ExecutionListPage<S>,
    /// The number of rows on all pages.
    pub(super) total: i128,
    /// The sums of the window.
    pub(super) timeline: Timeline,
}

/// A page of executions, with the users and tasks that it names.
pub(super) struct ExecutionListPage<S> {
    /// The executions, newest first.
    pub(super) rows: Vec<(ExecutionId, S)>,
    /// Their users and tasks.
    pub(super) referenced: ReferencedEntities,
}

/// Reads the page and its users and tasks: two round trips near the top, at most five
/// anywhere else, six in a crowded minute, and there one more while rows move; one more if an earlier release has
/// written rows of the page. Of an execution that is found in two statuses, as it moved between two reads, the row of
/// its end is shown. One that is found in none is missing from that one answer, as is one that is not wanted by then.
pub(super) async fn read_execution_list<R: Reader, S: Summary>(
    reader: &R,
    request: &ListRequest<'_>,
    wanted: impl Fn(&S) -> bool,
) -> Result<ExecutionListResult<S>, R::Error> {
    let ListResult { rows, total, timeline } = request.read(reader).await?;
    let mut carried = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = keys::row_execution(&row.key).ok_or_else(|| Corrupt::new(&row.key, "no execution"))?;
        carried.push((id, S::load(row)?));
    }
    let carried = without_repeated(carried);
    Ok(ExecutionListResult { page: complete(reader, carried, wanted).await?, total, timeline })
}

/// Executions with their users and tasks: one round trip; none without executions.
pub(super) async fn with_references<R: Reader, S: Summary>(
    reader: &R,
    rows: Vec<(ExecutionId, S)>,
) -> Result<ExecutionListPage<S>, R::Error> {
    let owners = rows.iter().map(|(_, summary)| summary.owners());
    let referenced = ReferencedEntities::read(reader, owners).await?;
    Ok(ExecutionListPage { rows, referenced })
}

/// Reads what rows do not carry, and all users and tasks: one round trip; two if there are rows that do not say
/// whose the execution is, and one more if a replica lags behind the list: by what it says, an execution would not be
/// listed.
async fn complete<R: Reader, S: Summary>(
    reader: &R,
    carried: Vec<(ExecutionId, Carried<S>)>,
    wanted: impl Fn(&S) -> bool,
) -> Result<ExecutionListPage<S>, R::Error> {
    let owners = named(carried.iter().filter_map(|(_, carried)| carried.owners()));
    let without = carried.iter().filter(|(_, carried)| !matches!(carried, Carried::Summary(_)));
    let without: Vec<_> = without.map(|(id, _)| EntityKey::Execution(*id)).collect();
    let mut referenced =
        ReferencedEntities::read_all(reader, owners.into_iter().chain(without.clone())).await?;
    let wanted_of = |entity: Option<&Entity>| summary_of(entity).filter(&wanted);
    let lagging: Vec<_> =
        without.into_iter().filter(|key| wanted_of(referenced.entity(key)).is_none()).collect();
    referenced.read_again(reader, lagging).await?;
    let mut unnamed = Vec::new();
    let mut rows = Vec::with_capacity(carried.len());
    for (id, carried) in carried {
        let named = carried.owners();
        let summary = match carried {
            Carried::Summary(summary) => Some(summary),
            Carried::Owners(_) | Carried::Nothing => wanted_of(referenced.entity(&EntityKey::Execution(id))),
        };
        let Some(summary) = summary else { continue };
        if named != Some(summary.owners()) {
            unnamed.push(summary.owners());
        }
        rows.push((id, summary));
    }
    referenced.read_more(reader, unnamed).await?;
    Ok(ExecutionListPage { rows, referenced })
}

/// What a list says of an execution; `None` if it does not list it.
fn summary_of<S: Summary>(entity: Option<&Entity>) -> Option<S> {
    S::of(&Execution::of(&entity?.state)?)
}

/// Each execution once: an execution that moved while the lists of two statuses were read is in both.
fn without_repeated<S: Summary>(carried: Vec<(ExecutionId, Carried<S>)>) -> Vec<(ExecutionId, Carried<S>)> {
    let has_ended =
        |carried: &Carried<S>| matches!(carried, Carried::Summary(summary) if summary.has_ended());
    let ended: HashSet<ExecutionId> =
        carried.iter().filter(|(_, carried)| has_ended(carried)).map(|(id, _)| *id).collect();
    let mut seen = HashSet::new();
    let mut is_shown = |(id, carried): &(ExecutionId, Carried<S>)| {
        (has_ended(carried) || !ended.contains(id)) && seen.insert(*id)
    };
    carried.into_iter().filter(|row| is_shown(row)).collect()
}

impl<S: Summary> Carried<S> {
    fn owners(&self) -> Option<Owners> {
        match self {
            Self::Summary(summary) => Some(summary.owners()),
            Self::Owners(owners) => Some(*owners),
            Self::Nothing => None,
        }
    }
}

/// The executions of a task that began at or after a time, newest first: one round trip for each megabyte of
/// their rows.
pub(super) async fn executions_of_task<R: Reader>(
    reader: &R,
    task: TaskId,
    since: Timestamp,
) -> Result<Vec<ExecutionId>, R::Error> {
    let range =
        Range { descending: true, attributes: Some(&[]), ..keys::task_executions_since(task, since).into() };
    let rows = reader.read(ReadPlan::ranges(vec![range])).await?.ranges.into_iter().flatten();
    Ok(rows.filter_map(|row| keys::parse_task_execution(&row.key)).collect())
}

/// How many executions are read at once where all of a task's are visited, so that not all stay in memory.
const AT_ONCE: usize = 1000;

/// Visits the summaries of some executions in their order: one round trip for each thousand of them.
pub(super) async fn visit_summaries<R: Reader, S: Summary>(
    reader: &R,
    ids: &[ExecutionId],
    mut visit: impl FnMut(ExecutionId, S),
) -> Result<(), R::Error> {
    for some in ids.chunks(AT_ONCE) {
        for (id, summary) in read_summaries(reader, some).await? {
            visit(id, summary);
        }
    }
    Ok(())
}

/// The summaries of some executions, in their order: one round trip; none without ids.
pub(super) async fn read_summaries<R: Reader, S: Summary>(
    reader: &R,
    ids: &[ExecutionId],
) -> Result<Vec<(ExecutionId, S)>, R::Error> {
    let keys: Vec<Key> = ids.iter().map(|id| keys::execution(*id)).collect();
    let by_key: HashMap<&Key, ExecutionId> = keys.iter().zip(ids.iter().copied()).collect();
    // One of which there is no summary, as it has not failed, is no sign of a lagging replica.
    let found = read_listed(reader, &keys, |entity| Some(summary_of(Some(entity)))).await?.into_iter();
    let summary = |(key, summary): (Key, Option<S>)| Some((*by_key.get(&key)?, summary?));
    Ok(found.filter_map(summary).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entities::readings::ExecutionStatus;
    use crate::projections::summary::ExecutionSummary;
    use crate::values::ids::UserId;
    use uuid::Uuid;

    fn row(id: u128, ended: Option<(Timestamp, u64)>) -> (ExecutionId, Carried<ExecutionSummary>) {
        let owners = Owners { task_id: TaskId(Uuid::nil()), user_id: UserId(Uuid::nil()) };
        let status = if ended.is_some() { ExecutionStatus::Success } else { ExecutionStatus::Running };
        let (started_at, condition_met) = (Timestamp::EARLIEST, ended.map(|_| true));
        let summary = ExecutionSummary { owners, started_at, status, condition_met, ended };
        (ExecutionId(Uuid::from_u128(id)), Carried::Summary(summary))
    }

    #[test]
    fn execution_that_ended_between_two_reads_is_shown_once_as_it_ended() {
        let ended = Some((Timestamp::EARLIEST, 5));
        let unread = (ExecutionId(Uuid::from_u128(3)), Carried::Nothing);
        let rows = vec![row(1, None), row(2, None), row(1, ended), unread.clone(), unread.clone()];

        assert_eq!(without_repeated(rows), [row(2, None), row(1, ended), unread]);
    }
}
