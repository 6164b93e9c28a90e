//! Whether two sets of items are the same: digests that don't depend on the order in which items come.
//!
//! Keys fall into buckets; a bucket's digest is the sum of the digests of its items. So two tables of any size are
//! compared in a few kilobytes, and only buckets that differ are looked at item by item.

use crate::commit::{Action, Condition, ENTITY_ATTRIBUTES, Write, correct, unchanged};
use crate::item::{Attributes, Item, Key, Value};
use crate::keys;
use std::collections::{BTreeMap, BTreeSet};

/// How many buckets there are.
pub const BUCKETS: u32 = 4096;

/// How a text begins that stands for a value of a kind that we never write: it differs from all of ours.
pub const FOREIGN: &str = "\u{0}foreign ";

/// The bucket of a key.
pub fn bucket(key: &Key) -> u32 {
    keys::place(&key.pk, &key.sk) % BUCKETS
}

/// The digests of a set of items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    buckets: Vec<u128>,
    items: u64,
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self { buckets: vec![0; usize::try_from(BUCKETS).unwrap_or_default()], items: 0 }
    }
}

impl Fingerprint {
    /// Adds an item; each must come once.
    pub fn add(&mut self, item: &Item) {
        let bucket = usize::try_from(bucket(&item.key)).ok().and_then(|bucket| self.buckets.get_mut(bucket));
        if let Some(sum) = bucket {
            *sum = sum.wrapping_add(digest(item));
        }
        self.items += 1;
    }

    /// Adds the items of another set.
    pub fn merge(&mut self, other: &Self) {
        for (sum, digest) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum = sum.wrapping_add(*digest);
        }
        self.items += other.items;
    }

    /// How many items there are.
    pub const fn items(&self) -> u64 {
        self.items
    }

    /// The buckets that are not the same.
    pub fn differing(&self, other: &Self) -> Vec<u32> {
        let pairs = (0..).zip(self.buckets.iter().zip(&other.buckets));
        pairs.filter(|(_, (a, b))| a != b).map(|(bucket, _)| bucket).collect()
    }

    /// All buckets as one digest, in hexadecimal.
    pub fn digest(&self) -> String {
        let all: Vec<u8> = self.buckets.iter().flat_map(|digest| digest.to_be_bytes()).collect();
        keys::sha256_hex(&[&all])
    }
}

/// Of key and attributes, whatever their order.
fn digest(item: &Item) -> u128 {
    let mut parts: Vec<Vec<u8>> = vec![item.key.pk.clone().into_bytes(), item.key.sk.clone().into_bytes()];
    for (name, value) in &item.attributes {
        parts.push(name.clone().into_bytes());
        parts.push(match value {
            Value::Text(text) => [b"S", text.as_bytes()].concat(),
            Value::Number(number) => format!("N{number}").into_bytes(),
            Value::Bytes(bytes) => [b"B", bytes.as_slice()].concat(),
        });
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    keys::short_digest(&parts)
}

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
pub(crate) fn drift(expected: &Attributes, found: &Attributes) -> Option<BTreeMap<String, i128>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn item(n: u32, value: &str) -> Item {
        let attributes =
            [("a".to_owned(), Value::Text(value.to_owned())), ("n".to_owned(), Value::Number(5))];
        Item { key: Key { pk: format!("x#{n}"), sk: "e".to_owned() }, attributes: attributes.into() }
    }

    fn of(items: &[Item]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        items.iter().for_each(|item| fingerprint.add(item));
        fingerprint
    }

    #[test]
    fn order_and_division_do_not_matter() {
        let items: Vec<Item> = (0..500).map(|n| item(n, "x")).collect();
        let mut parts = of(&items[200..]);
        parts.merge(&of(&items[..200]));
        let reversed: Vec<Item> = items.iter().rev().cloned().collect();
        assert_eq!((&of(&items), of(&items).digest()), (&parts, of(&reversed).digest()));
        assert_eq!(parts.items(), 500);
    }

    #[test]
    fn any_change_shows_in_the_bucket_of_its_key_alone() {
        let items: Vec<Item> = (0..500).map(|n| item(n, "x")).collect();
        let changed = |change: &dyn Fn(&mut Vec<Item>)| {
            let mut other = items.clone();
            change(&mut other);
            of(&items).differing(&of(&other))
        };
        let expected = [bucket(&items[9].key)];
        assert_eq!(changed(&|_| ()), [0_u32; 0]);
        assert_eq!(changed(&|items| items[9] = item(9, "y")), expected);
        assert_eq!(changed(&|items| drop(items.remove(9))), expected);
        assert_eq!(changed(&|items| items.push(items[9].clone())), expected);
        let retype = |items: &mut Vec<Item>| {
            items[9].attributes.insert("n".to_owned(), Value::Text("5".to_owned()));
        };
        assert_eq!(changed(&retype), expected);
    }
}
