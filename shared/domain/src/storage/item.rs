//! Stored items as the pure core sees them: a key, and attributes that are texts,
//! integers or bytes.

use crate::values::time::Timestamp;
use std::collections::BTreeMap;

/// The key of an item: partition and sort key. Keys to be written are made in
/// [`keys`](crate::storage::keys), where none can be too long for the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Key {
    /// Partition key (`pk`).
    pub pk: String,
    /// Sort key (`sk`).
    pub sk: String,
}

impl Key {
    /// The key of an item that was read: from a table, or from an export of one.
    pub const fn stored(pk: String, sk: String) -> Self {
        Self { pk, sk }
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text in UTF-8.
    Text(String),
    /// An integer of at most 38 digits.
    Number(i128),
    /// Bytes: a compressed part of the event log.
    Bytes(Vec<u8>),
}

impl Value {
    /// Its approximate size in a request, in bytes; 20 for any number.
    pub fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Number(_) => 20,
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Timestamp> for Value {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn from(at: Timestamp) -> Self {
        Self::Number(at.millis().into())
    }
}

/// The attributes of an item, without those of its key.
pub type Attributes = BTreeMap<String, Value>;

/// A stored item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its key.
    pub key: Key,
    /// Its attributes without those of the key.
    pub attributes: Attributes,
}

impl Item {
    /// Its approximate size in a request, in bytes.
    pub fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + value.size());
        self.key.pk.len() + self.key.sk.len() + attributes.sum::<usize>()
    }

    /// The value of a text attribute; `None` if it does not exist or is no text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Value::Text(text)) => Some(text),
            Some(Value::Number(_) | Value::Bytes(_)) | None => None,
        }
    }

    /// The number attributes with their values.
    pub fn numbers(&self) -> impl Iterator<Item = (&str, i128)> {
        self.attributes.iter().filter_map(|(name, value)| match value {
            Value::Number(number) => Some((name.as_str(), *number)),
            Value::Text(_) | Value::Bytes(_) => None,
        })
    }

    /// The value of a number attribute. 0 if it does not exist or is no number, because counters
    /// store no zeros.
    pub fn number(&self, name: &str) -> i128 {
        match self.attributes.get(name) {
            Some(Value::Number(number)) => *number,
            Some(Value::Text(_) | Value::Bytes(_)) | None => 0,
        }
    }
}
