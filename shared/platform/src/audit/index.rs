//! The index over sealed records, which `GET /admin/audit` reads: how a record gets into it, and how all of it is made anew.
//!
//! A record is put there with all of its rows and counts or not at all, and only if it is not there yet. So whoever does
//! it may die at any point, do it again, and do it beside others.

use crate::clock;
use crate::store::{Store, StoreError, TableReader, TransactError, Usage};
use std::collections::BTreeSet;
use torale_domain::audit::facets::{self, RECORDS_AT_ONCE};
use torale_domain::audit::seal::{Seal, SealedHeads};
use torale_domain::audit::{Link, Record};
use torale_domain::storage::keys::{AUDIT_INDEX_TABLE, AUDIT_SEALS};
use torale_domain::storage::read::{Corrupt, ReadPlan, Reader};

/// Records that are looked up in the index at once.
const MARKS_AT_ONCE: usize = 100;
/// How often a transaction that lost a race with another run is tried again.
const MAX_ATTEMPTS: u32 = 8;

/// The index of a store.
#[derive(Debug, Clone, Copy)]
pub struct AuditIndex<'a> {
    store: &'a Store,
    usage: &'a Usage,
}

/// What came of making the index anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReindexReport {
    /// Items of the trail that were looked at, without the seals.
    pub looked_at: u64,
    /// Records that were put into the index; the other sealed ones were there.
    pub listed: u64,
    /// Items that no seal covers: too new, or slipped in; or no records at all.
    pub unsealed: u64,
}

impl<'a> AuditIndex<'a> {
    /// Of this store.
    pub const fn new(store: &'a Store, usage: &'a Usage) -> Self {
        Self { store, usage }
    }

    /// Puts into the index every record that a seal covers and that is not there. What is not sealed yet is left to the
    /// job that seals.
    ///
    /// # Errors
    /// If the store fails, or what lies among the seals is no seal.
    pub async fn anew(&self) -> Result<ReindexReport, StoreError> {
        let sealed = self.sealed().await?;
        let covered =
            |link: &Link| sealed.get(&link.record.chain).is_some_and(|head| link.record.seq <= head.seq);
        let (mut done, mut after) = (ReindexReport::default(), None);
        loop {
            let (mut items, next) = self.store.audit_page(after, self.usage).await?;
            items.retain(|item| item.key.pk != AUDIT_SEALS);
            let links: Vec<Link> = items.iter().filter_map(Link::load).filter(covered).collect();
            done.listed += self.list(&links).await?;
            done.looked_at += count(items.len());
            done.unsealed += count(items.len() - links.len());
            match next {
                Some(next) => after = Some(next),
                None => return Ok(done),
            }
        }
    }

    /// How far each chain is sealed.
    async fn sealed(&self) -> Result<SealedHeads, StoreError> {
        let (mut sealed, mut before) = (SealedHeads::new(), None);
        loop {
            let items = self.store.audit_seals(before, self.usage).await?;
            for item in &items {
                let seal = Seal::load(item).ok_or_else(|| Corrupt::new(&item.key, "not a seal"))?;
                before = Some(seal.statement.seal);
                // The last seals come first, and know most of a chain.
                for head in seal.heads {
                    sealed.entry(head.chain.clone()).or_insert(head);
                }
            }
            if items.is_empty() {
                return Ok(sealed);
            }
        }
    }

    /// Puts records into the index, each once; returns how many were not there.
    pub(super) async fn list(&self, links: &[Link]) -> Result<u64, StoreError> {
        let mut listed = 0;
        for some in links.chunks(MARKS_AT_ONCE) {
            let mut records: Vec<&Record> = some.iter().map(|link| &link.record).collect();
            self.leave_out_listed(&mut records).await?;
            for few in records.chunks(RECORDS_AT_ONCE) {
                listed += self.list_some(few.to_vec()).await?;
            }
        }
        Ok(listed)
    }

    async fn leave_out_listed(&self, records: &mut Vec<&Record>) -> Result<(), StoreError> {
        let marks = ReadPlan::gets(records.iter().map(|record| facets::indexed_row(record))).consistent();
        let reader = TableReader::new(self.store, AUDIT_INDEX_TABLE, self.usage);
        let listed: BTreeSet<_> = reader.read(marks).await?.items.into_keys().collect();
        records.retain(|record| !listed.contains(&facets::indexed_row(record)));
        Ok(())
    }

    async fn list_some(&self, mut records: Vec<&Record>) -> Result<u64, StoreError> {
        for attempt in 0..MAX_ATTEMPTS {
            if records.is_empty() {
                return Ok(0);
            }
            match self.store.transact(AUDIT_INDEX_TABLE, facets::index_writes(&records), self.usage).await {
                Ok(()) => return Ok(count(records.len())),
                Err(TransactError::Failed(error)) => return Err(error),
                Err(TransactError::Race) => {
                    tokio::time::sleep(clock::backoff(attempt)).await;
                    self.leave_out_listed(&mut records).await?;
                }
            }
        }
        Err(StoreError::Unavailable("records could not be indexed".to_owned()))
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
