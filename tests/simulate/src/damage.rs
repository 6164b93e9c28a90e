//! Damages the live projections once everything is quiet: verification names exactly what was damaged, and repair mends
//! all of it.

use crate::clocks;
use crate::installation::Installation;
use crate::interrupted::{Interruptions, interrupt};
use crate::operator;
use crate::tables::Tables;
use crate::trace;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use torale_domain::projections::generation::Generation;
use torale_domain::storage::item::{Attributes, Item, Key, Value};
use torale_platform::store::{StoreError, log};

/// The most items that are damaged.
const ITEMS: usize = 4;

/// Damages some items of a generation, verifies it, and repairs it.
///
/// # Errors
/// If other items are named than those that were damaged, or some stay damaged.
pub async fn damage(world: &Installation, generation: &Generation) -> Result<(), String> {
    let damaged = spoil(&mut world.tables.lock(), &generation.table()).map_err(|e| e.to_string())?;
    trace::note(|| format!("damaged: {damaged:?}"));
    let verifier = operator::verifier(&world.tables, clocks::OPERATORS[0]);
    let verified = operator::verify(&verifier, generation).await?;
    let named = operator::named(&verified);
    if named != damaged || verified.more {
        return Err(format!("damaged were {damaged:?}, named were {named:?}"));
    }
    let repair = || verifier.repair_differences(generation, verified.clone(), Duration::ZERO, true);
    let names = ["repair interrupted", "repair failed", "repair not interrupted"];
    let verified = match interrupt(names, repair).await? {
        Interruptions::None => verified,
        Interruptions::CountAsDone => return Ok(()),
        Interruptions::Some => operator::verify(&verifier, generation).await?,
    };
    let named = operator::named(&verified);
    if !named.is_subset(&damaged) {
        return Err(format!("damaged were {damaged:?}, and named after interrupted repairs {named:?}"));
    }
    let repaired = verifier.repair_differences(generation, verified, Duration::ZERO, true).await;
    let (_, left) = repaired.map_err(|e| e.to_string())?;
    match left.is_equal() {
        true => Ok(()),
        false => Err(format!("not repaired: {:?}", left.differences)),
    }
}

/// Loses, changes and adds items past the system; returns their keys.
fn spoil(tables: &mut Tables, table: &str) -> Result<BTreeSet<Key>, StoreError> {
    let mut items = tables.items(table);
    fastrand::shuffle(&mut items);
    items.truncate(fastrand::usize(1..=ITEMS));
    let mut damaged = BTreeSet::new();
    for item in items {
        let (key, attributes) = match fastrand::u8(..4) {
            0 => (item.key, None),
            1 => (Key::stored(item.key.pk, format!("{}~", item.key.sk)), Some(Attributes::new())),
            _ => (item.key, Some(changed(item.attributes))),
        };
        tables.store(table, key.clone(), attributes)?;
        damaged.insert(key);
    }
    Ok(damaged)
}

/// The items of a table by their keys.
pub type Items = BTreeMap<Key, Attributes>;

/// Items by their keys.
pub fn by_key(items: impl IntoIterator<Item = Item>) -> Items {
    items.into_iter().map(|item| (item.key, item.attributes)).collect()
}

/// The keys under which two tables have other items.
pub fn differing(found: &Items, expected: &Items) -> BTreeSet<Key> {
    let all: BTreeSet<&Key> = found.keys().chain(expected.keys()).collect();
    all.into_iter().filter(|key| found.get(*key) != expected.get(*key)).cloned().collect()
}

/// The messages of records of the log.
///
/// # Errors
/// If one of them is none.
pub fn logged(items: &[Item]) -> Result<Vec<String>, String> {
    let mut logged = Vec::new();
    for item in items {
        let Some(Value::Bytes(packed)) = item.attributes.get("events") else {
            return Err(format!("no record of the log: {:?}", item.key));
        };
        logged.extend(log::unpack(packed).map_err(|error| error.to_string())?);
    }
    Ok(logged)
}

/// The attributes with one of them changed, or with one more.
pub fn changed(mut attributes: Attributes) -> Attributes {
    let position = fastrand::usize(..=attributes.len());
    match attributes.values_mut().nth(position) {
        Some(Value::Text(text)) => text.push('~'),
        Some(Value::Number(number)) => *number += 1,
        Some(Value::Bytes(bytes)) => bytes.push(0),
        None => drop(attributes.insert("added".to_owned(), Value::Number(1))),
    }
    attributes
}
