//! Seals of a copy of the trail. Each names the one before it, so where seals were removed and others were made in their
//! place, those of the copy fit nowhere any more: put back, they would break the trail, and nothing can be taken from it.

use crate::audit::seal::Seal;
use crate::storage::item::Item;
use crate::values::ids::Digest;

/// What becomes of a seal of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealVerdict {
    /// The table has it.
    There,
    /// It is missing, and continues what the table has.
    Missing,
    /// The table's own is changed: the one after it continues the copy's.
    Changed,
    /// It continues nothing that the table has.
    Superseded,
}

/// Looks at the seals of a copy in their order.
#[derive(Debug)]
pub struct Seals {
    /// The digest of the seal before the next one, as the table has it once it is mended; `None` if nothing is there.
    before: Option<Digest>,
}

impl Default for Seals {
    fn default() -> Self {
        Self { before: Some(Digest::none()) }
    }
}

impl Seals {
    /// The next seal of the copy, with what the table has under its number and under the one after it.
    pub fn next(&mut self, copy: &Item, found: Option<&Item>, after: Option<&Item>) -> SealVerdict {
        let digest = |item| Seal::load(item).map(|seal| seal.digest());
        let Some(seal) = Seal::load(copy) else { return SealVerdict::Superseded };
        let fate = match found {
            Some(found) if found == copy => SealVerdict::There,
            Some(_)
                if after
                    .and_then(Seal::load)
                    .is_some_and(|after| after.statement.previous == seal.digest()) =>
            {
                SealVerdict::Changed
            }
            None if self.before.as_ref() == Some(&seal.statement.previous) => SealVerdict::Missing,
            _ => SealVerdict::Superseded,
        };
        self.before = match fate {
            SealVerdict::Superseded => found.and_then(digest),
            SealVerdict::There | SealVerdict::Missing | SealVerdict::Changed => Some(seal.digest()),
        };
        fate
    }

    /// What was to be put there was made by somebody else in between.
    pub fn lost(&mut self) {
        self.before = None;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audit::seal::Statement;
    use crate::values::time::Timestamp;
    use ed25519_dalek::{Signer, SigningKey};

    /// So many seals after one another, from a moment on.
    pub(in super::super) fn seals(count: u64, last: Option<&Seal>, at: i64) -> Vec<Seal> {
        let key = SigningKey::from_bytes(&[7; 32]);
        let mut last = last.cloned();
        let mut make = |n| {
            let at = Timestamp::from_millis(at + n);
            let statement = Statement::after(last.as_ref(), &[], 0, at, &key.verifying_key()).unwrap();
            let text = serde_json::to_string(&statement).unwrap();
            let signature = key.sign(text.as_bytes()).to_vec();
            last.insert(Seal::new(text, Vec::new(), signature).unwrap()).clone()
        };
        (0..i64::try_from(count).unwrap()).map(&mut make).collect()
    }

    fn fates(copy: &[Seal], table: &[Option<Item>]) -> Vec<SealVerdict> {
        let mut seals = Seals::default();
        let at = |n: usize| table.get(n).and_then(Option::as_ref);
        let next = |(n, seal): (usize, &Seal)| seals.next(&seal.item().unwrap(), at(n), at(n + 1));
        copy.iter().enumerate().map(next).collect()
    }

    fn items(seals: &[Seal]) -> Vec<Option<Item>> {
        seals.iter().map(|seal| Some(seal.item().unwrap())).collect()
    }

    #[test]
    fn what_was_removed_is_missing_and_what_was_changed_is_changed() {
        let copy = seals(6, None, 0);
        let mut table = items(&copy);
        (table[0], table[3]) = (None, None);
        table[4].as_mut().unwrap().attributes.clear();
        let expected = [
            SealVerdict::Missing,
            SealVerdict::There,
            SealVerdict::There,
            SealVerdict::Missing,
            SealVerdict::Changed,
            SealVerdict::There,
        ];
        assert_eq!(fates(&copy, &table), expected);
        assert_eq!(fates(&copy, &[]), [SealVerdict::Missing; 6]);
    }

    #[test]
    fn behind_seals_that_were_made_in_the_place_of_others_none_is_put() {
        let copy = seals(6, None, 0);
        let again = seals(2, copy.get(1), 1_000);
        let table = [items(&copy[..2]), items(&again)].concat();
        let (there, superseded) = (SealVerdict::There, SealVerdict::Superseded);
        assert_eq!(fates(&copy, &table), [there, there, superseded, superseded, superseded, superseded]);
    }

    #[test]
    fn a_changed_seal_that_nothing_follows_can_not_be_told_from_another() {
        let copy = seals(2, None, 0);
        let mut table = items(&copy);
        table[1].as_mut().unwrap().attributes.clear();
        assert_eq!(fates(&copy, &table), [SealVerdict::There, SealVerdict::Superseded]);
    }
}
