//! Limits: what the store takes. Whatever follows from an accepted event is within them; the check
//! is for what an older log, or somebody else, may have brought.

use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys::{MAX_PK_BYTES, MAX_SK_BYTES, PK, SK};
use crate::storage::write::{Action, Write};
use crate::values::text::excerpt;
use std::fmt;

/// The most bytes of an item: DynamoDB's limit.
pub const MAX_ITEM_BYTES: usize = 400 * 1024;
/// Characters of a key that a fault quotes.
const QUOTED: usize = 80;

/// The most bytes of keys and items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemLimits {
    /// Of a partition key.
    pub pk: usize,
    /// Of a sort key.
    pub sk: usize,
    /// Of an item, its keys and the names of its attributes included.
    pub item: usize,
}

impl ItemLimits {
    /// DynamoDB's limits.
    pub const STORE: Self = Self { pk: MAX_PK_BYTES, sk: MAX_SK_BYTES, item: MAX_ITEM_BYTES };
}

impl Default for ItemLimits {
    fn default() -> Self {
        Self::STORE
    }
}

/// Something that the store can't take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} of {key} has {bytes} bytes, of {limit} at most")]
pub struct DoesNotFit {
    /// The beginning of the item's key.
    pub key: String,
    /// What of it is too large.
    pub part: ItemPart,
    /// How large it is, in bytes.
    pub bytes: usize,
    /// The most bytes that it may have.
    pub limit: usize,
}

/// A part of an item that has a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemPart {
    /// The partition key.
    PartitionKey,
    /// The sort key.
    SortKey,
    /// The whole item.
    Whole,
}

impl fmt::Display for ItemPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PartitionKey => "the partition key",
            Self::SortKey => "the sort key",
            Self::Whole => "the item",
        })
    }
}

/// The size of an item as DynamoDB counts it, in bytes.
pub fn item_bytes(key: &Key, attributes: &Attributes) -> usize {
    let attributes = attributes.iter().map(|(name, value)| name.len() + value_bytes(value));
    PK.len() + key.pk.len() + SK.len() + key.sk.len() + attributes.sum::<usize>()
}

/// The size of a value as DynamoDB counts it, in bytes: of a number one for every two significant digits, one more, and
/// one for a minus.
pub fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Number(number) => {
            let digits = number.unsigned_abs().to_string();
            1 + digits.trim_end_matches('0').len().div_ceil(2) + usize::from(*number < 0)
        }
    }
}

impl ItemLimits {
    /// Checks an item.
    ///
    /// # Errors
    /// If its keys or the whole of it are too large.
    pub fn check(&self, Item { key, attributes }: &Item) -> Result<(), DoesNotFit> {
        self.check_parts(key, attributes)
    }

    /// Checks what a write puts. An update adds amounts to a counter, whose attributes are bounded.
    ///
    /// # Errors
    /// If the keys or the whole of the item are too large.
    pub fn check_write(&self, write: &Write) -> Result<(), DoesNotFit> {
        let none = Attributes::new();
        let attributes = match &write.action {
            Action::Put(attributes) => attributes,
            Action::Delete | Action::Check | Action::Update { .. } => &none,
        };
        self.check_parts(&write.key, attributes)
    }

    fn check_parts(&self, key: &Key, attributes: &Attributes) -> Result<(), DoesNotFit> {
        // A byte more for each number: DynamoDB documents its size as approximate.
        let numbers = attributes.values().filter(|value| matches!(value, Value::Number(_))).count();
        let sizes = [
            (ItemPart::PartitionKey, key.pk.len(), self.pk),
            (ItemPart::SortKey, key.sk.len(), self.sk),
            (ItemPart::Whole, item_bytes(key, attributes) + numbers, self.item),
        ];
        match sizes.into_iter().find(|(_, bytes, limit)| bytes > limit) {
            Some((part, bytes, limit)) => {
                let name = format!("{} / {}", excerpt(&key.pk, QUOTED), excerpt(&key.sk, QUOTED));
                Err(DoesNotFit { key: name, part, bytes, limit })
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(pk: usize, sk: usize, text: usize) -> Item {
        let attributes = Attributes::from([("a".to_owned(), Value::Text("x".repeat(text)))]);
        Item { key: Key::stored("p".repeat(pk), "s".repeat(sk)), attributes }
    }

    /// The limits are those of the DynamoDB developer guide, "Constraints".
    #[test]
    fn what_dynamodb_takes_fits_and_one_byte_more_does_not() {
        let fits = |pk, sk, text| ItemLimits::STORE.check(&item(pk, sk, text)).map_err(|fault| fault.part);
        assert_eq!(fits(2048, 1024, 1), Ok(()));
        assert_eq!(fits(2049, 1, 1), Err(ItemPart::PartitionKey));
        assert_eq!(fits(1, 1025, 1), Err(ItemPart::SortKey));
        // `pk`, `sk`, `a` and their values: 2 + 1 + 2 + 1 + 1.
        assert_eq!(fits(1, 1, 409_600 - 7), Ok(()));
        assert_eq!(fits(1, 1, 409_600 - 6), Err(ItemPart::Whole));
    }

    #[test]
    fn a_fault_names_the_item_by_the_beginning_of_its_key() {
        let fault = ItemLimits::STORE.check(&item(1, 2000, 1)).unwrap_err().to_string();
        assert_eq!(fault, format!("the sort key of p / {}… has 2000 bytes, of 1024 at most", "s".repeat(79)));
    }
}
