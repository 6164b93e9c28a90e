//! One unit of a build: gather its entities, queries or counters, then hand out their items in a fixed order.

use super::place::RebuildSink;
use crate::log::{self, LogSpan};
use crate::{Replay, ReplayError, StopSignal};
use tokio::time::Instant;
use torale_domain::events::UnreadableEvent;
use torale_domain::projections::build::{Subtotals, counter};
use torale_domain::replay::rebuild::fold::Folding;
use torale_domain::replay::rebuild::{
    RebuildBoard, RebuildUnit, Stage, Tally, UnitProgress, UnitState, runs,
};
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::{self, Lanes, UNKNOWN_LANE};
use torale_domain::values::ids::EntityKey;
use torale_domain::values::time::Hour;
use torale_platform::store::Usage;

/// What became of a unit.
#[derive(Debug)]
pub(crate) enum UnitOutcome {
    /// It is done.
    Done,
    /// It does not fit into memory.
    Split([RebuildUnit; 2]),
    /// Time is up; the unit was given back.
    OutOfTime,
}

/// Works on units of one board.
pub(crate) struct UnitWorker<'a, P> {
    replay: &'a Replay,
    board: &'a RebuildBoard,
    lanes: Lanes,
    place: &'a P,
    stop: &'a StopSignal,
}

/// What was gathered, or why not.
enum Gathered<T> {
    All(T),
    TooMuch,
}

impl<'a, P: RebuildSink> UnitWorker<'a, P> {
    pub(crate) fn new(
        replay: &'a Replay,
        board: &'a RebuildBoard,
        place: &'a P,
        stop: &'a StopSignal,
    ) -> Result<Self, ReplayError> {
        Ok(Self { replay, board, lanes: board.plan.lanes()?, place, stop })
    }

    /// Works on a unit that was claimed.
    pub(crate) async fn work(
        &self,
        unit: RebuildUnit,
        progress: UnitProgress,
    ) -> Result<UnitOutcome, ReplayError> {
        let mut emission = Emission::new(self, unit, progress);
        match unit.stage {
            Stage::Entities => self.entities(unit, emission).await,
            Stage::Identities => {
                let Gathered::All(mut gathered) = self.gather(&mut emission).await? else {
                    return self.split(unit);
                };
                let lanes = self.lanes;
                let make = |group, subtotals: &mut Subtotals| subtotals.identity(group, lanes);
                emission.emit(gathered.people.take_identities(), make).await
            }
            Stage::People => {
                let Gathered::All(mut gathered) = self.gather(&mut emission).await? else {
                    return self.split(unit);
                };
                let lanes = self.lanes;
                let make = |(id, person), subtotals: &mut Subtotals| subtotals.person(id, person, lanes);
                emission.emit(gathered.people.take_people(), make).await
            }
            Stage::Tasks => {
                let Gathered::All(mut gathered) = self.gather(&mut emission).await? else {
                    return self.split(unit);
                };
                let lanes = self.lanes;
                let make = |(id, state, totals), subtotals: &mut Subtotals| {
                    subtotals.entity(&EntityKey::Task(id), state, totals, lanes)
                };
                emission.emit(gathered.take_tasks(), make).await
            }
            Stage::Queries => {
                let Gathered::All(gathered) = self.gather(&mut emission).await? else {
                    return self.split(unit);
                };
                let mut queries: Vec<_> = gathered.queries.into_iter().collect();
                queries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
                emission
                    .emit(queries, |(query, totals), subtotals| Ok(subtotals.query(&query, &totals)))
                    .await
            }
            Stage::Counters => {
                let Gathered::All(gathered) = self.gather(&mut emission).await? else {
                    return self.split(unit);
                };
                let mut counters: Vec<_> = gathered.counters.into_iter().collect();
                counters.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
                emission
                    .emit(counters, |(key, amounts), _| Ok(counter(key, amounts).into_iter().collect()))
                    .await
            }
        }
    }

    fn split(&self, unit: RebuildUnit) -> Result<UnitOutcome, ReplayError> {
        unit.halves().map(UnitOutcome::Split).ok_or(ReplayError::TooLarge(self.replay.memory))
    }

    /// Folds the lane's events, then hands out entities; tasks wait for the next stage.
    async fn entities(
        &self,
        unit: RebuildUnit,
        mut emission: Emission<'a, '_, P>,
    ) -> Result<UnitOutcome, ReplayError> {
        let own = unit.lane.unwrap_or_default();
        let mut folding = Folding::new(unit.slice);
        for lane in [own, UNKNOWN_LANE] {
            let mut tally = Tally::default();
            let mut pages = self.replay.read(self.span(lane));
            while let Some(page) = pages.recv().await {
                for item in page? {
                    let events = log::known(&item, &mut tally);
                    self.replay.meter.read(events.len());
                    // What was not known when it came may be of any lane's entities.
                    let ours = events
                        .into_iter()
                        .filter(|event| lane != UNKNOWN_LANE || keys::log_lane(&event.entity()) == own);
                    ours.for_each(|event| folding.add(event));
                }
                if folding.weight() > self.replay.memory {
                    return self.split(unit);
                }
                if self.stop.is_due() {
                    return emission.give_back().await;
                }
                emission.heartbeat().await?;
            }
            // What belongs to no entity is counted once: of a lane that was split, and of the one that all read.
            if unit.slice.is_first() && (lane == own || own == 0) {
                emission.found(tally);
            }
        }
        emission.tally.events = folding.events();
        let lanes = self.lanes;
        let make = |(key, state), subtotals: &mut Subtotals| subtotals.entity_or_wait(&key, state, lanes);
        emission.emit(folding.into_sorted(), make).await
    }

