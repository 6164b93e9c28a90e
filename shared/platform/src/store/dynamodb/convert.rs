//! Converts between the items of the domain and DynamoDB's.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;
use torale_domain::projections::compare::FOREIGN;
use torale_domain::storage::item::{Attributes, Item, Key, Value};
use torale_domain::storage::keys::{PK, SK};
use torale_domain::storage::read::Corrupt;

/// An item as DynamoDB's client holds it.
pub(super) type StoredItem = HashMap<String, AttributeValue>;

/// The two key attributes of an item.
pub(super) fn key(key: &Key) -> StoredItem {
    HashMap::from([
        (PK.to_owned(), AttributeValue::S(key.pk.clone())),
        (SK.to_owned(), AttributeValue::S(key.sk.clone())),
    ])
}

/// An attribute's value.
pub(super) fn value(value: Value) -> AttributeValue {
    match value {
        Value::Text(text) => AttributeValue::S(text),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::Bytes(bytes) => AttributeValue::B(Blob::new(bytes)),
    }
}

/// A whole item: its key and its attributes.
pub(super) fn full(item: &Key, attributes: Attributes) -> StoredItem {
    let mut all = key(item);
    all.extend(attributes.into_iter().map(|(name, attribute)| (name, value(attribute))));
    all
}

/// A stored item of a table that only this system writes: an attribute of a kind that it never writes is an error.
pub(super) fn item(mut stored: StoredItem) -> Result<Item, Corrupt> {
    let mut text = |name: &str| match stored.remove(name) {
        Some(AttributeValue::S(text)) => text,
        _not_a_text => String::new(),
    };
    let key = Key::stored(text(PK), text(SK));
    let mut attributes = Attributes::new();
    for (name, attribute) in stored {
        let value = match Some(attribute) {
            Some(AttributeValue::S(text)) => Some(Value::Text(text)),
            Some(AttributeValue::N(number)) => number.parse().ok().map(Value::Number),
            Some(AttributeValue::B(bytes)) => Some(Value::Bytes(bytes.into_inner())),
            _other_kinds => None,
        };
        let value = value.ok_or_else(|| Corrupt::new(&key, format!("attribute {name}")))?;
        attributes.insert(name, value);
    }
    Ok(Item { key, attributes })
}

/// A stored item without the attributes of kinds that this system never writes.
pub(super) fn item_without_foreign(mut stored: StoredItem) -> Item {
    stored.retain(|_, value| is_supported(value));
    item(stored).unwrap_or_else(|corrupt| Item {
        key: Key::stored(corrupt.pk, corrupt.sk),
        attributes: Attributes::new(),
    })
}

/// A whole stored item, for comparisons: an attribute of a kind that this system never writes becomes a text that
/// differs from every text that it writes.
pub(super) fn item_with_foreign(stored: StoredItem) -> Item {
    let foreign: Attributes = stored
        .iter()
        .filter(|(name, value)| *name != PK && *name != SK && !is_supported(value))
        .map(|(name, value)| (name.clone(), Value::Text(format!("{FOREIGN}{value:?}"))))
        .collect();
    let mut item = item_without_foreign(stored);
    item.attributes.extend(foreign);
    item
}

/// Whether this system writes values of this kind: texts, bytes and integers.
fn is_supported(value: &AttributeValue) -> bool {
    matches!(value, AttributeValue::S(_) | AttributeValue::B(_))
        || value.as_n().is_ok_and(|number| number.parse::<i128>().is_ok())
}
