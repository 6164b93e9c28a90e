//! The calls on tables: nothing else in this crate speaks DynamoDB.
//!
//! | module | what it does |
//! |---|---|
//! | `read`, `write`, `transact`, `administer` | the calls |
//! | `convert` | items as the SDK has them |
//! | `expression`, `query` | expressions, and what a query of a range says with them |
//! | `direct`, `json`, `signing`, `identity` | frequent reads without the SDK's orchestration, their JSON, their signatures, and who signs |

mod administer;
mod convert;
mod direct;
mod expression;
mod identity;
mod json;
mod query;
mod read;
mod signing;
mod transact;
mod write;

use super::calls::{
    BatchRead, BatchWrite, Call, CappedCount, IfExists, RangeQuery, ReadPage, Scan, TableCalls,
    TableDescription, Update, UpdateResult,
};
use super::error::{StoreError, TransactError};
use super::usage::Usage;
use crate::config::STORE_TIMEOUT;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use direct::DirectReads;
use futures::future::BoxFuture;
use tokio::time::{Duration, timeout};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::TableSpec;
use torale_domain::storage::read::Range;
use torale_domain::storage::write::Write;

/// DynamoDB, or what speaks its protocol.
#[derive(Debug, Clone)]
pub(super) struct DynamoDb {
    client: Client,
    direct: DirectReads,
    /// The longest time for a read: the client's for a call.
    limit: Duration,
}

impl From<Client> for DynamoDb {
    fn from(client: Client) -> Self {
        let limit = client.config().timeout_config().and_then(TimeoutConfig::operation_timeout);
        let (direct, client) = DirectReads::of(&client);
        Self { client, direct, limit: limit.unwrap_or(STORE_TIMEOUT) }
    }
}

impl DynamoDb {
    /// A read within the time of a call, whoever makes it.
    async fn limited<T>(
        &self,
        reading: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let read = timeout(self.limit, reading).await;
        read.unwrap_or_else(|_elapsed| Err(StoreError::Unavailable("no answer in time".to_owned())))
    }
}

impl TableCalls for DynamoDb {
    fn get<'a>(&'a self, table: &'a str, key: &'a Key, usage: &'a Usage) -> Call<'a, Option<Item>> {
        Box::pin(self.limited(self.get_item(table, key, usage)))
    }

    fn get_batch<'a>(&'a self, batch: BatchRead<'a>, usage: &'a Usage) -> Call<'a, (Vec<Item>, Vec<Key>)> {
        Box::pin(self.limited(self.batch_get_item(batch, usage)))
    }

    fn query<'a>(&'a self, query: RangeQuery<'a>, usage: &'a Usage) -> Call<'a, ReadPage> {
        Box::pin(self.limited(self.query_range(query, usage)))
    }

    fn count<'a>(&'a self, table: &'a str, range: &'a Range, usage: &'a Usage) -> Call<'a, CappedCount> {
        Box::pin(self.count_range(table, range, usage))
    }

    fn scan<'a>(&'a self, scan: Scan<'a>, usage: &'a Usage) -> Call<'a, ReadPage> {
        Box::pin(self.scan_table(scan, usage))
    }

    fn put<'a>(&'a self, table: &'a str, item: Item, existing: IfExists, usage: &'a Usage) -> Call<'a, bool> {
        Box::pin(self.put_item(table, item, existing, usage))
    }

    fn update<'a>(&'a self, table: &'a str, update: Update<'a>, usage: &'a Usage) -> Call<'a, UpdateResult> {
        Box::pin(self.update_item(table, update, usage))
    }

    fn transact<'a>(
        &'a self,
        writes: Vec<(String, Write)>,
        usage: &'a Usage,
    ) -> BoxFuture<'a, Result<(), TransactError>> {
        Box::pin(self.transact_write_items(writes, usage))
    }

    fn write_batch<'a>(
        &'a self,
        table: &'a str,
        writes: Vec<BatchWrite>,
        usage: &'a Usage,
    ) -> Call<'a, Vec<BatchWrite>> {
        Box::pin(self.batch_write_item(table, writes, usage))
    }

    fn create_table<'a>(&'a self, table: &'a TableSpec) -> Call<'a, ()> {
        Box::pin(self.create(table))
    }

    fn describe_table<'a>(&'a self, table: &'a str) -> Call<'a, Option<TableDescription>> {
        Box::pin(self.describe(table))
    }

    fn drop_table<'a>(&'a self, table: &'a str) -> Call<'a, bool> {
        Box::pin(self.delete(table))
    }

    fn tables(&self) -> Call<'_, Vec<String>> {
        Box::pin(self.list())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::Config;
    use tokio::time::sleep;

    async fn after_6_s() -> Result<(), StoreError> {
        sleep(Duration::from_secs(6)).await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_may_take_as_long_as_a_call_of_its_client() {
        let with_limit = |limit: Option<Duration>| {
            let mut limits = TimeoutConfig::builder();
            limits.set_operation_timeout(limit);
            let config = Config::builder().behavior_version_latest().timeout_config(limits.build());
            DynamoDb::from(Client::from_conf(config.build()))
        };

        assert!(with_limit(None).limited(after_6_s()).await.is_err(), "5 s by default");
        assert!(with_limit(Some(STORE_TIMEOUT)).limited(after_6_s()).await.is_err());
        assert!(with_limit(Some(Duration::from_secs(60))).limited(after_6_s()).await.is_ok());
    }
}
