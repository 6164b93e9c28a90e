//! Making a generation live, going back, and dropping one.
//!
//! A generation becomes live in steps, each of which may be done again: it catches up; from then on every event is
//! written to it beside the live one; once no writer is left that does not know of that, one more pass makes it complete;
//! then one write makes it live. The former one goes on being written beside it, so that one write leads back.

use crate::tail::Tail;
use crate::{Failure, Replay, millis};
use std::time::Duration;
use torale_domain::generation::{Generation, Pointer};
use torale_domain::item::Key;
use torale_domain::keys::{self, CONTROL_TABLE, Lanes};
use torale_platform::store::Generations;

/// Where a promotion stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Writers that don't know of it yet may be at work for so long.
    Wait(Duration),
    /// It is live.
    Live(Pointer),
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
    pub async fn step(&mut self) -> Result<Step, Failure> {
        let pointer = self.replay.pointer().await?;
        if pointer.live.name == self.name {
            return Ok(Step::Live(pointer));
        }
        let Some(beside) = pointer.beside.clone().filter(|beside| beside.generation.name == self.name) else {
            return self.join(&pointer).await;
        };
        if !beside.complete {
            let left = millis(self.replay.settle) - (self.replay.now().millis() - beside.since.millis());
            self.catch_up(&beside.generation).await?;
            if let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) {
                return Ok(Step::Wait(Duration::from_millis(left)));
            }
            self.replay.point(&pointer, &pointer.completed()).await?;
        }
        self.replay.rollback().await.map(Step::Live)
    }

    /// Catches up, and has every event written to it from now on.
    async fn join(&mut self, pointer: &Pointer) -> Result<Step, Failure> {
        let generation = self.replay.generation(&self.name).await?;
        self.catch_up(&generation).await?;
        self.replay.release(pointer).await?;
        self.replay.point(pointer, &pointer.with(generation, self.replay.now())).await?;
        Ok(Step::Wait(self.replay.settle))
    }

    async fn catch_up(&mut self, generation: &Generation) -> Result<(), Failure> {
        let tail = match self.tail.take() {
            Some(tail) => tail,
            None => Tail::resume(&self.replay, generation).await?,
        };
        self.tail.insert(tail).catch_up().await.map(drop)
    }
}

impl Replay {
    /// Which generations are live and written.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn pointer(&self) -> Result<Pointer, Failure> {
        Ok(Generations::default().pointer(&self.store, &self.usage).await?)
    }

    /// A generation by its name.
    ///
    /// # Errors
    /// If there is none, or the store fails.
    pub async fn generation(&self, name: &str) -> Result<Generation, Failure> {
        let pointer = self.pointer().await?;
        if let Some(known) = pointer.written().find(|generation| generation.name == name) {
            return Ok(known.clone());
        }
        let lanes = match (self.lanes_at_position(name).await?, self.board(name).await?) {
            (Some(lanes), _) => Some(lanes),
            (None, Some(board)) => Some(board.plan.lanes()?),
            (None, None) => None,
        };
        let unknown = || Failure::Refused(format!("there is no generation {name}"));
        Ok(Generation { name: name.to_owned(), lanes: lanes.ok_or_else(unknown)? })
    }

    async fn point(&self, from: &Pointer, to: &Pointer) -> Result<(), Failure> {
        Ok(self.store.transact(CONTROL_TABLE, vec![from.replace(to)], &self.usage).await?)
    }

    /// Notes up to when the generation beside the live one has been written: from there it can catch up.
    async fn release(&self, pointer: &Pointer) -> Result<(), Failure> {
        match pointer.beside.as_ref().filter(|beside| beside.complete) {
            Some(beside) => self.moved_to(&beside.generation, self.now()).await,
            None => Ok(()),
        }
    }

    /// Makes the generation live that is written beside the live one and holds everything: one write, there and back.
    ///
    /// # Errors
    /// If there is none, if someone else moves the pointer at the same time, or if the store fails.
    pub async fn rollback(&self) -> Result<Pointer, Failure> {
        let pointer = self.pointer().await?;
        let none = "no generation is written beside the live one that holds everything; promote one";
        let flipped = pointer.flipped().ok_or_else(|| Failure::Refused(none.to_owned()))?;
        self.point(&pointer, &flipped).await?;
        Ok(flipped)
    }

    /// Drops a generation: its table, and all that is known of it. Ends writing it first, and waits until no writer is
    /// left that does not know of that. True if there was one.
    ///
    /// # Errors
    /// If it is live, if someone else moves the pointer at the same time, or if the store fails.
    pub async fn drop_generation(&self, name: &str) -> Result<bool, Failure> {
        let pointer = self.pointer().await?;
        if pointer.live.name == name {
            return Err(Failure::Refused(format!("{name} is live")));
        }
        if pointer.beside.as_ref().is_some_and(|beside| beside.generation.name == name) {
            self.point(&pointer, &pointer.alone()).await?;
            self.moved_to(&pointer.beside.map_or(pointer.live, |beside| beside.generation), self.now())
                .await?;
        }
        if let Some(through) = self.position(name).await? {
            let left = millis(self.settle) - (self.now().millis() - through.millis());
            tokio::time::sleep(Duration::from_millis(u64::try_from(left).unwrap_or(0))).await;
        }
        let mut items = self.partition(CONTROL_TABLE, &keys::rebuild(name)).await?;
        if let Some(board) = self.board(name).await? {
            for unit in board.units.keys() {
                items.extend(self.partition(CONTROL_TABLE, &keys::runs(name, &unit.name())).await?);
            }
        }
        let keys: Vec<Key> = items.into_iter().map(|item| item.key).collect();
        self.store.delete_all(CONTROL_TABLE, keys, &self.usage).await?;
        Ok(self.store.drop_table(&keys::projections_table(name)).await?)
    }

    /// The name of the next generation: one more than the greatest there is.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn next_generation(&self, lanes: Lanes) -> Result<Generation, Failure> {
        let names = self.store.generations().await?;
        let numbers = names.iter().filter_map(|name| name.strip_prefix('g')?.parse::<u64>().ok());
        Ok(Generation { name: format!("g{}", numbers.max().unwrap_or(0) + 1), lanes })
    }
}
