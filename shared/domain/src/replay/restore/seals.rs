//! Seals of a copy of the audit trail. Each names the one before it. If seals were removed and the
//! sealing job has made others in their place, those of the copy would break the trail, and
//! nothing can be removed from it: they are omitted.

use crate::audit::seal::Seal;
use crate::storage::item::Item;
use crate::values::ids::Digest;

/// The verdict on an item of a copy, compared with the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreVerdict {
    /// The table has it.
    There,
    /// It is missing; a seal also continues the table's seals.
    Missing,
    /// The table's item differs; of a seal, the table's next one continues the copy's.
    Changed,
    /// A seal that does not continue the table's seals.
    Superseded,
}

/// Compares the seals of a copy, in their order, with those of the table.
#[derive(Debug)]
pub struct Seals {
    /// The digest of the seal before the next one, as the table has it after the restore; `None`
    /// if it has none.
    before: Option<Digest>,
}

impl Default for Seals {
    fn default() -> Self {
        Self { before: Some(Digest::none()) }
    }
}

impl Seals {
    /// The verdict on the next seal of the copy; `found` and `after` are the table's items of its
    /// number and the next.
    pub fn next(&mut self, copy: &Item, found: Option<&Item>, after: Option<&Item>) -> RestoreVerdict {
        let digest = |item| Seal::load(item).map(|seal| seal.digest());
        let Some(seal) = Seal::load(copy) else { return RestoreVerdict::Superseded };
        let verdict = match found {
            Some(found) if found == copy => RestoreVerdict::There,
            Some(_)
                if after
                    .and_then(Seal::load)
                    .is_some_and(|after| after.statement.previous == seal.digest()) =>
            {
                RestoreVerdict::Changed
            }
            None if self.before.as_ref() == Some(&seal.statement.previous) => RestoreVerdict::Missing,
            _ => RestoreVerdict::Superseded,
        };
        self.before = match verdict {
            RestoreVerdict::Superseded => found.and_then(digest),
            RestoreVerdict::There | RestoreVerdict::Missing | RestoreVerdict::Changed => Some(seal.digest()),
        };
        verdict
    }

    /// The sealing job has made a seal in the place of the one that was to be inserted.
    pub fn lost(&mut self) {
        self.before = None;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audit::seal::SealStatement;
    use crate::values::time::Timestamp;
    use ed25519_dalek::{Signer, SigningKey};

    /// So many seals after one another, from a moment on.
    pub(in super::super) fn seals(count: u64, last: Option<&Seal>, at: i64) -> Vec<Seal> {
        let key = SigningKey::from_bytes(&[7; 32]);
        let mut last = last.cloned();
        let mut make = |n| {
            let at = Timestamp::from_millis(at + n);
            let statement = SealStatement::after(last.as_ref(), &[], 0, at, &key.verifying_key()).unwrap();
            let text = serde_json::to_string(&statement).unwrap();
            let signature = key.sign(text.as_bytes()).to_vec();
            last.insert(Seal::new(text, Vec::new(), signature).unwrap()).clone()
        };
        (0..i64::try_from(count).unwrap()).map(&mut make).collect()
    }

    fn verdicts(copy: &[Seal], table: &[Option<Item>]) -> Vec<RestoreVerdict> {
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
            RestoreVerdict::Missing,
            RestoreVerdict::There,
            RestoreVerdict::There,
            RestoreVerdict::Missing,
            RestoreVerdict::Changed,
            RestoreVerdict::There,
        ];
        assert_eq!(verdicts(&copy, &table), expected);
        assert_eq!(verdicts(&copy, &[]), [RestoreVerdict::Missing; 6]);
    }

    #[test]
    fn behind_seals_that_were_made_in_the_place_of_others_none_is_put() {
        let copy = seals(6, None, 0);
        let again = seals(2, copy.get(1), 1_000);
        let table = [items(&copy[..2]), items(&again)].concat();
        let (there, superseded) = (RestoreVerdict::There, RestoreVerdict::Superseded);
        assert_eq!(verdicts(&copy, &table), [there, there, superseded, superseded, superseded, superseded]);
    }

    #[test]
    fn a_changed_seal_that_nothing_follows_can_not_be_told_from_another() {
        let copy = seals(2, None, 0);
        let mut table = items(&copy);
        table[1].as_mut().unwrap().attributes.clear();
        assert_eq!(verdicts(&copy, &table), [RestoreVerdict::There, RestoreVerdict::Superseded]);
    }
}
