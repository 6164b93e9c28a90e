//! Which generation of projections is live: one small item that everyone follows.

use super::{CAPACITY, Store, StoreError, Usage, convert};
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use torale_domain::keys::{self, CONTROL_TABLE, FIRST_GENERATION, Lanes};
use torale_domain::read::Corrupt;

/// A generation of projections: its name, which names its table, and its number of lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its name, such as `g1`.
    pub name: String,
    /// How many lanes its hot items are spread over.
    pub lanes: Lanes,
}

impl Generation {
    /// The one that a new installation starts with, until a pointer says otherwise.
    pub fn first() -> Self {
        Self { name: FIRST_GENERATION.to_owned(), lanes: Lanes::DEFAULT }
    }

    /// Its table.
    pub fn table(&self) -> String {
        keys::projections_table(&self.name)
    }
}

/// The live generation as this instance saw it last.
#[derive(Debug, Default)]
pub struct Generations {
    seen: Mutex<Option<Generation>>,
}

impl Generations {
    /// The generation seen last, if any: a guess that must be confirmed by [`Generations::read`].
    pub fn seen(&self) -> Option<Generation> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The live generation and what `read` finds in it: one round trip while it is the one seen last, which the pointer
    /// confirms beside the reading.
    pub(crate) async fn read_live<T, F>(
        &self,
        store: &Store,
        usage: &Usage,
        read: impl Fn(Generation) -> F,
    ) -> Result<(Generation, T), StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let guess = match self.seen() {
            Some(seen) => seen,
            None => self.read(store, usage).await?,
        };
        let (live, found) = futures::try_join!(self.read(store, usage), read(guess.clone()))?;
        if live == guess {
            return Ok((live, found));
        }
        let found = read(live.clone()).await?;
        Ok((live, found))
    }

    /// Reads the pointer, strongly consistent: one round trip.
    pub async fn read(&self, store: &Store, usage: &Usage) -> Result<Generation, StoreError> {
        let key = keys::live_generation();
        let call = store.client.get_item().table_name(CONTROL_TABLE).set_key(Some(convert::key(&key)));
        let call = call.consistent_read(true).return_consumed_capacity(CAPACITY);
        let answer = call.send().await.map_err(StoreError::from_sdk)?;
        usage.read(answer.consumed_capacity());
        let live = match answer.item.map(convert::item).transpose()? {
            None => Generation::first(),
            Some(item) => {
                let lanes = u32::try_from(item.number("lanes")).ok().and_then(Lanes::new);
                let generation = item.text("generation").zip(lanes);
                let (name, lanes) = generation.ok_or_else(|| Corrupt::new(&key, "not a generation"))?;
                Generation { name: name.to_owned(), lanes }
            }
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
        Ok(live)
    }
}
