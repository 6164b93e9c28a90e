//! Making a generation live, going back, and dropping one.
//!
//! A generation becomes live in steps, each of which may be done again: it catches up; from then on every event is
//! written to it beside the live one; once no writer is left that does not know of that, one more pass makes it complete;
//! then one write makes it live. The former one goes on being written beside it, so that one write leads back.
//!
//! Whatever moves the pointer is bound to the pointer that was read, and notes in the same transaction up to when a
//! generation was written that no longer is.

use crate::build::{Lanes, delete, moved, there};
use crate::tail::Tail;
use crate::{Replay, ReplayError, millis};
use std::time::Duration;
use torale_domain::projections::generation::{Generation, GenerationPointer};
use torale_domain::storage::item::{Attributes, Key, Value};
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::storage::write::Write;
use torale_domain::values::time::Timestamp;
use torale_platform::store::Generations;

/// Where a promotion stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromotionStep {
    /// Writers that don't know of it yet may be at work for so long.
    Wait(Duration),
    /// It is live.
    Live(GenerationPointer),
}

/// A generation that is being made live.
#[derive(Debug)]
pub struct Promotion {
    replay: Replay,
    name: String,
    tail: Option<Tail>,
}

impl Promotion {
    /// Of a generation that is built.
    pub fn new(replay: &Replay, name: &str) -> Self {
        Self { replay: replay.clone(), name: name.to_owned(), tail: None }
    }

    /// The next step; to be called until the generation is live.
    ///
    /// # Errors
    /// If it is not built, if someone else moves the pointer at the same time, or if the store fails.
    pub async fn step(&mut self) -> Result<PromotionStep, ReplayError> {
        let mut pointer = self.replay.pointer().await?;
        if pointer.live.name == self.name {
            return Ok(PromotionStep::Live(pointer));
        }
        let Some(beside) = pointer.shadow.clone().filter(|beside| beside.generation.name == self.name) else {
            return self.join(&pointer).await;
        };
        if !beside.complete {
            let left = self.replay.until_settled(beside.since);
            self.catch_up(&beside.generation).await?;
            if !left.is_zero() {
                return Ok(PromotionStep::Wait(left));
            }
            let completed = pointer.with_complete_shadow();
            self.replay.point(&pointer, &completed, Vec::new()).await?;
            pointer = completed;
        }
        self.replay.flip(&pointer).await.map(PromotionStep::Live)
    }

    /// Catches up, and has every event written to it from now on.
    async fn join(&mut self, pointer: &GenerationPointer) -> Result<PromotionStep, ReplayError> {
        let generation = self.replay.generation(&self.name).await?;
        self.catch_up(&generation).await?;
        // It must not have been dropped meanwhile.
        let mut more = vec![there(keys::position(&self.name))];
        more.extend(self.replay.released(pointer));
        self.replay.point(pointer, &pointer.with_shadow(generation, self.replay.now()), more).await?;
        Ok(PromotionStep::Wait(self.replay.settle))
    }

    async fn catch_up(&mut self, generation: &Generation) -> Result<(), ReplayError> {
        let tail = match self.tail.take() {
            Some(tail) => tail,
            None => Tail::resume(&self.replay, generation).await?,
        };
        self.tail.insert(tail).catch_up().await.map(drop)
    }
}

const NUMBER: &str = "number";
const AT: &str = "at";

