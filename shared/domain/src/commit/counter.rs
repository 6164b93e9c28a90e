//! Counters: amounts by attribute. No attribute is ever 0, and a counter without population has no item.

use super::{Action, Condition, PlanError, Write};
use crate::index::POPULATION;
use crate::item::{Item, Key, Value};
use std::collections::BTreeMap;

/// Adds amounts to a counter. `current` is needed where one of them is negative.
pub(super) fn write(
    key: Key,
    amounts: &BTreeMap<String, i128>,
    current: Option<&Item>,
) -> Result<Write, PlanError> {
    let now = |name: &str| current.map_or(0, |item| item.number(name));
    let population = amounts.get(POPULATION).copied().unwrap_or(0);
    if population < 0 && now(POPULATION) + population == 0 {
        let unchanged = Condition::Equals(POPULATION.to_owned(), Value::Number(now(POPULATION)));
        return Ok(Write { key, action: Action::Delete, conditions: vec![unchanged] });
    }
    let (action, conditions) =
        changes(&key, amounts.iter().map(|(name, amount)| (name.as_str(), *amount)), now)?;
    Ok(Write { key, action, conditions })
}

/// The update that adds these amounts and leaves no zero behind.
pub(super) fn changes<'a>(
    key: &Key,
    amounts: impl Iterator<Item = (&'a str, i128)>,
    now: impl Fn(&str) -> i128,
) -> Result<(Action, Vec<Condition>), PlanError> {
    let (mut add, mut remove, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
    for (name, amount) in amounts.filter(|(_, amount)| *amount != 0) {
        match now(name) + amount {
            _ if amount > 0 => add.push((name.to_owned(), amount)),
            0 => {
                conditions.push(Condition::Equals(name.to_owned(), Value::Number(-amount)));
                remove.push(name.to_owned());
            }
            left if left > 0 => {
                conditions.push(Condition::Differs(name.to_owned(), Value::Number(-amount)));
                add.push((name.to_owned(), amount));
            }
            _negative => return Err(PlanError::Stale { pk: key.pk.clone(), sk: key.sk.clone() }),
        }
    }
    Ok((Action::Update { add, set: Vec::new(), remove }, conditions))
}
