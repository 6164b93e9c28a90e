//! The audit trail as a function instance writes it: one chain at a time, one record after the other. The format of
//! records and seals is in `shared/domain/src/audit`.

pub mod index;
pub mod seal;

use crate::clock;
use crate::store::{Store, StoreError, Usage};
use std::future::Future;
use tokio::sync::Mutex;
use torale_domain::audit::{AuditedRequest, ChainWriter, ChainedRecord};

/// The chain of this instance. Records are written one at a time, since each contains the digest of the one before.
#[derive(Debug, Default)]
pub struct AuditTrail {
    chain: Mutex<Option<ChainWriter>>,
}

impl AuditTrail {
    /// Appends an entry. Returns when its record is durable.
    pub async fn record(
        &self,
        store: &Store,
        entry: AuditedRequest,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        self.append(entry, |link| async move { store.insert_record(&link, usage).await }).await
    }

    /// Appends an entry in the same write as other items: `write` must store the record that it is given.
    ///
    /// If `write` fails or is abandoned, it is unknown whether the record is stored. The chain ends there, complete
    /// either way, and the next record begins another.
    pub async fn append<T, E, F>(
        &self,
        entry: AuditedRequest,
        write: impl FnOnce(ChainedRecord) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<StoreError>,
    {
        let mut current = self.chain.lock().await;
        let chain = current.take().filter(|chain| chain.accepts(entry.at));
        let mut chain = chain.unwrap_or_else(|| ChainWriter::start(entry.at, &clock::unique()));
        let link = chain.next_record(entry).map_err(|e| StoreError::Refused(e.to_string()))?;
        let written = write(link.clone()).await?;
        chain.advance(&link);
        *current = Some(chain);
        Ok(written)
    }
}
