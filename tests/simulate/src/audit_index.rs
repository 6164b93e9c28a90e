//! The index of the audit trail: each record is in it once, by the product's own list of what a record adds
//! (`facets.rs`, which has tests of its own). It is lost as a whole and rebuilt from the trail.

use crate::damage::{Items, by_key, differing};
use crate::faults;
use crate::installation::Installation;
use crate::interrupted::{Interruptions, interrupt};
use torale_domain::audit::AuditRecord;
use torale_domain::audit::facets::index_writes;
use torale_domain::storage::item::{Item, Value};
use torale_domain::storage::keys::{self, AUDIT_INDEX_TABLE};
use torale_domain::storage::write::Action;
use torale_platform::audit::index::AuditIndex;
use torale_platform::store::Usage;
use torale_replay::ReplayError;

/// The index of these records, each added by itself.
fn indexed(records: &[AuditRecord]) -> Result<Items, String> {
    let mut items = Items::new();
    for write in records.iter().flat_map(|record| index_writes(&[record])) {
        match write.action {
            Action::Put(row) => drop(items.insert(write.key, row)),
            Action::Update { add, .. } => {
                let attributes = items.entry(write.key).or_default();
                for (name, amount) in add {
                    let value = attributes.entry(name).or_insert(Value::Number(0));
                    let Value::Number(number) = value else { return Err(format!("{value:?} is no number")) };
                    *number += amount;
                }
            }
            Action::Delete | Action::Check => return Err(format!("the index changes {:?}", write.key)),
        }
    }
    Ok(items)
}

/// Once all records are sealed, the index is that of all of them.
///
/// # Errors
/// If it is not.
pub fn check(records: &[AuditRecord], index: Vec<Item>) -> Result<(), String> {
    let differ = differing(&by_key(index), &indexed(records)?);
    match differ.is_empty() {
        true => Ok(()),
        false => Err(format!("the audit index is not that of the trail: {differ:?}")),
    }
}

/// Loses the index, and rebuilds it as `docs/operations/restore.md` says: it is what it was.
///
/// # Errors
/// If it is not.
pub async fn lose_and_rebuild(world: &Installation) -> Result<(), String> {
    let before = by_key(world.tables.lock().items(AUDIT_INDEX_TABLE));
    let specs = keys::tables();
    let spec = specs.iter().find(|spec| spec.name == AUDIT_INDEX_TABLE).ok_or("there is no such table")?;
    {
        let mut tables = world.tables.lock();
        tables.drop_table(AUDIT_INDEX_TABLE);
        tables.create(spec);
    }
    let (store, usage) = (world.tables.store("verifier"), Usage::default());
    let rebuild = || async { AuditIndex::new(&store, &usage).rebuild().await.map_err(ReplayError::from) };
    let names = ["reindexing interrupted", "reindexing failed", "reindexing not interrupted"];
    if interrupt(names, rebuild).await? != Interruptions::CountAsDone {
        rebuild().await.map_err(|error| error.to_string())?;
    }
    faults::count("index rebuilt", None);
    let differ = differing(&by_key(world.tables.lock().items(AUDIT_INDEX_TABLE)), &before);
    match differ.is_empty() {
        true => Ok(()),
        false => Err(format!("the audit index was rebuilt, and differs: {differ:?}")),
    }
}
