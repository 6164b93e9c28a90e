//! Requests and answers of direct calls as DynamoDB's protocol has them: JSON. An answer is read straight into items;
//! an attribute of a kind that this system never writes makes it unreadable.

use super::convert::StoredItem;
use crate::store::usage::CAPACITY;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use torale_domain::storage::item::{Attributes, Item, Key, Value};
use torale_domain::storage::keys::{PK, SK};

/// The request of a `GetItem`, strongly consistent.
pub(super) fn get(table: &str, key: &StoredItem) -> Option<Vec<u8>> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct GetItem<'a> {
        table_name: &'a str,
        key: SentItem<'a>,
        consistent_read: bool,
        return_consumed_capacity: &'a str,
    }
    let (key, return_consumed_capacity) = (SentItem(key), CAPACITY.as_str());
    let request = GetItem { table_name: table, key, consistent_read: true, return_consumed_capacity };
    serde_json::to_vec(&request).ok()
}

/// The request of a `BatchGetItem` from one table.
pub(super) fn get_batch(table: &str, request: &KeysAndAttributes) -> Option<Vec<u8>> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Keys<'a> {
        keys: Vec<SentItem<'a>>,
        consistent_read: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        projection_expression: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expression_attribute_names: Option<&'a HashMap<String, String>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct BatchGetItem<'a> {
        request_items: BTreeMap<&'a str, Keys<'a>>,
        return_consumed_capacity: &'a str,
    }
    let keys = Keys {
        keys: request.keys().iter().map(SentItem).collect(),
        consistent_read: request.consistent_read(),
        projection_expression: request.projection_expression(),
        expression_attribute_names: request.expression_attribute_names(),
    };
    let request_items = BTreeMap::from([(table, keys)]);
    serde_json::to_vec(&BatchGetItem { request_items, return_consumed_capacity: CAPACITY.as_str() }).ok()
}

/// The request of a `Query`.
pub(super) fn query(input: &QueryInputBuilder) -> Option<Vec<u8>> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Query<'a> {
        table_name: &'a Option<String>,
        consistent_read: &'a Option<bool>,
        scan_index_forward: &'a Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: &'a Option<i32>,
        key_condition_expression: &'a Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        projection_expression: &'a Option<String>,
        expression_attribute_names: &'a Option<HashMap<String, String>>,
        expression_attribute_values: Option<SentItem<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        exclusive_start_key: Option<SentItem<'a>>,
        return_consumed_capacity: &'a str,
    }
    let request = Query {
        table_name: input.get_table_name(),
        consistent_read: input.get_consistent_read(),
        scan_index_forward: input.get_scan_index_forward(),
        limit: input.get_limit(),
        key_condition_expression: input.get_key_condition_expression(),
        projection_expression: input.get_projection_expression(),
        expression_attribute_names: input.get_expression_attribute_names(),
        expression_attribute_values: input.get_expression_attribute_values().as_ref().map(SentItem),
        exclusive_start_key: input.get_exclusive_start_key().as_ref().map(SentItem),
        return_consumed_capacity: CAPACITY.as_str(),
    };
    serde_json::to_vec(&request).ok()
}

/// The answer to a `GetItem`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetAnswer {
    pub(super) item: Option<ReadItem>,
    #[serde(default)]
    pub(super) consumed_capacity: Capacity,
}

/// The answer to a `BatchGetItem`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchGetAnswer {
    pub(super) responses: BTreeMap<String, Vec<ReadItem>>,
    #[serde(default)]
    pub(super) unprocessed_keys: BTreeMap<String, UnprocessedKeys>,
    #[serde(default)]
    pub(super) consumed_capacity: Vec<Capacity>,
}

/// Keys of a table that stayed unprocessed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UnprocessedKeys {
    pub(super) keys: Vec<ReadItem>,
}

/// The answer to a `Query`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueryAnswer {
    pub(super) items: Vec<ReadItem>,
    pub(super) last_evaluated_key: Option<ReadItem>,
    #[serde(default)]
    pub(super) consumed_capacity: Capacity,
}

/// The capacity that a call has consumed; none if the store does not say it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Capacity {
    pub(super) capacity_units: f64,
}

/// Attributes as a request has them.
struct SentItem<'a>(&'a StoredItem);

impl Serialize for SentItem<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, SentValue(value))))
    }
}

struct SentValue<'a>(&'a AttributeValue);

impl Serialize for SentValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match Some(self.0) {
            Some(AttributeValue::S(text)) => map.serialize_entry("S", text)?,
            Some(AttributeValue::N(number)) => map.serialize_entry("N", number)?,
            Some(AttributeValue::B(bytes)) => map.serialize_entry("B", &STANDARD.encode(bytes))?,
            _other_kinds => return Err(S::Error::custom("a kind that this system never writes")),
        }
        map.end()
    }
}

/// An item as an answer has it.
pub(super) struct ReadItem(pub(super) Item);

impl<'de> Deserialize<'de> for ReadItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemVisitor;

        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = ReadItem;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an item")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReadItem, A::Error> {
                let mut key = Key::stored(String::new(), String::new());
                let mut attributes = Attributes::new();
                while let Some((name, ReadValue(value))) = map.next_entry::<String, _>()? {
                    match (name.as_str(), value) {
                        (PK, Value::Text(text)) => key.pk = text,
                        (SK, Value::Text(text)) => key.sk = text,
                        (_, value) => drop(attributes.insert(name, value)),
                    }
                }
                Ok(ReadItem(Item { key, attributes }))
            }
        }

        deserializer.deserialize_map(ItemVisitor)
    }
}

struct ReadValue(Value);

impl<'de> Deserialize<'de> for ReadValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        enum Typed<'a> {
            S(String),
            N(#[serde(borrow)] Cow<'a, str>),
            B(#[serde(borrow)] Cow<'a, str>),
        }
        Ok(Self(match Typed::deserialize(deserializer)? {
            Typed::S(text) => Value::Text(text),
            Typed::N(number) => Value::Number(number.parse().map_err(D::Error::custom)?),
            Typed::B(bytes) => Value::Bytes(STANDARD.decode(bytes.as_bytes()).map_err(D::Error::custom)?),
        }))
    }
}
