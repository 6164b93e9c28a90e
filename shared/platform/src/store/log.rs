//! The event log: append-only.
//!
//! The events of one batch and lane become one item (several if they are large): their messages as a JSON text sequence
//! (RFC 7464: each preceded by the record separator, which no JSON text contains), compressed with zstd. The reasons
//! are in `docs/adr/0004-the-log-is-packed.md`.

use super::calls::{NumberComparison, SetValue, UpdateCondition};
use super::client::Store;
use super::error::StoreError;
use super::usage::Usage;
use crate::compression;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::io;
use std::sync::PoisonError;
use torale_domain::events::ReceivedMessage;
use torale_domain::storage::item::{Item, Key, Value};
use torale_domain::storage::keys::{self, EVENTS_TABLE, UNKNOWN_LANE};
use torale_domain::values::time::{Hour, Timestamp};

/// An item of the log is full once it holds this many bytes of text: far below an item's 400 KB, even if nothing can be
/// compressed.
const PART_BYTES: usize = 64 * 1024;
/// The most bytes of text that an item is unpacked to: many times what one can hold, a message of 256 KiB or a part of
/// several.
const MAX_UNPACKED: usize = 4 * 1024 * 1024;
const SEPARATOR: char = '\u{1e}';
const LEVEL: i32 = 3;
/// The earliest hour that a writer has noted.
const HOUR: &str = "hour";
/// That the log was searched for what is earlier.
const SEARCHED: &str = "searched";
const PARALLEL: usize = 16;

/// A message to append to the log.
#[derive(Debug, Clone, Copy)]
pub struct LogEntry<'a> {
    /// The lane of its entity.
    pub lane: u32,
    /// The message as received.
    pub body: &'a str,
}

impl<'a> LogEntry<'a> {
    /// A message, for the lane of the entity that it is about. Those of unknown types have a lane of their own.
    pub fn of(body: &'a str, received: &ReceivedMessage) -> Self {
        let lane = match received {
            ReceivedMessage::Known(event) => keys::log_lane(&event.entity()),
            ReceivedMessage::Unknown { .. } => UNKNOWN_LANE,
        };
        Self { lane, body }
    }
}

impl Store {
    /// Appends messages. Returns when all of them are durable. `writer` must be unique to this call.
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
        // As a list, so that a spawned task may append.
        let puts: Vec<_> = puts.collect();
        stream::iter(puts).buffer_unordered(PARALLEL).try_collect().await
    }

    /// Makes sure that the stored beginning of the log is not after this hour: one write by each instance.
    pub async fn note_beginning(&self, received_at: Timestamp, usage: &Usage) -> Result<(), StoreError> {
        let hour = received_at.hour();
        let known = *self.log_beginning.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some_and(|known| known <= hour) {
            return Ok(());
        }
        let set = vec![(HOUR.to_owned(), SetValue::Value(Value::Number(hour.0.into())))];
        let later = NumberComparison::MoreThan(HOUR.to_owned(), hour.0);
        let conditions = vec![UpdateCondition::AbsentOr(HOUR.to_owned(), later)];
        self.update_control(&keys::log_beginning(), set, conditions, usage).await?;
        *self.log_beginning.lock().unwrap_or_else(PoisonError::into_inner) = Some(hour);
        Ok(())
    }

    /// Notes that the log was searched, and the hour in which it was found to begin. An earlier hour that is noted
    /// stays. Both at once, and whatever this instance has noted before: that may be lost.
    pub async fn note_searched(&self, first: Hour, usage: &Usage) -> Result<(), StoreError> {
        let (key, number) =
            (keys::log_beginning(), |number: i64| SetValue::Value(Value::Number(number.into())));
        let searched = (SEARCHED.to_owned(), number(1));
        let set = vec![(HOUR.to_owned(), number(first.0)), searched.clone()];
        let later = NumberComparison::MoreThan(HOUR.to_owned(), first.0);
        let conditions = vec![UpdateCondition::AbsentOr(HOUR.to_owned(), later)];
        if self.update_control(&key, set, conditions, usage).await? {
            return Ok(());
        }
        let no_later = NumberComparison::AtMost(HOUR.to_owned(), first.0);
        let conditions = vec![
            UpdateCondition::Present(HOUR.to_owned()),
            UpdateCondition::AbsentOr(HOUR.to_owned(), no_later),
        ];
        self.update_control(&key, vec![searched], conditions, usage).await?;
        Ok(())
    }

    /// The hour in which the log begins; `None` if nobody has searched the log since that was noted first. Where the
    /// item was lost, the next writer notes an hour before which there may be more.
    pub async fn log_beginning(&self, usage: &Usage) -> Result<Option<Hour>, StoreError> {
        let item = self.control(&keys::log_beginning(), usage).await?;
        Ok(item.filter(|item| item.attributes.contains_key(SEARCHED)).as_ref().and_then(beginning))
    }
}