    fn span(&self, lane: u32) -> LogSpan {
        let plan = &self.board.plan;
        LogSpan { lane, from: Hour(plan.since).start(), before: Some(plan.cut), last: plan.cut.hour() }
    }

    /// Adds up what earlier stages have put aside for this unit.
    async fn gather(&self, emission: &mut Emission<'a, '_, P>) -> Result<Gathered<Subtotals>, ReplayError> {
        let (stage, slice) = (emission.unit.stage, emission.unit.slice);
        let mut gathered = Subtotals::default();
        for (from, pieces) in self.board.runs_for(stage) {
            for number in 0..pieces {
                let piece = match self.place.piece(from, number).await {
                    Ok(piece) => piece,
                    // Whoever has taken over may have ended the build.
                    Err(error) => {
                        self.place.keep(emission.unit, emission.progress.clone()).await?;
                        return Err(error);
                    }
                };
                for line in runs::read(&piece) {
                    let line = line?;
                    if line.is_for(stage, slice) {
                        line.add_to(&mut gathered)?;
                    }
                }
                if gathered.weight() > self.replay.memory {
                    return Ok(Gathered::TooMuch);
                }
                emission.heartbeat().await?;
            }
        }
        Ok(Gathered::All(gathered))
    }
}

/// Hands out the items of a unit, with checkpoints.
struct Emission<'a, 'w, P> {
    worker: &'w UnitWorker<'a, P>,
    unit: RebuildUnit,
    progress: UnitProgress,
    /// What was found this time; items and units add to what is in `progress`.
    tally: Tally,
    usage: Usage,
    subtotals: Subtotals,
    checkpoint: Instant,
}

impl<'a, 'w, P: RebuildSink> Emission<'a, 'w, P> {
    fn new(worker: &'w UnitWorker<'a, P>, unit: RebuildUnit, progress: UnitProgress) -> Self {
        let tally = Tally {
            items: progress.tally.items,
            write_halves: progress.tally.write_halves,
            ..Tally::default()
        };
        let (usage, subtotals, checkpoint) = (Usage::default(), Subtotals::default(), Instant::now());
        Self { worker, unit, progress, tally, usage, subtotals, checkpoint }
    }

    /// Leaves the unit as it is at the last checkpoint, for whoever goes on.
    async fn give_back(self) -> Result<UnitOutcome, ReplayError> {
        let progress = UnitProgress { claim: None, ..self.progress };
        self.worker.place.keep(self.unit, progress).await?;
        Ok(UnitOutcome::OutOfTime)
    }

    fn found(&mut self, found: Tally) {
        self.tally.add(&found);
    }

    /// Keeps the claim while nothing is written yet.
    async fn heartbeat(&mut self) -> Result<(), ReplayError> {
        if self.checkpoint.elapsed() >= self.worker.replay.checkpoint {
            self.worker.place.keep(self.unit, self.progress.clone()).await?;
            self.checkpoint = Instant::now();
        }
        Ok(())
    }

    /// Hands out the items of things that are in a fixed order; those that an earlier try has written only count.
    async fn emit<T>(
        mut self,
        things: Vec<T>,
        mut items: impl FnMut(T, &mut Subtotals) -> Result<Vec<Item>, UnreadableEvent>,
    ) -> Result<UnitOutcome, ReplayError> {
        let mut batch = Vec::new();
        let mut index: u64 = 0;
        for thing in things {
            let made = items(thing, &mut self.subtotals)?;
            index += 1;
            if index > self.progress.written {
                batch.extend(made);
            }
            if self.subtotals.weight() > self.worker.replay.memory / 4 {
                self.put_aside().await?;
            }
            if batch.len() >= self.worker.replay.batch {
                self.write(std::mem::take(&mut batch), index).await?;
                if self.worker.stop.is_due() {
                    return self.give_back().await;
                }
            }
        }
        self.write(batch, index).await?;
        self.put_aside().await?;
        self.account();
        let progress =
            UnitProgress { state: UnitState::Done, written: index, claim: None, tally: self.tally };
        self.worker.place.keep(self.unit, progress).await?;
        Ok(UnitOutcome::Done)
    }

    /// Writes, and notes from time to time that everything up to `written` is durable.
    async fn write(&mut self, items: Vec<Item>, written: u64) -> Result<(), ReplayError> {
        let count = items.len();
        self.worker.place.write(items, &self.usage).await?;
        self.tally.items += u64::try_from(count).unwrap_or(0);
        self.worker.replay.meter.wrote(count);
        self.progress.written = self.progress.written.max(written);
        self.progress.tally.items = self.tally.items;
        if self.checkpoint.elapsed() >= self.worker.replay.checkpoint {
            self.account();
            self.progress.tally.write_halves = self.tally.write_halves;
            self.worker.place.keep(self.unit, self.progress.clone()).await?;
            self.checkpoint = Instant::now();
        }
        Ok(())
    }

    async fn put_aside(&mut self) -> Result<(), ReplayError> {
        for piece in runs::write(std::mem::take(&mut self.subtotals))? {
            self.worker.place.put_aside(self.unit, self.tally.runs, &piece, &self.usage).await?;
            self.tally.runs += 1;
        }
        Ok(())
    }

    /// Moves what the calls have cost into the tally.
    fn account(&mut self) {
        let usage = std::mem::take(&mut self.usage);
        self.tally.write_halves += usage.write_halves();
        self.worker.replay.usage.add_parallel(&[&usage]);
    }
}
