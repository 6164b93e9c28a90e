//! The append-only log of events, and the quarantine of messages that can't be events.
//!
//! A batch becomes one item a lane: its messages as JSON text sequence (RFC 7464: each preceded by the record
//! separator, which no JSON text contains), compressed with zstd.

use super::{CAPACITY, Store, StoreError, Usage, convert};
use aws_sdk_dynamodb::types::AttributeValue;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::io;
use std::sync::PoisonError;
use torale_domain::events::QuarantineReason;
use torale_domain::storage::item::{Item, Key, Value};
use torale_domain::storage::keys::{self, CONTROL_TABLE, EVENTS_TABLE, PK, QUARANTINE_TABLE};
use torale_domain::values::time::{Hour, Timestamp};

/// A part of the log is closed once it holds this much text: far below an item's 400 KB even if nothing can be compressed.
const PART_BYTES: usize = 64 * 1024;
/// Bytes of a message in one item of the quarantine.
const QUARANTINE_BYTES: usize = 300 * 1024;
const SEPARATOR: char = '\u{1e}';
const LEVEL: i32 = 3;
const HOUR: &str = "hour";
const PARALLEL: usize = 16;

/// A message for the log.
#[derive(Debug, Clone, Copy)]
pub struct LogEntry<'a> {
    /// The lane of its entity.
    pub lane: u32,
    /// The message as received.
    pub body: &'a str,
}

impl Store {
    /// Appends messages; returns when all of them are durable. `writer` is unique to this call.
    pub async fn append(
        &self,
        messages: &[LogEntry<'_>],
        received_at: Timestamp,
        writer: &str,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        self.note_beginning(received_at, usage).await?;
        let puts = parts(messages).into_iter().enumerate().map(|(part, (lane, bodies))| {
            let item = item(keys::log(received_at, lane, writer, part), &bodies);
            async move { self.insert(EVENTS_TABLE, item?, usage).await.map(drop) }
        });
        stream::iter(puts).buffer_unordered(PARALLEL).try_collect().await
    }

    /// Sees to it that the log is known to begin in this hour or before it: one write by each instance.
    pub async fn note_beginning(&self, received_at: Timestamp, usage: &Usage) -> Result<(), StoreError> {
        let hour = received_at.hour();
        let known = *self.log_beginning.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some_and(|known| known <= hour) {
            return Ok(());
        }
        let call = self.client.update_item().table_name(CONTROL_TABLE);
        let call = call.set_key(Some(convert::key(&keys::log_beginning())));
        let call = call.update_expression("SET #h = :h").expression_attribute_names("#h", HOUR);
        let call = call.condition_expression("attribute_not_exists(#h) OR #h > :h");
        let call = call.expression_attribute_values(":h", AttributeValue::N(hour.0.to_string()));
        match call.return_consumed_capacity(CAPACITY).send().await {
            Ok(answer) => usage.wrote(answer.consumed_capacity.as_slice()),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {}
            Err(error) => return Err(StoreError::from_sdk(error)),
        }
        *self.log_beginning.lock().unwrap_or_else(PoisonError::into_inner) = Some(hour);
        Ok(())
    }

    /// The hour in which the log begins; `None` while it is empty.
    pub async fn log_beginning(&self, usage: &Usage) -> Result<Option<Hour>, StoreError> {
        Ok(self.control(&keys::log_beginning(), usage).await?.as_ref().and_then(beginning))
    }

    /// Sets a message aside with its reason: in one place, however often it comes.
    pub async fn set_aside(
        &self,
        body: &str,
        reason: &QuarantineReason,
        received_at: Timestamp,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let pieces = pieces(body);
        let mut items = Vec::new();
        for (part, piece) in pieces.iter().enumerate().rev() {
            let count = i128::try_from(pieces.len()).unwrap_or(i128::MAX);
            let attributes = [
                ("body", Value::Text((*piece).to_owned())),
                ("code", Value::Text(reason.code().to_owned())),
                ("reason", Value::Text(reason.to_string())),
                ("received_at", Value::Text(received_at.to_string())),
                ("parts", Value::Number(count)),
            ];
            let attributes = attributes.map(|(name, value)| (name.to_owned(), value)).into();
            items.push(Item { key: keys::quarantine(body.as_bytes(), part), attributes });
        }
        // Over one that is there: it has come again, and who has sent it again must see that.
        for item in items {
            self.put(QUARANTINE_TABLE, item, usage).await?;
        }
        Ok(())
    }

    /// Puts an item, whatever is there.
    pub(super) async fn put(&self, table: &str, item: Item, usage: &Usage) -> Result<(), StoreError> {
        let item = convert::full(&item.key, item.attributes);
        let call = self.client.put_item().table_name(table).set_item(Some(item));
        let answer = call.return_consumed_capacity(CAPACITY).send().await;
        usage.wrote(answer.map_err(StoreError::from_sdk)?.consumed_capacity.as_slice());
        Ok(())
    }

    /// Puts an item that is not there yet; one that is there stays as it is. Returns whether it was put.
    pub(super) async fn insert(&self, table: &str, item: Item, usage: &Usage) -> Result<bool, StoreError> {
        let item = convert::full(&item.key, item.attributes);
        let call = self.client.put_item().table_name(table).set_item(Some(item));
        let call =
            call.condition_expression("attribute_not_exists(#pk)").expression_attribute_names("#pk", PK);
        match call.return_consumed_capacity(CAPACITY).send().await {
            Ok(answer) => {
                usage.wrote(answer.consumed_capacity.as_slice());
                Ok(true)
            }
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(StoreError::from_sdk(error)),
        }
    }
}

/// The hour that the item of the log's beginning tells.
pub fn beginning(item: &Item) -> Option<Hour> {
    let noted = item.attributes.contains_key(HOUR).then(|| i64::try_from(item.number(HOUR)));
    noted?.ok().map(Hour)
}

fn parts<'a>(messages: &[LogEntry<'a>]) -> Vec<(u32, Vec<&'a str>)> {
    let mut lanes: BTreeMap<u32, Vec<Vec<&str>>> = BTreeMap::new();
    for message in messages {
        let parts = lanes.entry(message.lane).or_default();
        match parts.last_mut() {
            Some(part)
                if part.iter().map(|body| body.len()).sum::<usize>() + message.body.len() <= PART_BYTES =>
            {
                part.push(message.body);
            }
            Some(_) | None => parts.push(vec![message.body]),
        }
    }
    lanes.into_iter().flat_map(|(lane, parts)| parts.into_iter().map(move |part| (lane, part))).collect()
}

