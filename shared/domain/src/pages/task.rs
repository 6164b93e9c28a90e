//! GET /admin/tasks/{id}: one task with its schedules, and which events say so (docs/contract/http.md,
//! "GET /admin/tasks/{id}").

use super::history::{HistoryEntry, history};
use super::referenced_entities::{ReferencedEntities, read_listed};
use super::schedules::{self, ScheduleRow};
use super::tasks::{LastExecution, TaskRow, last_execution, row};
use super::temporal_ui::TemporalUi;
use crate::calendar::NextRuns;
use crate::entities::fold::Register;
use crate::entities::readings::{Execution, Schedule, Task};
use crate::projections::entity::Entity;
use crate::projections::summary::ScheduleSummary;
use crate::projections::views;
use crate::requests::parameters::{ParameterReader, QueryParameters};
use crate::storage::item::{Item, Key};
use crate::storage::keys;
use crate::storage::read::{Range, ReadPlan, Reader};
use crate::values::ids::{EntityKey, ExecutionId, ScheduleId, TaskId};
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

/// The parameters of the request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct TaskParameters {
    #[serde(skip)]
    id: TaskId,
}

impl QueryParameters for TaskParameters {
    fn read(params: &mut ParameterReader) -> Self {
        let id = params.path_id("The task.", TaskId::parse);
        // Without an id there is a fault, and the value does not count.
        Self { id: id.unwrap_or(TaskId(Uuid::nil())) }
    }

    fn target(&self) -> Option<String> {
        Some(self.id.to_string())
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TaskDetail {
    /// What a list of tasks shows of it.
    #[serde(flatten)]
    pub row: TaskRow,
    /// Its schedules that are not deleted, paused ones too, newest first.
    pub schedules: Vec<ScheduleRow>,
    /// Which events say so.
    pub history: Vec<HistoryEntry>,
}

/// The fields that the event of each register decides.
const DECIDES: &[(Register, &[&str])] = &[
    (Register::Created, &["created_at", "user_id"]),
    (Register::Query, &["search_query"]),
    (Register::Name, &["name"]),
    (Register::Schedule, &["schedule"]),
    (Register::State, &["state"]),
];

/// Three round trips; `None` if the task is deleted, or no event has created it.
///
/// # Errors
/// If the store does not answer, or an item cannot be interpreted.
pub async fn answer<R: Reader>(
    reader: &R,
    request: &TaskParameters,
    now: Timestamp,
    ui: &TemporalUi,
) -> Result<Option<TaskDetail>, R::Error> {
    let key = keys::entity(&EntityKey::Task(request.id));
    let newest = Range { descending: true, limit: Some(1), ..keys::task_executions(request.id).into() };
    let schedules = Range { pk: keys::task_schedules(request.id), ..Range::default() };
    let ranges = vec![schedules, newest];
    let mut found = reader.read(ReadPlan { ranges, ..ReadPlan::gets([key.clone()]) }).await?;
    let entity = Entity::load(found.items.get(&key))?;
    let task = Task::of(&entity.state);
    let Some(user_id) = task.user_id.filter(|_| !task.deleted) else { return Ok(None) };

    let scheduled: Vec<Item> = found.take_ranges(1).into_iter().flatten().collect();
    let last = found.ranges.iter().flatten().find_map(|row| keys::parse_task_execution(&row.key));
    let (entities, last) = read_parts(reader, &scheduled, last).await?;
    let mut parts: Vec<Schedule<'_>> = entities.iter().map(|part| Schedule::of(&part.state)).collect();
    parts.sort_by(|a, b| order(b).cmp(&order(a)));
    let owners = parts.iter().filter_map(|part| part.created.map(|(created, _)| created.user_id));
    let owners = owners.chain([user_id]).map(EntityKey::User);
    let referenced = ReferencedEntities::read_all(reader, owners).await?;
    let recent = schedules::recent_executions(&entity.totals, now);
    let mut runs = NextRuns::after(now);
    let schedules: Vec<ScheduleRow> = parts
        .iter()
        .filter_map(|part| Some((ScheduleSummary::of(part)?, part.paused)))
        .map(|(part, paused)| schedules::row(part, (paused, recent), &referenced, &mut runs, ui))
        .collect();
    let next_run_time = schedules.iter().filter_map(|part| part.next_run_time).min();
    let row = row(request.id, (&task, user_id), &entity.totals, &referenced);
    Ok(row.map(|row| TaskDetail {
        row: TaskRow { last_execution: last, next_run_time, ..row },
        schedules,
        history: history(|register| entity.state.winner(register), DECIDES),
    }))
}

/// Newest first, then the greater id.
fn order<'a>(schedule: &Schedule<'a>) -> Option<(Timestamp, &'a str)> {
    schedule.created.map(|(created, at)| (at, created.schedule_id.as_str()))
}

/// The schedules that some rows stand for, and the execution that began last: one round trip.
async fn read_parts<R: Reader>(
    reader: &R,
    scheduled: &[Item],
    last: Option<ExecutionId>,
) -> Result<(Vec<Entity>, Option<LastExecution>), R::Error> {
    let schedules = scheduled.iter().filter_map(|row| ScheduleId::parse(row.text(views::OF)?));
    let schedules = schedules.map(|id| keys::entity(&EntityKey::Schedule(id)));
    let keys: Vec<Key> = schedules.chain(last.map(keys::execution)).collect();
    let (mut schedules, mut shown) = (Vec::new(), None);
    for (key, entity) in read_listed(reader, &keys, |entity| Some(entity.clone())).await? {
        match last.filter(|id| keys::execution(*id) == key) {
            Some(id) => shown = Execution::of(&entity.state).map(|execution| last_execution(id, &execution)),
            None => schedules.push(entity),
        }
    }
    Ok((schedules, shown))
}
