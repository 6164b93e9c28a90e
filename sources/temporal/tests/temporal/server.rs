//! A real Temporal server on loopback, one for all tests of this process, with a namespace for each.

use std::sync::OnceLock;
use std::time::Duration;
use temporalio_client::tonic::IntoRequest;
use temporalio_client::{Client, NamespacedClient};
use temporalio_common::protos::temporal::api::common::v1::{WorkflowExecution, WorkflowType};
use temporalio_common::protos::temporal::api::schedule::v1::ScheduleSpec;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    StartWorkflowExecutionRequest, TerminateWorkflowExecutionRequest,
};
use torale_platform::config::TemporalSettings;
use torale_simulated_platform::schedules::{self, WORKFLOW_TYPE, task_queue};
use torale_simulated_platform::temporal::TemporalServer;
use torale_temporal::connection::{TemporalConnection, answered};

static SERVER_OF_ALL: OnceLock<Option<TemporalServer>> = OnceLock::new();

fn start() -> Option<TemporalServer> {
    let Some(program) = TemporalServer::program() else {
        eprintln!(
            "\n!!! SKIPPED: there is no Temporal server on this machine (sources/temporal/need-server)\n"
        );
        return None;
    };
    Some(TemporalServer::start(&program, &["one", "two", "three"]).unwrap())
}

/// A namespace of one test.
pub(crate) struct Namespace {
    pub(crate) settings: TemporalSettings,
    connection: TemporalConnection,
}

impl Namespace {
    /// Waits for the server; `None`, loudly, without one.
    pub(crate) async fn named(name: &str) -> Option<Self> {
        let server = SERVER_OF_ALL.get_or_init(start).as_ref()?;
        let settings = server.settings(name, Duration::from_secs(30));
        let connection = TemporalConnection::new(settings.clone());
        TemporalServer::wait(&connection).await.unwrap();
        Some(Self { settings, connection })
    }

    pub(crate) fn connection(&self) -> &TemporalConnection {
        &self.connection
    }

    pub(crate) async fn create(&self, id: &str, spec: &ScheduleSpec, paused: bool, argument: &str) {
        schedules::create(&self.connection, id, spec, paused, argument).await.unwrap();
    }

    pub(crate) async fn edit(&self, id: &str, spec: &ScheduleSpec, paused: bool, argument: &str) {
        schedules::edit(&self.connection, id, spec, paused, argument).await.unwrap();
    }

    pub(crate) async fn toggle(&self, id: &str, pause: bool) {
        schedules::toggle(&self.connection, id, pause).await.unwrap();
    }

    pub(crate) async fn delete(&self, id: &str) {
        schedules::delete(&self.connection, id).await.unwrap();
    }

    /// Starts a run that nobody works on.
    pub(crate) async fn start(&self, workflow: &str) {
        let start = |client: Client| async move {
            let request = StartWorkflowExecutionRequest {
                namespace: client.namespace(),
                workflow_id: workflow.to_owned(),
                workflow_type: Some(WorkflowType { name: WORKFLOW_TYPE.to_owned() }),
                task_queue: Some(task_queue()),
                request_id: format!("{workflow}{}", fastrand::u64(..)),
                ..StartWorkflowExecutionRequest::default()
            };
            let mut service = client.connection().workflow_service();
            service.start_workflow_execution(request.into_request()).await.map_err(|status| answered(&status))
        };
        self.connection.call(start).await.unwrap();
    }

    pub(crate) async fn terminate(&self, workflow: &str) {
        let terminate = |client: Client| async move {
            let request = TerminateWorkflowExecutionRequest {
                namespace: client.namespace(),
                workflow_execution: Some(WorkflowExecution {
                    workflow_id: workflow.to_owned(),
                    run_id: String::new(),
                }),
                ..TerminateWorkflowExecutionRequest::default()
            };
            let mut service = client.connection().workflow_service();
            service
                .terminate_workflow_execution(request.into_request())
                .await
                .map_err(|status| answered(&status))
        };
        self.connection.call(terminate).await.unwrap();
    }
}
