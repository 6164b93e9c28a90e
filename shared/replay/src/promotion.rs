//! Promoting a generation, rolling back, and dropping one.
//!
//! A promotion has four steps, each of which may be repeated: the generation catches up; it
//! becomes the shadow generation, so that every event is written to it as well; once every writer
//! knows that, one more pass makes it complete; then one write cuts over. The former live
//! generation becomes the shadow, so that one write rolls back.
//!
//! Every move of the pointer is bound to the pointer that was read. A generation that stops being
//! the shadow gets the time up to which it was written in the same transaction.

use crate::build::{GenerationPosition, delete, must_exist};
use crate::tail::Tail;
use crate::{Replay, ReplayError, millis};
use std::time::Duration;
use torale_domain::projections::generation::{Generation, GenerationPointer, ShadowGeneration};
use torale_domain::storage::item::{Attributes, Key, Value};
use torale_domain::storage::keys::{self, CONTROL_TABLE, Lanes};
use torale_domain::storage::write::{Action, Condition, Write};
use torale_domain::values::time::Timestamp;
use torale_platform::store::{Generations, TransactError};

/// The state of a promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromotionStep {
    /// What was sent before, by the building or by writers that know the former pointer, may still take effect for this
    /// long: call again then.
    Wait(Duration),
    /// The generation is live.
    Live(GenerationPointer),
}

/// The promotion of one generation.
#[derive(Debug)]
pub struct Promotion {
    replay: Replay,
    name: String,
    tail: Option<Tail>,
}

impl Promotion {
    /// The promotion of a built generation.
    pub fn new(replay: &Replay, name: &str) -> Self {
        Self { replay: replay.clone(), name: name.to_owned(), tail: None }
    }

    /// Takes the next step; to be called until the generation is live.
    ///
    /// # Errors
    /// If it is not built, if another process moves the pointer at the same time, or if the store
    /// fails.
    pub async fn step(&mut self) -> Result<PromotionStep, ReplayError> {
        let mut pointer = self.replay.pointer().await?;
        if pointer.live.name == self.name {
            return Ok(PromotionStep::Live(pointer));
        }
        let Some(shadow) = pointer.shadow.clone().filter(|shadow| shadow.generation.name == self.name) else {
            return self.become_shadow(&pointer).await;
        };
        if !shadow.complete {
            let left = self.replay.until_settled(shadow.since);
            self.catch_up(&shadow.generation).await?;
            if !left.is_zero() {
                return Ok(PromotionStep::Wait(left));
            }
            let completed = pointer.with_complete_shadow();
            self.replay.point(&pointer, &completed, Vec::new()).await?;
            pointer = completed;
        }
        self.replay.swap_live(&pointer).await.map(PromotionStep::Live)
    }

    /// Catches up, and makes it the shadow generation, to which every event is written from now on.
    async fn become_shadow(&mut self, pointer: &GenerationPointer) -> Result<PromotionStep, ReplayError> {
        self.check_no_other(pointer)?;
        let generation = self.replay.generation(&self.name).await?;
        let left = self.tail(&generation).await?.until_settled();
        if !left.is_zero() {
            return Ok(PromotionStep::Wait(left));
        }
        self.catch_up(&generation).await?;
        // It must not have been dropped meanwhile.
        let mut more = vec![must_exist(keys::position(&self.name))];
        more.extend(self.replay.shadow_position(pointer));
        self.replay.point(pointer, &pointer.with_shadow(generation, self.replay.now()), more).await?;
        Ok(PromotionStep::Wait(self.replay.settle))
    }

    /// Of two promotions at once each would take the other's place at every step, for ever. One that is not done in
    /// this time has ended.
    fn check_no_other(&self, pointer: &GenerationPointer) -> Result<(), ReplayError> {
        let other = pointer.shadow.as_ref().filter(|other| !other.complete);
        match other.filter(|other| {
            !self.replay.until_settled(other.since.plus(millis(self.replay.settle))).is_zero()
        }) {
            Some(ShadowGeneration { generation: Generation { name, .. }, .. }) => Err(ReplayError::Refused(
                format!("{name} is being promoted; wait until it is live, or drop it"),
            )),
            None => Ok(()),
        }
    }

