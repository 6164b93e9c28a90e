//! The job that seals the audit trail and indexes the records that it seals.
//!
//! It keeps no state of its own: which records are unsealed follows from the seals, and indexing a record twice changes
//! nothing. So it may crash at any point, not run for a day, or run twice in parallel.

use super::index::AuditIndex;
use crate::clock::Clock;
use crate::store::{Store, StoreError, TransactError, Usage};
use ed25519_dalek::{SigningKey, VerifyingKey};
use std::collections::BTreeSet;
use std::future::Future;
use tokio::time::Instant;
use torale_domain::audit::ChainedRecord;
use torale_domain::audit::seal::{
    self, ChainHead, HEARTBEAT, MAX_RECORD_DELAY, Seal, SealStatement, SealableRecords, SealedHeads,
};
use torale_domain::storage::item::Item;
use torale_domain::storage::keys;
use torale_domain::storage::read::Corrupt;
use torale_domain::values::ids::ChainId;
use torale_domain::values::time::{Hour, Timestamp};

/// Records of one read. A seal covers fewer than twice as many, which bounds its number of heads.
const PAGE: usize = 400;

/// Why a run of the sealing job failed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signing key could not be loaded or used.
    #[error("signing: {0}")]
    Signing(String),
    /// Another run has sealed the same records first.
    #[error("another run has sealed in between")]
    Overtaken,
}

/// A key that signs seals. The writers of records don't have it.
pub trait Signer: Sync {
    /// Its public half.
    fn key(&self) -> &VerifyingKey;

    /// The Ed25519 signature of a message: 64 bytes.
    fn sign(&self, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, SealError>> + Send;
}

/// A signing key in memory, for local use.
#[derive(Debug)]
pub struct LocalKey {
    signing: SigningKey,
    verifying: VerifyingKey,
}

impl LocalKey {
    /// Signs with this key.
    pub fn new(signing: SigningKey) -> Self {
        Self { verifying: signing.verifying_key(), signing }
    }
}

impl Signer for LocalKey {
    fn key(&self) -> &VerifyingKey {
        &self.verifying
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(ed25519_dalek::Signer::sign(&self.signing, message).to_vec())
    }
}

/// What a run has done and found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct SealReport {
    /// Seals that were created.
    pub seals: u64,
    /// Records that they cover.
    pub records: u64,
    /// Chains whose next record is missing or does not continue them: it is still being written, or the chain was
    /// tampered with.
    pub broken: BTreeSet<ChainId>,
    /// Whether the last seal before this run was signed with another key: the key was changed, or the seal is forged.
    pub foreign: bool,
    /// The number and the digest of the last seal, to be stored elsewhere too.
    pub last: Option<(u64, String)>,
}

/// Seals and indexes every record that is not sealed yet.
#[derive(Debug)]
pub struct Sealer<'a, S> {
    store: &'a Store,
    signer: &'a S,
    clock: Clock,
    usage: &'a Usage,
}

/// Records that the next seal will cover.
#[derive(Default)]
struct Buffer {
    chained: Vec<ChainedRecord>,
    heads: SealedHeads,
}

impl Buffer {
    fn add(&mut self, fresh: SealableRecords, progress: &mut Progress, report: &mut SealReport) {
        for head in fresh.heads {
            progress.sealed.insert(head.chain.clone(), head.clone());
            self.heads.insert(head.chain.clone(), head);
        }
        self.chained.extend(fresh.chained);
        report.broken.extend(fresh.broken);
    }
}

/// The records of a page that continue the chains as they are sealed or buffered.
fn fresh(progress: &Progress, page: &[Item]) -> SealableRecords {
    let chained = page.iter().filter_map(|item| {
        let link = ChainedRecord::load(item);
        if link.is_none() {
            tracing::error!(item = %item.key.sk, "an item of the audit trail is not a record");
        }
        link
    });
    seal::sealable(&progress.sealed, chained.collect())
}

/// The seals so far.
#[derive(Default)]
struct Progress {
    last: Option<Seal>,
    /// The last sealed record of each chain that may still grow.
    sealed: SealedHeads,
    /// Whether the last seal was signed with another key.
    foreign: bool,
}

impl<'a, S: Signer> Sealer<'a, S> {
    /// Seals the audit trail of this store with this key.
    pub const fn new(store: &'a Store, signer: &'a S, clock: Clock, usage: &'a Usage) -> Self {
        Self { store, signer, clock, usage }
    }

    /// Runs until everything is sealed or the deadline has passed. It works page by page and seals each before it reads
    /// much more, so that neither its memory nor the cost of a crash grows with the number of unsealed records. The
    /// report is complete even if the run fails.
    pub async fn run(&self, deadline: Instant) -> (SealReport, Result<(), SealError>) {
        let mut report = SealReport::default();
        let run = self.run_into(&mut report, deadline).await;
        (report, run)
    }

