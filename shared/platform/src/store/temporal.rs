//! How far Temporal's runs were read, an item for each server and namespace (`docs/adr/0026-events-from-temporal.md`).

use super::calls::{NumberComparison, SetValue, UpdateCondition};
use super::client::Store;
use super::error::StoreError;
use super::usage::Usage;
use torale_domain::storage::item::{Item, Value};
use torale_domain::storage::keys;
use torale_domain::values::time::{DAY, Timestamp};

/// Attributes: milliseconds since 1970, milliseconds, and 1 if it is so.
const UNTIL: &str = "until";
const WINDOW: &str = "window";
const SEEN: &str = "seen";

/// What a sync of a namespace knows of its last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemporalSyncState {
    /// The runs that began or ended before this time were read.
    pub until: Timestamp,
    /// The milliseconds that are asked for at once from there on.
    pub window: i64,
    /// Whether the namespace has had a schedule that the projections know, or was read when they knew none. Before that
    /// it may be the wrong namespace, and nothing of it is sent.
    pub seen: bool,
}

impl Default for TemporalSyncState {
    /// Of a namespace of which nothing was read: all that there may be.
    fn default() -> Self {
        Self { until: Timestamp::EARLIEST, window: DAY, seen: false }
    }
}

impl Store {
    /// How far the runs of a server's namespace were read.
    ///
    /// # Errors
    /// If the store does not answer in time.
    pub async fn temporal_sync(&self, source: &str, usage: &Usage) -> Result<TemporalSyncState, StoreError> {
        let item = self.control(&keys::temporal_sync(source), usage).await?;
        Ok(item.as_ref().map_or_else(TemporalSyncState::default, read))
    }

    /// Stores how far the runs of a namespace were read, unless a sync at the same time has read further.
    ///
    /// # Errors
    /// If the store does not answer in time.
    pub async fn save_temporal_sync(
        &self,
        source: &str,
        state: &TemporalSyncState,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let number =
            |name: &str, number: i64| (name.to_owned(), SetValue::Value(Value::Number(number.into())));
        let set = vec![
            number(UNTIL, state.until.millis()),
            number(WINDOW, state.window),
            number(SEEN, i64::from(state.seen)),
        ];
        let not_further = NumberComparison::AtMost(UNTIL.to_owned(), state.until.millis());
        let conditions = vec![UpdateCondition::AbsentOr(UNTIL.to_owned(), not_further)];
        self.update_control(&keys::temporal_sync(source), set, conditions, usage).await.map(drop)
    }
}

fn read(item: &Item) -> TemporalSyncState {
    let number = |name: &str| i64::try_from(item.number(name)).unwrap_or_default();
    TemporalSyncState {
        until: Timestamp::from_millis(number(UNTIL)).max(Timestamp::EARLIEST),
        window: number(WINDOW).max(1),
        seen: number(SEEN) == 1,
    }
}
