//! One unit of a build: gather its entities, queries or counters, then write their items in a
//! fixed order.

mod people;

use super::sink::RebuildSink;
use crate::log::{self, LogSpan};
use crate::{Replay, ReplayError, StopSignal};
use std::pin::pin;
use tokio::time::{Duration, Instant, timeout};
use torale_domain::projections::build::{EntityFault, Subtotals, counter};
use torale_domain::projections::people::JoinInput;
use torale_domain::replay::rebuild::fold::EntityFold;
use torale_domain::replay::rebuild::subtotals::SubtotalLine;
use torale_domain::replay::rebuild::{
    RebuildBoard, RebuildUnit, Stage, Tally, UnitProgress, UnitState, subtotals,
};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{self, Lanes, UNKNOWN_LANE};
use torale_domain::values::ids::EntityKey;
use torale_domain::values::time::Hour;
use torale_platform::store::Usage;

/// The weight at which subtotals are saved, in bytes of memory. Workers with four times as much memory, or more, cut
/// them alike: a piece that got no answer and takes effect after another worker has saved it as well changes nothing.
const SAVED_AT: usize = 32 * 1024 * 1024;

/// How often a claim is renewed during a write, at most.
const RENEWAL: Duration = Duration::from_secs(1);

/// The result of working on a unit.
#[derive(Debug)]
pub(crate) enum UnitOutcome {
    /// It is done.
    Done,
    /// It does not fit into memory.
    Split([RebuildUnit; 2]),
    /// The time is up; the unit was released.
    OutOfTime,
}

/// Works on units of one board.
pub(crate) struct UnitWorker<'a, P> {
    pub(super) replay: &'a Replay,
    board: &'a RebuildBoard,
    pub(super) lanes: Lanes,
    sink: &'a P,
    stop: &'a StopSignal,
}

/// What was gathered, if it fits into memory.
enum Gathered<T> {
    Complete(T),
    TooLarge,
}

impl<'a, P: RebuildSink> UnitWorker<'a, P> {
    pub(crate) fn new(
        replay: &'a Replay,
        board: &'a RebuildBoard,
        sink: &'a P,
        stop: &'a StopSignal,
    ) -> Result<Self, ReplayError> {
        Ok(Self { replay, board, lanes: board.plan.lanes()?, sink, stop })
    }

    /// Works on a claimed unit.
    pub(crate) async fn work(
        &self,
        unit: RebuildUnit,
        progress: UnitProgress,
    ) -> Result<UnitOutcome, ReplayError> {
        let mut writer = UnitWriter::new(self, unit, progress);
        match unit.stage {
            Stage::Entities => self.entities(unit, writer).await,
            Stage::Identities => people::identities(self, writer).await,
            Stage::People => people::users(self, writer).await,
            Stage::Tasks => {
                let Gathered::Complete(mut gathered) = self.gather(&mut writer).await? else {
                    return self.split(unit);
                };
                let lanes = self.lanes;
                let make = |(id, state, totals), subtotals: &mut Subtotals| {
                    let key = EntityKey::Task(id);
                    subtotals
                        .entity(&key, state, totals, lanes)
                        .map_err(|fault| LeftOutEntity::new(&key, fault))
                };
                writer.write_all(gathered.take_tasks(), make).await
            }
            Stage::Queries => {
                let Gathered::Complete(gathered) = self.gather(&mut writer).await? else {
                    return self.split(unit);
                };
                let mut queries: Vec<_> = gathered.queries.into_iter().collect();
                queries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
                writer
                    .write_all(queries, |(query, totals), subtotals| Ok(subtotals.query(&query, &totals)))
                    .await
            }
            Stage::Counters => {
                let Gathered::Complete(gathered) = self.gather(&mut writer).await? else {
                    return self.split(unit);
                };
                let mut counters: Vec<_> = gathered.counters.into_iter().collect();
                counters.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
                writer
                    .write_all(counters, |(key, amounts), _| Ok(counter(key, amounts).into_iter().collect()))
                    .await
            }
        }
    }

    pub(super) fn split(&self, unit: RebuildUnit) -> Result<UnitOutcome, ReplayError> {
        unit.halves().map(UnitOutcome::Split).ok_or(ReplayError::TooLarge(self.replay.memory))
    }

