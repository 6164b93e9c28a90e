//! Damages a table that nothing can be computed anew from, once everything is quiet, and restores it from a copy as
//! `docs/operations/restore.md` says: what was lost is back, and what was changed is named.

use crate::audit_index;
use crate::clocks;
use crate::damage::{Items, by_key, changed, differing, logged};
use crate::faults;
use crate::installation::Installation;
use crate::interrupted::{Interruptions, interrupt};
use crate::operator;
use crate::tables::Tables;
use crate::trace;
use crate::trail;
use std::collections::BTreeSet;
use torale_domain::projections::generation::Generation;
use torale_domain::replay::restore::RestorableTable;
use torale_domain::storage::item::{Attributes, Item, Key};
use torale_domain::storage::keys::{self, AUDIT_SEALS, Control, TableSpec};
use torale_platform::store::{StoreError, log};
use torale_replay::Replay;
use torale_replay::restore::{RestoreMode, RestoreReport};
use torale_testkit::rebuild;

/// The most items that are damaged, and more than are ever named.
const ITEMS: usize = 4;
const NAMED: usize = 100;
/// What the copy is called.
const COPY: &str = "restored";

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
    let trail = world.tables.lock().items(RestorableTable::Audit.table());
    if !trail.is_empty() {
        trail::check_damage(&trail)?;
        audit_index::lose_and_rebuild(world).await?;
    }
    let with_items = tables.into_iter().map(|table| (table, world.tables.lock().items(table.table())));
    let with_items: Vec<_> = with_items.filter(|(_, items)| !items.is_empty()).collect();
    let (table, before) = fastrand::choice(with_items).expect("the log has the administrator");
    let replay = operator::verifier(&world.tables, clocks::OPERATORS[0]);
    let damage = spoil(&mut world.tables.lock(), table, &before).map_err(|error| error.to_string())?;
    trace::note(|| format!("{table:?} was damaged: {damage:?}"));
    faults::count(damage.name, None);
    let before = by_key(before);
    if table == RestorableTable::Events {
        verify_damaged(world, &replay, live, (&before, &damage)).await?;
    }
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
#[derive(Debug, Default)]
struct Damage {
    /// How it is counted.
    name: &'static str,
    lost: BTreeSet<Key>,
    /// What was changed, and to what.
    changed: Items,
    /// Records of the log among these in which a message was replaced by another one, and which can be read.
    replaced: BTreeSet<Key>,
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
    let mut damage = Damage { name, ..Damage::default() };
    let mut items: Vec<&Item> = before.iter().collect();
    fastrand::shuffle(&mut items);
    items.truncate(fastrand::usize(1..=ITEMS));
    for Item { key, attributes } in items {
        let is_only_lost = table == RestorableTable::Control || key.pk == AUDIT_SEALS;
        if is_only_lost || fastrand::bool() {
            tables.store(table.table(), key.clone(), None)?;
            damage.lost.insert(key.clone());
            continue;
        }
        let replaced = match table {
            RestorableTable::Events if fastrand::bool() => replaced(key, attributes, before),
            RestorableTable::Events
            | RestorableTable::Audit
            | RestorableTable::Quarantine
            | RestorableTable::Control => None,
        };
        if replaced.is_some() {
            faults::count("message replaced", None);
            damage.replaced.insert(key.clone());
        }
        let attributes = replaced.unwrap_or_else(|| changed(attributes.clone()));
        tables.store(table.table(), key.clone(), Some(attributes.clone()))?;
        damage.changed.insert(key.clone(), attributes);
    }
    Ok(damage)
}

/// A record of the log in which a message of another record of its lane stands for one of its own.
fn replaced(key: &Key, attributes: &Attributes, log_items: &[Item]) -> Option<Attributes> {
    let item = Item { key: key.clone(), attributes: attributes.clone() };
    // A replay looks for an entity in its lane alone.
    let lane = |key: &Key| keys::parse_log(key).map(|(_, lane, _)| lane);
    let same_lane: Vec<Item> = log_items.iter().filter(|one| lane(&one.key) == lane(key)).cloned().collect();
    let (mut bodies, others) = (logged(&[item]).ok()?, logged(&same_lane).ok()?);
    let other =
        fastrand::choice(others.into_iter().filter(|other| !bodies.contains(other)).collect::<Vec<_>>())?;
    *fastrand::choice(bodies.iter_mut())? = other;
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    Some(log::item(key.clone(), &bodies).ok()?.attributes)
}

