//! The client of one function instance, and the calls on single items that other modules build on.

use super::convert;
use super::error::StoreError;
use super::expression::Expression;
use super::usage::{CAPACITY, Usage};
use crate::{aws, config};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use std::sync::{Arc, Mutex};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{CONTROL_TABLE, PK};
use torale_domain::storage::write::Condition;
use torale_domain::values::time::Hour;

/// The store of one function instance: a DynamoDB client with time limits.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) client: Client,
    /// An hour that the stored beginning of the log is known not to be after.
    pub(super) log_beginning: Arc<Mutex<Option<Hour>>>,
}

impl Store {
    /// The account's DynamoDB or the local stack's, as the environment says.
    pub async fn connect() -> Self {
        Self::new(aws::shared().await.into())
    }

    /// A store with this client configuration, to which time limits and retries are added.
    pub fn new(config: aws_sdk_dynamodb::config::Builder) -> Self {
        let limits = TimeoutConfig::builder()
            .operation_timeout(config::STORE_TIMEOUT)
            .operation_attempt_timeout(config::STORE_ATTEMPT_TIMEOUT)
            .build();
        let config =
            config.timeout_config(limits).retry_config(RetryConfig::standard().with_max_attempts(3)).build();
        Self { client: Client::from_conf(config), log_beginning: Arc::default() }
    }

    /// An item of the control table, read strongly consistent.
    pub async fn control(&self, key: &Key, usage: &Usage) -> Result<Option<Item>, StoreError> {
        let call = self.client.get_item().table_name(CONTROL_TABLE).consistent_read(true);
        let call = call.set_key(Some(convert::key(key)));
        let answer = call.return_consumed_capacity(CAPACITY).send().await.map_err(StoreError::from_sdk)?;
        usage.add_read(answer.consumed_capacity());
        Ok(answer.item.map(convert::item).transpose()?)
    }

    /// Puts an item and replaces one that exists.
    pub(super) async fn put(&self, table: &str, item: Item, usage: &Usage) -> Result<(), StoreError> {
        let item = convert::full(&item.key, item.attributes);
        let call = self.client.put_item().table_name(table).set_item(Some(item));
        let answer = call.return_consumed_capacity(CAPACITY).send().await;
        usage.add_write(answer.map_err(StoreError::from_sdk)?.consumed_capacity.as_slice());
        Ok(())
    }

    /// Puts an item unless one with its key exists, which stays as it is. Returns whether the item was put.
    pub(super) async fn insert(&self, table: &str, item: Item, usage: &Usage) -> Result<bool, StoreError> {
        let item = convert::full(&item.key, item.attributes);
        let mut expression = Expression::default();
        let call = self
            .client
            .put_item()
            .table_name(table)
            .set_item(Some(item))
            .set_condition_expression(expression.conditions(vec![Condition::Absent(PK.to_owned())]))
            .set_expression_attribute_names(expression.names())
            .return_consumed_capacity(CAPACITY);
        match call.send().await {
            Ok(answer) => {
                usage.add_write(answer.consumed_capacity.as_slice());
                Ok(true)
            }
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(StoreError::from_sdk(error)),
        }
    }

    /// Updates an item of the control table if its conditions hold. Returns whether they did.
    pub(super) async fn update_control(
        &self,
        key: &Key,
        update: &str,
        condition: &str,
        mut expression: Expression,
        usage: &Usage,
    ) -> Result<bool, StoreError> {
        let call = self
            .client
            .update_item()
            .table_name(CONTROL_TABLE)
            .set_key(Some(convert::key(key)))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
            .return_consumed_capacity(CAPACITY);
        match call.send().await {
            Ok(answer) => {
                usage.add_write(answer.consumed_capacity.as_slice());
                Ok(true)
            }
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(StoreError::from_sdk(error)),
        }
    }
}
