//! Quarantined messages: listing them, and sending them again.

use crate::{Replay, ReplayError};
use serde::Serialize;
use std::collections::BTreeMap;
use torale_domain::events;
use torale_domain::storage::item::{Item, Key, Value};
use torale_domain::storage::keys::{self, QUARANTINE_TABLE};
use torale_domain::storage::write::{Action, Condition, Write};
use torale_domain::values::digest;
use torale_platform::queue::{MessageQueue, QueueError};
use torale_platform::store::TransactError;

/// A quarantined message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuarantinedMessage {
    /// The SHA-256 of its body.
    pub id: String,
    /// The code of the reason.
    pub code: String,
    /// The reason.
    pub reason: String,
    /// When it was received last.
    pub received_at: String,
    /// The size of its body; less than it was if parts are missing.
    pub bytes: usize,
    /// Whether all of its parts exist.
    pub complete: bool,
    #[serde(skip)]
    body: String,
    #[serde(skip)]
    keys: Vec<Key>,
}

impl QuarantinedMessage {
    /// Its body.
    pub fn body(&self) -> &str {
        &self.body
    }
}

/// The result of sending a message again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RedriveOutcome {
    /// It is on the queue of events again, and no longer in quarantine.
    Sent,
    /// It is on the queue of events again, and was quarantined again meanwhile, or another
    /// operator redrives it.
    #[serde(rename = "set_aside_again")]
    QuarantinedAgain,
    /// It would be quarantined again, for this reason; it was not sent.
    StillInvalid(String),
    /// A part of it is missing; it was not sent.
    Incomplete,
}

/// Why a message could not be sent again.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// The store failed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The queue did not take it; it is still in quarantine.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Replay {
    /// All quarantined messages, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn quarantined(&self) -> Result<Vec<QuarantinedMessage>, ReplayError> {
        let mut parts: BTreeMap<String, BTreeMap<usize, Item>> = BTreeMap::new();
        for partition in keys::quarantine_partitions() {
            for item in self.partition(QUARANTINE_TABLE, &partition).await? {
                if let Some((id, part)) = keys::parse_quarantine(&item.key) {
                    parts.entry(id.to_owned()).or_default().insert(part, item);
                }
            }
        }
        let mut all: Vec<QuarantinedMessage> =
            parts.into_iter().map(|(id, parts)| quarantined(id, parts)).collect();
        all.sort_by(|a, b| (&a.received_at, &a.id).cmp(&(&b.received_at, &b.id)));
        Ok(all)
    }

    /// Sends a message to the queue of events again, unless it would be quarantined again. It
    /// leaves the quarantine only after the queue took it.
    ///
    /// # Errors
    /// If the store or the queue fails; then it is still in quarantine.
    pub async fn redrive(
        &self,
        message: &QuarantinedMessage,
        queue: &MessageQueue,
    ) -> Result<RedriveOutcome, RedriveError> {
        if !message.complete {
            return Ok(RedriveOutcome::Incomplete);
        }
        if let Err(reason) = events::parse(&message.body, Some(self.now())) {
            return Ok(RedriveOutcome::StillInvalid(reason.to_string()));
        }
        queue.send(std::slice::from_ref(&message.body)).await?;
        // If a consumer has quarantined it again by now, it stays: its time of receipt is later
        // than what was read here.
        let received_at = Value::Text(message.received_at.clone());
        let unchanged = vec![Condition::Equals("received_at".to_owned(), received_at)];
        let delete =
            |key: &Key| Write { key: key.clone(), action: Action::Delete, conditions: unchanged.clone() };
        let deletes = message.keys.iter().map(delete).collect();
        match self.store.transact(QUARANTINE_TABLE, deletes, &self.usage).await {
            Ok(()) => Ok(RedriveOutcome::Sent),
            Err(TransactError::Race) => Ok(RedriveOutcome::QuarantinedAgain),
            Err(TransactError::Failed(error)) => Err(ReplayError::from(error).into()),
        }
    }
}

fn quarantined(id: String, parts: BTreeMap<usize, Item>) -> QuarantinedMessage {
    let text =
        |name: &str| parts.values().next().and_then(|item| item.text(name)).unwrap_or_default().to_owned();
    let body: String = parts.values().filter_map(|item| item.text("body")).collect();
    QuarantinedMessage {
        code: text("code"),
        reason: text("reason"),
        received_at: text("received_at"),
        bytes: body.len(),
        complete: digest::sha256_hex(&[body.as_bytes()]) == id,
        keys: parts.into_values().map(|item| item.key).collect(),
        body,
        id,
    }
}
