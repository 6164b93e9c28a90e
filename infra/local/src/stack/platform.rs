//! The simulated platform as a part of the stack: its process, what leads functions to it, and the commands that it
//! executes.

use std::path::Path;

use axum::body::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use torale_platform::config::{COMMANDS_FORWARD_QUEUE_URL, COMMANDS_HANDLED};

use super::StackContext;
use crate::console::Console;
use crate::error::LocalError;
use crate::event_sources::{PLATFORM_COMMANDS, POSTGRES_RELAY, ScheduledFunction, TEMPORAL_SYNC};
use crate::functions::invoke::InvokeFunction;
use crate::platform::{PlatformInput, SimulatedPlatform};
use crate::queue::client;

/// The commands that are executed at Clerk and Temporal; those about keys are the platform's own.
const HANDLED: &str = "task.pause,user.ban";

/// The simulated platform, as the other parts know it.
pub(super) struct PlatformParts {
    /// What leads functions to it.
    pub(super) variables: Vec<(String, String)>,
    /// What runs on a schedule because of it.
    pub(super) schedules: Vec<ScheduledFunction>,
    /// Where its commands go.
    pub(super) commands: PlatformCommands,
}

impl PlatformParts {
    /// Starts its process, which ends with the stack; `failures` is given why it has ended by itself.
    ///
    /// # Errors
    /// If something that it needs is missing.
    pub(super) async fn start(
        context: StackContext<'_>,
        binaries: &Path,
        failures: &mpsc::Sender<LocalError>,
    ) -> Result<Self, LocalError> {
        let StackContext { ports, console, tracker, stop, .. } = context;
        let platform = SimulatedPlatform::start(binaries, console, stop).await?;
        let mut schedules = vec![POSTGRES_RELAY];
        if platform.has_temporal() {
            schedules.push(TEMPORAL_SYNC);
        }
        let mut variables = platform.variables().to_vec();
        let forward = client::url(ports.sqs_port, PLATFORM_COMMANDS.queue);
        variables.push((COMMANDS_HANDLED.to_owned(), HANDLED.to_owned()));
        variables.push((COMMANDS_FORWARD_QUEUE_URL.to_owned(), forward));
        let commands = PlatformCommands(platform.input());
        watch(platform, console.clone(), tracker, stop.clone(), failures.clone());
        Ok(Self { variables, schedules, commands })
    }
}

/// Prints what the platform does, reports if it ends, and stops it with the stack.
fn watch(
    mut platform: SimulatedPlatform,
    console: Console,
    tracker: &TaskTracker,
    stop: CancellationToken,
    failures: mpsc::Sender<LocalError>,
) {
    tracker.spawn(async move {
        tokio::select! {
            error = platform.ended(&console) => drop(failures.send(error).await),
            () = stop.cancelled() => {}
        }
        platform.stop().await;
    });
}

/// Hands batches of commands to the platform, in the place of a function.
#[derive(Clone)]
pub(super) struct PlatformCommands(PlatformInput);

impl InvokeFunction for PlatformCommands {
    async fn invoke(&self, event: Bytes) -> Option<Bytes> {
        let is_written = self.0.write_line(&event).await;
        is_written.then(|| Bytes::from_static(br#"{"batchItemFailures":[]}"#))
    }
}
