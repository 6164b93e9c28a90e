//! Requests and answers of direct calls as DynamoDB's protocol has them: JSON. An answer is read straight into items;
//! an attribute of a kind that this system never writes makes it unreadable.

use super::expression::Expression;
use super::query::Query;
use crate::store::calls::BatchRead;
use crate::store::usage::CAPACITY;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use torale_domain::storage::item::{Attributes, Item, Key, Value};
use torale_domain::storage::keys::{PK, SK};

/// The request of a `GetItem`, strongly consistent.
pub(super) fn get(table: &str, key: &Key) -> Option<Vec<u8>> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct GetItem<'a> {
        table_name: &'a str,
        key: SentKey<'a>,
        consistent_read: bool,
        return_consumed_capacity: &'a str,
    }
    let (key, return_consumed_capacity) = (SentKey(key), CAPACITY.as_str());
    let request = GetItem { table_name: table, key, consistent_read: true, return_consumed_capacity };
    serde_json::to_vec(&request).ok()
}

/// The request of a `BatchGetItem` from one table, with its projection.
pub(super) fn get_batch(
    batch: &BatchRead<'_>,
    projection: Option<&str>,
    expression: &Expression,
) -> Option<Vec<u8>> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Keys<'a> {
        keys: Vec<SentKey<'a>>,
        consistent_read: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        projection_expression: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expression_attribute_names: Option<SentNames<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct BatchGetItem<'a> {
        request_items: BTreeMap<&'a str, Keys<'a>>,
        return_consumed_capacity: &'a str,
    }
    let keys = Keys {
        keys: batch.keys.iter().map(SentKey).collect(),
        consistent_read: batch.consistent,
        projection_expression: projection,
        expression_attribute_names: projection.map(|_| SentNames(expression)),
    };
    let request_items = BTreeMap::from([(batch.table, keys)]);
    serde_json::to_vec(&BatchGetItem { request_items, return_consumed_capacity: CAPACITY.as_str() }).ok()
}

/// The request of a `Query`.
pub(super) fn query(query: &Query<'_>, consistent: bool, after: Option<&Key>) -> Option<Vec<u8>> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct SentQuery<'a> {
        table_name: &'a str,
        consistent_read: bool,
        scan_index_forward: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<i32>,
        key_condition_expression: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        projection_expression: Option<&'a str>,
        expression_attribute_names: SentNames<'a>,
        expression_attribute_values: SentValues<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        exclusive_start_key: Option<SentKey<'a>>,
        return_consumed_capacity: &'a str,
    }
    let request = SentQuery {
        table_name: query.table,
        consistent_read: consistent,
        scan_index_forward: query.forward,
        limit: query.limit,
        key_condition_expression: &query.condition,
        projection_expression: query.projection.as_deref(),
        expression_attribute_names: SentNames(&query.expression),
        expression_attribute_values: SentValues(&query.expression),
        exclusive_start_key: after.map(SentKey),
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

/// A key as a request has it.
struct SentKey<'a>(&'a Key);

impl Serialize for SentKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = [(PK, &self.0.pk), (SK, &self.0.sk)];
        serializer.collect_map(parts.map(|(name, text)| (name, Typed::S(text))))
    }
}

/// The names behind the placeholders of a request.
struct SentNames<'a>(&'a Expression);

impl Serialize for SentNames<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (names, _) = self.0.placeholders();
        serializer.collect_map(names.iter().map(|(placeholder, name)| (placeholder, name)))
    }
}

/// The values behind the placeholders of a request.
struct SentValues<'a>(&'a Expression);

impl Serialize for SentValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (_, values) = self.0.placeholders();
        serializer.collect_map(values.iter().map(|(placeholder, value)| (placeholder, SentValue(value))))
    }
}

struct SentValue<'a>(&'a Value);

impl Serialize for SentValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Text(text) => Typed::S(text).serialize(serializer),
            Value::Number(number) => Typed::N(number.to_string()).serialize(serializer),
            Value::Bytes(bytes) => Typed::B(STANDARD.encode(bytes)).serialize(serializer),
        }
    }
}

/// A value as a request has it: its type and a text.
#[derive(Serialize)]
enum Typed<'a> {
    S(&'a str),
    N(String),
    B(String),
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
