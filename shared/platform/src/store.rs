//! DynamoDB: executes what the core has planned, and nothing else.

mod audit;
pub mod bulk;
mod convert;
pub mod generation;
mod key_use;
mod limit;
pub mod log;
mod machinery;
mod outbox;
mod reader;
pub mod tables;
mod transact;

use crate::aws;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
pub use generation::{Generation, GenerationPointer, Generations};
pub use reader::TableReader;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use torale_domain::storage::read::Corrupt;
use torale_domain::values::time::Hour;
pub use transact::TransactError;

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached, or not in time, or has no capacity left.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// It refused the request as wrong: a defect of ours.
    #[error("store refused: {0}")]
    Refused(String),
    /// It holds what can't be.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

impl StoreError {
    /// True if the same call may succeed later.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    fn from_sdk<E>(error: SdkError<E>) -> Self
    where
        E: std::error::Error + aws_sdk_dynamodb::error::ProvideErrorMetadata + Send + Sync + 'static,
    {
        let code = error.as_service_error().and_then(|e| e.code().map(str::to_owned));
        let text = aws::causes(&error);
        match code.as_deref() {
            Some(
                "ValidationException"
                | "ResourceNotFoundException"
                | "ItemCollectionSizeLimitExceededException",
            ) => Self::Refused(text),
            Some(_) | None => Self::Unavailable(text),
        }
    }
}

/// What the calls of one request or batch have cost.
#[derive(Debug, Default)]
pub struct Usage {
    read_halves: AtomicU64,
    write_halves: AtomicU64,
    round_trips: AtomicU64,
}

impl Usage {
    /// Read units.
    pub fn read_units(&self) -> f64 {
        f64::from(u32::try_from(self.read_halves.load(Ordering::Relaxed)).unwrap_or(u32::MAX)) / 2.0
    }

    /// Write units.
    pub fn write_units(&self) -> f64 {
        f64::from(u32::try_from(self.write_halves.load(Ordering::Relaxed)).unwrap_or(u32::MAX)) / 2.0
    }

    /// Write units in halves, exactly.
    pub fn write_halves(&self) -> u64 {
        self.write_halves.load(Ordering::Relaxed)
    }

    /// Round trips that waited for one another.
    pub fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed)
    }

    fn read(&self, capacity: Option<&ConsumedCapacity>) {
        self.read_halves.fetch_add(halves(capacity), Ordering::Relaxed);
    }

    fn wrote(&self, capacity: &[ConsumedCapacity]) {
        self.write_halves.fetch_add(capacity.iter().map(|c| halves(Some(c))).sum(), Ordering::Relaxed);
    }

    /// Adds the costs of flows that ran beside each other: the longest tells how many round trips they waited for.
    pub fn add_parallel(&self, flows: &[&Self]) {
        for flow in flows {
            self.read_halves.fetch_add(flow.read_halves.load(Ordering::Relaxed), Ordering::Relaxed);
            self.write_halves.fetch_add(flow.write_halves.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.waited(flows.iter().map(|flow| flow.round_trips()).max().unwrap_or(0));
    }

    fn waited(&self, round_trips: u64) {
        self.round_trips.fetch_add(round_trips, Ordering::Relaxed);
    }
}

/// Units come in halves and are counted as integers.
fn halves(capacity: Option<&ConsumedCapacity>) -> u64 {
    let units = capacity.and_then(ConsumedCapacity::capacity_units).unwrap_or(0.0);
    format!("{:.0}", units * 2.0).parse().unwrap_or(0)
}

/// The store of one function instance: a client with its time limits.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    /// The earliest hour that this instance knows the log to begin at or before.
    log_beginning: Arc<Mutex<Option<Hour>>>,
}

impl Store {
    /// With the account's or the local stack's DynamoDB, as the environment says.
    pub async fn connect() -> Self {
        Self::new(aws::shared().await.into())
    }

    /// With a client configuration of one's own; sets time limits and retries.
    pub fn new(config: aws_sdk_dynamodb::config::Builder) -> Self {
        let limits = TimeoutConfig::builder()
            .operation_timeout(crate::config::STORE_TIMEOUT)
            .operation_attempt_timeout(crate::config::STORE_ATTEMPT_TIMEOUT)
            .build();
        let config =
            config.timeout_config(limits).retry_config(RetryConfig::standard().with_max_attempts(3)).build();
        Self { client: Client::from_conf(config), log_beginning: Arc::default() }
    }
}

/// Every call reports what it cost.
const CAPACITY: ReturnConsumedCapacity = ReturnConsumedCapacity::Total;
