//! Messages that were set aside: looking at them, and trying them again.

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

/// A message that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuarantinedMessage {
    /// The SHA-256 of its text.
    pub id: String,
    /// Why, in short.
    pub code: String,
    /// Why.
    pub reason: String,
    /// When.
    pub received_at: String,
    /// How large it is; less than it was if parts are missing.
    pub bytes: usize,
    /// Whether all of its parts are there.
    pub complete: bool,
    #[serde(skip)]
    body: String,
    #[serde(skip)]
    keys: Vec<Key>,
}

impl QuarantinedMessage {
    /// Its text.
    pub fn body(&self) -> &str {
        &self.body
    }
}

/// What became of a message that was to be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RedriveOutcome {
    /// It is on the queue of events again, and no longer set aside.
    Sent,
    /// It is on the queue of events again, and was set aside again, or is being redriven by someone else.
    SetAsideAgain,
    /// It would be set aside again, for this reason; nothing was done.
    StillInvalid(String),
    /// A part of it is missing; nothing was done.
    Incomplete,
}

/// Why a message could not be tried again.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// The store failed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The queue did not take it; it is still set aside.
    #[error(transparent)]
    MessageQueue(#[from] QueueError),
}

impl Replay {
    /// Every message that is set aside, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn quarantined(&self) -> Result<Vec<QuarantinedMessage>, ReplayError> {
        let mut parts: BTreeMap<String, BTreeMap<usize, Item>> = BTreeMap::new();
        for partition in keys::quarantines() {
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

    /// Sends a message to the queue of events again, unless it would be set aside again. It leaves the quarantine only
    /// after the queue took it.
    ///
    /// # Errors
    /// If the store or the queue fails; then it is still set aside.
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
        // If a consumer has set it aside again by now, it stays: then it was received later than what was read here.
        let received_at = Value::Text(message.received_at.clone());
        let unchanged = vec![Condition::Equals("received_at".to_owned(), received_at)];
        let delete =
            |key: &Key| Write { key: key.clone(), action: Action::Delete, conditions: unchanged.clone() };
        let deletes = message.keys.iter().map(delete).collect();
        match self.store.transact(QUARANTINE_TABLE, deletes, &self.usage).await {
            Ok(()) => Ok(RedriveOutcome::Sent),
            Err(TransactError::Race) => Ok(RedriveOutcome::SetAsideAgain),
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
