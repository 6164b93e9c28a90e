//! The SQS-compatible queue: ministack, a Python process in an environment under the target folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use axum::body::Bytes;
use axum::http::Request;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::console::Console;
use crate::failure::{LocalError, causes};
use crate::functions::EventSource;
use crate::http;
use crate::process::{self, Child};
use crate::project::Project;

/// What is installed. `cbor2` belongs to CloudWatch's protocol: without it metrics are dropped silently.
const PACKAGES: [&str; 2] = ["ministack==1.5.33", "cbor2"];
/// Only what the functions talk to; everything else stays off, with its ports.
const SERVICES: &str = "sqs,cloudwatch";

fn failure(error: &dyn std::error::Error) -> LocalError {
    LocalError::LocalQueue(causes(error))
}

/// Installs the queue into the target folder unless a former run has; says so when it does.
///
/// # Errors
/// When Python or its package index cannot be used.
pub async fn install(
    project: &Project,
    console: &Console,
    stop: &CancellationToken,
) -> Result<(), LocalError> {
    let venv = project.local().join("venv");
    let (marker, wanted) = (venv.join(".installed"), PACKAGES.join(" "));
    if tokio::fs::read_to_string(&marker).await.is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    console.note(format!("first run: installing {wanted} (the SQS queue) into {}", venv.display()));
    let mut create = process::command("python3");
    create.args(["-m", "venv", "--clear"]).arg(&venv);
    let hint = "\n  the queue needs python3 with its venv module (Debian: apt-get install python3-venv)";
    must_succeed("python3 -m venv", create, hint, stop).await?;
    let mut install = process::command(venv.join("bin/python3"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES);
    must_succeed("pip install", install, "\n  the first run needs a Python package index", stop).await?;
    tokio::fs::write(&marker, wanted).await.map_err(LocalError::io(marker.display().to_string()))
}

async fn must_succeed(
    what: &str,
    mut command: tokio::process::Command,
    hint: &str,
    stop: &CancellationToken,
) -> Result<(), LocalError> {
    command.stdout(std::process::Stdio::null());
    let status = process::run(what, command, stop).await?;
    if status.success() {
        return Ok(());
    }
    Err(LocalError::Command { what: what.to_owned(), status, hint: hint.to_owned() })
}

/// The running queue server.
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts the server on a port and waits until it answers.
    ///
    /// # Errors
    /// When it ends or does not answer in time; the end of its log tells why.
    pub async fn start(project: &Project, port: u16, stop: &CancellationToken) -> Result<Self, LocalError> {
        let folder = project.local();
        let temporary = folder.join("tmp");
        std::fs::create_dir_all(&temporary).map_err(LocalError::io(temporary.display().to_string()))?;
        let log = folder.join("queue.log");
        let output = std::fs::File::create(&log).map_err(LocalError::io(log.display().to_string()))?;
        let errors = output.try_clone().map_err(LocalError::io(log.display().to_string()))?;
        let mut command = process::command(folder.join("venv/bin/python3"));
        command
            .args(["-m", "ministack"])
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("SERVICES", SERVICES)
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("LOG_LEVEL", "WARNING")
            .env("TMPDIR", temporary)
            .stdout(output)
            .stderr(errors);
        let child = Child::start(command).map_err(LocalError::io("ministack"))?;
        let mut server = Self { child, log };
        match server.ready(port, stop).await {
            Ok(()) => Ok(server),
            Err(error) => {
                server.stop().await;
                Err(error)
            }
        }
    }

    async fn ready(&mut self, port: u16, stop: &CancellationToken) -> Result<(), LocalError> {
        let asking = async {
            loop {
                let request = Request::get("/_ministack/ready").body(Bytes::new());
                let Ok(request) = request else { return };
                let answer = http::request(port, request, Duration::from_secs(2)).await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let patience = Duration::from_secs(60);
        tokio::select! {
            () = asking => Ok(()),
            status = self.child.ended() => Err(ended(status, &self.log)),
            () = stop.cancelled() => Err(LocalError::Stopped),
            () = tokio::time::sleep(patience) => Err(LocalError::Helper(format!(
                "ministack does not answer on port {port} after {} s; its log: {}",
                patience.as_secs(), self.log.display()
            ))),
        }
    }

    /// Waits until the server ends by itself, which it should not.
    pub async fn ended(&mut self) -> LocalError {
        ended(self.child.ended().await, &self.log)
    }

    /// Stops the server.
    pub async fn stop(self) {
        self.child.stop().await;
    }
}

fn ended(status: std::io::Result<std::process::ExitStatus>, log: &Path) -> LocalError {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(5).collect();
    let end: String = lines.iter().rev().map(|line| format!("\n  | {line}")).collect();
    match status {
        Ok(status) => LocalError::Command { what: "ministack (the queue)".to_owned(), status, hint: end },
        Err(source) => LocalError::Io { what: "ministack".to_owned(), source },
    }
}

/// A client of the queue server on a loopback port. Any credentials will do.
#[must_use]
pub fn client(port: u16) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// One queue of the server.
#[derive(Clone)]
pub struct LocalQueue {
    client: Client,
    url: String,
}

/// A queue's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// To be received.
    pub visible: u64,
    /// Received and neither deleted nor released yet.
    pub in_flight: u64,
}

impl LocalQueue {
    /// Creates a queue and its dead-letter queue as a source of events is set up in the cloud.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create(client: &Client, source: &EventSource) -> Result<Self, LocalError> {
        create_queue(client, source.dead_letters, HashMap::new()).await?;
        let redrive = json!({
            "deadLetterTargetArn": arn(source.dead_letters),
            "maxReceiveCount": source.max_receive_count.to_string(),
        });
        let attributes = HashMap::from([
            (QueueAttributeName::VisibilityTimeout, source.visibility().as_secs().to_string()),
            (QueueAttributeName::RedrivePolicy, redrive.to_string()),
        ]);
        create_queue(client, source.queue, attributes).await
    }

    /// Finds a queue that exists.
    ///
    /// # Errors
    /// When it does not, or nothing listens on the port.
    pub async fn find(client: &Client, name: &str) -> Result<Self, LocalError> {
        let found = client.get_queue_url().queue_name(name).send().await;
        let found = found.map_err(|error| failure(&error))?;
        let url = found.queue_url().unwrap_or_default().to_owned();
        Ok(Self { client: client.clone(), url })
    }

    /// How many messages it holds.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn depth(&self) -> Result<Depth, LocalError> {
        let (visible, in_flight) = (
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        );
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(visible.clone())
            .attribute_names(in_flight.clone())
            .send()
            .await
            .map_err(|error| failure(&error))?;
        let number = |name| {
            let text = answer.attributes().and_then(|attributes| attributes.get(&name));
            text.and_then(|text| text.parse().ok())
                .ok_or_else(|| LocalError::LocalQueue(format!("{name} is no number")))
        };
        Ok(Depth { visible: number(visible)?, in_flight: number(in_flight)? })
    }

    /// Sends up to 10 messages.
    ///
    /// # Errors
    /// When the server refuses one of them.
    pub async fn send(&self, bodies: &[String]) -> Result<(), LocalError> {
        let mut batch = self.client.send_message_batch().queue_url(&self.url);
        for (position, body) in bodies.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder().id(position.to_string()).message_body(body);
            batch = batch.entries(entry.build().map_err(|error| failure(&error))?);
        }
        let answer = batch.send().await.map_err(|error| failure(&error))?;
        match answer.failed().first() {
            None => Ok(()),
            Some(refused) => Err(LocalError::LocalQueue(format!(
                "a message was refused: {} {}",
                refused.code(),
                refused.message().unwrap_or_default()
            ))),
        }
    }

    /// Receives up to `most` messages (10 at most), waiting for the first one.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn receive(&self, most: usize, wait: Duration) -> Result<Vec<Message>, LocalError> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(most).unwrap_or(10).min(10))
            .wait_time_seconds(i32::try_from(wait.as_secs()).unwrap_or(20).min(20))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| failure(&error))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Deletes up to 10 received messages.
    ///
    /// # Errors
    /// When the server refuses. Handles that are out of date are no error: SQS delivers again.
    pub async fn delete(&self, handles: &[String]) -> Result<(), LocalError> {
        let mut batch = self.client.delete_message_batch().queue_url(&self.url);
        for (position, handle) in handles.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(position.to_string());
            batch = batch.entries(entry.receipt_handle(handle).build().map_err(|error| failure(&error))?);
        }
        batch.send().await.map_err(|error| failure(&error))?;
        Ok(())
    }

    /// Makes up to 10 received messages visible again after `pause`.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn release(&self, handles: &[String], pause: Duration) -> Result<(), LocalError> {
        let seconds = i32::try_from(pause.as_secs()).unwrap_or(i32::MAX);
        let mut batch = self.client.change_message_visibility_batch().queue_url(&self.url);
        for (position, handle) in handles.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(position.to_string())
                .receipt_handle(handle)
                .visibility_timeout(seconds);
            batch = batch.entries(entry.build().map_err(|error| failure(&error))?);
        }
        batch.send().await.map_err(|error| failure(&error))?;
        Ok(())
    }
}

/// The ARN that the local server gives a queue.
#[must_use]
pub fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{queue}")
}

/// The address that the local server gives a queue.
#[must_use]
pub fn url(port: u16, queue: &str) -> String {
    format!("http://127.0.0.1:{port}/000000000000/{queue}")
}

async fn create_queue(
    client: &Client,
    name: &str,
    attributes: HashMap<QueueAttributeName, String>,
) -> Result<LocalQueue, LocalError> {
    let attributes = (!attributes.is_empty()).then_some(attributes);
    let created = client.create_queue().queue_name(name).set_attributes(attributes).send().await;
    let created = created.map_err(|error| failure(&error))?;
    let url = created.queue_url().unwrap_or_default().to_owned();
    Ok(LocalQueue { client: client.clone(), url })
}
