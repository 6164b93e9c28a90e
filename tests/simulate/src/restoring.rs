//! Damages a table that nothing can be computed anew from, once everything is quiet, and restores it from a copy as
//! `docs/operations/restore.md` says: what was lost is back, and what was changed is named.

use crate::clocks;
use crate::damage::changed;
use crate::faults;
use crate::installation::Installation;
use crate::operator;
use crate::tables::Tables;
use crate::trace;
use crate::trail;
use std::collections::{BTreeMap, BTreeSet};
use torale_domain::projections::generation::Generation;
use torale_domain::replay::rebuild::Tally;
use torale_domain::replay::restore::RestorableTable;
use torale_domain::storage::item::{Attributes, Item, Key};
use torale_domain::storage::keys::{self, AUDIT_SEALS, Control, TableSpec};
use torale_platform::store::{StoreError, log};
use torale_replay::restore::{RestoreMode, RestoreReport};
use torale_replay::{Replay, log as replayed};
use torale_testkit::rebuild;

/// The most items that are damaged, and more than are ever named.
const ITEMS: usize = 4;
const NAMED: usize = 100;
/// What the copy is called.
const COPY: &str = "restored";

/// The items of a table, before or after.
type Items = BTreeMap<Key, Attributes>;

/// Damages one of these tables, and restores it.
///
/// # Errors
/// If damage is not named, or not mended as promised.
pub async fn damage_and_restore(world: &Installation, live: &Generation) -> Result<(), String> {
    let tables = [
        RestorableTable::Events,
        RestorableTable::Audit,
        RestorableTable::Quarantine,
        RestorableTable::Control,
    ];
    let table = tables[fastrand::usize(..tables.len())];
    let before = world.tables.lock().items(table.table());
    if before.is_empty() {
        return Ok(());
    }
    if table == RestorableTable::Audit {
        trail::check_damage(&before)?;
    }
    let replay = operator::verifier(&world.tables, clocks::OPERATOR);
    let damage = spoil(&mut world.tables.lock(), table, &before).map_err(|error| error.to_string())?;
    trace::note(|| format!("{table:?} was damaged: {damage:?}"));
    faults::count(damage.name, None);
    if table == RestorableTable::Events {
        verify_damaged(world, &replay, live).await?;
    }
    let before: Items = before.into_iter().map(|item| (item.key, item.attributes)).collect();
    restore(world, &replay, (table, &before), &damage).await?;
    world.tables.lock().drop_table(COPY);
    // The other tables are what they were, which was looked at before.
    if table == RestorableTable::Control {
        let verified = operator::verify(&replay, live).await?;
        if !verified.is_equal() {
            return Err(format!("after {table:?} was restored: {:?}", operator::named(&verified)));
        }
    }
    Ok(())
}

/// What was done to a table.
#[derive(Debug)]
struct Damage {
    /// How it is counted.
    name: &'static str,
    lost: BTreeSet<Key>,
    changed: BTreeSet<Key>,
}

/// Makes a copy of a table, and loses and changes items of the table past the system. Of the control table, items are
/// only lost: what differs there is the newer one. So it is with seals: one that was changed is overwritten only where
/// the next one continues the copy's.
fn spoil(tables: &mut Tables, table: RestorableTable, before: &[Item]) -> Result<Damage, StoreError> {
    tables.create(&TableSpec { name: COPY.to_owned(), hash_key: "pk", range_key: None, ttl: None });
    for item in before {
        tables.store(COPY, item.key.clone(), Some(item.attributes.clone()))?;
    }
    let name = match table {
        RestorableTable::Events => "log restored",
        RestorableTable::Audit => "trail restored",
        RestorableTable::Quarantine => "quarantine restored",
        RestorableTable::Control => "control restored",
    };
    let mut damage = Damage { name, lost: BTreeSet::new(), changed: BTreeSet::new() };
    let mut items: Vec<&Item> = before.iter().collect();
    fastrand::shuffle(&mut items);
    items.truncate(fastrand::usize(1..=ITEMS));
    for Item { key, attributes } in items {
        let is_only_lost = table == RestorableTable::Control || key.pk == AUDIT_SEALS;
        let (kind, attributes) = match is_only_lost || fastrand::bool() {
            true => (&mut damage.lost, None),
            false => (&mut damage.changed, Some(changed(attributes.clone()))),
        };
        tables.store(table.table(), key.clone(), attributes)?;
        kind.insert(key.clone());
    }
    Ok(damage)
}

