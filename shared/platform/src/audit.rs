//! The audit trail as an instance writes it: one chain at a time, one record after the other.

pub mod index;
pub mod seal;

use crate::clock;
use crate::store::{Store, StoreError, Usage};
use std::future::Future;
use tokio::sync::Mutex;
use torale_domain::audit::{AuditEntry, Chain, Link};

/// The chain of this instance. Records wait for one another: each names the digest of the one before it.
#[derive(Debug, Default)]
pub struct AuditTrail {
    chain: Mutex<Option<Chain>>,
}

impl AuditTrail {
    /// Appends an entry; returns when it is durable.
    pub async fn record(&self, store: &Store, entry: AuditEntry, usage: &Usage) -> Result<(), StoreError> {
        self.append(entry, |link| async move { store.insert_record(&link, usage).await }).await
    }

    /// Appends an entry together with whatever else `write` writes. If `write` fails or is given up, nobody knows
    /// whether its record is stored: the chain ends there, either way whole, and the next record begins another.
    pub async fn append<T, E, F>(&self, entry: AuditEntry, write: impl FnOnce(Link) -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<StoreError>,
    {
        let mut own = self.chain.lock().await;
        let chain = own.take().filter(|chain| chain.accepts(entry.at));
        let mut chain = chain.unwrap_or_else(|| Chain::start(entry.at, &clock::unique()));
        let link = chain.link(entry).map_err(|e| StoreError::Refused(e.to_string()))?;
        let written = write(link.clone()).await?;
        chain.advance(&link);
        *own = Some(chain);
        Ok(written)
    }
}
