//! Which generation of projections is live: one small item that everyone follows.

use super::{CAPACITY, Store, StoreError, Usage, convert};
use std::future::Future;
use std::sync::{Mutex, PoisonError};
pub use torale_domain::projections::generation::{Generation, GenerationPointer};
use torale_domain::storage::keys::{self, CONTROL_TABLE};

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
    /// confirms beside the reading; two where none has been seen or another is live.
    pub(crate) async fn read_live<T, F>(
        &self,
        store: &Store,
        usage: &Usage,
        read: impl Fn(Generation) -> F,
    ) -> Result<(GenerationPointer, T), StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let (pointer, found) = match self.seen() {
            None => (self.pointer(store, usage).await?, None),
            Some(guess) => {
                // A guess that is wrong may fail, if its table is gone: only the pointer tells whether that matters.
                let (pointer, found) = futures::join!(self.pointer(store, usage), read(guess.clone()));
                let pointer = pointer?;
                let found = (pointer.live == guess).then_some(found);
                (pointer, found)
            }
        };
        let found = match found {
            Some(found) => found?,
            None => read(pointer.live.clone()).await?,
        };
        Ok((pointer, found))
    }

    /// The live generation, by the pointer as it is now.
    pub async fn read(&self, store: &Store, usage: &Usage) -> Result<Generation, StoreError> {
        Ok(self.pointer(store, usage).await?.live)
    }

    /// Reads the pointer, strongly consistent: one round trip.
    pub async fn pointer(&self, store: &Store, usage: &Usage) -> Result<GenerationPointer, StoreError> {
        let key = keys::live_generation();
        let call = store.client.get_item().table_name(CONTROL_TABLE).set_key(Some(convert::key(&key)));
        let call = call.consistent_read(true).return_consumed_capacity(CAPACITY);
        let answer = call.send().await.map_err(StoreError::from_sdk)?;
        usage.read(answer.consumed_capacity());
        let pointer = GenerationPointer::load(answer.item.map(convert::item).transpose()?.as_ref())?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(pointer.live.clone());
        Ok(pointer)
    }
}
