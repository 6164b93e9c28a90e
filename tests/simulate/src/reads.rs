//! What the requests of an instance read of the projections: that each reads one generation is seen at its calls.

use crate::faults;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::read::Range;

/// What the requests of an instance read of the projections, in order.
#[derive(Debug, Clone, Default)]
pub struct ReadLog(Arc<Mutex<Reads>>);

#[derive(Debug, Default)]
struct Reads {
    events: Vec<ReadEvent>,
    /// What a planted defect keeps of earlier requests.
    kept: BTreeMap<ReadTarget, Vec<Item>>,
}

#[derive(Debug)]
enum ReadEvent {
    /// The pointer was answered, and names this table.
    Pointer(String),
    /// This was read of this table.
    Table(String, Vec<ReadTarget>),
}

/// What is read: an item, or a range, whichever page of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadTarget {
    /// An item.
    Item(Key),
    /// A range: its partition, its bounds, and its order.
    Range(String, [Option<String>; 2], bool),
}

impl ReadTarget {
    /// A range.
    pub fn range(range: &Range) -> Self {
        Self::Range(range.pk.clone(), [range.from.clone(), range.to.clone()], range.descending)
    }
}

impl ReadLog {
    fn lock(&self) -> MutexGuard<'_, Reads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the pointer was answered, and names this table.
    pub fn note_pointer(&self, table: String) {
        self.lock().events.push(ReadEvent::Pointer(table));
    }

    /// Notes what is read of a table.
    pub fn note_read(&self, table: String, targets: Vec<ReadTarget>) {
        self.lock().events.push(ReadEvent::Table(table, targets));
    }

    /// Begins anew, with another request.
    pub fn clear(&self) {
        self.lock().events.clear();
    }

    /// The tables that a request has read since it knew which generation is live, and that of the live one. What it has
    /// read before was a guess, which counts only if the pointer confirms it. A wrong guess is read to its end, next to
    /// the pointer, before anything is read of the live generation.
    pub fn tables(&self) -> BTreeSet<String> {
        let reads = self.lock();
        let after: Vec<&ReadEvent> =
            reads.events.iter().skip_while(|event| matches!(event, ReadEvent::Table(..))).collect();
        let Some(ReadEvent::Pointer(live)) = after.first() else { return BTreeSet::new() };
        let is_live = |event: &&ReadEvent| matches!(event, ReadEvent::Table(table, _) if table == live);
        let begun = after.iter().position(is_live).unwrap_or(0);
        let read = after.into_iter().skip(begun);
        let read = read.map(|(ReadEvent::Pointer(table) | ReadEvent::Table(table, _))| table.clone());
        read.chain([live.clone()]).collect()
    }

    /// What a request has read of a wrong guess, and not again of the generation that the pointer names. Only the first
    /// guess is looked at, by which the caller is looked up and a page is read; what a deactivation reads later is
    /// guarded by its transaction.
    pub fn unconfirmed(&self) -> BTreeSet<ReadTarget> {
        let reads = self.lock();
        let mut pointers = reads.events.iter().filter_map(|event| match event {
            ReadEvent::Pointer(live) => Some(live),
            ReadEvent::Table(..) => None,
        });
        let Some(live) = pointers.next() else { return BTreeSet::new() };
        let (mut guessed, mut confirmed) = (BTreeSet::new(), BTreeSet::new());
        for event in &reads.events {
            match event {
                ReadEvent::Table(table, targets) if table == live => confirmed.extend(targets),
                // Whoever changes something reads the shadow generation, after the live one.
                ReadEvent::Table(_, targets) if confirmed.is_empty() => guessed.extend(targets),
                ReadEvent::Table(..) | ReadEvent::Pointer(_) => {}
            }
        }
        if !guessed.is_empty() {
            faults::count("wrong guess", None);
        }
        guessed.difference(&confirmed).map(|target| (*target).clone()).collect()
    }

    /// For a planted defect: another table of which this request has read the same before it knew the pointer.
    pub fn guess_of(&self, table: &str, targets: &[ReadTarget]) -> Option<String> {
        let reads = self.lock();
        let before = reads.events.iter().take_while(|event| matches!(event, ReadEvent::Table(..)));
        let mut tables = before.filter_map(|event| match event {
            ReadEvent::Table(guess, of) if of == targets => Some(guess),
            ReadEvent::Table(..) | ReadEvent::Pointer(_) => None,
        });
        let is_known = reads.events.iter().any(|event| matches!(event, ReadEvent::Pointer(_)));
        tables.find(|guess| is_known && *guess != table).cloned()
    }

    /// For a planted defect: what was found first, at any request.
    pub fn keep(&self, target: ReadTarget, found: Vec<Item>) -> Vec<Item> {
        // A page that ended early, or a key that was not processed.
        if found.is_empty() {
            return found;
        }
        self.lock().kept.entry(target).or_insert(found).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str) -> Vec<ReadTarget> {
        vec![ReadTarget::Item(Key::stored(name.to_owned(), name.to_owned()))]
    }

    fn log(guessed: &str, live: &str, then: &[(&str, &str)]) -> ReadLog {
        let log = ReadLog::default();
        log.note_read(guessed.to_owned(), item("key"));
        log.note_pointer(live.to_owned());
        then.iter().for_each(|(table, name)| log.note_read((*table).to_owned(), item(name)));
        log
    }

    #[test]
    fn wrong_guess_is_confirmed_only_by_the_same_read_of_the_live_generation() {
        let unconfirmed = |then: &[(&str, &str)]| log("g1", "g2", then).unconfirmed();

        assert_eq!(unconfirmed(&[("g2", "key"), ("g2", "page")]), BTreeSet::new());
        assert_eq!(unconfirmed(&[("g2", "page")]), item("key").into_iter().collect());
        assert_eq!(unconfirmed(&[("g1", "key"), ("g2", "page")]), item("key").into_iter().collect());
        assert_eq!(log("g2", "g2", &[("g2", "page")]).unconfirmed(), BTreeSet::new(), "a right guess");
        assert_eq!(
            log("g2", "g2", &[("g1", "page")]).unconfirmed(),
            BTreeSet::new(),
            "the shadow generation"
        );
    }
}
