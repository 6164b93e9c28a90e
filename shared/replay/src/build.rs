//! Building a generation: any number of workers take units of work from the board, one after
//! another.

mod memory;
mod position;
mod sink;
mod unit;

use crate::{Replay, ReplayError, StopSignal};
pub use memory::{InMemoryBuild, build_in_memory};
pub(crate) use position::GenerationPosition;
use sink::StoreSink;
use std::time::Duration;
use torale_domain::projections::generation::Generation;
use torale_domain::replay::rebuild::{
    NextUnit, PLAN, RebuildBoard, RebuildPlan, RebuildUnit, Tally, UnitProgress,
};
use torale_domain::storage::item::{Attributes, Item, Key, Value};
use torale_domain::storage::keys::{self, CONTROL_TABLE, PK, TableSpec};
use torale_domain::storage::write::{Action, Condition, Write};
use torale_domain::values::time::Timestamp;
use torale_platform::clock;
use torale_platform::retry::Retries;
use torale_platform::store::TransactError;
pub(crate) use unit::{UnitOutcome, UnitWorker};

/// How often a worker checks whether others are done.
const POLL: Duration = Duration::from_millis(100);
/// How often a transaction is tried that others cancel.
const ATTEMPTS: u32 = 10;

/// The result of a call of [`Replay::build`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildOutcome {
    /// All items are written; these are the counts.
    Finished(Tally),
    /// The time is up; calling again continues.
    OutOfTime,
}

impl Replay {
    /// Begins to build a generation: creates its table, its plan and its units. One that was begun
    /// before stays as it is.
    ///
    /// # Errors
    /// If the generation is live or the shadow generation, unless it was built and is being
    /// promoted, or if the store fails.
    pub async fn begin(&self, generation: &Generation) -> Result<RebuildBoard, ReplayError> {
        let pointer = self.pointer().await?;
        let board = self.board(&generation.name).await?;
        let is_complete = pointer.shadow.as_ref().is_none_or(|shadow| shadow.complete);
        let is_joining = pointer.live.name != generation.name && !is_complete && board.is_some();
        if pointer.written_generations().any(|one| one.name == generation.name) && !is_joining {
            return Err(ReplayError::Refused(format!(
                "{} is in use and can't be built anew",
                generation.name
            )));
        }
        if self.store.control(&keys::dropping(&generation.name), &self.usage).await?.is_some() {
            let name = &generation.name;
            let why = "was dropped: a name is used once. If it is still listed, drop it again to the end";
            return Err(ReplayError::Refused(format!("{name} {why}")));
        }
        if let Some(board) = board {
            if board.plan.lanes != generation.lanes.count() {
                let (name, lanes) = (&generation.name, board.plan.lanes);
                return Err(ReplayError::Refused(format!(
                    "{name} is being built with {lanes} lanes; drop it and build another"
                )));
            }
            return Ok(board);
        }
        self.use_name(&generation.name).await?;
        let spec = keys::tables().into_iter().find(|spec| spec.name == Generation::first().table());
        let spec =
            spec.ok_or_else(|| ReplayError::Refused("no table of projections is declared".to_owned()))?;
        self.store.create_table(&TableSpec { name: generation.table(), ..spec }).await?;
        if !self.store.is_empty(&generation.table()).await? {
            let name = &generation.name;
            return Err(ReplayError::Refused(format!(
                "{name} holds items but has no plan; drop it and build another"
            )));
        }
        let board = RebuildBoard::new(RebuildPlan {
            generation: generation.name.clone(),
            lanes: generation.lanes.count(),
            since: self.beginning().await?.0,
            cut: self.settled(),
            started_at: self.now(),
        });
        let mut writes = vec![
            insert(keys::rebuild_plan(&generation.name), plan(&board.plan)?),
            must_not_exist(keys::dropping(&generation.name)),
        ];
        for (unit, progress) in &board.units {
            writes.push(insert(keys::rebuild_unit(&generation.name, &unit.name()), progress.store()?));
        }
        match self.store.transact(CONTROL_TABLE, writes, &self.usage).await {
            Ok(()) => Ok(board),
            // Another process begins it, too.
            Err(TransactError::Race) => self.board(&generation.name).await?.ok_or(ReplayError::TakenOver),
            Err(TransactError::Failed(error)) => Err(error.into()),
        }
    }

