//! Repair: the write that puts one stored item right.

use crate::projections::compare::FOREIGN;
use crate::projections::counter;
use crate::projections::entity::ENTITY_ATTRIBUTES;
use crate::storage::item::{Attributes, Key, Value};
use crate::storage::keys;
use crate::storage::write::{Action, Condition, Write, unchanged};
use std::collections::{BTreeMap, BTreeSet};

/// One key whose items are not the same, or only one of which is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: Key,
    /// What it should be.
    pub expected: Option<Attributes>,
    /// What is there.
    pub found: Option<Attributes>,
}

impl Difference {
    /// Puts right what was found. Counters take the difference, so that nothing is lost that others add meanwhile;
    /// everything else is replaced over exactly what was found.
    pub fn mend(&self) -> Write {
        let none = Attributes::new();
        let (expected, found) = (self.expected.as_ref(), self.found.as_ref().unwrap_or(&none));
        if let Some(write) = expected.and_then(|expected| correct(&self.key, expected, found)) {
            return write;
        }
        let mut names: BTreeSet<&str> =
            found.keys().chain(expected.into_iter().flat_map(BTreeMap::keys)).map(String::as_str).collect();
        if keys::is_entity(&self.key) {
            names.extend(ENTITY_ATTRIBUTES);
        }
        let conditions = match &self.found {
            // A row has no attributes but its key.
            Some(found) if found.is_empty() => vec![Condition::Present(keys::PK.to_owned())],
            Some(_) | None => unchanged(found, &Vec::from_iter(names)),
        };
        let known = |condition| match Some(condition) {
            Some(Condition::Equals(name, Value::Text(text))) if text.starts_with(FOREIGN) => {
                Some(Condition::Present(name))
            }
            other => other,
        };
        let action = expected.cloned().map_or(Action::Delete, Action::Put);
        Write {
            key: self.key.clone(),
            action,
            conditions: conditions.into_iter().filter_map(known).collect(),
        }
    }

    /// By how much each amount is wrong, of a counter: while it moves, that stays.
    pub fn drift(&self) -> Option<BTreeMap<String, i128>> {
        drift(self.expected.as_ref()?, self.found.as_ref()?)
    }
}

/// Amounts that differ; `None` if anything else does.
fn drift(expected: &Attributes, found: &Attributes) -> Option<BTreeMap<String, i128>> {
    let amount = |of: &Attributes, name: &String| match of.get(name) {
        Some(Value::Number(amount)) => Some(*amount),
        None => Some(0),
        Some(Value::Text(_) | Value::Bytes(_)) => None,
    };
    let mut amounts = BTreeMap::new();
    for name in expected.keys().chain(found.keys()) {
        if expected.get(name) != found.get(name) {
            amounts.insert(name.clone(), amount(expected, name)? - amount(found, name)?);
        }
    }
    Some(amounts)
}

/// Adds to a counter what it lacks; `None` if the items differ in more than amounts, or the item is no counter.
fn correct(key: &Key, expected: &Attributes, found: &Attributes) -> Option<Write> {
    if expected.is_empty() || keys::is_entity(key) {
        return None;
    }
    let amounts = drift(expected, found)?;
    let now = |name: &str| match found.get(name) {
        Some(Value::Number(amount)) => *amount,
        Some(Value::Text(_) | Value::Bytes(_)) | None => 0,
    };
    let amounts = amounts.iter().map(|(name, amount)| (name.as_str(), *amount));
    let (action, conditions) = counter::changes(amounts, now);
    Some(Write { key: key.clone(), action, conditions })
}
