//! The real function binaries under the local stack's Runtime API, and the memory they take.

use crate::report::root;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::time::{Duration, Instant};
use torale_local::console::Console;
use torale_local::functions::runtime::Runtimes;
use torale_local::gateway::Gateway;
use torale_local::listen::listen;
use torale_local::process::{self, Child};

/// Longest time of one invocation.
const PATIENCE: Duration = Duration::from_secs(900);

/// A Runtime API for functions over one store.
pub struct Lambdas {
    runtimes: Runtimes,
    port: u16,
    store: u16,
}

/// What a process of a function answered, and what it took.
#[derive(Debug)]
pub struct FunctionRun {
    /// Its greatest resident memory, in MiB.
    pub peak: f64,
    /// Its resident memory before the first invocation, in MiB.
    pub idle: f64,
    /// What it answered.
    pub answers: Vec<Vec<u8>>,
    /// How long all invocations took.
    pub took: Duration,
}

/// The folder of the binaries.
pub fn folder() -> PathBuf {
    root().join("target").join(torale_launcher::build_folder(true))
}

/// Builds the binaries of some functions.
pub fn build<'a>(functions: impl IntoIterator<Item = &'a str>) {
    let mut cargo = std::process::Command::new("cargo");
    let arguments = torale_launcher::build_arguments(true, functions);
    let built = cargo.args(arguments).arg("--quiet").current_dir(root()).status();
    assert!(built.unwrap().success(), "the functions can't be built");
}

impl Lambdas {
    /// Over the store on a port.
    pub async fn start(store: u16) -> Self {
        let listener = listen(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        let runtimes = Runtimes::default();
        tokio::spawn(Gateway::new(runtimes.clone(), PATIENCE, Console::default()).serve(listener));
        Self { runtimes, port, store }
    }

    /// Starts a function, invokes it once for each payload, one after the other, and ends it.
    pub async fn run(&self, function: &str, payloads: &[Value]) -> FunctionRun {
        self.runtimes.declare(function);
        let mut command = process::command(folder().join(function));
        command
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://127.0.0.1:{}/.rt/{function}", self.port))
            .env("AWS_ENDPOINT_URL_DYNAMODB", format!("http://127.0.0.1:{}", self.store))
            .envs([("AWS_LAMBDA_FUNCTION_NAME", function), ("AWS_LAMBDA_FUNCTION_VERSION", "1")])
            .envs([("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"), ("AWS_REGION", "us-east-1")])
            .envs([("AWS_ACCESS_KEY_ID", "bench"), ("AWS_SECRET_ACCESS_KEY", "bench"), ("RUST_LOG", "error")])
            .stdout(Stdio::null());
        let mut child = Child::start(command).unwrap();
        let pid = child.process().id().unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let idle = memory(pid);
        let started = Instant::now();
        let mut answers = Vec::new();
        for payload in payloads {
            let payload = payload.to_string().into_bytes().into();
            answers.push(self.runtimes.invoke(function, payload, PATIENCE).await.unwrap().to_vec());
        }
        let (took, peak) = (started.elapsed(), memory(pid));
        child.stop().await;
        FunctionRun { peak, idle, answers, took }
    }
}

/// `VmHWM`: the greatest resident set so far, in MiB.
fn memory(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// A request as API Gateway sends it to a function.
pub fn request(path: &str, query: &str, key: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": format!("GET {path}"), "rawPath": path, "rawQueryString": query,
        "headers": { "authorization": format!("Bearer {key}"), "host": "localhost" }, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "0", "apiId": "bench", "domainName": "localhost", "domainPrefix": "localhost",
            "http": { "method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "bench" },
            "requestId": "bench", "routeKey": format!("GET {path}"), "stage": "$default",
            "time": "31/Mar/2026:10:30:30 +0000", "timeEpoch": 1_774_953_030_500_i64,
        },
    })
}

/// A batch as the queue delivers it to the consumer: its records, with the fields that the consumer reads.
pub fn batch(bodies: &[String]) -> Value {
    let records = bodies.iter().enumerate().map(
        |(number, body)| json!({ "messageId": number.to_string(), "eventSource": "aws:sqs", "body": body }),
    );
    json!({ "Records": records.collect::<Vec<_>>() })
}
