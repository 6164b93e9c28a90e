//! The client of one function instance, and the calls on single items that other modules build on.

use super::calls::{IfExists, SetValue, TableCalls, Update, UpdateCondition};
use super::dynamodb::DynamoDb;
use super::error::StoreError;
use super::usage::Usage;
use crate::{aws, config};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use std::sync::{Arc, Mutex};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::CONTROL_TABLE;
use torale_domain::storage::limits::ItemLimits;
use torale_domain::values::time::Hour;

/// What grows back of the SDK's quota of retries in a second; a retry takes five.
const RETRY_TOKENS: f32 = 50.0;

/// The store of one function instance.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) calls: Arc<dyn TableCalls>,
    /// An hour that the stored beginning of the log is known not to be after.
    pub(super) log_beginning: Arc<Mutex<Option<Hour>>>,
    limits: ItemLimits,
}

impl Store {
    /// The account's DynamoDB or the local stack's, as the environment says.
    pub async fn connect() -> Self {
        Self::new(aws::shared().await.into())
    }

    /// DynamoDB by this client configuration, to which time limits and retries are added.
    pub fn new(config: aws_sdk_dynamodb::config::Builder) -> Self {
        let limits = TimeoutConfig::builder()
            .operation_timeout(config::STORE_TIMEOUT)
            .operation_attempt_timeout(config::STORE_ATTEMPT_TIMEOUT)
            .build();
        // By default it grows back with successes alone, and direct reads are none of the SDK's.
        let quota = TokenBucket::builder().capacity(500).refill_rate(RETRY_TOKENS).build();
        let retries = RetryPartition::custom("dynamodb").token_bucket(quota).build();
        let config = config
            .timeout_config(limits)
            .retry_partition(retries)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .build();
        Self::from(Client::from_conf(config))
    }

    /// A store over other tables than DynamoDB's: those of a simulation.
    pub fn over(calls: Arc<dyn TableCalls>) -> Self {
        Self { calls, log_beginning: Arc::default(), limits: ItemLimits::STORE }
    }

    /// The same store with other limits: for trying what is too large without making it so large.
    #[must_use]
    pub fn with_limits(self, limits: ItemLimits) -> Self {
        Self { limits, ..self }
    }

    /// What its items may hold.
    pub const fn limits(&self) -> ItemLimits {
        self.limits
    }

    /// The calls on tables below it: for comparing two implementations of them.
    pub fn calls(&self) -> &dyn TableCalls {
        &*self.calls
    }

    /// An item of the control table, read strongly consistent.
    pub async fn control(&self, key: &Key, usage: &Usage) -> Result<Option<Item>, StoreError> {
        self.calls.get(CONTROL_TABLE, key, usage).await
    }

    /// Puts an item and replaces one that exists.
    pub(super) async fn put(&self, table: &str, item: Item, usage: &Usage) -> Result<(), StoreError> {
        self.calls.put(table, item, IfExists::Replace, usage).await.map(drop)
    }

    /// Puts an item unless one with its key exists, which stays as it is. Returns whether the item was put.
    pub(super) async fn insert(&self, table: &str, item: Item, usage: &Usage) -> Result<bool, StoreError> {
        self.calls.put(table, item, IfExists::Keep, usage).await
    }

    /// Changes attributes of an item of the control table if the conditions hold. Returns whether they did.
    pub(super) async fn update_control(
        &self,
        key: &Key,
        set: Vec<(String, SetValue)>,
        conditions: Vec<UpdateCondition>,
        usage: &Usage,
    ) -> Result<bool, StoreError> {
        let update = Update { key, set, remove: &[], conditions, answer: false };
        Ok(self.calls.update(CONTROL_TABLE, update, usage).await?.held)
    }
}

impl From<Client> for Store {
    /// DynamoDB by a client, as it is configured.
    fn from(client: Client) -> Self {
        Self::over(Arc::new(DynamoDb::from(client)))
    }
}
