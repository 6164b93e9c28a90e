//! The same build without a store: the log's items as they should be, handed to whoever asks, for comparing.

use super::place::Place;
use super::{Worked, Worker};
use crate::{Failure, Replay, Stop};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use torale_domain::item::Item;
use torale_domain::keys::Lanes;
use torale_domain::rebuild::{Board, Next, Plan, Progress, State, Tally, Unit};
use torale_platform::store::{StoreError, Usage};

/// Hands items on; keeps subtotals in memory, compressed.
struct InMemory<F> {
    each: F,
    pieces: Mutex<HashMap<(Unit, u32), Vec<u8>>>,
    done: Mutex<Progress>,
}

impl<F: Fn(Vec<Item>) + Send + Sync> Place for InMemory<F> {
    async fn write(&self, items: Vec<Item>, _usage: &Usage) -> Result<(), Failure> {
        (self.each)(items);
        Ok(())
    }

    async fn put_aside(&self, unit: Unit, number: u32, piece: &str, _usage: &Usage) -> Result<(), Failure> {
        let packed = zstd::bulk::compress(piece.as_bytes(), 1).map_err(|e| gone(&e))?;
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).insert((unit, number), packed);
        Ok(())
    }

    async fn piece(&self, unit: Unit, number: u32) -> Result<String, Failure> {
        let packed = self.pieces.lock().unwrap_or_else(PoisonError::into_inner).get(&(unit, number)).cloned();
        let packed = packed.ok_or_else(|| gone(&"a piece was not put aside"))?;
        let text = zstd::decode_all(packed.as_slice()).map_err(|e| gone(&e))?;
        String::from_utf8(text).map_err(|e| gone(&e))
    }

    async fn keep(&self, _unit: Unit, progress: Progress) -> Result<(), Failure> {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = progress;
        Ok(())
    }
}

fn gone(fault: &dyn std::fmt::Display) -> Failure {
    StoreError::Refused(fault.to_string()).into()
}

/// Makes all items of a generation from all that the log holds now, and hands them over, each once.
///
/// # Errors
/// If the store fails, or something does not fit into memory.
pub async fn build_in_memory(
    replay: &Replay,
    lanes: Lanes,
    each: impl Fn(Vec<Item>) + Send + Sync,
) -> Result<Tally, Failure> {
    let (now, stop) = (replay.now(), Stop::default());
    let place = InMemory { each, pieces: Mutex::default(), done: Mutex::default() };
    let mut board = Board::new(Plan {
        generation: String::new(),
        lanes: lanes.count(),
        since: replay.beginning().await?.0,
        // To the end: what has arrived by now, whichever clock it was received by.
        cut: now.plus(crate::millis(replay.settle)),
        started_at: now,
    });
    while let Next::Work(unit, progress) = board.next(now) {
        let worker = Worker::new(replay, &board, &place, &stop)?;
        match worker.work(unit, progress).await? {
            Worked::Split(halves) => {
                board.units.insert(unit, Progress { state: State::Split, ..Progress::default() });
                board.units.extend(halves.map(|half| (half, Progress::default())));
            }
            Worked::Done | Worked::OutOfTime => {
                let done = place.done.lock().unwrap_or_else(PoisonError::into_inner).clone();
                board.units.insert(unit, done);
            }
        }
    }
    Ok(board.tally())
}
