//! Schedules: a row in the list of the active or of the paused ones, a row among those of their task; unpaused ones
//! have a row among what is to be stopped when their user is deactivated, and one that says when they fire, in the
//! partition of their task. Deleted ones are counted for their task.

use super::{Contributions, OF, SINCE};
use crate::entities::fold::State;
use crate::entities::readings::Schedule;
use crate::projections::counter::POPULATION;
use crate::projections::index::{Measure, Sums};
use crate::projections::summary::ScheduleSummary;
use crate::storage::item::{Attributes, Value};
use crate::storage::keys::{self, Index, Lanes, StatusPartition};
use crate::values::ids::{EntityKey, ScheduleId};

/// The attribute of an unpaused schedule's row that names its task.
pub(crate) const TASK: &str = "task";
/// The attributes of an unpaused schedule's row in the partition of its task: when Temporal fires it.
pub(crate) const CRON: &str = "cron";
/// The time zone of [`CRON`].
pub(crate) const ZONE: &str = "zone";

pub(super) fn contributions(
    id: &ScheduleId,
    entity: &EntityKey,
    state: &State,
    lanes: Lanes,
) -> Contributions {
    let schedule = Schedule::of(state);
    let Some((created, created_at)) = schedule.created else { return Contributions::default() };
    if schedule.deleted {
        return Contributions::default().sum(keys::deleted_schedules(created.task_id), POPULATION, 1);
    }
    let lane = lanes.of(id.as_str().as_bytes());
    let (stream, active) =
        if schedule.paused { (StatusPartition::Inactive, 0) } else { (StatusPartition::Active, 1) };
    let row = keys::row(Index::Schedules, stream, lane, created_at, &[id.as_str()]);
    let text = id.as_str().to_owned();
    let mut carried = ScheduleSummary::of(&schedule).map(|summary| summary.attributes()).unwrap_or_default();
    carried.insert(OF.to_owned(), Value::Text(keys::entity(entity).pk));
    let mut all = Contributions::default().counted(
        (Index::Schedules, lane),
        created_at,
        None,
        &Sums::of_rows(1).with(Measure::Active, active),
    );
    all.rows.insert(row, carried);
    let mut of_task = Attributes::from([(OF.to_owned(), Value::Text(text))]);
    if let (false, Some(cron), Some(zone)) = (schedule.paused, schedule.cron, schedule.timezone) {
        let fires =
            [(CRON, cron), (ZONE, zone)].map(|(name, text)| (name.to_owned(), Value::Text(text.to_owned())));
        all.rows.insert(keys::task_unpaused(created.task_id, id), Attributes::from(fires));
    }
    if !schedule.paused {
        of_task.insert(SINCE.to_owned(), schedule.state_at.unwrap_or(created_at).into());
        let mut unpaused = of_task.clone();
        unpaused.insert(TASK.to_owned(), Value::Text(created.task_id.to_string()));
        all.rows.insert(keys::unpaused_schedule(created.user_id, id), unpaused);
    }
    all.rows.insert(keys::task_schedule(created.task_id, id), of_task);
    all
}