/// What `verify` says of a damaged log: the items of the live generation that are not those of a fold of what can be
/// read, and the records that cannot.
async fn verify_damaged(world: &Installation, replay: &Replay, live: &Generation) -> Result<(), String> {
    let (records, items) = {
        let tables = world.tables.lock();
        (tables.items(RestorableTable::Events.table()), tables.items(&live.table()))
    };
    let mut tally = Tally::default();
    let logged: Vec<String> = records.iter().flat_map(|item| replayed::messages(item, &mut tally)).collect();
    let found: Items = items.into_iter().map(|item| (item.key, item.attributes)).collect();
    let folded: Items =
        rebuild::built(&logged, None).into_iter().map(|item| (item.key, item.attributes)).collect();
    let all: BTreeSet<&Key> = found.keys().chain(folded.keys()).collect();
    let differ: BTreeSet<Key> =
        all.into_iter().filter(|key| found.get(*key) != folded.get(*key)).cloned().collect();
    let verified = operator::verify(replay, live).await?;
    let named = operator::named(&verified);
    if !verified.more && named != differ {
        return Err(format!("of a damaged log {differ:?} differ, named were {named:?}"));
    }
    let sorted = |tally: &Tally| tally.undecodable_in.iter().cloned().collect::<BTreeSet<_>>();
    match sorted(&verified.tally) == sorted(&tally) {
        true => Ok(()),
        false => Err(format!("cannot be read: {tally:?}, named were {:?}", verified.tally)),
    }
}

/// Restores a table in the steps of the guide, and compares each report and the table with what they must be.
async fn restore(
    world: &Installation,
    replay: &Replay,
    (table, before): (RestorableTable, &Items),
    damage: &Damage,
) -> Result<(), String> {
    let is_back = |key: &Key| match (table, keys::parse_control(key)) {
        (RestorableTable::Control, Some(kind)) => is_restored(kind),
        _ => true,
    };
    let lost: BTreeSet<&Key> = damage.lost.iter().filter(|key| is_back(key)).collect();
    let dry = step(replay, table, RestoreMode::Nothing).await?;
    let counts = [dry.missing, dry.inserted, dry.different, dry.superseded, dry.foreign];
    let counted = |keys: usize| u64::try_from(keys).unwrap_or(u64::MAX);
    if counts != [counted(lost.len()), 0, counted(damage.changed.len()), 0, 0] {
        return Err(format!("{damage:?}, and the dry run says {dry:?}"));
    }
    let named: BTreeSet<Key> = dry.differences.iter().map(|one| one.key.clone()).collect();
    if named != damage.changed {
        return Err(format!("{damage:?}, and the dry run names {named:?}"));
    }
    let inserted = step(replay, table, RestoreMode::Missing).await?.inserted;
    if table.is_overwritable() {
        step(replay, table, RestoreMode::Everything).await?;
    }
    let stays_changed = |key: &Key| damage.changed.contains(key) && !table.is_overwritable();
    let found = world.tables.lock().items(table.table());
    let found: Items = found.into_iter().map(|item| (item.key, item.attributes)).collect();
    for (key, attributes) in before {
        let is_right = match found.get(key) {
            None => damage.lost.contains(key) && !lost.contains(key),
            Some(found) if *key == keys::log_beginning() => is_same_beginning(key, found, attributes),
            Some(found) => stays_changed(key) != (found == attributes),
        };
        if !is_right {
            return Err(format!("{damage:?} was restored, and {key:?} is {:?}", found.get(key)));
        }
    }
    match inserted == counted(lost.len()) && found.keys().all(|key| before.contains_key(key)) {
        true => Ok(()),
        false => Err(format!("{damage:?}: {inserted} were restored, or more than there were")),
    }
}

async fn step(replay: &Replay, table: RestorableTable, mode: RestoreMode) -> Result<RestoreReport, String> {
    replay.restore(table, COPY, mode, NAMED).await.map_err(|error| error.to_string())
}

/// That the log was searched is not restored: the next replay searches it again.
fn is_same_beginning(key: &Key, found: &Attributes, before: &Attributes) -> bool {
    let hour = |attributes: &Attributes| {
        log::beginning(&Item { key: key.clone(), attributes: attributes.clone() }).map(|hour| hour.0)
    };
    hour(found) == hour(before)
}

/// What of the control table comes back (`docs/operations/restore.md`).
const fn is_restored(kind: Control) -> bool {
    match kind {
        Control::Generation | Control::LogBeginning | Control::Deactivation => true,
        Control::OutboxEntry
        | Control::Limit
        | Control::KeyUse
        | Control::Rebuild
        | Control::Subtotals
        | Control::Import
        | Control::TemporalSync
        | Control::LinkProgress => false,
    }
}
