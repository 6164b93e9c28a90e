//! `cargo dev send FILE.ndjson`: sends events to a running stack and reports what became of them.

use std::io::Read;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use torale_domain::storage::keys::QUARANTINE_TABLE;

use super::load;
use crate::args::Ports;
use crate::console::Console;
use crate::error::LocalError;
use crate::event_sources::EVENTS;
use crate::queue::client::{self, LocalQueue};
use crate::store;

/// How many messages could not be projected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UndeliverableMessages {
    /// In the quarantine table: they are no valid events.
    pub quarantined: u64,
    /// In the dead-letter queue: the consumer failed each time.
    pub dead_letters: u64,
}

impl UndeliverableMessages {
    /// Counts both.
    ///
    /// # Errors
    /// If store or queue do not answer.
    pub async fn count(ports: &Ports) -> Result<Self, LocalError> {
        let queue = LocalQueue::find(&client::connect(ports.sqs_port), EVENTS.dead_letters).await?;
        let depth = queue.depth().await?;
        let quarantined = store::count(&store::client(ports.dynamodb_port), QUARANTINE_TABLE).await?;
        Ok(Self { quarantined, dead_letters: depth.visible + depth.in_flight })
    }

    fn since(self, before: Self) -> Self {
        Self {
            quarantined: self.quarantined.saturating_sub(before.quarantined),
            dead_letters: self.dead_letters.saturating_sub(before.dead_letters),
        }
    }

    /// Notes where such messages are, if there are any.
    pub fn report(self, console: &Console) {
        if self.quarantined > 0 {
            console.note(format!("quarantined in the table {QUARANTINE_TABLE}: {}", self.quarantined));
        }
        if self.dead_letters > 0 {
            console.note(format!("dead letters in the queue {}: {}", EVENTS.dead_letters, self.dead_letters));
        }
    }
}

/// Sends the lines of a file and waits until all are projected or quarantined.
///
/// # Errors
/// If the file cannot be read, no stack runs, or the consumer failed with a message.
pub async fn send(
    file: &Path,
    ports: &Ports,
    console: &Console,
    stop: &CancellationToken,
) -> Result<(), LocalError> {
    tokio::select! {
        sent = send_file(file, ports, console) => sent,
        () = stop.cancelled() => Err(LocalError::Stopped),
    }
}

async fn send_file(file: &Path, ports: &Ports, console: &Console) -> Result<(), LocalError> {
    let text = read(file.to_owned()).await.map_err(LocalError::io(file.display().to_string()))?;
    let bodies = load::lines(&text);
    let queue = LocalQueue::find(&client::connect(ports.sqs_port), EVENTS.queue).await.map_err(|error| {
        let port = ports.sqs_port;
        LocalError::Helper(format!(
            "no queue {} on port {port}; is `cargo dev` running? ({error})",
            EVENTS.queue
        ))
    })?;
    let before = UndeliverableMessages::count(ports).await?;
    load::send_and_wait(&queue, &bodies, "sending", console).await?;
    let new = UndeliverableMessages::count(ports).await?.since(before);
    console.print(&format!(
        "{} messages sent and consumed; newly quarantined: {}; dead letters: {}",
        bodies.len(),
        new.quarantined,
        new.dead_letters
    ));
    new.report(console);
    if new.dead_letters > 0 {
        return Err(LocalError::Helper("the consumer failed with some messages".to_owned()));
    }
    Ok(())
}

/// Reads on a thread of its own: standard input may be a pipe that stays open, and would block what notices a stop.
async fn read(file: PathBuf) -> std::io::Result<String> {
    let reading = move || {
        if file != Path::new("-") {
            return std::fs::read_to_string(file);
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        Ok(text)
    };
    tokio::task::spawn_blocking(reading).await?
}
