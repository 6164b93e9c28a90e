//! Between the core's items and DynamoDB's.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;
use torale_domain::projections::compare::FOREIGN;
use torale_domain::storage::item::{Attributes, Item, Key, Value};
use torale_domain::storage::keys::{PK, SK};
use torale_domain::storage::read::Corrupt;

pub(super) fn key(key: &Key) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (PK.to_owned(), AttributeValue::S(key.pk.clone())),
        (SK.to_owned(), AttributeValue::S(key.sk.clone())),
    ])
}

pub(super) fn value(value: Value) -> AttributeValue {
    match value {
        Value::Text(text) => AttributeValue::S(text),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::Bytes(bytes) => AttributeValue::B(Blob::new(bytes)),
    }
}

pub(super) fn full(item: &Key, attributes: Attributes) -> HashMap<String, AttributeValue> {
    let mut all = key(item);
    all.extend(attributes.into_iter().map(|(name, attribute)| (name, value(attribute))));
    all
}

/// What can be read of an item; attributes of other kinds are left out.
pub(super) fn readable(mut stored: HashMap<String, AttributeValue>) -> Item {
    stored.retain(|_, value| is_ours(value));
    item(stored).unwrap_or_else(|corrupt| Item {
        key: Key { pk: corrupt.pk, sk: corrupt.sk },
        attributes: Attributes::new(),
    })
}

/// All of an item; what we never write is a text that differs from all of ours.
pub(super) fn any(stored: HashMap<String, AttributeValue>) -> Item {
    let foreign: Attributes = stored
        .iter()
        .filter(|(name, value)| *name != PK && *name != SK && !is_ours(value))
        .map(|(name, value)| (name.clone(), Value::Text(format!("{FOREIGN}{value:?}"))))
        .collect();
    let mut item = readable(stored);
    item.attributes.extend(foreign);
    item
}

fn is_ours(value: &AttributeValue) -> bool {
    matches!(value, AttributeValue::S(_) | AttributeValue::B(_))
        || value.as_n().is_ok_and(|number| number.parse::<i128>().is_ok())
}

pub(super) fn item(mut stored: HashMap<String, AttributeValue>) -> Result<Item, Corrupt> {
    let mut text = |name: &str| match stored.remove(name) {
        Some(AttributeValue::S(text)) => text,
        _not_a_text => String::new(),
    };
    let key = Key { pk: text(PK), sk: text(SK) };
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
