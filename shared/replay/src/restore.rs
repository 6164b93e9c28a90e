//! Mending a table in place from a copy of it: the table stays in use, and what it has received since stays in it.
//!
//! Items of these tables are inserted once. So what the copy has and the table lacks was taken away, and is inserted
//! again; what only the table has is newer. Whoever dies on the way begins again: what is there by then is the same.

use crate::{Replay, ReplayError};
use futures::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};
use torale_domain::audit::seal::Seal;
use torale_domain::projections::repair::Difference;
use torale_domain::replay::restore::seals::{SealVerdict, Seals};
use torale_domain::replay::restore::{Part, RestorableTable};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{self, AUDIT_SEALS, Control};
use torale_domain::storage::read::{ReadPlan, Reader};
use torale_domain::values::time::Hour;
use torale_platform::store::{TableReader, log};

/// Parts of a copy that are read at once.
const SEGMENTS: i32 = 4;

/// What is done about what is missing or differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreMode {
    /// Nothing: a look.
    Nothing,
    /// What is missing is inserted; what differs stays.
    Missing,
    /// What is missing is inserted, and what differs is put as the copy has it.
    Everything,
}

/// What a copy has and the table has not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Items of the copy that were compared with the table's.
    pub compared: u64,
    /// Those that were missing.
    pub missing: u64,
    /// Those of them that were inserted.
    pub inserted: u64,
    /// Those that differed.
    pub different: u64,
    /// Those of them that were put as the copy has them.
    pub overwritten: u64,
    /// Seals in whose place, or before which, the table has others: not restored.
    pub superseded: u64,
    /// Some of those that differed or were superseded, by key: `expected` is the copy's.
    pub differences: Vec<Difference>,
    /// Items of the copy that are not restored, by what they are.
    pub left_out: BTreeMap<Control, u64>,
    /// Items of the copy that are none of this table's, or hold what nobody of us writes: not restored.
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

/// What is to be written of one page.
#[derive(Default)]
struct Lacking {
    missing: Vec<Item>,
    /// Of those, in their order: each is inserted only after the one before it.
    seals: Vec<Item>,
    different: Vec<Item>,
}

impl Lacking {
    fn add(&mut self, fate: SealVerdict, item: Item) {
        match fate {
            SealVerdict::Missing if item.key.pk == AUDIT_SEALS => self.seals.push(item),
            SealVerdict::Missing => self.missing.push(item),
            SealVerdict::Changed => self.different.push(item),
            SealVerdict::There | SealVerdict::Superseded => {}
        }
    }
}

impl Replay {
    /// Mends a table from a copy; names at most `most` differences.
    ///
    /// # Errors
    /// If there is no such copy or table, if this table's items are not overwritten, or if the store fails.
    pub async fn restore(
        &self,
        table: RestorableTable,
        copy: &str,
        mend: RestoreMode,
        most: usize,
    ) -> Result<RestoreReport, ReplayError> {
        self.check(table, copy, mend).await?;
        let segments = (0..SEGMENTS).map(|segment| self.restore_segment(table, copy, mend, most, segment));
        let mut restored = RestoreReport::default();
        for part in try_join_all(segments).await? {
            restored.add(part, most);
        }
        Ok(restored)
    }

