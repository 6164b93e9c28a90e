//! The same build without a store: the items that the log says should exist, for comparing.

use super::sink::RebuildSink;
use super::{UnitOutcome, UnitWorker};
use crate::{Replay, ReplayError, StopSignal};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use torale_domain::replay::rebuild::{
    NextUnit, RebuildBoard, RebuildPlan, RebuildUnit, Tally, UnitProgress, UnitState,
};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::Lanes;
use torale_platform::compression;
use torale_platform::store::{StoreError, Usage};

/// Hands items to a callback; keeps subtotals in memory, compressed.
struct InMemory<F> {
    each: F,
    pieces: Mutex<HashMap<(RebuildUnit, u32), Vec<u8>>>,
    done: Mutex<UnitProgress>,
    left_out: Mutex<BTreeSet<Key>>,
}

impl<F: Fn(Vec<Item>) + Send + Sync> RebuildSink for InMemory<F> {
    async fn write(&self, items: Vec<Item>, _usage: &Usage) -> Result<(), ReplayError> {
        (self.each)(items);
        Ok(())
    }

    async fn save_subtotals(
        &self,
        unit: RebuildUnit,
        number: u32,
        piece: &str,
        _usage: &Usage,
    ) -> Result<(), ReplayError> {
        let packed = compression::compress(piece.as_bytes(), 1).map_err(|e| missing_piece(&e))?;
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).insert((unit, number), packed);
        Ok(())
    }

    async fn load_subtotals(&self, unit: RebuildUnit, number: u32) -> Result<String, ReplayError> {
        let packed = self.pieces.lock().unwrap_or_else(PoisonError::into_inner).get(&(unit, number)).cloned();
        let packed = packed.ok_or_else(|| missing_piece(&"a piece of subtotals is missing"))?;
        let text = compression::decompress(&packed, usize::MAX).map_err(|e| missing_piece(&e))?;
        String::from_utf8(text).map_err(|e| missing_piece(&e))
    }

    fn left_out(&self, entity: Key) {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).insert(entity);
    }

    async fn checkpoint(&self, _unit: RebuildUnit, progress: UnitProgress) -> Result<(), ReplayError> {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = progress;
        Ok(())
    }
}

fn missing_piece(fault: &dyn std::fmt::Display) -> ReplayError {
    StoreError::Refused(fault.to_string()).into()
}

/// What a build in memory has found.
#[derive(Debug, Clone, Default)]
pub struct InMemoryBuild {
    /// The counts.
    pub tally: Tally,
    /// The keys of the entities that were left out.
    pub left_out: BTreeSet<Key>,
}

/// Makes all items of a generation from all that the log holds now, and hands each to `each`, once.
///
/// # Errors
/// If the store fails, or something does not fit into memory.
pub async fn build_in_memory(
    replay: &Replay,
    lanes: Lanes,
    each: impl Fn(Vec<Item>) + Send + Sync,
) -> Result<InMemoryBuild, ReplayError> {
    let (now, stop) = (replay.now(), StopSignal::default());
    let sink =
        InMemory { each, pieces: Mutex::default(), done: Mutex::default(), left_out: Mutex::default() };
    let mut board = RebuildBoard::new(RebuildPlan {
        generation: String::new(),
        lanes: lanes.count(),
        since: replay.beginning().await?.0,
        // To the end: what has arrived by now, whichever clock it was received by.
        cut: now.plus(crate::millis(replay.settle)),
        started_at: now,
    });
    while let NextUnit::Work(unit, progress) = board.next(now) {
        let worker = UnitWorker::new(replay, &board, &sink, &stop)?;
        match worker.work(unit, progress).await? {
            UnitOutcome::Split(halves) => {
                board.units.insert(unit, UnitProgress { state: UnitState::Split, ..UnitProgress::default() });
                board.units.extend(halves.map(|half| (half, UnitProgress::default())));
            }
            UnitOutcome::Done | UnitOutcome::OutOfTime => {
                let done = sink.done.lock().unwrap_or_else(PoisonError::into_inner).clone();
                board.units.insert(unit, done);
            }
        }
    }
    let left_out = sink.left_out.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(InMemoryBuild { tally: board.tally(), left_out })
}
