//! Seals the audit trail, on a schedule: see `shared/platform/src/audit/seal.rs`.

pub mod kms;

use ed25519_dalek::pkcs8::DecodePrivateKey;
use ed25519_dalek::{SigningKey, VerifyingKey};
use kms::KmsKey;
use serde::Serialize;
use tokio::time::Instant;
use torale_platform::audit::seal::{LocalKey, SealError, SealReport, Sealer, Signer};
use torale_platform::clock::Clock;
use torale_platform::config::AuditKey;
use torale_platform::metrics::{self, MetricSet};
use torale_platform::store::{Store, Usage};

/// The key to seal with.
#[derive(Debug)]
pub enum SealingKey {
    /// In a file.
    Local(LocalKey),
    /// In KMS.
    Kms(KmsKey),
}

impl SealingKey {
    /// The key that the environment names.
    ///
    /// # Errors
    /// If there is none, or it is no Ed25519 key.
    pub async fn load(setting: AuditKey) -> Result<Self, SealError> {
        match setting {
            AuditKey::File(path) => {
                let pem = tokio::fs::read_to_string(&path).await;
                let pem = pem.map_err(|e| SealError::Signing(format!("the key's file: {e}")))?;
                let key = SigningKey::from_pkcs8_pem(&pem);
                Ok(Self::Local(LocalKey::new(key.map_err(|e| SealError::Signing(e.to_string()))?)))
            }
            AuditKey::Kms(id) => Ok(Self::Kms(KmsKey::connect(id).await?)),
            AuditKey::Missing => Err(SealError::Signing("no key is set".to_owned())),
        }
    }
}

impl Signer for SealingKey {
    fn key(&self) -> &VerifyingKey {
        match self {
            Self::Local(key) => key.key(),
            Self::Kms(key) => key.key(),
        }
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SealError> {
        match self {
            Self::Local(key) => key.sign(message).await,
            Self::Kms(key) => key.sign(message).await,
        }
    }
}

/// What a run answers.
#[derive(Debug, Serialize)]
pub struct SealAnswer {
    seals: u64,
    records: u64,
    broken_chains: usize,
}

/// One run, until the deadline at the latest. That another was faster is no failure.
///
/// # Errors
/// If store or key failed; the next run does what this one could not.
pub async fn handle(
    store: &Store,
    key: &SealingKey,
    clock: Clock,
    deadline: Instant,
) -> Result<SealAnswer, SealError> {
    let usage = Usage::default();
    let (done, run) = Sealer::new(store, key, clock, &usage).run(deadline).await;
    for chain in &done.broken {
        tracing::warn!(%chain, "a record of the audit trail is on its way, or missing: the next run will tell");
    }
    let doubts = doubts(&done);
    if !doubts.metrics.is_empty() {
        metrics::emit(&[doubts], clock());
    }
    match run {
        Err(SealError::Overtaken) => tracing::info!("another run was faster"),
        run => run?,
    }
    // The log is a witness: who cuts off the end of the trail together with its seals can't change it.
    let (seal, digest) = done.last.unzip();
    let (write_units, read_units) = (usage.write_units(), usage.read_units());
    let (seals, records) = (done.seals, done.records);
    tracing::info!(seals, records, seal, digest, write_units, read_units, "sealed");
    Ok(SealAnswer { seals, records, broken_chains: done.broken.len() })
}

/// What an alarm is to ring for, if anything: the trail was changed, unless a record is only on its way or the key was
/// changed by those who may.
pub fn doubts(done: &SealReport) -> MetricSet {
    let broken = u64::try_from(done.broken.len()).unwrap_or(u64::MAX);
    let found = [("BrokenChains", "Count", broken), ("ForeignSeals", "Count", u64::from(done.foreign))];
    MetricSet {
        namespace: "Torale/Audit",
        metrics: found.into_iter().filter(|(_, _, count)| *count > 0).collect(),
    }
}
