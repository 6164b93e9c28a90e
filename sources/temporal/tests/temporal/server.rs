//! A real Temporal server on loopback, one for all tests of this process, with a namespace for each.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use temporalio_client::tonic::IntoRequest;
use temporalio_client::{Client, NamespacedClient};
use temporalio_common::protos::temporal::api::common::v1::{
    Payload, Payloads, WorkflowExecution, WorkflowType,
};
use temporalio_common::protos::temporal::api::schedule::v1::schedule_action::Action;
use temporalio_common::protos::temporal::api::schedule::v1::{
    Schedule, ScheduleAction, SchedulePatch, ScheduleSpec, ScheduleState,
};
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflow::v1::NewWorkflowExecutionInfo;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    CreateScheduleRequest, DeleteScheduleRequest, PatchScheduleRequest, StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest, UpdateScheduleRequest,
};
use torale_platform::config::TemporalSettings;
use torale_temporal::connection::{TemporalConnection, answered};

/// Ends the server when the test process ends, however it does: its standard input is then at its end.
const SERVER: &str = r#"
"$1" server start-dev --headless --ip 127.0.0.1 --port "$2" --http-port "$3" --log-level never \
  --namespace one --namespace two --namespace three >/dev/null 2>&1 &
server=$!
cat >/dev/null || true
kill $server
wait $server
"#;

struct Server {
    port: u16,
    _process: Child,
}

static SERVER_OF_ALL: OnceLock<Option<Server>> = OnceLock::new();

/// The program: where `need-server` puts it, or the one on the path.
fn program() -> Option<PathBuf> {
    let target = std::env::current_exe().unwrap();
    let installed = target.ancestors().map(|folder| folder.join("local/temporal/bin/temporal"));
    let on_path = Command::new("sh").args(["-c", "command -v temporal"]).output().ok();
    let on_path =
        on_path.and_then(|out| String::from_utf8(out.stdout).ok()).map(|path| PathBuf::from(path.trim()));
    installed.chain(on_path).find(|program| program.is_file())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start() -> Option<Server> {
    let Some(program) = program() else {
        eprintln!(
            "\n!!! SKIPPED: there is no Temporal server on this machine (sources/temporal/need-server)\n"
        );
        return None;
    };
    let (port, http) = (free_port(), free_port());
    let process = Command::new("sh")
        .args(["-c", SERVER, "sh"])
        .args([program.as_os_str(), port.to_string().as_ref(), http.to_string().as_ref()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    Some(Server { port, _process: process })
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
        let settings = TemporalSettings {
            address: format!("127.0.0.1:{}", server.port),
            namespace: name.to_owned(),
            api_key: None,
            timeout: Duration::from_secs(30),
        };
        let connection = TemporalConnection::new(settings.clone());
        let this = Self { settings, connection };
        for _ in 0..600 {
            if torale_temporal::reads::ReadTemporal::schedules(&this.connection, Vec::new()).await.is_ok() {
                return Some(this);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("Temporal did not start");
    }

    pub(crate) fn connection(&self) -> &TemporalConnection {
        &self.connection
    }

    pub(crate) async fn create(&self, id: &str, spec: &ScheduleSpec, paused: bool, argument: &str) {
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
        self.connection.call(create).await.unwrap();
    }

    pub(crate) async fn edit(&self, id: &str, spec: &ScheduleSpec, paused: bool, argument: &str) {
        let schedule = schedule(id, spec, paused, argument);
        let edit = |client: Client| {
            let request = UpdateScheduleRequest {
                namespace: client.namespace(),
                schedule_id: id.to_owned(),
                schedule: Some(schedule.clone()),
                request_id: format!("{id}{}", fastrand::u64(..)),
                ..UpdateScheduleRequest::default()
            };
            async move {
                let mut service = client.connection().workflow_service();
                service.update_schedule(request.into_request()).await.map_err(|status| answered(&status))
            }
        };
        self.connection.call(edit).await.unwrap();
    }

    pub(crate) async fn toggle(&self, id: &str, pause: bool) {
        let text = |wanted: bool| if wanted { "toggled".to_owned() } else { String::new() };
        let patch = SchedulePatch { pause: text(pause), unpause: text(!pause), ..SchedulePatch::default() };
        let toggle = |client: Client| {
            let request = PatchScheduleRequest {
                namespace: client.namespace(),
                schedule_id: id.to_owned(),
                patch: Some(patch.clone()),
                request_id: format!("{id}{}", fastrand::u64(..)),
                ..PatchScheduleRequest::default()
            };
            async move {
                let mut service = client.connection().workflow_service();
                service.patch_schedule(request.into_request()).await.map_err(|status| answered(&status))
            }
        };
        self.connection.call(toggle).await.unwrap();
    }

    pub(crate) async fn delete(&self, id: &str) {
        let delete = |client: Client| async move {
            let request = DeleteScheduleRequest {
                namespace: client.namespace(),
                schedule_id: id.to_owned(),
                ..DeleteScheduleRequest::default()
            };
            let mut service = client.connection().workflow_service();
            service.delete_schedule(request.into_request()).await.map_err(|status| answered(&status))
        };
        self.connection.call(delete).await.unwrap();
    }

    /// Starts a run that nobody works on.
    pub(crate) async fn start(&self, workflow: &str) {
        let start = |client: Client| async move {
            let request = StartWorkflowExecutionRequest {
                namespace: client.namespace(),
                workflow_id: workflow.to_owned(),
                workflow_type: Some(WorkflowType { name: "Search".to_owned() }),
                task_queue: Some(TaskQueue { name: "nobody".to_owned(), ..TaskQueue::default() }),
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

fn schedule(id: &str, spec: &ScheduleSpec, paused: bool, argument: &str) -> Schedule {
    let metadata = [("encoding".to_owned(), b"json/plain".to_vec())].into();
    let payload = Payload { metadata, data: argument.as_bytes().to_vec(), ..Payload::default() };
    let start = NewWorkflowExecutionInfo {
        workflow_id: id.to_owned(),
        workflow_type: Some(WorkflowType { name: "Search".to_owned() }),
        task_queue: Some(TaskQueue { name: "nobody".to_owned(), ..TaskQueue::default() }),
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
