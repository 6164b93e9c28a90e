//! Creates, describes, drops and lists tables.

use super::DynamoDb;
use crate::store::calls::{TableDescription, TableSize, TableState};
use crate::store::error::StoreError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use torale_domain::storage::keys::TableSpec;

impl DynamoDb {
    pub(super) async fn create(&self, table: &TableSpec) -> Result<(), StoreError> {
        let refused = |e: aws_sdk_dynamodb::error::BuildError| StoreError::Refused(e.to_string());
        let create = self.client.create_table().table_name(&table.name);
        let mut create = create.billing_mode(BillingMode::PayPerRequest);
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
                Err(StoreError::from_sdk(error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    pub(super) async fn describe(&self, table: &str) -> Result<Option<TableDescription>, StoreError> {
        let described = match self.client.describe_table().table_name(table).send().await {
            Ok(described) => described.table,
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                return Ok(None);
            }
            Err(error) => return Err(StoreError::from_sdk(error)),
        };
        let number = |of: Option<i64>| of.and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
        Ok(described.map(|table| TableDescription {
            state: match table.table_status() {
                Some(TableStatus::Active) => TableState::Active,
                Some(TableStatus::Updating) => TableState::Updating,
                _other_states => TableState::Unusable,
            },
            size: TableSize { items: number(table.item_count), bytes: number(table.table_size_bytes) },
        }))
    }

    pub(super) async fn delete(&self, table: &str) -> Result<bool, StoreError> {
        match self.client.delete_table().table_name(table).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                Ok(false)
            }
            Err(error) => Err(StoreError::from_sdk(error)),
        }
    }

    pub(super) async fn list(&self) -> Result<Vec<String>, StoreError> {
        let pages = self.client.list_tables().into_paginator().items().send();
        pages.collect::<Result<_, _>>().await.map_err(StoreError::from_sdk)
    }
}
