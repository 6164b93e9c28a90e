//! A worker of the platform at Temporal: takes the runs that schedules have started from their queue, and completes
//! them.

use crate::schedules::task_queue;
use temporalio_client::tonic::IntoRequest;
use temporalio_client::{Client, NamespacedClient};
use temporalio_common::protos::temporal::api::command::v1::command::Attributes;
use temporalio_common::protos::temporal::api::command::v1::{
    Command, CompleteWorkflowExecutionCommandAttributes, FailWorkflowExecutionCommandAttributes,
};
use temporalio_common::protos::temporal::api::enums::v1::CommandType;
use temporalio_common::protos::temporal::api::failure::v1::Failure;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    PollWorkflowTaskQueueRequest, RespondWorkflowTaskCompletedRequest,
};
use torale_temporal::connection::{TemporalConnection, TemporalError, answered};

const IDENTITY: &str = "simulated-platform";

/// A run that waits to be completed, for ten seconds: then Temporal hands it out again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRun {
    /// The id of its workflow, which names the task.
    pub workflow: String,
    token: Vec<u8>,
}

/// The next run that waits; `None` if there was none for a minute.
///
/// # Errors
/// If Temporal fails, or the connection's time limit is shorter than a minute and it had no run until then.
pub async fn next_run(connection: &TemporalConnection) -> Result<Option<WaitingRun>, TemporalError> {
    let poll = |client: Client| async move {
        let request = PollWorkflowTaskQueueRequest {
            namespace: client.namespace(),
            task_queue: Some(task_queue()),
            identity: IDENTITY.to_owned(),
            ..PollWorkflowTaskQueueRequest::default()
        };
        let mut service = client.connection().workflow_service();
        service.poll_workflow_task_queue(request.into_request()).await.map_err(|status| answered(&status))
    };
    let answer = connection.call(poll).await?.into_inner();
    let workflow = answer.workflow_execution.map(|execution| execution.workflow_id);
    Ok(workflow.map(|workflow| WaitingRun { workflow, token: answer.task_token }))
}

/// Completes a run; with a message it has failed.
///
/// # Errors
/// If Temporal fails, or the run is not there any more.
pub async fn complete(
    connection: &TemporalConnection,
    run: &WaitingRun,
    failure: Option<&str>,
) -> Result<(), TemporalError> {
    let command = command(failure);
    let complete = |client: Client| {
        let request = RespondWorkflowTaskCompletedRequest {
            task_token: run.token.clone(),
            commands: vec![command.clone()],
            identity: IDENTITY.to_owned(),
            namespace: client.namespace(),
            ..RespondWorkflowTaskCompletedRequest::default()
        };
        async move {
            let mut service = client.connection().workflow_service();
            let answer = service.respond_workflow_task_completed(request.into_request()).await;
            answer.map_err(|status| answered(&status))
        }
    };
    connection.call(complete).await.map(drop)
}

fn command(failure: Option<&str>) -> Command {
    let (kind, attributes) = match failure {
        None => {
            let attributes = CompleteWorkflowExecutionCommandAttributes::default();
            (
                CommandType::CompleteWorkflowExecution,
                Attributes::CompleteWorkflowExecutionCommandAttributes(attributes),
            )
        }
        Some(message) => {
            let failure = Failure { message: message.to_owned(), ..Failure::default() };
            let attributes = FailWorkflowExecutionCommandAttributes { failure: Some(failure) };
            (
                CommandType::FailWorkflowExecution,
                Attributes::FailWorkflowExecutionCommandAttributes(attributes),
            )
        }
    };
    Command { command_type: kind.into(), attributes: Some(attributes), ..Command::default() }
}