    async fn check(&self, table: RestorableTable, copy: &str, mend: RestoreMode) -> Result<(), ReplayError> {
        let name = table.table();
        if mend == RestoreMode::Everything && !table.is_overwritable() {
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
        mend: RestoreMode,
        most: usize,
        segment: i32,
    ) -> Result<RestoreReport, ReplayError> {
        let (mut restored, mut seals, mut after) = (RestoreReport::default(), Seals::default(), None);
        loop {
            let (items, next) =
                self.store.scan_page(copy, (segment, SEGMENTS), after.as_ref(), &self.usage).await?;
            self.meter.wrote(items.len());
            let (part, lacking) = self.look(table, items, &mut seals).await?;
            restored.add(part, most);
            restored.add(self.write(table, mend, lacking, &mut seals).await?, most);
            match next {
                Some(next) => after = Some(next),
                None => return Ok(restored),
            }
        }
    }

    /// What of a page the table has not.
    async fn look(
        &self,
        table: RestorableTable,
        page: Vec<Item>,
        seals: &mut Seals,
    ) -> Result<(RestoreReport, Lacking), ReplayError> {
        let (mut restored, mut lacking, mut compared) =
            (RestoreReport::default(), Lacking::default(), Vec::new());
        for item in page {
            match table.part(&item) {
                Part::Compared => compared.push(item),
                Part::LeftOut(kind) => *restored.left_out.entry(kind).or_default() += 1,
                Part::Foreign => restored.foreign += 1,
            }
        }
        // A seal is looked at together with the one after it.
        let after = |item: &Item| {
            Seal::load(item).map(|seal| keys::audit_seal(seal.statement.seal.saturating_add(1)))
        };
        let wanted: BTreeSet<Key> =
            compared.iter().flat_map(|item| after(item).into_iter().chain([item.key.clone()])).collect();
        let reader = TableReader::whole(&self.store, table.table(), &self.usage);
        let there = reader.read(ReadPlan::gets(wanted).consistent()).await?.items;
        for item in compared {
            restored.compared += 1;
            let found = there.get(&item.key);
            let fate = match after(&item) {
                Some(after) => seals.next(&item, found, there.get(&after)),
                None => fate(&item, found),
            };
            *match fate {
                SealVerdict::There => continue,
                SealVerdict::Missing => &mut restored.missing,
                SealVerdict::Changed => &mut restored.different,
                SealVerdict::Superseded => &mut restored.superseded,
            } += 1;
            if fate != SealVerdict::Missing {
                let Item { key, attributes } = item.clone();
                let found = found.map(|found| found.attributes.clone());
                restored.differences.push(Difference { key, expected: Some(attributes), found });
            }
            lacking.add(fate, item);
        }
        Ok((restored, lacking))
    }

    async fn write(
        &self,
        table: RestorableTable,
        mend: RestoreMode,
        lacking: Lacking,
        seals: &mut Seals,
    ) -> Result<RestoreReport, ReplayError> {
        let mut done = RestoreReport::default();
        let Lacking { mut missing, seals: missing_seals, different } = lacking;
        let different = match mend {
            RestoreMode::Nothing => return Ok(done),
            RestoreMode::Missing => Vec::new(),
            RestoreMode::Everything => different,
        };
        // First of all, as it is with what is received: what lies before the noted beginning is never read.
        let hours = missing.iter().chain(&different).filter_map(|item| begins(table, item));
        if let Some(hour) = hours.min() {
            self.store.note_beginning(hour.start(), &self.usage).await?;
        }
        // Where it is noted, it is not to be inserted any more.
        let beginning = missing.extract_if(.., |item| item.key == keys::log_beginning()).count();
        done.overwritten = u64::try_from(different.len()).unwrap_or(u64::MAX);
        self.store.overwrite_all(table.table(), different, &self.usage).await?;
        done.inserted = u64::try_from(beginning).unwrap_or(u64::MAX);
        done.inserted += self.store.insert_all(table.table(), missing, &self.usage).await?;
        for seal in missing_seals {
            let inserted = self.store.insert_all(table.table(), vec![seal], &self.usage).await?;
            done.inserted += inserted;
            if inserted == 0 {
                // The sealing job was faster, and goes on from its own.
                seals.lost();
                break;
            }
        }
        Ok(done)
    }
}

/// What becomes of an item that is no seal.
fn fate(copy: &Item, found: Option<&Item>) -> SealVerdict {
    match found {
        Some(found) if found == copy || begins_earlier(found, copy) => SealVerdict::There,
        // Whoever received something after it was gone has noted a later hour.
        Some(found) if begins_earlier(copy, found) => SealVerdict::Missing,
        Some(_) => SealVerdict::Changed,
        None => SealVerdict::Missing,
    }
}

/// The hour in which the log begins, or before, if it has this item.
fn begins(table: RestorableTable, item: &Item) -> Option<Hour> {
    match table {
        RestorableTable::Events => keys::parse_log(&item.key).map(|(hour, ..)| hour),
        RestorableTable::Control if item.key == keys::log_beginning() => log::beginning(item),
        RestorableTable::Control | RestorableTable::Audit | RestorableTable::Quarantine => None,
    }
}

/// Of two items of the log's beginning, whether the first tells the earlier hour: then it is the right one.
fn begins_earlier(one: &Item, other: &Item) -> bool {
    let hour = |item| begins(RestorableTable::Control, item);
    hour(one).zip(hour(other)).is_some_and(|(one, other)| one < other)
}
