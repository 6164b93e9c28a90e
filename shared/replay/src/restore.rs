//! Mending a table in place from a copy of it: the table stays in use, and what it has received since stays in it.
//!
//! Items of these tables are inserted once. So what the copy has and the table lacks was taken away, and is inserted
//! again; what only the table has is newer. Whoever dies on the way begins again: what is there by then is the same.

use crate::{Failure, Replay};
use futures::future::try_join_all;
use std::collections::BTreeMap;
use torale_domain::compare::Difference;
use torale_domain::item::Item;
use torale_domain::keys::{self, Control};
use torale_domain::read::{Reader, Reads};
use torale_domain::restore::{Mendable, Part};
use torale_domain::time::Hour;
use torale_platform::store::{TableReader, log};

/// Parts of a copy that are read at once.
const SEGMENTS: i32 = 4;

/// What is done about what is missing or differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// Nothing: a look.
    Nothing,
    /// What is missing is inserted; what differs stays.
    Missing,
    /// What is missing is inserted, and what differs is put as the copy has it.
    Everything,
}

/// What a copy has and the table has not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Items of the copy that were compared with the table's.
    pub compared: u64,
    /// Those that were missing.
    pub missing: u64,
    /// Those that differed.
    pub different: u64,
    /// Some of those, by key: `expected` is the copy's.
    pub differences: Vec<Difference>,
    /// Items of the copy that are not restored, by what they are.
    pub left_out: BTreeMap<Control, u64>,
    /// Items of the copy that are none of this table's, or hold what nobody of us writes: not restored.
    pub foreign: u64,
}

impl Restored {
    fn add(&mut self, other: Self, most: usize) {
        self.compared += other.compared;
        self.missing += other.missing;
        self.different += other.different;
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
    different: Vec<Item>,
}

impl Replay {
    /// Mends a table from a copy; names at most `most` differences.
    ///
    /// # Errors
    /// If there is no such copy or table, if this table's items are not overwritten, or if the store fails.
    pub async fn restore(
        &self,
        table: Mendable,
        copy: &str,
        mend: Mend,
        most: usize,
    ) -> Result<Restored, Failure> {
        self.check(table, copy, mend).await?;
        let segments = (0..SEGMENTS).map(|segment| self.restore_segment(table, copy, mend, most, segment));
        let mut restored = Restored::default();
        for part in try_join_all(segments).await? {
            restored.add(part, most);
        }
        Ok(restored)
    }

    async fn check(&self, table: Mendable, copy: &str, mend: Mend) -> Result<(), Failure> {
        let name = table.table();
        if mend == Mend::Everything && !table.is_overwritable() {
            let why = "is the newer one, as it has changed since the copy was made";
            return Err(Failure::Refused(format!("nothing of {name} is overwritten: what differs {why}")));
        }
        if copy == name {
            return Err(Failure::Refused(format!("{copy} is no copy of itself")));
        }
        for wanted in [name, copy] {
            if !self.store.has_table(wanted).await? {
                return Err(Failure::Refused(format!("there is no table {wanted}, or it is not ready yet")));
            }
        }
        Ok(())
    }

    async fn restore_segment(
        &self,
        table: Mendable,
        copy: &str,
        mend: Mend,
        most: usize,
        segment: i32,
    ) -> Result<Restored, Failure> {
        let (mut restored, mut after) = (Restored::default(), None);
        loop {
            let (items, next) =
                self.store.scan_page(copy, (segment, SEGMENTS), after.as_ref(), &self.usage).await?;
            self.meter.wrote(items.len());
            let (part, lacking) = self.look(table, items).await?;
            restored.add(part, most);
            self.write(table, mend, lacking).await?;
            match next {
                Some(next) => after = Some(next),
                None => return Ok(restored),
            }
        }
    }

    /// What of a page the table has not.
    async fn look(&self, table: Mendable, page: Vec<Item>) -> Result<(Restored, Lacking), Failure> {
        let (mut restored, mut lacking, mut compared) = (Restored::default(), Lacking::default(), Vec::new());
        for item in page {
            match table.part(&item) {
                Part::Compared => compared.push(item),
                Part::LeftOut(kind) => *restored.left_out.entry(kind).or_default() += 1,
                Part::Foreign => restored.foreign += 1,
            }
        }
        let reads = Reads::gets(compared.iter().map(|item| item.key.clone())).consistent();
        let reader = TableReader::whole(&self.store, table.table(), &self.usage);
        let mut there = reader.read(reads).await?.items;
        for item in compared {
            restored.compared += 1;
            match there.remove(&item.key) {
                Some(found) if found == item || begins_earlier(&found, &item) => {}
                // Whoever received something after it was gone has noted a later hour.
                Some(found) if begins_earlier(&item, &found) => lacking.missing.push(item),
                Some(found) => {
                    let Item { key, attributes } = item.clone();
                    let (expected, found) = (Some(attributes), Some(found.attributes));
                    restored.differences.push(Difference { key, expected, found });
                    lacking.different.push(item);
                }
                None => lacking.missing.push(item),
            }
        }
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        (restored.missing, restored.different) =
            (count(lacking.missing.len()), count(lacking.different.len()));
        Ok((restored, lacking))
    }

    async fn write(&self, table: Mendable, mend: Mend, lacking: Lacking) -> Result<(), Failure> {
        let Lacking { missing, different } = lacking;
        let different = match mend {
            Mend::Nothing => return Ok(()),
            Mend::Missing => Vec::new(),
            Mend::Everything => different,
        };
        // First of all, as it is with what is received: what lies before the noted beginning is never read.
        let hours = missing.iter().chain(&different).filter_map(|item| begins(table, item));
        if let Some(hour) = hours.min() {
            self.store.note_beginning(hour.start(), &self.usage).await?;
        }
        self.store.insert_all(table.table(), missing, &self.usage).await?;
        Ok(self.store.overwrite_all(table.table(), different, &self.usage).await?)
    }
}

/// The hour in which the log begins, or before, if it has this item.
fn begins(table: Mendable, item: &Item) -> Option<Hour> {
    match table {
        Mendable::Events => keys::parse_log(&item.key).map(|(hour, ..)| hour),
        Mendable::Control if item.key == keys::log_beginning() => log::beginning(item),
        Mendable::Control | Mendable::Audit | Mendable::Quarantine => None,
    }
}

/// Of two items of the log's beginning, whether the first tells the earlier hour: then it is the right one.
fn begins_earlier(one: &Item, other: &Item) -> bool {
    let hour = |item| begins(Mendable::Control, item);
    hour(one).zip(hour(other)).is_some_and(|(one, other)| one < other)
}
