//! Schedules: a row in the list of the active or of the paused ones.

use super::Contributions;
use crate::entities::Schedule;
use crate::fold::{EntityKey, State};
use crate::ids::ScheduleId;
use crate::index::Measure;
use crate::keys::{self, Index, Lanes, Stream};

pub(super) fn contributions(
    id: &ScheduleId,
    entity: &EntityKey,
    state: &State,
    lanes: Lanes,
) -> Contributions {
    let schedule = Schedule::of(state);
    let Some((_, created_at)) = schedule.created.filter(|_| !schedule.deleted) else {
        return Contributions::default();
    };
    let lane = lanes.of(id.as_str().as_bytes());
    let (stream, active) = if schedule.paused { (Stream::Inactive, 0) } else { (Stream::Active, 1) };
    let row = keys::row(Index::Schedules, stream, lane, created_at, &[id.as_str()]);
    Contributions::default().row_with(row, super::OF, keys::entity(entity).pk).counted(
        (Index::Schedules, lane),
        created_at,
        None,
        &[(Measure::All, 1), (Measure::Active, active)],
    )
}
