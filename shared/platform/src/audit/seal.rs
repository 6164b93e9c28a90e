//! The job that seals the audit trail and indexes what it seals.
//!
//! It needs no notes of its own: what is not sealed yet follows from the seals, and indexing a record twice changes
//! nothing. So it may die at any point, stay away for a day, or run twice at once.

use super::index::AuditIndex;
use crate::clock::Clock;
use crate::store::{Store, StoreError, TransactError, Usage};
use ed25519_dalek::{SigningKey, VerifyingKey};
use std::collections::BTreeSet;
use std::future::Future;
use tokio::time::Instant;
use torale_domain::audit::Link;
use torale_domain::audit::seal::{
    self, HEARTBEAT, Head, MAX_RECORD_DELAY, Seal, SealableRecords, SealedHeads, Statement,
};
use torale_domain::storage::item::Item;
use torale_domain::storage::keys;
use torale_domain::storage::read::Corrupt;
use torale_domain::values::ids::ChainId;
use torale_domain::values::time::{Hour, Timestamp};

/// Records that are read at once; a seal covers fewer than twice as many, and so has fewer heads.
const PAGE: usize = 400;

/// Why nothing could be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key could not be used.
    #[error("signing: {0}")]
    Signing(String),
    /// Another run was faster, and has sealed what this one wanted to.
    #[error("another run has sealed in between")]
    Overtaken,
}

/// A key to seal with, which the writers of records don't have.
pub trait Signer: Sync {
    /// Its public half.
    fn key(&self) -> &VerifyingKey;

    /// The Ed25519 signature of a message: 64 bytes.
    fn sign(&self, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, SealError>> + Send;
}

/// A key in memory, for local use.
#[derive(Debug)]
pub struct LocalKey {
    signing: SigningKey,
    verifying: VerifyingKey,
}

impl LocalKey {
    /// Takes a key.
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

/// What a run did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct SealReport {
    /// Seals that were made.
    pub seals: u64,
    /// Records that they cover.
    pub records: u64,
    /// Chains whose next record is missing or does not continue them: on its way, or tampered with.
    pub broken: BTreeSet<ChainId>,
    /// The last seal that was there before was made with another key: the key was changed, or the seal is forged.
    pub foreign: bool,
    /// The number and the digest of the last seal: to be noted elsewhere.
    pub last: Option<(u64, String)>,
}

/// Seals and indexes everything that is not sealed yet.
#[derive(Debug)]
pub struct Sealer<'a, S> {
    store: &'a Store,
    signer: &'a S,
    clock: Clock,
    usage: &'a Usage,
}

/// What is to be sealed next.
#[derive(Default)]
struct Buffer {
    links: Vec<Link>,
    heads: SealedHeads,
}

impl Buffer {
    fn add(&mut self, fresh: SealableRecords, progress: &mut Progress, done: &mut SealReport) {
        for head in fresh.heads {
            progress.sealed.insert(head.chain.clone(), head.clone());
            self.heads.insert(head.chain.clone(), head);
        }
        self.links.extend(fresh.links);
        done.broken.extend(fresh.broken);
    }
}

/// The records of a page that continue what is sealed or about to be.
fn fresh(progress: &Progress, page: &[Item]) -> SealableRecords {
    let links = page.iter().filter_map(|item| {
        let link = Link::load(item);
        if link.is_none() {
            tracing::error!(item = %item.key.sk, "an item of the audit trail is no record");
        }
        link
    });
    seal::sealable(&progress.sealed, links.collect())
}

/// The seals so far: the last one, and how far the chains are sealed that may still grow.
#[derive(Default)]
struct Progress {
    last: Option<Seal>,
    sealed: SealedHeads,
    /// The last one was made with another key.
    foreign: bool,
}

impl<'a, S: Signer> Sealer<'a, S> {
    /// Over this store, with this key.
    pub const fn new(store: &'a Store, signer: &'a S, clock: Clock, usage: &'a Usage) -> Self {
        Self { store, signer, clock, usage }
    }

    /// One run, until the deadline at the latest: page by page, each sealed before much more is read, so that neither
    /// its memory nor what a crash costs grows with what there is to seal. What was found on the way is told even if
    /// it failed in the end.
    pub async fn run(&self, deadline: Instant) -> (SealReport, Result<(), SealError>) {
        let mut done = SealReport::default();
        let run = self.run_into(&mut done, deadline).await;
        (done, run)
    }

