//! Schedules: a row in the list of the active or of the paused ones, and one among those of its task.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::readings::Schedule;
use crate::projections::index::{Measure, Sums};
use crate::storage::keys::{self, Index, Lanes, StatusPartition};
use crate::values::ids::EntityKey;
use crate::values::ids::ScheduleId;

pub(super) fn contributions(
    id: &ScheduleId,
    entity: &EntityKey,
    state: &State,
    lanes: Lanes,
) -> Contributions {
    let schedule = Schedule::of(state);
    let Some((created, created_at)) = schedule.created.filter(|_| !schedule.deleted) else {
        return Contributions::default();
    };
    let lane = lanes.of(id.as_str().as_bytes());
    let (stream, active) =
        if schedule.paused { (StatusPartition::Inactive, 0) } else { (StatusPartition::Active, 1) };
    let row = keys::row(Index::Schedules, stream, lane, created_at, &[id.as_str()]);
    let of = keys::entity(entity).pk;
    let of_task = keys::task_schedule(created.task_id, id);
    Contributions::default().row_with(row, super::OF, of.clone()).row_with(of_task, super::OF, of).counted(
        (Index::Schedules, lane),
        created_at,
        None,
        &Sums::population(1).with(Measure::Active, active),
    )
}
