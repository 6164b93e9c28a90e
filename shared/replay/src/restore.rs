//! Restoring a table in place from a copy of it: the table stays in use, and items received
//! since stay in it.
//!
//! Items of these tables are inserted once. So an item that the copy has and the table lacks was
//! removed, and is inserted again; an item that only the table has is newer. An interrupted
//! restore is simply called again.

use crate::{Replay, ReplayError};
use futures::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};
use torale_domain::audit::seal::Seal;
use torale_domain::projections::repair::Difference;
use torale_domain::replay::restore::seals::{RestoreVerdict, Seals};
use torale_domain::replay::restore::{self, CopiedItem, RestorableTable};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{self, AUDIT_SEALS, Control};
use torale_domain::storage::read::{ReadPlan, Reader};
use torale_domain::values::time::Hour;
use torale_platform::store::{TableReader, log};

/// Segments of a copy that are read at once.
const SEGMENTS: i32 = 4;

/// What a restore writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreMode {
    /// Nothing: a dry run.
    Nothing,
    /// Missing items; items that differ stay.
    Missing,
    /// Missing items, and the copy's version of items that differ.
    Everything,
}

/// How a copy and the table differ, and what was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Items of the copy that were compared with the table's.
    pub compared: u64,
    /// Items of the copy that the table lacked.
    pub missing: u64,
    /// Missing items that were inserted.
    pub inserted: u64,
    /// Items that differed.
    pub different: u64,
    /// Items that differed and were overwritten.
    pub overwritten: u64,
    /// Seals that don't continue the table's seals: not restored.
    pub superseded: u64,
    /// Some of the items that differed or were superseded, by key: `expected` is the copy's.
    pub differences: Vec<Difference>,
    /// Items of the copy that are not restored, by kind.
    pub left_out: BTreeMap<Control, u64>,
    /// Items of the copy that don't belong to this table, or hold values that this system never
    /// writes: not restored.
    pub foreign: u64,
}

impl RestoreReport {
    fn add(&mut self, other: Self, most: usize) {
        self.compared += other.compared;
        self.missing += other.missing;
        self.inserted += other.inserted;
        self.different += other.different;
        self.overwritten += other.overwritten;
        self.superseded += other.superseded;
        self.foreign += other.foreign;
        for (kind, count) in other.left_out {
            *self.left_out.entry(kind).or_default() += count;
        }
        self.differences.extend(other.differences);
        self.differences.sort_by(|a, b| a.key.cmp(&b.key));
        self.differences.truncate(most);
    }
}

/// The writes for one page of the copy.
#[derive(Default)]
struct PageWrites {
    missing: Vec<Item>,
    /// Missing seals in their order: each is inserted only after the one before it.
    seals: Vec<Item>,
    different: Vec<Item>,
}

impl PageWrites {
    fn add(&mut self, verdict: RestoreVerdict, item: Item) {
        match verdict {
            RestoreVerdict::Missing if item.key.pk == AUDIT_SEALS => self.seals.push(item),
            RestoreVerdict::Missing => self.missing.push(restore::inserted(&item)),
            RestoreVerdict::Changed => self.different.push(item),
            RestoreVerdict::There | RestoreVerdict::Superseded => {}
        }
    }
}

impl Replay {
    /// Restores a table from a copy; the report names at most `most` differences.
    ///
    /// # Errors
    /// If there is no such copy or table, if this table's items may not be overwritten, or if the
    /// store fails.
    pub async fn restore(
        &self,
        table: RestorableTable,
        copy: &str,
        mode: RestoreMode,
        most: usize,
    ) -> Result<RestoreReport, ReplayError> {
        self.check(table, copy, mode).await?;
        let segments = (0..SEGMENTS).map(|segment| self.restore_segment(table, copy, mode, most, segment));
        let mut restored = RestoreReport::default();
        for part in try_join_all(segments).await? {
            restored.add(part, most);
        }
        Ok(restored)
    }

    async fn check(&self, table: RestorableTable, copy: &str, mode: RestoreMode) -> Result<(), ReplayError> {
        let name = table.table();
        if mode == RestoreMode::Everything && !table.is_overwritable() {
            let why = "is the newer one, as it has changed since the copy was made";
            return Err(ReplayError::Refused(format!(
                "nothing of {name} is overwritten: what differs {why}"
            )));
        }
        if copy == name {
            return Err(ReplayError::Refused(format!("{copy} is no copy of itself")));
        }
        for wanted in [name, copy] {
            if !self.store.has_table(wanted).await? {
                return Err(ReplayError::Refused(format!(
                    "there is no table {wanted}, or it is not ready yet"
                )));
            }
        }
        Ok(())
    }

    async fn restore_segment(
        &self,
        table: RestorableTable,
        copy: &str,
        mode: RestoreMode,
        most: usize,
        segment: i32,
    ) -> Result<RestoreReport, ReplayError> {
        let (mut restored, mut seals, mut after) = (RestoreReport::default(), Seals::default(), None);
        loop {
            let (items, next) =
                self.store.scan_page(copy, (segment, SEGMENTS), after.as_ref(), &self.usage).await?;
            self.meter.wrote(items.len());
            let (part, writes) = self.compare_page(table, items, &mut seals).await?;
            restored.add(part, most);
            restored.add(self.write(table, mode, writes, &mut seals).await?, most);
            match next {
                Some(next) => after = Some(next),
                None => return Ok(restored),
            }
        }
    }

