//! GET /admin/tasks/{id}: one task with its schedules, and which events say so (docs/contract/http.md,
//! "GET /admin/tasks/{id}").

use super::entities::{DisplayNames, read_entities};
use super::executions::ExecutionStatus;
use super::history::{HistoryEntry, history};
use super::queries::hundredths;
use super::schedules::{self, ScheduleRow};
use super::temporal_ui::TemporalUi;
use super::window::average;
use crate::entities::fold::Register;
use crate::entities::readings::{Execution, Schedule, Task, TaskState};
use crate::projections::entity::Entity;
use crate::projections::views::{self, TaskTotals};
use crate::requests::parameters::{ParameterReader, QueryParameters};
use crate::storage::item::{Item, Key};
use crate::storage::keys;
use crate::storage::read::{Range, ReadPlan, Reader};
use crate::values::ids::{EntityKey, ExecutionId, ScheduleId, TaskId, UserId};
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

/// The parameters of the request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct TaskRequest {
    #[serde(skip)]
    id: TaskId,
}

impl QueryParameters for TaskRequest {
    fn read(params: &mut ParameterReader) -> Self {
        let id = params.path_id("The task.", TaskId::parse);
        // Without an id there is a fault, and the value does not count.
        Self { id: id.unwrap_or(TaskId(Uuid::nil())) }
    }

    fn target(&self) -> Option<String> {
        Some(self.id.to_string())
    }
}

/// One task.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TaskRow {
    /// The id of the task.
    pub id: TaskId,
    /// Its name; null while no event has stated one.
    pub name: Option<String>,
    /// What it searches for.
    pub search_query: String,
    /// The id of its user.
    pub user_id: UserId,
    /// The email of its user today; null while no event has stated it.
    pub user_email: Option<String>,
    /// Its state.
    pub state: TaskState,
    /// Its own schedule, as it was sent; null while no event has stated one.
    pub schedule: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// The number of its executions, of all time and in every status.
    pub total_executions: i128,
    /// The share of successes among its finished executions, to two decimals; 0 if none finished.
    #[serde(serialize_with = "hundredths")]
    #[schemars(with = "f64", range(min = 0, max = 1))]
    pub success_rate: i128,
    /// The mean duration of its finished executions, in milliseconds; 0 if none finished.
    pub avg_duration_ms: i128,
    /// The execution that began last; null if there is none.
    pub last_execution: Option<LastExecution>,
    /// The earliest time at which Temporal fires one of its schedules; null if none is unpaused and
    /// fires again.
    pub next_run_time: Option<Timestamp>,
}

/// The execution of a task that began last.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LastExecution {
    /// The id of the execution.
    pub id: ExecutionId,
    /// Its status.
    pub status: ExecutionStatus,
    /// When it began.
    pub started_at: Timestamp,
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
    request: &TaskRequest,
    now: Timestamp,
    ui: &TemporalUi,
) -> Result<Option<TaskDetail>, R::Error> {
    let key = keys::entity(&EntityKey::Task(request.id));
    let newest = Range { descending: true, limit: Some(1), ..keys::task_executions(request.id).into() };
    let schedules = Range { pk: keys::task_schedules(request.id), ..Range::default() };
    let ranges = vec![schedules, newest];
    let mut found = reader.read(ReadPlan { gets: vec![key.clone()], ranges, consistent: false }).await?;
    let entity = Entity::load(found.items.get(&key))?;
    let task = Task::of(&entity.state);
    let Some(user_id) = task.user_id.filter(|_| !task.deleted) else { return Ok(None) };

    let scheduled: Vec<Item> = found.take_ranges(1).into_iter().flatten().collect();
    let last = found.ranges.iter().flatten().find_map(|row| keys::parse_task_execution(&row.key));
    let (entities, last) = read_parts(reader, &scheduled, last).await?;
    let mut parts: Vec<Schedule<'_>> = entities.iter().map(|part| Schedule::of(&part.state)).collect();
    parts.sort_by(|a, b| order(b).cmp(&order(a)));
    let owners = parts.iter().filter_map(|part| part.created.map(|(created, _)| created.user_id));
    let owners = owners.chain([user_id]).map(|owner| (request.id, owner));
    let names = DisplayNames::read(reader, owners).await?;
    let schedules: Vec<ScheduleRow> =
        parts.iter().filter_map(|part| schedules::row(part, &names, now, ui)).collect();
    let next_run_time = schedules.iter().filter_map(|part| part.next_run_time).min();
    let row = row(request.id, (&task, user_id), &entity.totals, &names);
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
    for (key, entity) in read_entities(reader, &keys).await? {
        match last.filter(|id| keys::execution(*id) == key) {
            Some(id) => shown = Execution::of(&entity.state).map(|execution| last_execution(id, &execution)),
            None => schedules.push(entity),
        }
    }
    Ok((schedules, shown))
}

fn last_execution(id: ExecutionId, execution: &Execution<'_>) -> LastExecution {
    LastExecution { id, status: ExecutionStatus::of(&execution.status), started_at: execution.started_at }
}

/// What the task itself and its totals say; `None` without its creation.
fn row(
    id: TaskId,
    (task, user_id): (&Task<'_>, UserId),
    totals: &TaskTotals,
    names: &DisplayNames,
) -> Option<TaskRow> {
    let sums = totals.sums;
    Some(TaskRow {
        id,
        name: task.name.map(str::to_owned),
        search_query: task.query?.to_owned(),
        user_id,
        user_email: names.email(user_id),
        state: task.state,
        schedule: task.schedule.map(str::to_owned),
        created_at: task.created_at?,
        total_executions: sums.n,
        success_rate: average(sums.s * 100, sums.s + sums.f),
        avg_duration_ms: average(sums.d, sums.s + sums.f),
        last_execution: None,
        next_run_time: None,
    })
}
