//! Items of the store as the pure core sees them: a key and attributes that are texts, integers or
//! bytes.

use crate::values::time::Timestamp;
use std::collections::BTreeMap;

/// The key of an item: partition and sort key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Partition key (`pk`).
    pub pk: String,
    /// Sort key (`sk`).
    pub sk: String,
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// An integer of at most 38 digits.
    Number(i128),
    /// Bytes: a packed part of the log.
    Bytes(Vec<u8>),
}

impl Value {
    /// About how many bytes it takes up in a request.
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
    /// Milliseconds of unix time.
    fn from(at: Timestamp) -> Self {
        Self::Number(at.millis().into())
    }
}

/// The attributes of an item apart from its key.
pub type Attributes = BTreeMap<String, Value>;

/// A stored item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its key.
    pub key: Key,
    /// Its other attributes.
    pub attributes: Attributes,
}

impl Item {
    /// About how many bytes it takes up in a request.
    pub fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, of)| name.len() + of.size());
        self.key.pk.len() + self.key.sk.len() + attributes.sum::<usize>()
    }

    /// A text attribute.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Value::Text(text)) => Some(text),
            Some(Value::Number(_) | Value::Bytes(_)) | None => None,
        }
    }

    /// A number attribute; 0 where there is none, as counters keep no zeros.
    pub fn number(&self, name: &str) -> i128 {
        match self.attributes.get(name) {
            Some(Value::Number(number)) => *number,
            Some(Value::Text(_) | Value::Bytes(_)) | None => 0,
        }
    }
}
