//! Seals the audit trail on a schedule (`shared/platform/src/audit/seal.rs`).

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

/// The key that signs the seals.
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
    /// If no key is set, it can't be read, or it is not an Ed25519 key.
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

/// The response of a run.
#[derive(Debug, Serialize)]
pub struct SealAnswer {
    seals: u64,
    records: u64,
    broken_chains: usize,
}

/// Runs the sealing job until the deadline at the latest. It is no error if another run was faster.
///
/// # Errors
/// If the store or the key fails. The next run continues.
pub async fn handle(
    store: &Store,
    key: &SealingKey,
    clock: Clock,
    deadline: Instant,
) -> Result<SealAnswer, SealError> {
    let usage = Usage::default();
    let (report, run) = Sealer::new(store, key, clock, &usage).run(deadline).await;
    for chain in &report.broken {
        tracing::warn!(%chain, "a record of the audit trail is still being written, or missing");
    }
    let alarms = alarm_metrics(&report);
    if !alarms.metrics.is_empty() {
        metrics::emit(&[alarms], clock());
    }
    match run {
        Err(SealError::Overtaken) => tracing::info!("another run was faster"),
        run => run?,
    }
    // The log is a second witness: whoever removes the end of the trail with its seals can't change the log.
    let (seal, digest) = report.last.unzip();
    let (write_units, read_units) = (usage.write_units(), usage.read_units());
    let (seals, records) = (report.seals, report.records);
    tracing::info!(seals, records, seal, digest, write_units, read_units, "sealed");
    Ok(SealAnswer { seals, records, broken_chains: report.broken.len() })
}

/// The metrics that alarms watch; none if everything is in order. Either the trail was tampered with, or a record is
/// still being written, or an operator has changed the key.
pub fn alarm_metrics(report: &SealReport) -> MetricSet {
    let broken = u64::try_from(report.broken.len()).unwrap_or(u64::MAX);
    let found = [("BrokenChains", "Count", broken), ("ForeignSeals", "Count", u64::from(report.foreign))];
    MetricSet {
        namespace: "Torale/Audit",
        metrics: found.into_iter().filter(|(_, _, count)| *count > 0).collect(),
    }
}
