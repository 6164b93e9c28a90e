//! Sinks: where the results of units go, the store or elsewhere.

use super::insert;
use crate::{Replay, ReplayError, millis};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;
use torale_domain::replay::rebuild::{RebuildPlan, RebuildUnit, UnitProgress, UnitState};
use torale_domain::storage::item::{Attributes, Item, Key, Value};
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::storage::write::{Action, Condition, Write};
use torale_platform::compression;
use torale_platform::store::{StoreError, Usage};

/// Takes what a unit produces.
pub(crate) trait RebuildSink: Send + Sync {
    /// Takes items; writes to a store are counted.
    fn write(&self, items: Vec<Item>, usage: &Usage) -> impl Future<Output = Result<(), ReplayError>> + Send;
    /// Stores a piece of subtotals for later stages.
    fn save_subtotals(
        &self,
        unit: RebuildUnit,
        number: u32,
        piece: &str,
        usage: &Usage,
    ) -> impl Future<Output = Result<(), ReplayError>> + Send;
    /// Reads a piece of subtotals.
    fn load_subtotals(
        &self,
        unit: RebuildUnit,
        number: u32,
    ) -> impl Future<Output = Result<String, ReplayError>> + Send;
    /// Takes notice of an entity that is left out.
    fn left_out(&self, entity: Key) {
        drop(entity);
    }
    /// Stores the progress of a unit; fails if another worker has taken it over.
    fn checkpoint(
        &self,
        unit: RebuildUnit,
        progress: UnitProgress,
    ) -> impl Future<Output = Result<(), ReplayError>> + Send;
}

/// How often a worker that writes looks whether its claim has ended.
const LOOK: Duration = Duration::from_millis(500);
const LINES: &str = "lines";
const LEVEL: i32 = 3;

/// The store, for one worker that has claimed one unit.
#[derive(Debug)]
pub(crate) struct StoreSink {
    replay: Replay,
    plan: RebuildPlan,
    holder: String,
    /// The unit's item as this worker knows it: every write is bound to it.
    known: Mutex<Attributes>,
    /// When the claim expires, in milliseconds of unix time.
    until: AtomicI64,
}

impl StoreSink {
    pub(super) fn new(
        replay: Replay,
        plan: RebuildPlan,
        holder: String,
        read: &UnitProgress,
    ) -> Result<Self, ReplayError> {
        Ok(Self { replay, plan, holder, known: Mutex::new(read.store()?), until: AtomicI64::new(i64::MAX) })
    }

    fn table(&self) -> String {
        keys::projections_table(&self.plan.generation)
    }

    /// The write of a unit's item over the one that is known.
    fn replace(
        &self,
        unit: RebuildUnit,
        progress: &UnitProgress,
    ) -> Result<(Write, Attributes), ReplayError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let new = progress.store()?;
        let conditions = known.into_iter().map(|(name, value)| Condition::Equals(name, value)).collect();
        let key = keys::rebuild_unit(&self.plan.generation, &unit.name());
        Ok((Write { key, action: Action::Put(new.clone()), conditions }, new))
    }

    async fn store(
        &self,
        unit: RebuildUnit,
        progress: &UnitProgress,
        more: Vec<Write>,
    ) -> Result<(), ReplayError> {
        let (write, new) = self.replace(unit, progress)?;
        let writes = std::iter::once(write).chain(more).collect();
        self.replay.store.transact(CONTROL_TABLE, writes, &self.replay.usage).await?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = new;
        if let Some((_, until)) = &progress.claim {
            self.until.store(*until, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Puts items while the claim lasts. Nothing is sent after that, since batches have no conditions: they would undo
    /// what others have written meanwhile (`Tail::until_settled`).
    async fn put(&self, table: &str, items: Vec<Item>, usage: &Usage) -> Result<(), ReplayError> {
        tokio::select! {
            biased;
            () = self.claim_ends() => Err(ReplayError::TakenOver),
            put = self.replay.store.put_all(table, items, usage) => Ok(put?),
        }
    }

    /// Returns when the claim has ended by the wall clock: the one that sleeps are timed by stands still while a
    /// machine is suspended.
    async fn claim_ends(&self) {
        loop {
            let left = self.until.load(Ordering::Relaxed).saturating_sub(self.replay.now().millis());
            if left < 0 {
                return;
            }
            sleep(Duration::from_millis(left.unsigned_abs() + 1).min(LOOK)).await;
        }
    }

    fn claim(&self) -> Option<(String, i64)> {
        let until = self.replay.now().plus(millis(self.replay.claim));
        Some((self.holder.clone(), until.millis()))
    }

    /// Claims the unit, for the first time or again.
    pub(super) async fn renew(
        &self,
        unit: RebuildUnit,
        progress: UnitProgress,
    ) -> Result<UnitProgress, ReplayError> {
        let progress = UnitProgress { claim: self.claim(), ..progress };
        self.store(unit, &progress, Vec::new()).await?;
        Ok(progress)
    }

    /// Replaces the unit by its halves.
    pub(super) async fn split(&self, unit: RebuildUnit, halves: [RebuildUnit; 2]) -> Result<(), ReplayError> {
        let mut more = Vec::new();
        for half in halves {
            let key = keys::rebuild_unit(&self.plan.generation, &half.name());
            more.push(insert(key, UnitProgress::default().store()?));
        }
        let progress = UnitProgress { state: UnitState::Split, ..UnitProgress::default() };
        match self.store(unit, &progress, more).await {
            Err(ReplayError::TakenOver) => Ok(()),
            done => done,
        }
    }
}

impl RebuildSink for StoreSink {
    async fn write(&self, items: Vec<Item>, usage: &Usage) -> Result<(), ReplayError> {
        self.put(&self.table(), items, usage).await
    }

    async fn save_subtotals(
        &self,
        unit: RebuildUnit,
        number: u32,
        piece: &str,
        usage: &Usage,
    ) -> Result<(), ReplayError> {
        let packed = compression::compress(piece.as_bytes(), LEVEL).map_err(|e| unreadable(&e))?;
        let key = keys::subtotals_piece(&self.plan.generation, &unit.name(), number);
        let item = Item { key, attributes: [(LINES.to_owned(), Value::Bytes(packed))].into() };
        self.put(CONTROL_TABLE, vec![item], usage).await
    }

    async fn load_subtotals(&self, unit: RebuildUnit, number: u32) -> Result<String, ReplayError> {
        let key = keys::subtotals_piece(&self.plan.generation, &unit.name(), number);
        let item = self.replay.store.control(&key, &self.replay.usage).await?;
        let packed = item.as_ref().and_then(|item| item.attributes.get(LINES));
        let Some(Value::Bytes(packed)) = packed else {
            return Err(unreadable(&format!("piece {number} of unit {} is gone", unit.name())));
        };
        let text = compression::decompress(packed, usize::MAX).map_err(|e| unreadable(&e))?;
        String::from_utf8(text).map_err(|e| unreadable(&e))
    }

    async fn checkpoint(&self, unit: RebuildUnit, progress: UnitProgress) -> Result<(), ReplayError> {
        // A worker that continues renews its claim; one that is done, or releases the unit, has
        // none.
        let claim = if progress.claim.is_some() { self.claim() } else { None };
        self.store(unit, &UnitProgress { claim, ..progress }, Vec::new()).await
    }
}

fn unreadable(fault: &dyn std::fmt::Display) -> ReplayError {
    StoreError::Refused(fault.to_string()).into()
}
