//! The job that seals the audit trail and indexes what it seals.
//!
//! It needs no notes of its own: what is not sealed yet follows from the seals, and indexing a record twice changes
//! nothing. So it may die at any point, stay away for a day, or run twice at once.

use crate::clock::{self, Clock};
use crate::store::{Lost, Store, StoreError, TableReader, Usage};
use ed25519_dalek::{SigningKey, VerifyingKey};
use std::collections::BTreeSet;
use std::future::Future;
use torale_domain::audit::facets::{self, RECORDS_AT_ONCE};
use torale_domain::audit::record::ChainId;
use torale_domain::audit::seal::{self, Fresh, HEARTBEAT, Head, MAX_HEADS, SETTLED, Seal, Sealed, Statement};
use torale_domain::audit::{Link, Record};
use torale_domain::keys::{AUDIT_INDEX_TABLE, AUDIT_RECORDS, parse_hour};
use torale_domain::read::{Corrupt, Reader, Reads};
use torale_domain::time::{Hour, Timestamp};

/// How often a transaction that lost a race with another run is tried again.
const MAX_ATTEMPTS: u32 = 8;

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
pub struct Done {
    /// Seals that were made.
    pub seals: u64,
    /// Records that they cover.
    pub records: u64,
    /// Chains whose next record is missing or does not continue them: on its way, or tampered with.
    pub broken: Vec<ChainId>,
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

/// The seals so far: the last one, and how far the chains are sealed that may still grow.
#[derive(Default)]
struct Progress {
    last: Option<Seal>,
    sealed: Sealed,
}

impl<'a, S: Signer> Sealer<'a, S> {
    /// Over this store, with this key.
    pub const fn new(store: &'a Store, signer: &'a S, clock: Clock, usage: &'a Usage) -> Self {
        Self { store, signer, clock, usage }
    }

    /// One run: hour by hour, so that neither its memory nor what a crash costs grows with the time it was away.
    pub async fn run(&self) -> Result<Done, SealError> {
        let now = (self.clock)();
        let mut progress = self.progress().await?;
        let mut done = Done::default();
        let from = match &progress.last {
            Some(last) => last.statement.at.plus(-SETTLED),
            None => match self.first_hour().await? {
                Some(hour) => hour.start(),
                None => return Ok(done),
            },
        };
        for hour in (from.hour().0..=now.hour().0).map(Hour) {
            let fresh = self.fresh(hour, from, &progress.sealed).await?;
            self.index(&fresh.links).await?;
            // The seals of a past hour say no more than that its records are sealed: the next run goes on from there.
            let at = now.min(Hour(hour.0 + 1).start().plus(SETTLED));
            for heads in fresh.heads.chunks(MAX_HEADS) {
                done.records += self.seal(&mut progress, heads.to_vec(), at).await?;
                done.seals += 1;
            }
            done.broken.extend(fresh.broken);
        }
        if progress.last.as_ref().is_some_and(|last| now >= last.statement.at.plus(HEARTBEAT)) {
            self.seal(&mut progress, Vec::new(), now).await?;
            done.seals += 1;
        }
        done.last = progress.last.map(|last| (last.statement.seal, last.digest().as_str().to_owned()));
        Ok(done)
    }

    async fn progress(&self) -> Result<Progress, SealError> {
        let mut progress = Progress::default();
        let mut before = None;
        while before != Some(0) {
            let items = self.store.audit_seals(before, self.usage).await?;
            if items.is_empty() {
                break;
            }
            for item in &items {
                let seal = Seal::load(item).ok_or_else(|| Corrupt::new(&item.key, "not a seal"));
                let seal = seal.map_err(StoreError::from)?;
                // Chains of earlier hours than this are closed.
                let open = progress.last.as_ref().unwrap_or(&seal).statement.at.plus(-SETTLED).hour();
                if seal.statement.at < open.start() {
                    return Ok(progress);
                }
                before = Some(seal.statement.seal);
                for head in &seal.heads {
                    progress.sealed.entry(head.chain.clone()).or_insert_with(|| head.clone());
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
            let partitions = items.iter().filter_map(|item| item.key.pk.strip_prefix(AUDIT_RECORDS));
            first = first.into_iter().chain(partitions.filter_map(parse_hour)).min();
            match next {
                Some(next) => after = Some(next),
                None => return Ok(first),
            }
        }
    }

    async fn fresh(&self, hour: Hour, from: Timestamp, sealed: &Sealed) -> Result<Fresh, SealError> {
        let items = self.store.audit_records(hour, from, self.usage).await?;
        let links = items.iter().filter_map(|item| {
            let link = Link::load(item);
            if link.is_none() {
                tracing::error!(item = %item.key.sk, "an item of the audit trail is no record");
            }
            link
        });
        Ok(seal::fresh(sealed, links.collect()))
    }

    /// Makes the next seal; returns how many records it covers.
    async fn seal(&self, progress: &mut Progress, heads: Vec<Head>, at: Timestamp) -> Result<u64, SealError> {
        let Progress { last, sealed } = progress;
        let unreadable = |e: serde_json::Error| StoreError::Refused(e.to_string());
        let grown = |head: &Head| head.seq + 1 - sealed.get(&head.chain).map_or(0, |before| before.seq + 1);
        let records = heads.iter().map(grown).sum();
        let statement = Statement::after(last.as_ref(), &heads, records, at, self.signer.key());
        let text = serde_json::to_string(&statement.map_err(unreadable)?).map_err(unreadable)?;
        let signature = self.signer.sign(text.as_bytes()).await?;
        let seal = Seal::new(text, heads, signature).map_err(unreadable)?;
        match self.store.put_seal(&seal, self.usage).await {
            Ok(()) => {}
            Err(Lost::Race) => return Err(SealError::Overtaken),
            Err(Lost::Failed(error)) => return Err(error.into()),
        }
        sealed.extend(seal.heads.iter().map(|head| (head.chain.clone(), head.clone())));
        *last = Some(seal);
        Ok(records)
    }

    /// Puts records into the index, each once.
    async fn index(&self, links: &[Link]) -> Result<(), SealError> {
        for some in links.chunks(RECORDS_AT_ONCE) {
            self.index_some(some.iter().map(|link| &link.record).collect()).await?;
        }
        Ok(())
    }

    async fn index_some(&self, mut records: Vec<&Record>) -> Result<(), SealError> {
        for attempt in 0..MAX_ATTEMPTS {
            if records.is_empty() {
                return Ok(());
            }
            match self.store.transact(AUDIT_INDEX_TABLE, facets::plan(&records), self.usage).await {
                Ok(()) => return Ok(()),
                Err(Lost::Failed(error)) => return Err(error.into()),
                Err(Lost::Race) => {
                    tokio::time::sleep(clock::backoff(attempt)).await;
                    let marks = Reads::gets(records.iter().map(|record| facets::mark(record))).consistent();
                    let reader = TableReader::new(self.store, AUDIT_INDEX_TABLE, self.usage);
                    let indexed: BTreeSet<_> = reader.read(marks).await?.items.into_keys().collect();
                    records.retain(|record| !indexed.contains(&facets::mark(record)));
                }
            }
        }
        Err(StoreError::Unavailable("records could not be indexed".to_owned()).into())
    }
}