impl Replay {
    /// Which generations are live and written.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn pointer(&self) -> Result<GenerationPointer, ReplayError> {
        Ok(Generations::default().pointer(&self.store, &self.usage).await?)
    }

    /// A generation by its name.
    ///
    /// # Errors
    /// If there is none, or the store fails.
    pub async fn generation(&self, name: &str) -> Result<Generation, ReplayError> {
        let pointer = self.pointer().await?;
        if let Some(known) = pointer.written_generations().find(|generation| generation.name == name) {
            return Ok(known.clone());
        }
        let lanes = match (self.lanes_at_position(name).await?, self.board(name).await?) {
            (Some(lanes), _) => Some(lanes),
            (None, Some(board)) => Some(board.plan.lanes()?),
            (None, None) => None,
        };
        let unknown = || ReplayError::Refused(format!("there is no generation {name}"));
        Ok(Generation { name: name.to_owned(), lanes: lanes.ok_or_else(unknown)? })
    }

    /// Moves the pointer, if it still is the one that was read, together with more.
    async fn point(
        &self,
        from: &GenerationPointer,
        to: &GenerationPointer,
        more: Vec<Write>,
    ) -> Result<(), ReplayError> {
        let writes = std::iter::once(from.replace(to)).chain(more).collect();
        Ok(self.store.transact(CONTROL_TABLE, writes, &self.usage).await?)
    }

    /// How long it takes until nothing is being written any more that was begun at a moment.
    fn until_settled(&self, moment: Timestamp) -> Duration {
        let left = millis(self.settle) - (self.now().millis() - moment.millis());
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }

    /// The note up to when the generation beside the live one was written, once it no longer is.
    fn released(&self, pointer: &GenerationPointer) -> Option<Write> {
        let beside = pointer.shadow.as_ref().filter(|beside| beside.complete)?;
        Some(moved(&beside.generation, self.now(), Vec::new()))
    }

    /// Makes the generation live that is written beside the live one and holds everything: one write, there and back.
    ///
    /// # Errors
    /// If there is none, if someone else moves the pointer at the same time, or if the store fails.
    pub async fn rollback(&self) -> Result<GenerationPointer, ReplayError> {
        let pointer = self.pointer().await?;
        self.flip(&pointer).await
    }

    async fn flip(&self, pointer: &GenerationPointer) -> Result<GenerationPointer, ReplayError> {
        let none = "no generation is written beside the live one that holds everything; promote one";
        let flipped = pointer.promoted().ok_or_else(|| ReplayError::Refused(none.to_owned()))?;
        self.point(pointer, &flipped, Vec::new()).await?;
        Ok(flipped)
    }

    /// Drops a generation: its table, and all that is known of it. It is not written from then on and can't be promoted
    /// any more; its table goes when no writer is left that does not know of that. True if there was one.
    ///
    /// # Errors
    /// If it is live, if someone else moves the pointer at the same time, or if the store fails.
    pub async fn drop_generation(&self, name: &str) -> Result<bool, ReplayError> {
        let pointer = self.pointer().await?;
        if pointer.live.name == name {
            return Err(ReplayError::Refused(format!("{name} is live")));
        }
        let since = match self.store.control(&keys::dropping(name), &self.usage).await? {
            Some(item) => Timestamp::from_millis(i64::try_from(item.number(AT)).unwrap_or(0)),
            None => self.begin_drop(&pointer, name).await?,
        };
        // Its table may have been lost.
        let known = pointer.written_generations().any(|written| written.name == name);
        tokio::time::sleep(self.until_settled(since)).await;
        let mut items = Vec::new();
        for unit in self.units(name).await? {
            items.extend(self.partition(CONTROL_TABLE, &keys::runs(name, &unit.name())).await?);
        }
        items.extend(self.partition(CONTROL_TABLE, &keys::rebuild(name)).await?);
        let marker = keys::dropping(name);
        let keys: Vec<Key> = items.into_iter().map(|item| item.key).filter(|key| *key != marker).collect();
        self.store.delete_all(CONTROL_TABLE, keys, &self.usage).await?;
        let dropped = self.store.drop_table(&keys::projections_table(name)).await?;
        self.store.delete_all(CONTROL_TABLE, vec![marker], &self.usage).await?;
        Ok(dropped || known)
    }

    /// From here on nobody writes it, builds it or promotes it.
    async fn begin_drop(&self, pointer: &GenerationPointer, name: &str) -> Result<Timestamp, ReplayError> {
        let beside = pointer.shadow.as_ref().is_some_and(|beside| beside.generation.name == name);
        // What was never written with every event has no writers to wait for.
        let written = beside || self.position(name).await?.is_some();
        let at = if written { self.now() } else { Timestamp::from_millis(0) };
        let marker = Attributes::from([(AT.to_owned(), Value::from(at))]);
        let writes = vec![
            if beside { pointer.replace(&pointer.without_shadow()) } else { pointer.unchanged() },
            crate::build::put(keys::dropping(name), marker),
            delete(keys::position(name)),
            delete(keys::rebuild_plan(name)),
        ];
        self.store.transact(CONTROL_TABLE, writes, &self.usage).await?;
        Ok(at)
    }

    /// The name of the next generation: one more than the greatest there is or was.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn next_generation(&self, lanes: Lanes) -> Result<Generation, ReplayError> {
        let names = self.store.generations().await?;
        let last = self.store.control(&keys::last_generation(), &self.usage).await?;
        let last = last.and_then(|item| u64::try_from(item.number(NUMBER)).ok());
        let greatest = names.iter().filter_map(|name| number(name)).chain(last).max().unwrap_or(0);
        Ok(Generation { name: format!("g{}", greatest + 1), lanes })
    }

    /// Notes that a name was used, so that it never is again.
    pub(crate) async fn use_name(&self, name: &str) -> Result<(), ReplayError> {
        let Some(number) = number(name) else { return Ok(()) };
        let last = self.store.control(&keys::last_generation(), &self.usage).await?;
        if last.is_none_or(|item| item.number(NUMBER) < i128::from(number)) {
            let attributes = Attributes::from([(NUMBER.to_owned(), Value::Number(number.into()))]);
            let put = crate::build::put(keys::last_generation(), attributes);
            self.store.transact(CONTROL_TABLE, vec![put], &self.usage).await?;
        }
        Ok(())
    }
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix('g')?.parse().ok()
}
