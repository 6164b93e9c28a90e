//! Schedules in Temporal, as the platform makes them: each starts a run that a worker of the platform receives.

use temporalio_client::tonic::IntoRequest;
use temporalio_client::{Client, NamespacedClient};
use temporalio_common::protos::temporal::api::common::v1::{Payload, Payloads, WorkflowType};
use temporalio_common::protos::temporal::api::schedule::v1::schedule_action::Action;
use temporalio_common::protos::temporal::api::schedule::v1::{
    Schedule, ScheduleAction, SchedulePatch, ScheduleSpec, ScheduleState,
};
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflow::v1::NewWorkflowExecutionInfo;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    CreateScheduleRequest, DeleteScheduleRequest, PatchScheduleRequest, UpdateScheduleRequest,
};
use torale_temporal::connection::{TemporalConnection, TemporalError, answered};

/// The name of the workflow that schedules start.
pub const WORKFLOW_TYPE: &str = "Search";
const QUEUE: &str = "searches";

/// The queue from which the platform's worker takes runs.
#[must_use]
pub fn task_queue() -> TaskQueue {
    TaskQueue { name: QUEUE.to_owned(), ..TaskQueue::default() }
}

/// Creates a schedule. `argument` is what its workflow is given, a JSON text.
///
/// # Errors
/// If Temporal refuses, as it does where there is one with this id.
pub async fn create(
    connection: &TemporalConnection,
    id: &str,
    spec: &ScheduleSpec,
    paused: bool,
    argument: &str,
) -> Result<(), TemporalError> {
    let schedule = schedule(id, spec, paused, argument);
    let create = |client: Client| {
        let request = CreateScheduleRequest {
            namespace: client.namespace(),
            schedule_id: id.to_owned(),
            schedule: Some(schedule.clone()),
            request_id: id.to_owned(),
            ..CreateScheduleRequest::default()
        };
        async move {
            let mut service = client.connection().workflow_service();
            service.create_schedule(request.into_request()).await.map_err(|status| answered(&status))
        }
    };
    connection.call(create).await.map(drop)
}

/// Replaces a schedule by another.
///
/// # Errors
/// If Temporal refuses, as it does where there is none with this id.
pub async fn edit(
    connection: &TemporalConnection,
    id: &str,
    spec: &ScheduleSpec,
    paused: bool,
    argument: &str,
) -> Result<(), TemporalError> {
    let schedule = schedule(id, spec, paused, argument);
    let edit = |client: Client| {
        let request = UpdateScheduleRequest {
            namespace: client.namespace(),
            schedule_id: id.to_owned(),
            schedule: Some(schedule.clone()),
            request_id: unique(id),
            ..UpdateScheduleRequest::default()
        };
        async move {
            let mut service = client.connection().workflow_service();
            service.update_schedule(request.into_request()).await.map_err(|status| answered(&status))
        }
    };
    connection.call(edit).await.map(drop)
}

/// Pauses a schedule, or lets it go on.
///
/// # Errors
/// If Temporal refuses, as it does where there is none with this id.
pub async fn toggle(connection: &TemporalConnection, id: &str, pause: bool) -> Result<(), TemporalError> {
    let text = |wanted: bool| if wanted { "toggled".to_owned() } else { String::new() };
    let patch = SchedulePatch { pause: text(pause), unpause: text(!pause), ..SchedulePatch::default() };
    let toggle = |client: Client| {
        let request = PatchScheduleRequest {
            namespace: client.namespace(),
            schedule_id: id.to_owned(),
            patch: Some(patch.clone()),
            request_id: unique(id),
            ..PatchScheduleRequest::default()
        };
        async move {
            let mut service = client.connection().workflow_service();
            service.patch_schedule(request.into_request()).await.map_err(|status| answered(&status))
        }
    };
    connection.call(toggle).await.map(drop)
}

/// Deletes a schedule.
///
/// # Errors
/// If Temporal refuses, as it does where there is none with this id.
pub async fn delete(connection: &TemporalConnection, id: &str) -> Result<(), TemporalError> {
    let delete = |client: Client| async move {
        let request = DeleteScheduleRequest {
            namespace: client.namespace(),
            schedule_id: id.to_owned(),
            ..DeleteScheduleRequest::default()
        };
        let mut service = client.connection().workflow_service();
        service.delete_schedule(request.into_request()).await.map_err(|status| answered(&status))
    };
    connection.call(delete).await.map(drop)
}

/// Two calls alike are two requests.
fn unique(id: &str) -> String {
    format!("{id}{}", fastrand::u64(..))
}

fn schedule(id: &str, spec: &ScheduleSpec, paused: bool, argument: &str) -> Schedule {
    let metadata = [("encoding".to_owned(), b"json/plain".to_vec())].into();
    let payload = Payload { metadata, data: argument.as_bytes().to_vec(), ..Payload::default() };
    let start = NewWorkflowExecutionInfo {
        workflow_id: id.to_owned(),
        workflow_type: Some(WorkflowType { name: WORKFLOW_TYPE.to_owned() }),
        task_queue: Some(task_queue()),
        input: Some(Payloads { payloads: vec![payload] }),
        ..NewWorkflowExecutionInfo::default()
    };
    Schedule {
        spec: Some(spec.clone()),
        action: Some(ScheduleAction { action: Some(Action::StartWorkflow(start)) }),
        state: Some(ScheduleState { paused, ..ScheduleState::default() }),
        ..Schedule::default()
    }
}
