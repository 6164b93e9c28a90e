//! Whether two sets of items are the same: digests that don't depend on the order in which items come.
//!
//! Keys fall into buckets; a bucket's digest is the sum of the digests of its items. So two tables of any size are
//! compared in a few kilobytes, and only buckets that differ are looked at item by item.

use crate::storage::item::{Item, Key, Value};
use crate::storage::keys;
use crate::values::digest;

/// How many buckets there are.
pub const BUCKETS: u32 = 4096;

/// How a text begins that stands for a value of a kind that we never write: it differs from all of ours.
pub const FOREIGN: &str = "\u{0}foreign ";

/// The bucket of a key.
pub fn bucket(key: &Key) -> u32 {
    keys::spread_hash(&key.pk, &key.sk) % BUCKETS
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
            *sum = sum.wrapping_add(item_digest(item));
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
        digest::sha256_hex(&[&all])
    }
}

/// Of key and attributes, whatever their order.
fn item_digest(item: &Item) -> u128 {
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
    digest::short_digest(&parts)
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
