//! The writes of a transaction: each changes one item, if what was read still holds.

use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys::PK;

/// What must hold for a write to take place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The attribute has this value.
    Equals(String, Value),
    /// The attribute has another value, or there is none.
    Differs(String, Value),
    /// The attribute has this value, or there is none.
    EqualsOrAbsent(String, Value),
    /// There is such an attribute; of the partition key: the item.
    Present(String),
    /// There is no such attribute; of the partition key: no such item.
    Absent(String),
}

/// What a write does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Replaces the item.
    Put(Attributes),
    /// Removes the item.
    Delete,
    /// Nothing: the conditions must hold, that is all.
    Check,
    /// Changes some attributes.
    Update {
        /// Amounts to add.
        add: Vec<(String, i128)>,
        /// Attributes to set.
        set: Vec<(String, Value)>,
        /// Attributes to remove.
        remove: Vec<String>,
    },
}

impl Action {
    /// An update of no attribute.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Update { add, set, remove } if add.is_empty() && set.is_empty() && remove.is_empty())
    }
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The item.
    pub key: Key,
    /// What happens to it.
    pub action: Action,
    /// All must hold, or nothing of the transaction happens.
    pub conditions: Vec<Condition>,
}

impl Write {
    /// About how many bytes it takes up in a request.
    pub fn size(&self) -> usize {
        let action = match &self.action {
            Action::Put(attributes) => attributes.iter().map(|(name, of)| name.len() + of.size()).sum(),
            Action::Delete | Action::Check => 0,
            Action::Update { add, set, remove } => {
                let set: usize = set.iter().map(|(name, of)| name.len() + of.size()).sum();
                set + 40 * (add.len() + remove.len())
            }
        };
        let conditions = self.conditions.iter().map(|condition| match condition {
            Condition::Equals(name, of)
            | Condition::EqualsOrAbsent(name, of)
            | Condition::Differs(name, of) => name.len() + of.size(),
            Condition::Absent(name) | Condition::Present(name) => name.len(),
        });
        self.key.pk.len() + self.key.sk.len() + action + conditions.sum::<usize>()
    }
}

/// That an item is exactly as it was read, as far as these attributes tell.
pub fn unchanged(old: &Attributes, names: &[&str]) -> Vec<Condition> {
    if old.is_empty() {
        return vec![Condition::Absent(PK.to_owned())];
    }
    let unchanged = |name: &&str| match old.get(*name) {
        Some(value) => Condition::Equals((*name).to_owned(), value.clone()),
        None => Condition::Absent((*name).to_owned()),
    };
    names.iter().map(unchanged).collect()
}

/// Puts an item that must not exist yet.
pub fn insert(item: Item) -> Write {
    let conditions = vec![Condition::Absent(PK.to_owned())];
    Write { key: item.key, action: Action::Put(item.attributes), conditions }
}