    async fn run_into(&self, done: &mut SealReport, deadline: Instant) -> Result<(), SealError> {
        let now = (self.clock)();
        let mut progress = self.progress(now).await?;
        done.foreign = progress.foreign;
        let from = match &progress.last {
            Some(last) => last.statement.at.min(now).plus(-MAX_RECORD_DELAY),
            None => match self.first_hour().await? {
                Some(hour) => hour.start(),
                None => return Ok(()),
            },
        };
        for hour in (from.hour().0..=now.hour().0).map(Hour) {
            self.seal_hour(hour, from, now, deadline, &mut progress, done).await?;
            if Instant::now() >= deadline {
                return Ok(());
            }
        }
        if progress.last.as_ref().is_some_and(|last| now >= last.statement.at.plus(HEARTBEAT)) {
            self.seal(&mut progress, &mut Buffer::default(), now, done).await?;
        }
        done.last = progress.last.map(|last| (last.statement.seal, last.digest().as_str().to_owned()));
        Ok(())
    }

    /// The seals on the way through an hour don't move the time up to which everything is sealed; the last one does.
    async fn seal_hour(
        &self,
        hour: Hour,
        from: Timestamp,
        now: Timestamp,
        deadline: Instant,
        progress: &mut Progress,
        done: &mut SealReport,
    ) -> Result<(), SealError> {
        let unmoved = now.min(from.plus(MAX_RECORD_DELAY));
        let (mut buffer, seals) = (Buffer::default(), done.seals);
        for partition in keys::audit_records(hour) {
            let mut next = Some(keys::row_time(from));
            while let Some(start) = next {
                let page = self.store.audit_records(&partition, Some(start), Some(PAGE), self.usage).await?;
                next = page.last().filter(|_| page.len() == PAGE).map(|item| keys::next(&item.key.sk));
                buffer.add(fresh(progress, &page), progress, done);
                if buffer.links.len() >= PAGE {
                    self.seal(progress, &mut buffer, unmoved, done).await?;
                }
                if Instant::now() >= deadline {
                    return Ok(());
                }
            }
        }
        if done.seals > seals || !buffer.links.is_empty() {
            // Nothing more can come into an hour that is over for so long.
            let settled = Hour(hour.0 + 1).start().plus(MAX_RECORD_DELAY);
            self.seal(progress, &mut buffer, now.min(settled), done).await?;
        }
        Ok(())
    }

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
                // Chains of earlier hours than this are closed.
                let last = progress.last.as_ref().unwrap_or(&seal);
                let open = last.statement.at.min(now).plus(-MAX_RECORD_DELAY).hour();
                // Seals on the way through an hour bear the time of the one before them, so all of that time are needed.
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
                        "the last seal is of another key: changed, or forged"
                    );
                }
                progress.last.get_or_insert(seal);
            }
        }
        Ok(progress)
    }

    /// The hour of the first record, before anything was sealed.
    async fn first_hour(&self) -> Result<Option<Hour>, SealError> {
        let (mut first, mut after) = (None, None);
        loop {
            let (items, next) = self.store.audit_page(after, self.usage).await?;
            let hours = items.iter().filter_map(|item| keys::parse_audit_records(&item.key.pk));
            first = first.into_iter().chain(hours).min();
            match next {
                Some(next) => after = Some(next),
                None => return Ok(first),
            }
        }
    }

    /// Indexes what is in the buffer and makes the next seal over it.
    async fn seal(
        &self,
        progress: &mut Progress,
        buffer: &mut Buffer,
        at: Timestamp,
        done: &mut SealReport,
    ) -> Result<(), SealError> {
        let Buffer { links, heads } = std::mem::take(buffer);
        AuditIndex::new(self.store, self.usage).list(&links).await?;
        let unreadable = |e: serde_json::Error| StoreError::Refused(e.to_string());
        let records = u64::try_from(links.len()).unwrap_or(u64::MAX);
        let heads: Vec<Head> = heads.into_values().collect();
        let statement = Statement::after(progress.last.as_ref(), &heads, records, at, self.signer.key());
        let text = serde_json::to_string(&statement.map_err(unreadable)?).map_err(unreadable)?;
        let signature = self.signer.sign(text.as_bytes()).await?;
        let seal = Seal::new(text, heads, signature).map_err(unreadable)?;
        match self.store.put_seal(&seal, self.usage).await {
            Ok(()) => {}
            Err(TransactError::Race) => return Err(SealError::Overtaken),
            Err(TransactError::Failed(error)) => return Err(error.into()),
        }
        progress.last = Some(seal);
        done.seals += 1;
        done.records += records;
        Ok(())
    }
}