    async fn catch_up(&mut self, generation: &Generation) -> Result<(), ReplayError> {
        self.tail(generation).await?.catch_up().await.map(drop)
    }

    async fn tail(&mut self, generation: &Generation) -> Result<&mut Tail, ReplayError> {
        let tail = match self.tail.take() {
            Some(tail) => tail,
            None => Tail::resume(&self.replay, generation).await?,
        };
        Ok(self.tail.insert(tail))
    }
}

const NUMBER: &str = "number";
const AT: &str = "at";

impl Replay {
    /// The pointer to the live and the shadow generation.
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
        let lanes = match (self.stored_position(name).await?, self.board(name).await?) {
            (Some(position), _) => Some(position.lanes),
            (None, Some(board)) => Some(board.plan.lanes()?),
            (None, None) => None,
        };
        let unknown = || ReplayError::Refused(format!("there is no generation {name}"));
        Ok(Generation { name: name.to_owned(), lanes: lanes.ok_or_else(unknown)? })
    }

    /// Moves the pointer, if it still is the one that was read, together with other writes.
    async fn point(
        &self,
        from: &GenerationPointer,
        to: &GenerationPointer,
        more: Vec<Write>,
    ) -> Result<(), ReplayError> {
        let writes = std::iter::once(from.replace(to)).chain(more).collect();
        // Changes by administrators check the pointer, each in a transaction of its own.
        let is_unmoved = || async { Ok(self.pointer().await? == *from) };
        // One that is said to be cancelled may have taken effect.
        match self.transact_while(writes, is_unmoved).await? || self.pointer().await? == *to {
            true => Ok(()),
            false => Err(ReplayError::TakenOver),
        }
    }

    /// The write that notes the time up to which the shadow generation was written, when another
    /// replaces it.
    fn shadow_position(&self, pointer: &GenerationPointer) -> Option<Write> {
        let shadow = pointer.shadow.as_ref().filter(|shadow| shadow.complete)?;
        let Generation { name, lanes } = &shadow.generation;
        let position = GenerationPosition { through: self.now(), lanes: *lanes, built_at: None };
        Some(crate::build::put(keys::position(name), position.store()))
    }

    /// Makes the shadow generation live, if it is complete: one write. The same write leads back.
    ///
    /// # Errors
    /// If there is none, if another process moves the pointer at the same time, or if the store
    /// fails.
    pub async fn rollback(&self) -> Result<GenerationPointer, ReplayError> {
        let pointer = self.pointer().await?;
        self.swap_live(&pointer).await
    }

    async fn swap_live(&self, pointer: &GenerationPointer) -> Result<GenerationPointer, ReplayError> {
        let none = "there is no complete shadow generation to make live; promote one";
        let swapped = pointer.promoted().ok_or_else(|| ReplayError::Refused(none.to_owned()))?;
        self.point(pointer, &swapped, Vec::new()).await?;
        Ok(swapped)
    }

    /// Drops a generation: first its metadata, so that nothing writes or promotes it any more,
    /// then its table, once every writer knows that. True if there was one. What says that it was dropped stays: writes
    /// that were sent for it may still arrive when a later one is built, so no name is used twice.
    ///
    /// # Errors
    /// If it is live, if another process moves the pointer at the same time, or if the store fails.
    pub async fn drop_generation(&self, name: &str) -> Result<bool, ReplayError> {
        let pointer = self.pointer().await?;
        if pointer.live.name == name {
            return Err(ReplayError::Refused(format!("{name} is live")));
        }
        // Its table may have been deleted already.
        let known = pointer.written_generations().any(|written| written.name == name);
        let since = match self.store.control(&keys::dropping(name), &self.usage).await? {
            Some(item) if !known => Timestamp::from_millis(i64::try_from(item.number(AT)).unwrap_or(0)),
            None if !known && !self.exists(name).await? => return Ok(false),
            // A pointer that was restored may name one that was dropped before.
            Some(_) | None => self.begin_drop(&pointer, name).await?,
        };
        tokio::time::sleep(self.until_settled(since)).await;
        let mut items = Vec::new();
        for unit in self.units(name).await? {
            items
                .extend(self.partition(CONTROL_TABLE, &keys::subtotals_partition(name, &unit.name())).await?);
        }
        items.extend(self.partition(CONTROL_TABLE, &keys::rebuild_partition(name)).await?);
        let marker = keys::dropping(name);
        let keys: Vec<Key> = items.into_iter().map(|item| item.key).filter(|key| *key != marker).collect();
        self.store.delete_all(CONTROL_TABLE, keys, &self.usage).await?;
        let dropped = self.store.drop_table(&keys::projections_table(name)).await?;
        Ok(dropped || known)
    }

    /// Whether there is a table of a generation, or a plan to build it.
    async fn exists(&self, name: &str) -> Result<bool, ReplayError> {
        let has_table = self.store.generations().await?.iter().any(|one| one == name);
        Ok(has_table || self.board(name).await?.is_some())
    }

    /// Removes the metadata: from here on nothing writes, builds or promotes the generation.
    async fn begin_drop(&self, pointer: &GenerationPointer, name: &str) -> Result<Timestamp, ReplayError> {
        let shadow = pointer.shadow.as_ref().is_some_and(|shadow| shadow.generation.name == name);
        // A generation that was never begun has no writers to wait for.
        let written = shadow || self.position(name).await?.is_some() || self.board(name).await?.is_some();
        let at = if written { self.now() } else { Timestamp::from_millis(0) };
        let marker = Attributes::from([(AT.to_owned(), Value::from(at))]);
        let writes = vec![
            if shadow { pointer.replace(&pointer.without_shadow()) } else { pointer.unchanged() },
            crate::build::put(keys::dropping(name), marker),
            delete(keys::position(name)),
            delete(keys::rebuild_plan(name)),
        ];
        let is_unmoved = || async { Ok(self.pointer().await? == *pointer) };
        let is_done =
            || async { Ok::<_, ReplayError>(shadow && self.pointer().await? == pointer.without_shadow()) };
        match self.transact_while(writes, is_unmoved).await? || is_done().await? {
            true => Ok(at),
            false => Err(ReplayError::TakenOver),
        }
    }

    /// The name of the next generation: one more than the greatest there is or was.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn next_generation(&self, lanes: Lanes) -> Result<Generation, ReplayError> {
        let names = self.store.generations().await?;
        let last = self.store.control(&keys::last_generation(), &self.usage).await?;
        let last = last.and_then(|item| u64::try_from(item.number(NUMBER)).ok());
        let greatest = names.iter().filter_map(|name| generation_number(name)).chain(last).max().unwrap_or(0);
        let mut number = greatest + 1;
        // The last number may be lost, or restored from before.
        while self.store.control(&keys::dropping(&format!("g{number}")), &self.usage).await?.is_some() {
            number += 1;
        }
        Ok(Generation { name: format!("g{number}"), lanes })
    }

    /// Notes that a name is used, so that none after it gets the same.
    pub(crate) async fn use_name(&self, name: &str) -> Result<(), ReplayError> {
        let Some(number) = generation_number(name) else { return Ok(()) };
        loop {
            let last = self.store.control(&keys::last_generation(), &self.usage).await?;
            let last = last.map(|item| item.number(NUMBER));
            if last.is_some_and(|last| last >= i128::from(number)) {
                return Ok(());
            }
            let condition = match last {
                Some(last) => Condition::Equals(NUMBER.to_owned(), Value::Number(last)),
                None => Condition::Absent(keys::PK.to_owned()),
            };
            let action = Action::Put([(NUMBER.to_owned(), Value::Number(number.into()))].into());
            let write = Write { key: keys::last_generation(), action, conditions: vec![condition] };
            match self.store.transact(CONTROL_TABLE, vec![write], &self.usage).await {
                Ok(()) => return Ok(()),
                // Another process has noted a name: it is looked at again.
                Err(TransactError::Race) => {}
                Err(TransactError::Failed(error)) => return Err(error.into()),
            }
        }
    }
}

/// The number in the name of a generation; later ones have greater numbers. `None` for a name of another form.
pub fn generation_number(name: &str) -> Option<u64> {
    name.strip_prefix('g')?.parse().ok()
}