    /// Compares a page of the copy with the table.
    async fn compare_page(
        &self,
        table: RestorableTable,
        page: Vec<Item>,
        seals: &mut Seals,
    ) -> Result<(RestoreReport, PageWrites), ReplayError> {
        let (mut restored, mut writes, mut compared) =
            (RestoreReport::default(), PageWrites::default(), Vec::new());
        for item in page {
            match table.classify(&item) {
                CopiedItem::Restorable => compared.push(item),
                CopiedItem::NotRestored(kind) => *restored.left_out.entry(kind).or_default() += 1,
                CopiedItem::Foreign => restored.foreign += 1,
            }
        }
        // A seal is compared together with the one after it.
        let after = |item: &Item| {
            Seal::load(item).map(|seal| keys::audit_seal(seal.statement.seal.saturating_add(1)))
        };
        let wanted: BTreeSet<Key> =
            compared.iter().flat_map(|item| after(item).into_iter().chain([item.key.clone()])).collect();
        let reader = TableReader::whole(&self.store, table.table(), &self.usage);
        let stored = reader.read(ReadPlan::gets(wanted).consistent()).await?.items;
        for item in compared {
            restored.compared += 1;
            let found = stored.get(&item.key);
            let verdict = match after(&item) {
                Some(after) => seals.next(&item, found, stored.get(&after)),
                None => verdict(&item, found),
            };
            *match verdict {
                RestoreVerdict::There => continue,
                RestoreVerdict::Missing => &mut restored.missing,
                RestoreVerdict::Changed => &mut restored.different,
                RestoreVerdict::Superseded => &mut restored.superseded,
            } += 1;
            if verdict != RestoreVerdict::Missing {
                let Item { key, attributes } = item.clone();
                let found = found.map(|found| found.attributes.clone());
                restored.differences.push(Difference { key, expected: Some(attributes), found });
            }
            writes.add(verdict, item);
        }
        Ok((restored, writes))
    }

    async fn write(
        &self,
        table: RestorableTable,
        mode: RestoreMode,
        writes: PageWrites,
        seals: &mut Seals,
    ) -> Result<RestoreReport, ReplayError> {
        let mut done = RestoreReport::default();
        let PageWrites { mut missing, seals: missing_seals, different } = writes;
        let different = match mode {
            RestoreMode::Nothing => return Ok(done),
            RestoreMode::Missing => Vec::new(),
            RestoreMode::Everything => different,
        };
        // The beginning first, as when events are received: what lies before the noted beginning
        // is never read.
        let hours = missing.iter().chain(&different).filter_map(|item| begins(table, item));
        if let Some(hour) = hours.min() {
            self.store.note_beginning(hour.start(), &self.usage).await?;
        }
        // `note_beginning` has written it.
        let beginning = missing.extract_if(.., |item| item.key == keys::log_beginning()).count();
        done.overwritten = u64::try_from(different.len()).unwrap_or(u64::MAX);
        self.store.overwrite_all(table.table(), different, &self.usage).await?;
        done.inserted = u64::try_from(beginning).unwrap_or(u64::MAX);
        done.inserted += self.store.insert_all(table.table(), missing, &self.usage).await?;
        for seal in missing_seals {
            let inserted = self.store.insert_all(table.table(), vec![seal], &self.usage).await?;
            done.inserted += inserted;
            if inserted == 0 {
                // The sealing job was faster, and continues from its own seal.
                seals.lost();
                break;
            }
        }
        Ok(done)
    }
}

/// The verdict on an item that is no seal.
fn verdict(copy: &Item, found: Option<&Item>) -> RestoreVerdict {
    match found {
        Some(found) if found == copy || *found == restore::inserted(copy) => RestoreVerdict::There,
        Some(found) if begins_no_later(found, copy) => RestoreVerdict::There,
        // A consumer that received something after the item was lost has noted a later hour.
        Some(found) if begins_no_later(copy, found) => RestoreVerdict::Missing,
        Some(_) => RestoreVerdict::Changed,
        None => RestoreVerdict::Missing,
    }
}

/// The hour in which the log begins at the latest, if it has this item.
fn begins(table: RestorableTable, item: &Item) -> Option<Hour> {
    match table {
        RestorableTable::Events => keys::parse_log(&item.key).map(|(hour, ..)| hour),
        RestorableTable::Control if item.key == keys::log_beginning() => log::beginning(item),
        RestorableTable::Control | RestorableTable::Audit | RestorableTable::Quarantine => None,
    }
}

/// Whether the first of two items of the log's beginning names no later hour: then it is right. Which
/// of them knows that the log was searched does not matter: whoever does not searches it again.
fn begins_no_later(one: &Item, other: &Item) -> bool {
    let hour = |item| begins(RestorableTable::Control, item);
    hour(one).zip(hour(other)).is_some_and(|(one, other)| one <= other)
}
