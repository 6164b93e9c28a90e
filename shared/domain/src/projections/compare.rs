//! Comparison: whether two sets of items are equal, by digests that do not depend on the
//! order of the items.
//!
//! Keys are hashed into buckets, and the digest of a bucket is the sum of the digests of its
//! items. So two tables of any size are compared by 64 KiB of digests each, and only the buckets
//! that differ are compared item by item (docs/adr/0011-replay.md).

use crate::storage::item::{Item, Key, Value};
use crate::storage::keys;
use crate::values::digest;

/// The number of buckets.
pub const BUCKETS: u32 = 4096;

/// The beginning of a text that stands for a value of a type that this system never writes. No
/// stored text begins so, and thus it differs from every expected value.
pub const FOREIGN: &str = "\u{0}foreign ";

/// The bucket of a key.
pub fn bucket(key: &Key) -> u32 {
    keys::spread_hash(&key.pk, &key.sk) % BUCKETS
}

/// The digests of a set of items, one for each bucket.
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
    /// Adds an item; to be called once for each.
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

    /// The number of items.
    pub const fn items(&self) -> u64 {
        self.items
    }

    /// The buckets whose digests differ.
    pub fn differing(&self, other: &Self) -> Vec<u32> {
        let pairs = (0..).zip(self.buckets.iter().zip(&other.buckets));
        pairs.filter(|(_, (a, b))| a != b).map(|(bucket, _)| bucket).collect()
    }

    /// One digest over all buckets: 64 hexadecimal digits.
    pub fn digest(&self) -> String {
        let all: Vec<u8> = self.buckets.iter().flat_map(|digest| digest.to_be_bytes()).collect();
        digest::sha256_hex(&[&all])
    }
}

/// The digest of an item's key and attributes.
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
        Item { key: Key::stored(format!("x#{n}"), "e".to_owned()), attributes: attributes.into() }
    }

    fn fingerprint(items: &[Item]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        items.iter().for_each(|item| fingerprint.add(item));
        fingerprint
    }

    #[test]
    fn a_fingerprint_does_not_depend_on_order_or_division_of_the_items() {
        let items: Vec<Item> = (0..500).map(|n| item(n, "x")).collect();
        let mut parts = fingerprint(&items[200..]);
        parts.merge(&fingerprint(&items[..200]));
        let reversed: Vec<Item> = items.iter().rev().cloned().collect();
        let whole = fingerprint(&items);
        assert_eq!((&whole, whole.digest()), (&parts, fingerprint(&reversed).digest()));
        assert_eq!(parts.items(), 500);
    }

    #[test]
    fn a_changed_added_or_removed_item_changes_the_bucket_of_its_key_alone() {
        let items: Vec<Item> = (0..500).map(|n| item(n, "x")).collect();
        let changed = |change: &dyn Fn(&mut Vec<Item>)| {
            let mut other = items.clone();
            change(&mut other);
            fingerprint(&items).differing(&fingerprint(&other))
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
