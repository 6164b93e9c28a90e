//! A part of all keys, by the leading bits of their hash: what does not fit into memory is halved.

use crate::storage::item::Key;
use crate::storage::keys;
use crate::values::ids::EntityKey;
use std::fmt::{self, Display, Formatter};

/// The keys whose hash begins with some bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Slice {
    prefix: u32,
    bits: u32,
}

impl Slice {
    /// All keys.
    pub const ALL: Self = Self { prefix: 0, bits: 0 };
    /// The most bits: one of 65,536 parts is not halved any more.
    pub const MAX_BITS: u32 = 16;

    /// Whether it holds an entity.
    pub fn holds_entity(self, entity: &EntityKey) -> bool {
        self.bits == 0 || self.holds(keys::spread_hash(&keys::entity(entity).pk, ""))
    }

    /// Whether it holds a key.
    pub fn holds_key(self, key: &Key) -> bool {
        self.bits == 0 || self.holds(keys::spread_hash(&key.pk, &key.sk))
    }

    pub(super) const fn holds(self, place: u32) -> bool {
        match u32::BITS.checked_sub(self.bits) {
            Some(rest) if self.bits > 0 => place >> rest == self.prefix,
            Some(_) | None => true,
        }
    }

    /// Its two halves, unless it is too small to have any.
    pub fn halves(self) -> Option<[Self; 2]> {
        let half = |bit| Self { prefix: self.prefix << 1 | bit, bits: self.bits + 1 };
        (self.bits < Self::MAX_BITS).then(|| [half(0), half(1)])
    }

    /// True for exactly one of the slices that cover all keys: counts of the whole lane are taken
    /// there.
    pub const fn is_first(self) -> bool {
        self.prefix == 0
    }

    /// Reads what [`Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let bits = u32::try_from(text.len()).ok().filter(|bits| *bits <= Self::MAX_BITS)?;
        let prefix = if bits == 0 { 0 } else { u32::from_str_radix(text, 2).ok()? };
        Some(Self { prefix, bits })
    }
}

/// Its bits, such as `011`; of all keys, nothing.
impl Display for Slice {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        (0..self.bits).rev().try_for_each(|bit| write!(f, "{}", self.prefix >> bit & 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> Key {
        Key::stored(format!("c#{n}"), "h".to_owned())
    }

    #[test]
    fn halves_share_what_the_whole_holds() {
        let [zero, one] = Slice::ALL.halves().unwrap();
        let [_, two] = one.halves().unwrap();
        for key in (0..1000).map(key) {
            assert!(Slice::ALL.holds_key(&key));
            assert!(zero.holds_key(&key) != one.holds_key(&key));
            assert!(one.holds_key(&key) || !two.holds_key(&key));
        }
        assert!(zero.is_first() && !one.is_first() && !two.is_first());
    }

    #[test]
    fn a_slice_reads_as_its_bits() {
        let [_, one] = Slice::ALL.halves().unwrap();
        let [two, _] = one.halves().unwrap();
        assert_eq!([Slice::ALL, one, two].map(|slice| slice.to_string()), ["", "1", "10"]);
        assert_eq!(["", "1", "10"].map(Slice::parse), [Some(Slice::ALL), Some(one), Some(two)]);
        assert_eq!((Slice::parse("2"), Slice::parse(&"0".repeat(17))), (None, None));
    }

    #[test]
    fn halving_ends() {
        let mut slice = Slice::ALL;
        let mut halvings = 0;
        while let Some([_, half]) = slice.halves() {
            (slice, halvings) = (half, halvings + 1);
        }
        assert_eq!(halvings, Slice::MAX_BITS);
        assert!((0..200_000).map(key).any(|key| slice.holds_key(&key)));
    }
}