/// What `verify` says of a damaged log: the items of the live generation that are not those of a fold of what can be
/// read, and the records that cannot.
async fn verify_damaged(
    world: &Installation,
    replay: &Replay,
    live: &Generation,
    (before, damage): (&Items, &Damage),
) -> Result<(), String> {
    let (mut records, items) = {
        let tables = world.tables.lock();
        (tables.items(RestorableTable::Events.table()), tables.items(&live.table()))
    };
    // What was changed past the system is no packed text any more, or does not hold as many messages as it says.
    let differs = |key: &Key, name: &str| {
        let attribute = |items: &Items| items.get(key).and_then(|attributes| attributes.get(name)).cloned();
        !damage.replaced.contains(key) && attribute(before) != attribute(&damage.changed)
    };
    let changed = || damage.changed.keys();
    let printed = |key: &Key| format!("{} / {}", key.pk, key.sk);
    let wrong: BTreeSet<_> =
        changed().filter(|key| differs(key, "events") || differs(key, "n")).map(printed).collect();
    let unreadable: BTreeSet<&Key> = changed().filter(|key| differs(key, "events")).collect();
    records.retain(|item| !unreadable.contains(&item.key));
    let folded = by_key(rebuild::built(&logged(&records)?, None));
    let verified = operator::verify(replay, live).await?;
    operator::check_named(&verified, &differing(&by_key(items), &folded))?;
    let named: BTreeSet<_> = verified.tally.undecodable_in.iter().cloned().collect();
    match named == wrong {
        true => Ok(()),
        false => Err(format!("{wrong:?} cannot be read, named were {:?}", verified.tally)),
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
    if !named.iter().eq(damage.changed.keys()) {
        return Err(format!("{damage:?}, and the dry run names {named:?}"));
    }
    let (interruptions, inserted) = called_again(replay, table, RestoreMode::Missing).await?;
    // Step 6 of the guide: items of these two never change.
    let is_overwritten = matches!(table, RestorableTable::Events | RestorableTable::Audit);
    if is_overwritten {
        called_again(replay, table, RestoreMode::Everything).await?;
    }
    let found = by_key(world.tables.lock().items(table.table()));
    for (key, attributes) in before {
        let is_right = match found.get(key) {
            None => damage.lost.contains(key) && !lost.contains(key),
            Some(found) if *key == keys::log_beginning() => is_same_beginning(key, found, attributes),
            Some(found) if *key == keys::live_generation() && lost.contains(key) => {
                is_without_shadow(found, attributes)
            }
            Some(found) => {
                let changed = damage.changed.get(key).filter(|_| !is_overwritten);
                found == changed.unwrap_or(attributes)
            }
        };
        if !is_right {
            return Err(format!("{damage:?} was restored, and {key:?} is {:?}", found.get(key)));
        }
    }
    // What an interrupted call has inserted is not counted again.
    let is_counted = match interruptions {
        Interruptions::None => inserted == counted(lost.len()),
        Interruptions::Some | Interruptions::CountAsDone => inserted <= counted(lost.len()),
    };
    match is_counted && found.keys().all(|key| before.contains_key(key)) {
        true => Ok(()),
        false => Err(format!("{damage:?}: {inserted} were restored, or more than there were")),
    }
}

/// A step that may be interrupted and called again, and how many items its last call has inserted.
async fn called_again(
    replay: &Replay,
    table: RestorableTable,
    mode: RestoreMode,
) -> Result<(Interruptions, u64), String> {
    let names = ["restore interrupted", "restore failed", "restore not interrupted"];
    let interruptions = interrupt(names, || replay.restore(table, COPY, mode, NAMED)).await?;
    let inserted = match interruptions {
        Interruptions::CountAsDone => 0,
        Interruptions::None | Interruptions::Some => step(replay, table, mode).await?.inserted,
    };
    Ok((interruptions, inserted))
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

/// The pointer comes back without its shadow generation, which was not written meanwhile.
fn is_without_shadow(found: &Attributes, before: &Attributes) -> bool {
    let live = before.iter().filter(|(name, _)| !name.starts_with("beside"));
    found.iter().eq(live)
}

/// What of the control table comes back (`docs/operations/restore.md`).
const fn is_restored(kind: Control) -> bool {
    matches!(kind, Control::Generation | Control::LogBeginning | Control::Deactivation)
}
