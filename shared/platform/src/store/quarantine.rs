//! The quarantine: messages that cannot be events or cannot be projected, with the reason (`docs/contract/events.md`,
//! "Quarantine").

use super::client::Store;
use super::error::StoreError;
use super::usage::Usage;
use torale_domain::events::QuarantineReason;
use torale_domain::storage::item::{Item, Value};
use torale_domain::storage::keys::{self, QUARANTINE_TABLE};
use torale_domain::values::time::Timestamp;

/// The most bytes of a message's body in one item.
const PIECE_BYTES: usize = 300 * 1024;

impl Store {
    /// Puts a message into the quarantine with its reason. The key follows from the body, so that a message which comes
    /// again is stored once; its time of receipt is then the latest one.
    pub async fn quarantine(
        &self,
        body: &str,
        reason: &QuarantineReason,
        received_at: Timestamp,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let pieces = pieces(body);
        let count = i128::try_from(pieces.len()).unwrap_or(i128::MAX);
        // The first piece, which states how many there are, comes last: then the message is complete.
        for (part, piece) in pieces.iter().enumerate().rev() {
            let attributes = [
                ("body", Value::Text((*piece).to_owned())),
                ("code", Value::Text(reason.code().to_owned())),
                ("reason", Value::Text(reason.to_string())),
                ("received_at", Value::Text(received_at.to_string())),
                ("parts", Value::Number(count)),
            ];
            let attributes = attributes.map(|(name, value)| (name.to_owned(), value)).into();
            let item = Item { key: keys::quarantine(body.as_bytes(), part), attributes };
            self.put(QUARANTINE_TABLE, item, usage).await?;
        }
        Ok(())
    }
}

/// A text cut into pieces that each fit into an item. An empty text is one piece.
fn pieces(body: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = body;
    while rest.len() > PIECE_BYTES {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}
