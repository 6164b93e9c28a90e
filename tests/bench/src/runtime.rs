//! A minimal Lambda Runtime API that measures when a process polls and answers.

use crate::share::Share;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path as File;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, timeout};

/// Longest time from start to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// One cold start, in milliseconds from the start of the process.
#[derive(Debug, Clone)]
pub struct ColdStart {
    /// To its first poll.
    pub polled: f64,
    /// To its first answer.
    pub answered: f64,
    /// The status of that answer, `ok` where there is none, or `error`.
    pub status: String,
}

/// The API; one process at a time is measured.
#[derive(Clone)]
pub struct RuntimeApi {
    port: u16,
    state: Arc<ApiState>,
}

#[derive(Default)]
struct ApiState {
    run: Mutex<Run>,
    done: Notify,
    share: Option<Arc<Share>>,
}

#[derive(Default)]
struct Run {
    payload: String,
    polled: Option<Instant>,
    answered: Option<(Instant, String)>,
}

impl RuntimeApi {
    /// On a port of its own. With a share of a CPU, a process has no more from its first poll on.
    pub async fn start(share: Option<Arc<Share>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let api = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::new(ApiState { share, ..ApiState::default() }),
        };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{outcome}", post(answer))
            // Every other call of a function is refused at once: there are no queues and no CloudWatch.
            .fallback(|| async { (StatusCode::BAD_REQUEST, r#"{"__type":"Refused","message":"not here"}"#) })
            .with_state(api.state.clone());
        tokio::spawn(async { axum::serve(listener, router.into_make_service()).await });
        api
    }

    /// Where it is.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts a program, gives it one invocation, and ends it.
    pub async fn cold_start(
        &self,
        program: &File,
        environment: &BTreeMap<String, String>,
        payload: &Value,
    ) -> ColdStart {
        *self.state.run.lock().unwrap() = Run { payload: payload.to_string(), ..Run::default() };
        let mut command = Command::new(program);
        command.env_clear().envs(environment).env("AWS_LAMBDA_RUNTIME_API", self.address());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let state = self.state.clone();
        // A thread of its own: what it starts is in its control group.
        let starting = std::thread::spawn(move || {
            state.share.iter().for_each(|share| share.enter());
            (Instant::now(), command.spawn().unwrap())
        });
        let (started, mut child) = starting.join().unwrap();
        let answered = timeout(PATIENCE, self.state.done.notified()).await;
        child.kill().and_then(|()| child.wait()).unwrap();
        answered.unwrap_or_else(|_| panic!("{program:?} does not answer"));
        let run = std::mem::take(&mut *self.state.run.lock().unwrap());
        let since = |at: Instant| (at - started).as_secs_f64() * 1000.0;
        let (answered, status) = run.answered.unwrap();
        ColdStart { polled: since(run.polled.unwrap()), answered: since(answered), status }
    }
}

async fn next(State(state): State<Arc<ApiState>>) -> (HeaderMap, String) {
    let payload = {
        let mut run = state.run.lock().unwrap();
        let first = run.polled.is_none();
        run.polled.get_or_insert_with(Instant::now);
        if first {
            state.share.iter().for_each(|share| share.limit());
        }
        first.then(|| run.payload.clone())
    };
    let Some(payload) = payload else { std::future::pending().await };
    let deadline = torale_platform::clock::system().millis() + 30_000;
    let headers = [
        ("lambda-runtime-aws-request-id", "1".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:bench".to_owned(),
        ),
    ];
    (
        headers.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
        payload,
    )
}

async fn answer(
    State(state): State<Arc<ApiState>>,
    Path((_, outcome)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    let at = Instant::now();
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    let status = match (outcome.as_str(), answer["statusCode"].as_u64()) {
        ("response", Some(status)) => status.to_string(),
        ("response", None) => "ok".to_owned(),
        _ => "error".to_owned(),
    };
    state.run.lock().unwrap().answered.get_or_insert((at, status));
    state.done.notify_one();
    StatusCode::ACCEPTED
}
