//! `cargo dev send FILE.ndjson`: events for a running stack, and what became of them.

use std::io::Read;
use std::path::Path;

use tokio_util::sync::CancellationToken;
use torale_domain::storage::keys::QUARANTINE_TABLE;

use crate::args::Ports;
use crate::console::Console;
use crate::failure::LocalError;
use crate::functions::EVENTS;
use crate::queue::{self, LocalQueue};
use crate::{load, store};

/// Messages that were not projected, as they stand now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UndeliverableMessages {
    /// In the quarantine table: no events.
    pub quarantined: u64,
    /// In the dead-letter queue: the consumer failed with them.
    pub dead: u64,
}

impl UndeliverableMessages {
    /// Counts both.
    ///
    /// # Errors
    /// When store or queue do not answer.
    pub async fn count(ports: &Ports) -> Result<Self, LocalError> {
        let dead =
            LocalQueue::find(&queue::client(ports.sqs_port), EVENTS.dead_letters).await?.depth().await?;
        let quarantined = store::count(&store::client(ports.dynamodb_port), QUARANTINE_TABLE).await?;
        Ok(Self { quarantined, dead: dead.visible + dead.in_flight })
    }

    fn since(self, before: Self) -> Self {
        Self {
            quarantined: self.quarantined.saturating_sub(before.quarantined),
            dead: self.dead.saturating_sub(before.dead),
        }
    }

    /// Says where such messages are, if there are any.
    pub fn report(self, console: &Console) {
        if self.quarantined > 0 {
            console.note(format!("set aside in the table {QUARANTINE_TABLE}: {}", self.quarantined));
        }
        if self.dead > 0 {
            console.note(format!("not consumed, now in the queue {}: {}", EVENTS.dead_letters, self.dead));
        }
    }
}

/// Sends the lines of a file and waits until all are projected or set aside.
///
/// # Errors
/// When the file cannot be read, no stack runs, or the consumer failed with a message.
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
    let text = read(file).map_err(LocalError::io(file.display().to_string()))?;
    let bodies = load::lines(&text);
    let queue = LocalQueue::find(&queue::client(ports.sqs_port), EVENTS.queue).await.map_err(|error| {
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
        "{} messages sent and dealt with; newly set aside: {}; not consumed: {}",
        bodies.len(),
        new.quarantined,
        new.dead
    ));
    new.report(console);
    if new.dead > 0 {
        return Err(LocalError::Helper("the consumer failed with some messages".to_owned()));
    }
    Ok(())
}

fn read(file: &Path) -> std::io::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}