/// A part of the log.
pub fn item(key: Key, bodies: &[&str]) -> Result<Item, StoreError> {
    let packed = pack(bodies).map_err(|e| StoreError::Refused(e.to_string()))?;
    let count = i128::try_from(bodies.len()).unwrap_or(i128::MAX);
    let attributes = [("events", Value::Bytes(packed)), ("n", Value::Number(count))];
    Ok(Item { key, attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into() })
}

fn pack(bodies: &[&str]) -> io::Result<Vec<u8>> {
    let mut text = String::with_capacity(bodies.iter().map(|body| body.len() + 2).sum());
    for body in bodies {
        text.push(SEPARATOR);
        text.push_str(body);
        text.push('\n');
    }
    zstd::bulk::compress(text.as_bytes(), LEVEL)
}

/// The messages of one item of the log.
pub fn unpack(packed: &[u8]) -> io::Result<Vec<String>> {
    let text = String::from_utf8(zstd::decode_all(packed)?)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    if !text.is_empty() && !text.starts_with(SEPARATOR) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "does not begin with a separator"));
    }
    Ok(text.split(SEPARATOR).skip(1).map(|body| body.strip_suffix('\n').unwrap_or(body).to_owned()).collect())
}

/// A text cut into pieces that fit into items; an empty text is one piece.
fn pieces(body: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = body;
    while rest.len() > QUARANTINE_BYTES {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(QUARANTINE_BYTES));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were_received() {
        let bodies = ["{\n \"a\": 1\n}\n", "{}", "{\"text\":\"\\u001e\"}"];
        assert_eq!(unpack(&pack(&bodies).unwrap()).unwrap(), bodies);
    }

    #[test]
    fn a_part_ends_before_it_outgrows_an_item() {
        let body = "x".repeat(PART_BYTES / 2);
        let messages: Vec<_> = (0..5).map(|i| LogEntry { lane: i % 2, body: &body }).collect();
        let sizes: Vec<_> = parts(&messages).iter().map(|(lane, part)| (*lane, part.len())).collect();
        assert_eq!(sizes, [(0, 2), (0, 1), (1, 2)]);
    }
}