    /// Folds the lane's events, then writes entities; tasks wait for the next stage.
    async fn entities(
        &self,
        unit: RebuildUnit,
        mut writer: UnitWriter<'a, '_, P>,
    ) -> Result<UnitOutcome, ReplayError> {
        let own = unit.lane.unwrap_or_default();
        let mut folding = EntityFold::new(unit.slice);
        for lane in [own, UNKNOWN_LANE] {
            let mut tally = Tally::default();
            let mut pages = self.replay.read(self.span(lane));
            while let Some(page) = pages.recv().await {
                for item in page? {
                    let events = log::known(&item, &mut tally);
                    self.replay.meter.read(events.len());
                    // Events that were of unknown type when received may be of any lane's entities.
                    let ours = events
                        .into_iter()
                        .filter(|event| lane != UNKNOWN_LANE || keys::log_lane(&event.entity()) == own);
                    ours.for_each(|event| folding.add(event));
                }
                if folding.weight() > self.replay.memory {
                    return self.split(unit);
                }
                if self.stop.is_due() {
                    return writer.release().await;
                }
                writer.heartbeat().await?;
            }
            // What belongs to no entity is counted once, by one half of a split lane; the lane of
            // unknown types, which all units read, by the units of lane 0.
            if unit.slice.is_first() && (lane == own || own == 0) {
                writer.count(&tally);
            }
        }
        writer.tally.events = folding.events();
        let lanes = self.lanes;
        let make = |(key, state), subtotals: &mut Subtotals| {
            subtotals.entity_or_wait(&key, state, lanes).map_err(|fault| LeftOutEntity::new(&key, fault))
        };
        writer.write_all(folding.into_sorted(), make).await
    }

    fn span(&self, lane: u32) -> LogSpan {
        let plan = &self.board.plan;
        LogSpan { lane, from: Hour(plan.since).start(), before: Some(plan.cut), last: plan.cut.hour() }
    }

    /// The pieces of subtotals that a unit of this stage reads, in a fixed order.
    pub(super) fn pieces(&self, stage: Stage) -> Vec<SubtotalsPiece> {
        let units = self.board.subtotals_for(stage).into_iter();
        units
            .flat_map(|(from, pieces)| (0..pieces).map(move |number| SubtotalsPiece { from, number }))
            .collect()
    }

    /// The lines of a piece that are for this unit.
    pub(super) async fn lines(
        &self,
        writer: &UnitWriter<'a, '_, P>,
        SubtotalsPiece { from, number }: SubtotalsPiece,
    ) -> Result<Vec<SubtotalLine>, ReplayError> {
        let (stage, slice) = (writer.unit.stage, writer.unit.slice);
        let piece = match self.sink.load_subtotals(from, number).await {
            Ok(piece) => piece,
            // Another worker may have taken over and ended the build.
            Err(error) => {
                self.sink.checkpoint(writer.unit, writer.progress.clone()).await?;
                return Err(error);
            }
        };
        let lines = subtotals::read(&piece);
        let lines = lines.filter(|line| line.as_ref().map_or(true, |line| line.is_for(stage, slice)));
        Ok(lines.collect::<Result<_, _>>()?)
    }

    /// Adds up the subtotals that earlier stages have stored for this unit.
    async fn gather(&self, writer: &mut UnitWriter<'a, '_, P>) -> Result<Gathered<Subtotals>, ReplayError> {
        let mut gathered = Subtotals::default();
        for piece in self.pieces(writer.unit.stage) {
            for line in self.lines(writer, piece).await? {
                line.add_to(&mut gathered)?;
            }
            if gathered.weight() > self.replay.memory {
                return Ok(Gathered::TooLarge);
            }
            writer.heartbeat().await?;
        }
        Ok(Gathered::Complete(gathered))
    }
}

/// A piece of the subtotals of a unit of an earlier stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct SubtotalsPiece {
    from: RebuildUnit,
    number: u32,
}

/// An entity that is left out, and why.
pub(super) struct LeftOutEntity {
    entity: Key,
    fault: EntityFault,
}

impl LeftOutEntity {
    pub(super) fn new(entity: &EntityKey, fault: EntityFault) -> Self {
        Self { entity: keys::entity(entity), fault }
    }
}

/// Whether there is time for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeCheck {
    /// There is.
    Continue,
    /// The time is up: the unit is to be released.
    OutOfTime,
}

/// Writes the items of a unit, with checkpoints.
pub(super) struct UnitWriter<'a, 'w, P> {
    worker: &'w UnitWorker<'a, P>,
    pub(super) unit: RebuildUnit,
    progress: UnitProgress,
    /// Counts of this try; items and write units continue those of `progress`.
    tally: Tally,
    usage: Usage,
    pub(super) subtotals: Subtotals,
    checkpoint: Instant,
    /// Items that are not written yet.
    batch: Vec<Item>,
    /// Sources that were taken in this try.
    taken: u64,
}

impl<'a, 'w, P: RebuildSink> UnitWriter<'a, 'w, P> {
    fn new(worker: &'w UnitWorker<'a, P>, unit: RebuildUnit, progress: UnitProgress) -> Self {
        let tally = Tally {
            items: progress.tally.items,
            write_halves: progress.tally.write_halves,
            ..Tally::default()
        };
        let subtotals = Subtotals::new(worker.replay.limits);
        let (usage, checkpoint) = (Usage::default(), Instant::now());
        Self { worker, unit, progress, tally, usage, subtotals, checkpoint, batch: Vec::new(), taken: 0 }
    }

    /// Releases the unit as it is at the last checkpoint, for the next worker.
    pub(super) async fn release(self) -> Result<UnitOutcome, ReplayError> {
        let progress = UnitProgress { claim: None, ..self.progress };
        self.worker.sink.checkpoint(self.unit, progress).await?;
        Ok(UnitOutcome::OutOfTime)
    }

