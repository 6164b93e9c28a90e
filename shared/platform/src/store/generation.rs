//! Which generation of projections is live: a pointer in one small item that every reader and writer follows.

use super::client::Store;
use super::error::StoreError;
use super::usage::Usage;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
pub use torale_domain::projections::generation::{Generation, GenerationPointer};
use torale_domain::storage::keys;

/// The live generation as this function instance read it last.
#[derive(Debug, Default)]
pub struct Generations {
    last: Mutex<Option<Generation>>,
}

impl Generations {
    /// The generation that was live when the pointer was read last, if it was: a guess that [`Generations::read`] must
    /// confirm.
    pub fn last_read(&self) -> Option<Generation> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The pointer, and what `read` finds in the live generation. This takes one round trip while the live generation
    /// is the one that was read last, since the pointer is read in parallel; two if it is another one, or the first.
    pub(crate) async fn read_live<T, F>(
        &self,
        store: &Store,
        usage: &Usage,
        read: impl Fn(Generation) -> F,
    ) -> Result<(GenerationPointer, T), StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let (pointer, found) = match self.last_read() {
            None => (self.pointer(store, usage).await?, None),
            Some(guess) => {
                // Reading a wrong guess fails if its table was dropped. Only the pointer shows whether that matters.
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
        let item = store.control(&keys::live_generation(), usage).await?;
        let pointer = GenerationPointer::load(item.as_ref())?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(pointer.live.clone());
        Ok(pointer)
    }
}
