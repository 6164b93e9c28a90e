//! What is called: random keys, values, conditions and ranges.

use super::{Caller, LARGE_BYTES, NAMES, PROJECTIONS, SORT_KEYS, TABLES};
use torale_domain::storage::item::{Attributes, Key, Value};
use torale_domain::storage::keys::PK;
use torale_domain::storage::read::Range;
use torale_domain::storage::write::{Action, Condition};

impl Caller<'_> {
    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())]
    }

    /// A table: mostly the first one where values are large, which is enough of them.
    pub(super) fn table(&mut self) -> &'static str {
        if self.is_large && self.chance(80) { TABLES[0] } else { self.pick(&TABLES) }
    }

    pub(super) fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    pub(super) fn key(&mut self) -> Key {
        if self.chance(1) {
            return Key::stored(String::new(), "s".to_owned());
        }
        if self.chance(1) {
            return Key::stored("p".repeat(2049), "s".to_owned());
        }
        let sk = match self.is_large {
            true => format!("s{:02}", self.rng.usize(..SORT_KEYS)),
            false => self.pick(&["a", "b", "bb", "c", "ä", "z"]).to_owned(),
        };
        Key::stored(format!("p{}", self.rng.u8(..3)), sk)
    }

    /// So many different keys, where there are many.
    pub(super) fn different_keys(&mut self, count: usize) -> Vec<Key> {
        let all = (0..3).flat_map(|p| (0..SORT_KEYS).map(move |s| (format!("p{p}"), format!("s{s:02}"))));
        let mut all: Vec<Key> = all.map(|(pk, sk)| Key::stored(pk, sk)).collect();
        self.rng.shuffle(&mut all);
        all.truncate(count);
        all
    }

    /// Some keys; where there are many, sometimes exactly so many different ones.
    pub(super) fn keys(&mut self, most: usize, exactly: [usize; 2]) -> Vec<Key> {
        if self.is_large && self.chance(25) {
            let count = self.pick(&exactly);
            return self.different_keys(count);
        }
        let mut keys: Vec<Key> = (0..self.rng.usize(1..=most)).map(|_| self.key()).collect();
        if !self.chance(3) {
            keys.sort();
            keys.dedup();
        }
        keys
    }

    pub(super) fn name(&mut self) -> String {
        self.pick(&NAMES).to_owned()
    }

    pub(super) fn value(&mut self) -> Value {
        match self.rng.u8(..8) {
            0 => Value::Bytes(vec![1, 2, self.rng.u8(..2)]),
            1 | 2 => Value::Text(self.pick(&["x", "y", ""]).to_owned()),
            3 => Value::Number(i128::from(self.rng.i64(..))),
            _ => Value::Number(i128::from(self.rng.i8(-2..3))),
        }
    }

    pub(super) fn attributes(&mut self) -> Attributes {
        if self.chance(1) {
            return Attributes::from([("a".to_owned(), Value::Text("x".repeat(410_000)))]);
        }
        if self.is_large && self.chance(40) {
            return self.large();
        }
        (0..self.rng.usize(..4)).map(|_| (self.name(), self.value())).collect()
    }

    pub(super) fn large(&mut self) -> Attributes {
        let large = "x".repeat(self.rng.usize(LARGE_BYTES));
        Attributes::from([("a".to_owned(), Value::Text(large)), ("n".to_owned(), self.value())])
    }

    pub(super) fn conditions(&mut self) -> Vec<Condition> {
        let condition = |caller: &mut Self| match caller.rng.u8(..8) {
            0 => Condition::Absent(PK.to_owned()),
            1 => Condition::Present(PK.to_owned()),
            2 => Condition::Absent(caller.name()),
            3 => Condition::Present(caller.name()),
            4 => Condition::Equals(caller.name(), caller.value()),
            5 => Condition::Differs(caller.name(), caller.value()),
            _ => Condition::EqualsOrAbsent(caller.name(), caller.value()),
        };
        (0..self.rng.usize(..3)).map(|_| condition(self)).collect()
    }

    /// Of different attributes: DynamoDB refuses one that an update names twice.
    pub(super) fn action(&mut self) -> Action {
        match self.rng.u8(..6) {
            0 => Action::Delete,
            1 => Action::Put(self.attributes()),
            2 => Action::Check,
            _ => {
                let mut names = NAMES.map(str::to_owned);
                self.rng.shuffle(&mut names);
                let [first, second, third, _] = names;
                let add =
                    if self.chance(50) { vec![(first, i128::from(self.rng.i8(-3..4)))] } else { Vec::new() };
                let set = if self.chance(50) { vec![(second, self.value())] } else { Vec::new() };
                let removes = self.chance(50) || (add.is_empty() && set.is_empty());
                Action::Update { add, set, remove: if removes { vec![third] } else { Vec::new() } }
            }
        }
    }

    pub(super) fn range(&mut self) -> Range {
        let bound = |caller: &mut Self| {
            let sk = caller.key().sk;
            caller.chance(50).then_some(sk)
        };
        let most = if self.is_large { 40 } else { 5 };
        let limit = if self.chance(50) { Some(self.rng.usize(1..most)) } else { None };
        let (from, to) = (bound(self), bound(self));
        let (pk, descending) = (format!("p{}", self.rng.u8(..4)), self.chance(50));
        Range { pk, from, to, descending, limit, attributes: self.pick(&PROJECTIONS) }
    }
}