    fn count(&mut self, tally: &Tally) {
        self.tally.add(tally);
    }

    /// Renews the claim; what was written by the last [`Self::take`] stays written.
    pub(super) async fn heartbeat(&mut self) -> Result<(), ReplayError> {
        if self.checkpoint.elapsed() >= self.worker.replay.checkpoint {
            self.account();
            self.progress.tally.write_halves = self.tally.write_halves;
            self.worker.sink.checkpoint(self.unit, self.progress.clone()).await?;
            self.checkpoint = Instant::now();
        }
        Ok(())
    }

    /// Writes the items of sources that are in a fixed order.
    async fn write_all<T>(
        mut self,
        sources: Vec<T>,
        mut items: impl FnMut(T, &mut Subtotals) -> Result<Vec<Item>, LeftOutEntity>,
    ) -> Result<UnitOutcome, ReplayError> {
        for source in sources {
            let made = items(source, &mut self.subtotals);
            if self.take(made).await? == TimeCheck::OutOfTime {
                return self.release().await;
            }
        }
        self.finish().await
    }

    /// Takes the items of the next source, in a fixed order; those that an earlier try has written
    /// are only counted. A source that can't be written is named, and left out.
    pub(super) async fn take(
        &mut self,
        made: Result<Vec<Item>, LeftOutEntity>,
    ) -> Result<TimeCheck, ReplayError> {
        let made = made.unwrap_or_else(|LeftOutEntity { entity, fault }| {
            self.tally.unwritable(&entity, &fault);
            self.worker.sink.left_out(entity);
            Vec::new()
        });
        self.taken += 1;
        if self.taken > self.progress.written {
            self.batch.extend(made);
        }
        self.save_if_large().await?;
        let batch = self.worker.replay.batch;
        if self.batch.len() < batch {
            // Many sources may have no items, or were written by an earlier try.
            if usize::try_from(self.taken).unwrap_or(0).is_multiple_of(batch.max(1)) {
                self.heartbeat().await?;
                if self.worker.stop.is_due() {
                    return Ok(TimeCheck::OutOfTime);
                }
            }
            return Ok(TimeCheck::Continue);
        }
        self.write().await?;
        Ok(if self.worker.stop.is_due() { TimeCheck::OutOfTime } else { TimeCheck::Continue })
    }

    /// Leaves a part of a user or of an identity to a later stage.
    pub(super) async fn pass_on(&mut self, part: JoinInput) -> Result<(), ReplayError> {
        self.subtotals.add_person(part);
        self.save_if_large().await
    }

    /// Writes what is left, and notes that the unit is done.
    pub(super) async fn finish(mut self) -> Result<UnitOutcome, ReplayError> {
        self.write().await?;
        self.save_subtotals().await?;
        self.account();
        let progress = UnitProgress {
            state: UnitState::Done,
            written: self.taken,
            tally: self.tally,
            ..UnitProgress::default()
        };
        self.worker.sink.checkpoint(self.unit, progress).await?;
        Ok(UnitOutcome::Done)
    }

    /// Writes the batch; at checkpoints, stores that all sources taken so far are durable.
    async fn write(&mut self) -> Result<(), ReplayError> {
        let items = std::mem::take(&mut self.batch);
        let count = items.len();
        self.put(items).await?;
        self.tally.items += u64::try_from(count).unwrap_or(0);
        self.worker.replay.meter.wrote(count);
        self.progress.written = self.progress.written.max(self.taken);
        self.progress.tally.items = self.tally.items;
        self.heartbeat().await
    }

    /// Writes items; the claim must not end meanwhile, however long that takes.
    async fn put(&self, items: Vec<Item>) -> Result<(), ReplayError> {
        let (sink, pause) = (self.worker.sink, self.worker.replay.checkpoint.max(RENEWAL));
        let mut writing = pin!(sink.write(items, &self.usage));
        loop {
            match timeout(pause, &mut writing).await {
                Ok(written) => return written,
                Err(_elapsed) => sink.checkpoint(self.unit, self.progress.clone()).await?,
            }
        }
    }

    async fn save_if_large(&mut self) -> Result<(), ReplayError> {
        if self.subtotals.weight() > SAVED_AT.min(self.worker.replay.memory / 4) {
            self.save_subtotals().await?;
        }
        Ok(())
    }

    async fn save_subtotals(&mut self) -> Result<(), ReplayError> {
        let empty = Subtotals::new(self.worker.replay.limits);
        for piece in subtotals::write(std::mem::replace(&mut self.subtotals, empty))? {
            self.worker
                .sink
                .save_subtotals(self.unit, self.tally.subtotal_pieces, &piece, &self.usage)
                .await?;
            self.tally.subtotal_pieces += 1;
            self.heartbeat().await?;
        }
        Ok(())
    }

    /// Adds the cost of the calls to the tally.
    fn account(&mut self) {
        let usage = std::mem::take(&mut self.usage);
        self.tally.write_halves += usage.write_halves();
        self.worker.replay.usage.add_parallel(&[&usage]);
    }
}
