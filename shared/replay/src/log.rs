//! Reading the log, lane by lane, hour by hour, some hours ahead.

use crate::{Replay, ReplayError, millis};
use futures::stream::{self, StreamExt};
use tokio::sync::mpsc;
use torale_domain::events::{self, Event, ReceivedMessage};
use torale_domain::replay::rebuild::Tally;
use torale_domain::storage::item::{Item, Key, Value};
use torale_domain::storage::keys::{self, EVENTS_TABLE, UNKNOWN_LANE};
use torale_domain::values::ids::EntityKey;
use torale_domain::values::time::{Hour, Timestamp};
use torale_platform::store::StoreError;
use torale_platform::store::bulk::ItemPage;
use torale_platform::store::log::unpack;

/// Hours of a lane that are read at once.
const HOURS: usize = 16;
/// Pages that are buffered for the reader.
const PAGES: usize = 4;

/// A part of a lane: from one time of receipt to another.
#[derive(Debug, Clone, Copy)]
pub struct LogSpan {
    /// The lane.
    pub lane: u32,
    /// The first time of receipt.
    pub from: Timestamp,
    /// Only records received before this time; all without it.
    pub before: Option<Timestamp>,
    /// The last hour.
    pub last: Hour,
}

impl Replay {
    /// The records of the log in a span, in the order of their receipt, page by page as they are
    /// read.
    pub fn read(&self, span: LogSpan) -> mpsc::Receiver<Result<Vec<Item>, StoreError>> {
        let (send, receive) = mpsc::channel(PAGES);
        let replay = self.clone();
        // It ends with the span, or when the receiver is dropped.
        tokio::spawn(async move {
            if let Err(error) = replay.send_pages(span, &send).await {
                send.send(Err(error)).await.ok();
            }
        });
        receive
    }

    async fn send_pages(
        &self,
        span: LogSpan,
        send: &mpsc::Sender<Result<Vec<Item>, StoreError>>,
    ) -> Result<(), StoreError> {
        let from = keys::log_from(span.from);
        let hours = (span.from.hour().0..=span.last.0).map(|hour| keys::log_partition(Hour(hour), span.lane));
        let first = hours.map(|partition| async {
            let page = self.log_page(&partition, &from, None).await;
            page.map(|page| (partition, page))
        });
        let mut partitions = stream::iter(first).buffered(HOURS);
        while let Some(next) = partitions.next().await {
            let (partition, (mut items, mut after)) = next?;
            loop {
                if let Some(before) = span.before {
                    items.retain(|item| keys::parse_log(&item.key).is_none_or(|(_, _, at)| at < before));
                }
                if !items.is_empty() && send.send(Ok(items)).await.is_err() {
                    return Ok(());
                }
                let Some(next) = after else { break };
                (items, after) = self.log_page(&partition, &from, Some(&next)).await?;
            }
        }
        Ok(())
    }

    async fn log_page(
        &self,
        partition: &str,
        from: &str,
        after: Option<&Key>,
    ) -> Result<ItemPage, StoreError> {
        self.store.partition_page(EVENTS_TABLE, partition, from, after, &self.usage).await
    }

    /// The hour in which the log begins. A log that nobody has searched is scanned for it once: what
    /// a writer has noted may be later, if the item was lost before, as in a table that was restored
    /// without the control table.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn beginning(&self) -> Result<Hour, ReplayError> {
        if let Some(noted) = self.store.log_beginning(&self.usage).await? {
            return Ok(noted);
        }
        let (mut first, mut after) = (None::<Hour>, None);
        loop {
            let (items, next) =
                self.store.scan_page(EVENTS_TABLE, (0, 1), after.as_ref(), &self.usage).await?;
            let hours = items.iter().filter_map(|item| keys::parse_log(&item.key));
            first = first.into_iter().chain(hours.map(|(hour, ..)| hour)).min();
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let Some(first) = first else { return Ok(self.now().hour()) };
        self.store.note_searched(first, &self.usage).await?;
        Ok(first)
    }
}

/// An event as the log holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// When it was received.
    pub received_at: Timestamp,
    /// The message.
    pub message: String,
}

impl Replay {
    /// The events of one entity in the log, in the order in which registers prefer events: the
    /// greatest last.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn events_of(&self, entity: &EntityKey) -> Result<Vec<LoggedEvent>, ReplayError> {
        let beginning = self.beginning().await?.start();
        let last = self.now().plus(millis(self.settle)).hour();
        let mut found: Vec<(Event, LoggedEvent)> = Vec::new();
        for lane in [keys::log_lane(entity), UNKNOWN_LANE] {
            let mut pages = self.read(LogSpan { lane, from: beginning, before: None, last });
            while let Some(page) = pages.recv().await {
                for item in page? {
                    let received_at = keys::parse_log(&item.key).map_or(beginning, |(_, _, at)| at);
                    for message in messages(&item, &mut Tally::default()) {
                        let Ok(ReceivedMessage::Known(event)) = events::parse(&message, None) else {
                            continue;
                        };
                        if event.entity() == *entity {
                            found.push((*event, LoggedEvent { received_at, message }));
                        }
                    }
                }
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found.into_iter().map(|(_, logged)| logged).collect())
    }
}

/// The messages of a record of the log; counts the record as undecodable if it can't be read, or
/// holds another number of messages than it says.
pub fn messages(item: &Item, tally: &mut Tally) -> Vec<String> {
    let unpacked = match item.attributes.get("events") {
        Some(Value::Bytes(packed)) => unpack(packed).ok(),
        Some(Value::Text(_) | Value::Number(_)) | None => None,
    };
    let messages = unpacked.unwrap_or_default();
    if messages.is_empty() || i128::try_from(messages.len()) != Ok(item.number("n")) {
        tally.undecodable(&item.key);
    }
    messages
}

/// The events of a record whose types this release knows; counts the others.
pub fn known(item: &Item, tally: &mut Tally) -> Vec<Event> {
    let mut known = Vec::new();
    for message in messages(item, tally) {
        match events::parse(&message, None) {
            Ok(ReceivedMessage::Known(event)) => known.push(*event),
            Ok(ReceivedMessage::Unknown { event_type }) => tally.unknown(&event_type, 1),
            Err(_) => tally.undecodable(&item.key),
        }
    }
    known
}
