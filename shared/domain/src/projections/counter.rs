//! Counters: items that hold an amount for each of some attributes.
//!
//! An attribute that would be 0 does not exist, and a counter whose population is 0 has no item.
//! So the stored items depend on the set of events alone, not on the order in which they came.

use crate::storage::item::{Item, Key, Value};
use crate::storage::write::{Action, Condition, Write};
use std::collections::BTreeMap;

/// The attribute with a counter's population: how many things it counts.
pub(crate) const POPULATION: &str = "p";

/// The write that adds amounts to a counter. `stored` is the item as it was read; it is needed if
/// one of the amounts is negative. If the population becomes 0, the item is deleted.
pub(crate) fn write(key: Key, amounts: &BTreeMap<String, i128>, stored: Option<&Item>) -> Write {
    let stored_amount = |name: &str| stored.map_or(0, |item| item.number(name));
    let added_population = amounts.get(POPULATION).copied().unwrap_or(0);
    let population = stored_amount(POPULATION);
    if added_population < 0 && stored.is_some() && population + added_population == 0 {
        let unchanged = Condition::Equals(POPULATION.to_owned(), Value::Number(population));
        return Write { key, action: Action::Delete, conditions: vec![unchanged] };
    }
    let amounts = amounts.iter().map(|(name, amount)| (name.as_str(), *amount));
    let (action, conditions) = update(amounts, stored_amount);
    Write { key, action, conditions }
}

/// The update that adds these amounts and removes each attribute that would become 0, with the
/// conditions under which it does so.
///
/// Decrements clamp at zero: an attribute from which more is taken than it holds is removed.
/// Either another writer was faster, and then a condition cancels this transaction. Or the counter
/// holds too little, because a release before did not count this measure, or someone tampered with
/// it. Then a rebuild corrects it, and until then no event may fail because of it.
///
/// The counter and the entity are read at different moments. If the entity changes in between and
/// changes back, its guard holds although the counter was read without it. So a decrement of
/// nothing holds only while there is nothing.
pub(crate) fn update<'a>(
    amounts: impl Iterator<Item = (&'a str, i128)>,
    stored_amount: impl Fn(&str) -> i128,
) -> (Action, Vec<Condition>) {
    let (mut add, mut remove, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
    for (name, amount) in amounts.filter(|(_, amount)| *amount != 0) {
        let stored = stored_amount(name);
        if amount > 0 {
            add.push((name.to_owned(), amount));
        } else if stored + amount > 0 {
            // Another writer may add or take meanwhile, but must not leave exactly what
            // is taken here.
            conditions.push(Condition::Differs(name.to_owned(), Value::Number(-amount)));
            add.push((name.to_owned(), amount));
        } else if stored == 0 {
            conditions.push(Condition::EqualsOrAbsent(name.to_owned(), Value::Number(0)));
        } else {
            conditions.push(Condition::Equals(name.to_owned(), Value::Number(stored)));
            remove.push(name.to_owned());
        }
    }
    (Action::Update { add, set: Vec::new(), remove }, conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "37";

    fn taken(stored: i128) -> (Action, Vec<Condition>) {
        update([(NAME, -1)].into_iter(), |_| stored)
    }

    fn does(add: &[(&str, i128)], remove: &[&str]) -> Action {
        let owned = |name: &&str| (*name).to_owned();
        let add = add.iter().map(|(name, amount)| (owned(name), *amount)).collect();
        Action::Update { add, set: Vec::new(), remove: remove.iter().map(owned).collect() }
    }

    #[test]
    fn what_is_taken_from_an_amount_holds_only_while_the_result_is_right() {
        let one = || Value::Number(1);
        assert_eq!(taken(2), (does(&[(NAME, -1)], &[]), vec![Condition::Differs(NAME.to_owned(), one())]));
        assert_eq!(taken(1), (does(&[], &[NAME]), vec![Condition::Equals(NAME.to_owned(), one())]));
    }

    #[test]
    fn what_is_taken_from_nothing_holds_only_while_there_is_nothing() {
        let nothing = Condition::EqualsOrAbsent(NAME.to_owned(), Value::Number(0));
        assert_eq!(taken(0), (does(&[], &[]), vec![nothing]));
    }
}
