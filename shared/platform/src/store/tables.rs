//! Creates, finds and drops the tables of generations.

use super::client::Store;
use super::error::StoreError;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use std::time::Duration;
use torale_domain::storage::keys::{PROJECTIONS_TABLE_PREFIX, TableSpec};

/// How often a new table is checked until it is active, and how many times at most: for two minutes.
const POLL: Duration = Duration::from_millis(500);
const POLLS: u32 = 240;

/// The size of a table as DynamoDB describes it. For a table in use, it is updated every six hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSize {
    /// The number of items.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Creates a table with on-demand capacity, unless it exists. Returns when it is active.
///
/// # Errors
/// If the store fails, or the table is not active after two minutes.
pub async fn create(client: &Client, table: &TableSpec) -> Result<(), StoreError> {
    let refused = |e: aws_sdk_dynamodb::error::BuildError| StoreError::Refused(e.to_string());
    let mut create = client.create_table().table_name(&table.name).billing_mode(BillingMode::PayPerRequest);
    let keys = std::iter::once((table.hash_key, KeyType::Hash))
        .chain(table.range_key.map(|name| (name, KeyType::Range)));
    for (name, kind) in keys {
        let definition =
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        let element = KeySchemaElement::builder().attribute_name(name).key_type(kind);
        create = create.attribute_definitions(definition.build().map_err(refused)?);
        create = create.key_schema(element.build().map_err(refused)?);
    }
    match create.send().await {
        Err(error) if !error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => {
            return Err(StoreError::from_sdk(error));
        }
        Ok(_) | Err(_) => {}
    }
    for _ in 0..POLLS {
        if status(client, &table.name).await? == Some(TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    Err(StoreError::Unavailable(format!("table {} does not become active", table.name)))
}

/// The status of a table; `None` if there is no such table.
async fn status(client: &Client, table: &str) -> Result<Option<TableStatus>, StoreError> {
    match client.describe_table().table_name(table).send().await {
        Ok(described) => Ok(described.table.and_then(|table| table.table_status)),
        Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
            Ok(None)
        }
        Err(error) => Err(StoreError::from_sdk(error)),
    }
}

impl Store {
    /// Creates a table with on-demand capacity, unless it exists. Returns when it is active.
    pub async fn create_table(&self, table: &TableSpec) -> Result<(), StoreError> {
        create(&self.client, table).await
    }

    /// Whether a table exists and can be used. A table that is being restored can't be used yet.
    pub async fn has_table(&self, table: &str) -> Result<bool, StoreError> {
        let status = status(&self.client, table).await?;
        Ok(matches!(status, Some(TableStatus::Active | TableStatus::Updating)))
    }

    /// Drops a table. Returns whether it existed.
    pub async fn drop_table(&self, table: &str) -> Result<bool, StoreError> {
        match self.client.delete_table().table_name(table).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                Ok(false)
            }
            Err(error) => Err(StoreError::from_sdk(error)),
        }
    }

    /// The names of all generations that have a table, in the order of their names.
    pub async fn generations(&self) -> Result<Vec<String>, StoreError> {
        let pages = self.client.list_tables().into_paginator().items().send();
        let tables: Vec<String> = pages.collect::<Result<_, _>>().await.map_err(StoreError::from_sdk)?;
        let names = tables.iter().filter_map(|table| table.strip_prefix(PROJECTIONS_TABLE_PREFIX));
        Ok(names.map(str::to_owned).collect())
    }

    /// The size of a table.
    pub async fn table_size(&self, table: &str) -> Result<TableSize, StoreError> {
        let answer = self.client.describe_table().table_name(table).send().await;
        let answer = answer.map_err(StoreError::from_sdk)?;
        let number = |of: Option<i64>| of.and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
        let table = answer.table();
        Ok(TableSize {
            items: number(table.and_then(|table| table.item_count())),
            bytes: number(table.and_then(|table| table.table_size_bytes())),
        })
    }
}