/// Reads the item that holds the beginning of the log.
pub fn beginning(item: &Item) -> Option<Hour> {
    let hour = item.attributes.contains_key(HOUR).then(|| i64::try_from(item.number(HOUR)));
    hour?.ok().map(Hour)
}

/// Messages by lane, in parts that each fit into an item.
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

/// An item of the log that holds these messages.
///
/// # Errors
/// If they can't be compressed.
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
    compression::compress(text.as_bytes(), LEVEL)
}

/// The messages in the packed bytes of one item of the log.
///
/// # Errors
/// If they are not a compressed JSON text sequence, or of more bytes than this system packs into one item.
pub fn unpack(packed: &[u8]) -> io::Result<Vec<String>> {
    let text = compression::decompress(packed, MAX_UNPACKED)?;
    let text = String::from_utf8(text).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    if !text.is_empty() && !text.starts_with(SEPARATOR) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "does not begin with a separator"));
    }
    Ok(text.split(SEPARATOR).skip(1).map(|body| body.strip_suffix('\n').unwrap_or(body).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpack_returns_messages_as_they_were_received() {
        let bodies = ["{\n \"a\": 1\n}\n", "{}", "{\"text\":\"\\u001e\"}"];
        assert_eq!(unpack(&pack(&bodies).unwrap()).unwrap(), bodies);
    }

    #[test]
    fn unpack_refuses_what_would_fill_the_memory() {
        let packed = |bytes| {
            let text = format!("\x1e{}", " ".repeat(bytes - 1));
            compression::compress(text.as_bytes(), 1).unwrap()
        };
        assert_eq!(unpack(&packed(MAX_UNPACKED)).unwrap().len(), 1);
        for bytes in [MAX_UNPACKED + 1, 3 * MAX_UNPACKED] {
            assert!(packed(bytes).len() < 10_000);
            assert_eq!(unpack(&packed(bytes)).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    /// A thread keeps what it unpacks with.
    #[test]
    fn unpack_is_not_disturbed_by_an_item_that_could_not_be_unpacked() {
        let good = pack(&["{}"]).unwrap();
        let large = compression::compress(&vec![b'\x1e'; 3 * MAX_UNPACKED], 1).unwrap();
        for bad in [large.as_slice(), &good[..good.len() - 3], b"no zstd at all"] {
            assert!(unpack(bad).is_err());
            assert_eq!(unpack(&good).unwrap(), ["{}"]);
        }
    }

    #[test]
    fn messages_of_a_lane_are_split_before_they_outgrow_an_item() {
        let body = "x".repeat(PART_BYTES / 2);
        let messages: Vec<_> = (0..5).map(|i| LogEntry { lane: i % 2, body: &body }).collect();
        let sizes: Vec<_> = parts(&messages).iter().map(|(lane, part)| (*lane, part.len())).collect();
        assert_eq!(sizes, [(0, 2), (0, 1), (1, 2)]);
    }
}
