//! Counters: amounts by attribute. No attribute is ever 0, and a counter without population has no item.

use crate::projections::index::POPULATION;
use crate::storage::item::{Item, Key, Value};
use crate::storage::write::{Action, Condition, Write};
use std::collections::BTreeMap;

/// Adds amounts to a counter. `current` is needed where one of them is negative.
pub(crate) fn write(key: Key, amounts: &BTreeMap<String, i128>, current: Option<&Item>) -> Write {
    let now = |name: &str| current.map_or(0, |item| item.number(name));
    let population = amounts.get(POPULATION).copied().unwrap_or(0);
    if population < 0 && current.is_some() && now(POPULATION) + population == 0 {
        let unchanged = Condition::Equals(POPULATION.to_owned(), Value::Number(now(POPULATION)));
        return Write { key, action: Action::Delete, conditions: vec![unchanged] };
    }
    let (action, conditions) = changes(amounts.iter().map(|(name, amount)| (name.as_str(), *amount)), now);
    Write { key, action, conditions }
}

/// The update that adds these amounts and leaves no zero behind.
///
/// Of a counter from which more must be taken than it holds, all of it is taken. Either someone else was first, and
/// then the transaction will not take place; or the counter was made by an older release, or tampered with: it will be
/// right again when the projections are rebuilt, and until then nothing may wait for it.
pub(crate) fn changes<'a>(
    amounts: impl Iterator<Item = (&'a str, i128)>,
    now: impl Fn(&str) -> i128,
) -> (Action, Vec<Condition>) {
    let (mut add, mut remove, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
    for (name, amount) in amounts.filter(|(_, amount)| *amount != 0) {
        match (now(name), now(name) + amount) {
            _ if amount > 0 => add.push((name.to_owned(), amount)),
            (_, left) if left > 0 => {
                conditions.push(Condition::Differs(name.to_owned(), Value::Number(-amount)));
                add.push((name.to_owned(), amount));
            }
            (0, _none_to_take) => {}
            (now, _nothing_left) => {
                conditions.push(Condition::Equals(name.to_owned(), Value::Number(now)));
                remove.push(name.to_owned());
            }
        }
    }
    (Action::Update { add, set: Vec::new(), remove }, conditions)
}
