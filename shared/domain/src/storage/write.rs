//! The writes of a transaction: each changes one item, under conditions on what was read of it
//! (docs/adr/0002-guards-compare-content.md).

use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys::PK;

/// A condition on the item that a write changes. If any condition of a transaction fails, none of
/// its writes happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The attribute has this value.
    Equals(String, Value),
    /// The attribute has another value, or does not exist.
    Differs(String, Value),
    /// The attribute has this value, or does not exist.
    EqualsOrAbsent(String, Value),
    /// The attribute exists. For the partition key: the item exists.
    Present(String),
    /// The attribute does not exist. For the partition key: the item does not exist.
    Absent(String),
}

/// What a write does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Puts the item with these attributes and its key; replaces one that exists.
    Put(Attributes),
    /// Deletes the item.
    Delete,
    /// Changes nothing; only the conditions count.
    Check,
    /// Changes some attributes and creates the item if it does not exist.
    Update {
        /// Amounts to add, by attribute; an attribute that does not exist counts as 0.
        add: Vec<(String, i128)>,
        /// Values to set, by attribute.
        set: Vec<(String, Value)>,
        /// Attributes to remove.
        remove: Vec<String>,
    },
}

impl Action {
    /// True for an update that changes no attribute.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Update { add, set, remove } if add.is_empty() && set.is_empty() && remove.is_empty())
    }
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key of the item.
    pub key: Key,
    /// What happens to it.
    pub action: Action,
    /// All of them must hold, or the whole transaction is cancelled.
    pub conditions: Vec<Condition>,
}

impl Write {
    /// Its approximate size in a request, in bytes. An amount to add or an attribute to
    /// remove counts 40.
    pub fn size(&self) -> usize {
        let action = match &self.action {
            Action::Put(attributes) => attributes.iter().map(|(name, value)| name.len() + value.size()).sum(),
            Action::Delete | Action::Check => 0,
            Action::Update { add, set, remove } => {
                let set: usize = set.iter().map(|(name, value)| name.len() + value.size()).sum();
                set + 40 * (add.len() + remove.len())
            }
        };
        let conditions = self.conditions.iter().map(|condition| match condition {
            Condition::Equals(name, value)
            | Condition::EqualsOrAbsent(name, value)
            | Condition::Differs(name, value) => name.len() + value.size(),
            Condition::Absent(name) | Condition::Present(name) => name.len(),
        });
        self.key.pk.len() + self.key.sk.len() + action + conditions.sum::<usize>()
    }
}

/// The conditions that an item is as it was read, compared by these attributes. If it was not
/// found, it must still not exist.
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

/// The write that puts an item which must not exist yet.
pub fn insert(item: Item) -> Write {
    let conditions = vec![Condition::Absent(PK.to_owned())];
    Write { key: item.key, action: Action::Put(item.attributes), conditions }
}