    async fn run_into(&self, report: &mut SealReport, deadline: Instant) -> Result<(), SealError> {
        let now = (self.clock)();
        let mut progress = self.progress(now).await?;
        report.foreign = progress.foreign;
        let from = match &progress.last {
            Some(last) => last.statement.at.min(now).plus(-MAX_RECORD_DELAY),
            None => match self.first_hour().await? {
                Some(hour) => hour.start(),
                None => return Ok(()),
            },
        };
        for hour in (from.hour().0..=now.hour().0).map(Hour) {
            self.seal_hour(hour, from, now, deadline, &mut progress, report).await?;
            if Instant::now() >= deadline {
                return Ok(());
            }
        }
        if progress.last.as_ref().is_some_and(|last| now >= last.statement.at.plus(HEARTBEAT)) {
            self.seal(&mut progress, &mut Buffer::default(), now, report).await?;
        }
        report.last = progress.last.map(|last| (last.statement.seal, last.digest().as_str().to_owned()));
        Ok(())
    }

    /// Seals the records of one hour. Its seals carry the time up to which everything was sealed before, except for the
    /// last one, which moves that time forward.
    async fn seal_hour(
        &self,
        hour: Hour,
        from: Timestamp,
        now: Timestamp,
        deadline: Instant,
        progress: &mut Progress,
        report: &mut SealReport,
    ) -> Result<(), SealError> {
        let unmoved = now.min(from.plus(MAX_RECORD_DELAY));
        let (mut buffer, seals) = (Buffer::default(), report.seals);
        for partition in keys::audit_records(hour) {
            let mut next = Some(keys::row_time(from));
            while let Some(start) = next {
                let page = self.store.audit_records(&partition, Some(start), Some(PAGE), self.usage).await?;
                next = page.last().filter(|_| page.len() == PAGE).map(|item| keys::next(&item.key.sk));
                buffer.add(fresh(progress, &page), progress, report);
                if buffer.chained.len() >= PAGE {
                    self.seal(progress, &mut buffer, unmoved, report).await?;
                }
                if Instant::now() >= deadline {
                    return Ok(());
                }
            }
        }
        if report.seals > seals || !buffer.chained.is_empty() {
            // No record is written to an hour that ended this long ago.
            let settled = Hour(hour.0 + 1).start().plus(MAX_RECORD_DELAY);
            self.seal(progress, &mut buffer, now.min(settled), report).await?;
        }
        Ok(())
    }

    /// Reads the seals, from the last one back to the first hour whose chains may still grow.
    async fn progress(&self, now: Timestamp) -> Result<Progress, SealError> {
        let mut progress = Progress::default();
        let (mut before, mut closed) = (None, None);
        while before != Some(0) {
            let items = self.store.audit_seals(before, self.usage).await?;
            if items.is_empty() {
                break;
            }
            for item in &items {
                let seal = Seal::load(item).ok_or_else(|| Corrupt::new(&item.key, "not a seal"));
                let seal = seal.map_err(StoreError::from)?;
                // Chains of hours before this one can't grow any more.
                let last = progress.last.as_ref().unwrap_or(&seal);
                let open = last.statement.at.min(now).plus(-MAX_RECORD_DELAY).hour();
                // Seals within an hour carry the time of the seal before them, so all seals of one time are read.
                let at = seal.statement.at;
                if at < open.start() && at < *closed.get_or_insert(at) {
                    return Ok(progress);
                }
                before = Some(seal.statement.seal);
                for head in &seal.heads {
                    progress.sealed.entry(head.chain.clone()).or_insert_with(|| head.clone());
                }
                if progress.last.is_none() && !seal.is_signed_by(&[*self.signer.key()]) {
                    progress.foreign = true;
                    tracing::error!(
                        seal = seal.statement.seal,
                        "the last seal was signed with another key: the key was changed, or the seal is forged"
                    );
                }
                progress.last.get_or_insert(seal);
            }
        }
        Ok(progress)
    }

    /// The hour of the first record; `None` if there is none. Needed only before the first seal.
    async fn first_hour(&self) -> Result<Option<Hour>, SealError> {
        let (mut first, mut after) = (None, None);
        loop {
            let (items, next) = self.store.audit_page(after.as_ref(), self.usage).await?;
            let hours = items.iter().filter_map(|item| keys::parse_audit_records(&item.key.pk));
            first = first.into_iter().chain(hours).min();
            match next {
                Some(next) => after = Some(next),
                None => return Ok(first),
            }
        }
    }

    /// Indexes the buffered records and creates the next seal, which covers them.
    async fn seal(
        &self,
        progress: &mut Progress,
        buffer: &mut Buffer,
        at: Timestamp,
        report: &mut SealReport,
    ) -> Result<(), SealError> {
        let Buffer { chained, heads } = std::mem::take(buffer);
        AuditIndex::new(self.store, self.usage).add(&chained).await?;
        let unreadable = |e: serde_json::Error| StoreError::Refused(e.to_string());
        let records = u64::try_from(chained.len()).unwrap_or(u64::MAX);
        let heads: Vec<ChainHead> = heads.into_values().collect();
        let statement = SealStatement::after(progress.last.as_ref(), &heads, records, at, self.signer.key());
        let text = serde_json::to_string(&statement.map_err(unreadable)?).map_err(unreadable)?;
        let signature = self.signer.sign(text.as_bytes()).await?;
        let seal = Seal::new(text, heads, signature).map_err(unreadable)?;
        match self.store.put_seal(&seal, self.usage).await {
            Ok(()) => {}
            Err(TransactError::Race) => return Err(SealError::Overtaken),
            Err(TransactError::Failed(error)) => return Err(error.into()),
        }
        progress.last = Some(seal);
        report.seals += 1;
        report.records += records;
        Ok(())
    }
}