    /// The state of the building of a generation; `None` if it was not begun.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn board(&self, generation: &str) -> Result<Option<RebuildBoard>, ReplayError> {
        let items = self.partition(CONTROL_TABLE, &keys::rebuild_partition(generation)).await?;
        Ok(RebuildBoard::load(&items)?)
    }

    /// The units of a build, even if its plan is gone already.
    pub(crate) async fn units(&self, generation: &str) -> Result<Vec<RebuildUnit>, ReplayError> {
        let items = self.partition(CONTROL_TABLE, &keys::rebuild_partition(generation)).await?;
        let names = items.iter().filter_map(|item| item.key.sk.strip_prefix(keys::UNITS));
        Ok(names.filter_map(RebuildUnit::parse).collect())
    }

    /// All items of a partition.
    pub(crate) async fn partition(&self, table: &str, partition: &str) -> Result<Vec<Item>, ReplayError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (items, next) =
                self.store.partition_page(table, partition, "", after.as_ref(), &self.usage).await?;
            all.extend(items);
            match next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// Works until all units are done, or until `stop` is due; `workers` share the memory and the
    /// units.
    ///
    /// # Errors
    /// If the store fails, or something does not fit into memory.
    pub async fn build(
        &self,
        generation: &str,
        workers: usize,
        stop: &StopSignal,
    ) -> Result<BuildOutcome, ReplayError> {
        let each = Self { memory: self.memory / workers.max(1), ..self.clone() };
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..workers.max(1) {
            let (replay, generation, stop) = (each.clone(), generation.to_owned(), stop.clone());
            running.spawn(async move { replay.work(&generation, &stop).await });
        }
        let mut built = BuildOutcome::OutOfTime;
        while let Some(done) = running.join_next().await {
            if let done @ BuildOutcome::Finished(_) = done?? {
                built = done;
            }
        }
        Ok(built)
    }

    /// The loop of one worker.
    async fn work(&self, generation: &str, stop: &StopSignal) -> Result<BuildOutcome, ReplayError> {
        let holder = clock::unique();
        loop {
            let board = self.board(generation).await?;
            let none = || ReplayError::Refused(format!("{generation} is not being built"));
            let board = board.ok_or_else(none)?;
            if stop.is_due() {
                return Ok(BuildOutcome::OutOfTime);
            }
            match board.next(self.now()) {
                NextUnit::Finished => {
                    self.finish(&board).await?;
                    return Ok(BuildOutcome::Finished(board.tally()));
                }
                NextUnit::Wait => tokio::time::sleep(POLL).await,
                NextUnit::Work(unit, progress) => {
                    let claimed = self.claim(&board.plan, unit, progress, &holder).await?;
                    let Some((sink, progress)) = claimed else { continue };
                    let worker = UnitWorker::new(self, &board, &sink, stop)?;
                    match worker.work(unit, progress).await {
                        Ok(UnitOutcome::Split(halves)) => sink.split(unit, halves).await?,
                        Ok(UnitOutcome::Done | UnitOutcome::OutOfTime) | Err(ReplayError::TakenOver) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }

    /// Claims a unit; `None` if another worker was first.
    async fn claim(
        &self,
        plan: &RebuildPlan,
        unit: RebuildUnit,
        read: UnitProgress,
        holder: &str,
    ) -> Result<Option<(StoreSink, UnitProgress)>, ReplayError> {
        if read.written_otherwise {
            let reason =
                format!("{} was begun by an earlier release: drop it and build another", plan.generation);
            return Err(ReplayError::Refused(reason));
        }
        let sink = StoreSink::new(self.clone(), plan.clone(), holder.to_owned(), &read)?;
        match sink.renew(unit, read).await {
            Ok(progress) => Ok(Some((sink, progress))),
            Err(ReplayError::TakenOver) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes the subtotals and notes the generation's position in the log: now it is built.
    async fn finish(&self, board: &RebuildBoard) -> Result<(), ReplayError> {
        let RebuildPlan { generation, cut, .. } = &board.plan;
        for (unit, progress) in &board.units {
            let pieces = (0..progress.tally.subtotal_pieces)
                .map(|number| keys::subtotals_piece(generation, &unit.name(), number));
            self.store.delete_all(CONTROL_TABLE, pieces.collect(), &self.usage).await?;
        }
        let lanes = board.plan.lanes()?;
        let position = GenerationPosition { through: *cut, lanes, built_at: Some(self.now()) };
        let writes = vec![
            insert(keys::position(generation), position.store()),
            must_exist(keys::rebuild_plan(generation)),
        ];
        // Unless another worker has noted the position, or an operator has dropped the generation.
        let is_open = || async {
            let is_noted = self.stored_position(generation).await?.is_some();
            Ok(!is_noted && self.store.control(&keys::rebuild_plan(generation), &self.usage).await?.is_some())
        };
        self.transact_while(writes, is_open).await.map(drop)
    }

    /// Writes to the control table. Returns whether it has, or somebody else was first: as long as `is_open`, nobody
    /// was, and it tries again. Transactions that meet may cancel each other, and a mere check may cancel one.
    pub(crate) async fn transact_while<O: Future<Output = Result<bool, ReplayError>>>(
        &self,
        writes: Vec<Write>,
        is_open: impl Fn() -> O,
    ) -> Result<bool, ReplayError> {
        let mut retries = Retries::attempts(ATTEMPTS);
        loop {
            match self.store.transact(CONTROL_TABLE, writes.clone(), &self.usage).await {
                Ok(()) => return Ok(true),
                Err(TransactError::Race) if !is_open().await? => return Ok(false),
                Err(TransactError::Race) if retries.pause().await => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The time up to which a generation holds the log; `None` while it is being built, or was
    /// never built here.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn position(&self, generation: &str) -> Result<Option<Timestamp>, ReplayError> {
        Ok(self.stored_position(generation).await?.map(|position| position.through))
    }

    /// The same, with what else is noted.
    pub(crate) async fn stored_position(
        &self,
        generation: &str,
    ) -> Result<Option<GenerationPosition>, ReplayError> {
        let item = self.store.control(&keys::position(generation), &self.usage).await?;
        Ok(item.as_ref().and_then(GenerationPosition::load))
    }

    /// Notes how far a generation has caught up, if it still exists. That it was just built is forgotten.
    pub(crate) async fn note_caught_up(
        &self,
        generation: &Generation,
        through: Timestamp,
    ) -> Result<(), ReplayError> {
        let position = GenerationPosition { through, lanes: generation.lanes, built_at: None };
        let conditions = vec![Condition::Present(PK.to_owned())];
        let action = Action::Put(position.store());
        let write = Write { key: keys::position(&generation.name), action, conditions };
        let exists = || async { Ok(self.stored_position(&generation.name).await?.is_some()) };
        match self.transact_while(vec![write], exists).await? {
            true => Ok(()),
            false => Err(ReplayError::TakenOver),
        }
    }
}

fn plan(plan: &RebuildPlan) -> Result<Attributes, ReplayError> {
    Ok(Attributes::from([(PLAN.to_owned(), Value::Text(serde_json::to_string(plan)?))]))
}

/// The check that an item exists.
pub(crate) fn must_exist(key: Key) -> Write {
    Write { key, action: Action::Check, conditions: vec![Condition::Present(PK.to_owned())] }
}

fn must_not_exist(key: Key) -> Write {
    Write { key, action: Action::Check, conditions: vec![Condition::Absent(PK.to_owned())] }
}

pub(crate) const fn delete(key: Key) -> Write {
    Write { key, action: Action::Delete, conditions: Vec::new() }
}

pub(crate) const fn put(key: Key, attributes: Attributes) -> Write {
    Write { key, action: Action::Put(attributes), conditions: Vec::new() }
}

pub(crate) fn insert(key: Key, attributes: Attributes) -> Write {
    Write { key, action: Action::Put(attributes), conditions: vec![Condition::Absent(PK.to_owned())] }
}
