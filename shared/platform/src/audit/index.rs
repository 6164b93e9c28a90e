//! The index over sealed records, which `GET /admin/audit` reads: adds records to it, and rebuilds it.
//!
//! A record is added with all of its rows and counts or not at all, and only if it is not there yet. So this may crash
//! at any point, run again, and run in parallel.

use crate::retry::Retries;
use crate::store::{Store, StoreError, TableReader, TransactError, Usage};
use std::collections::BTreeSet;
use torale_domain::audit::facets::{self, RECORDS_AT_ONCE};
use torale_domain::audit::seal::{Seal, SealedHeads};
use torale_domain::audit::{AuditRecord, ChainedRecord};
use torale_domain::storage::keys::{AUDIT_INDEX_TABLE, AUDIT_SEALS};
use torale_domain::storage::read::{Corrupt, ReadPlan, Reader};

/// Records that are looked up in the index in one read.
const MARKS_AT_ONCE: usize = 100;
/// How often a transaction is tried that loses races with other runs.
const MAX_ATTEMPTS: u32 = 8;

/// The audit index of a store.
#[derive(Debug, Clone, Copy)]
pub struct AuditIndex<'a> {
    store: &'a Store,
    usage: &'a Usage,
}

/// What rebuilding the index has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReindexReport {
    /// Items of the trail that were read, without the seals.
    pub looked_at: u64,
    /// Records that were added; the other sealed ones were in the index already.
    pub listed: u64,
    /// Items that no seal covers: they are too new, were inserted by someone else, or are no records.
    pub unsealed: u64,
}

impl<'a> AuditIndex<'a> {
    /// The audit index of this store.
    pub const fn new(store: &'a Store, usage: &'a Usage) -> Self {
        Self { store, usage }
    }

    /// Adds every record that a seal covers and that is not in the index. Unsealed records are left to the sealing job.
    ///
    /// # Errors
    /// If the store fails, or an item among the seals is no seal.
    pub async fn rebuild(&self) -> Result<ReindexReport, StoreError> {
        let sealed = self.sealed().await?;
        let is_covered = |link: &ChainedRecord| {
            sealed.get(&link.record.chain).is_some_and(|head| link.record.seq <= head.seq)
        };
        let (mut report, mut after) = (ReindexReport::default(), None);
        loop {
            let (mut items, next) = self.store.audit_page(after.as_ref(), self.usage).await?;
            items.retain(|item| item.key.pk != AUDIT_SEALS);
            let chained: Vec<ChainedRecord> =
                items.iter().filter_map(ChainedRecord::load).filter(is_covered).collect();
            report.listed += self.add(&chained).await?;
            report.looked_at += count(items.len());
            report.unsealed += count(items.len() - chained.len());
            match next {
                Some(next) => after = Some(next),
                None => return Ok(report),
            }
        }
    }

    /// The last sealed record of each chain.
    async fn sealed(&self) -> Result<SealedHeads, StoreError> {
        let (mut sealed, mut before) = (SealedHeads::new(), None);
        loop {
            let items = self.store.audit_seals(before, self.usage).await?;
            for item in &items {
                let seal = Seal::load(item).ok_or_else(|| Corrupt::new(&item.key, "not a seal"))?;
                before = Some(seal.statement.seal);
                // Later seals come first and cover more of a chain.
                for head in seal.heads {
                    sealed.entry(head.chain.clone()).or_insert(head);
                }
            }
            if items.is_empty() {
                return Ok(sealed);
            }
        }
    }

    /// Adds records that are not in the index, and returns how many were added.
    pub(super) async fn add(&self, chained: &[ChainedRecord]) -> Result<u64, StoreError> {
        let mut added = 0;
        for chained in chained.chunks(MARKS_AT_ONCE) {
            let mut records: Vec<&AuditRecord> = chained.iter().map(|link| &link.record).collect();
            self.remove_indexed(&mut records).await?;
            for records in records.chunks(RECORDS_AT_ONCE) {
                added += self.add_in_one_transaction(records.to_vec()).await?;
            }
        }
        Ok(added)
    }

    async fn remove_indexed(&self, records: &mut Vec<&AuditRecord>) -> Result<(), StoreError> {
        let marks = ReadPlan::gets(records.iter().map(|record| facets::indexed_row(record))).consistent();
        let reader = TableReader::new(self.store, AUDIT_INDEX_TABLE, self.usage);
        let indexed: BTreeSet<_> = reader.read(marks).await?.items.into_keys().collect();
        records.retain(|record| !indexed.contains(&facets::indexed_row(record)));
        Ok(())
    }

    async fn add_in_one_transaction(&self, mut records: Vec<&AuditRecord>) -> Result<u64, StoreError> {
        let mut retries = Retries::attempts(MAX_ATTEMPTS);
        while !records.is_empty() {
            match self.store.transact(AUDIT_INDEX_TABLE, facets::index_writes(&records), self.usage).await {
                Ok(()) => return Ok(count(records.len())),
                Err(TransactError::Failed(error)) => return Err(error),
                Err(TransactError::Race) => {}
            }
            if !retries.pause().await {
                return Err(StoreError::Unavailable("records could not be indexed".to_owned()));
            }
            self.remove_indexed(&mut records).await?;
        }
        Ok(0)
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
