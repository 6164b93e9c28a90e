//! The counted index: for every minute and every day, how many rows lie there and what they add up to.
//!
//! A window total is the day slots after the cut plus the minute slots of the cut's own day. A page at an
//! offset walks the same slots from the newest down to the minute that holds it. Both cost the same however
//! much data there is.

use crate::storage::item::{Item, Key};
use crate::storage::keys::{self, Index, Lane, Lanes, Node, StatusPartition};
use crate::storage::read::Range;
use crate::values::time::{DAY, Day, HOUR, Hour, MINUTE, Month, Timestamp};
use std::collections::BTreeMap;

/// The attribute with a counter's population; a counter whose population is 0 has no item.
pub const POPULATION: &str = "p";

/// What is summed in a slot; one letter each, as it stands in attribute names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Everything that is listed: `n`.
    All,
    /// Successes: `s`.
    Success,
    /// Failures: `f`.
    Failed,
    /// Durations in milliseconds: `d`.
    Duration,
    /// Those in state active: `a`.
    Active,
    /// Executions, in a user's day: `e`.
    Executions,
    /// Failures of a first try, among the errors: `r`.
    FirstTry,
}

impl Measure {
    /// Its letter.
    pub const fn letter(self) -> char {
        match self {
            Self::All => 'n',
            Self::Success => 's',
            Self::Failed => 'f',
            Self::Duration => 'd',
            Self::Active => 'a',
            Self::Executions => 'e',
            Self::FirstTry => 'r',
        }
    }

    const fn from_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'n' => Self::All,
            's' => Self::Success,
            'f' => Self::Failed,
            'd' => Self::Duration,
            'a' => Self::Active,
            'e' => Self::Executions,
            'r' => Self::FirstTry,
            _ => return None,
        })
    }
}

/// The characters that stand for slots 0 to 59, so that an hour's node stays near one write unit.
const SLOTS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx";

/// The attribute of a slot and a measure.
pub fn slot_attribute(slot: i64, measure: Measure) -> String {
    let character = usize::try_from(slot).ok().and_then(|slot| SLOTS.chars().nth(slot)).unwrap_or('?');
    String::from_iter([character, measure.letter()])
}

/// The slot and the measure of an attribute; `None` for attributes that are no slots.
pub fn parse_slot(attribute: &str) -> Option<(i64, Measure)> {
    let mut characters = attribute.chars();
    let (slot, measure) = (characters.next()?, characters.next()?);
    let slot = SLOTS.chars().position(|c| c == slot)?;
    characters.next().is_none().then_some((i64::try_from(slot).ok()?, Measure::from_letter(measure)?))
}

/// Amounts by measure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums(BTreeMap<Measure, i128>);

impl Sums {
    /// The amount of one measure.
    pub fn get(&self, measure: Measure) -> i128 {
        self.0.get(&measure).copied().unwrap_or(0)
    }

    fn add(&mut self, measure: Measure, amount: i128) {
        *self.0.entry(measure).or_default() += amount;
    }

    fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(measure, amount)| self.add(*measure, *amount));
    }

    /// How many rows of a stream these sums count.
    pub fn rows_of(&self, stream: StatusPartition) -> i128 {
        match stream {
            StatusPartition::All => self.get(Measure::All),
            StatusPartition::Success => self.get(Measure::Success),
            StatusPartition::Failed => self.get(Measure::Failed),
            StatusPartition::Running => {
                self.get(Measure::All) - self.get(Measure::Success) - self.get(Measure::Failed)
            }
            StatusPartition::Active => self.get(Measure::Active),
            StatusPartition::Inactive => self.get(Measure::All) - self.get(Measure::Active),
        }
    }
}

/// What one entity adds to the nodes of an index: the counters' keys, attributes and amounts.
/// The first measure is the population.
pub fn contributions(
    index: Index,
    lane: Lane,
    at: Timestamp,
    tag: Option<&str>,
    measures: &[(Measure, i128)],
) -> Vec<(Key, String, i128)> {
    let day = at.day();
    let (hour_slot, day_slot) = (at.minute_of_hour(), i64::from(chrono::Datelike::day0(&day.date())));
    let nodes = [
        (keys::hour_node(index, lane, at.hour(), tag), hour_slot),
        (keys::month_node(index, lane, day.month(), tag), day_slot),
    ];
    let mut sums = Vec::new();
    for (key, slot) in nodes {
        if let Some((_, population)) = measures.first() {
            sums.push((key.clone(), POPULATION.to_owned(), *population));
        }
        for (measure, amount) in measures {
            sums.push((key.clone(), slot_attribute(slot, *measure), *amount));
        }
    }
    sums
}

/// The node items that tell everything at or after `cut` (all of time without one): months, and the cut day's hours.
pub fn window_ranges(index: Index, lanes: Lanes, cut: Option<Timestamp>) -> Vec<Range> {
    let first_month = cut.unwrap_or(Timestamp::EARLIEST).day().month();
    let months = lanes.all().map(|lane| Range {
        pk: keys::nodes(index, lane),
        from: Some(keys::month_sk(first_month)),
        to: Some(keys::after("m#")),
        ..Range::default()
    });
    let edges = cut.into_iter().flat_map(|cut| hour_ranges(index, lanes, cut.hour()));
    months.chain(edges).collect()
}

/// The hours' nodes from `first` to the end of its day.
pub fn hour_ranges(index: Index, lanes: Lanes, first: Hour) -> Vec<Range> {
    let last = Hour(first.day().first_hour().0 + 23);
    lanes
        .all()
        .map(|lane| Range {
            pk: keys::nodes(index, lane),
            from: Some(keys::hour_sk(first)),
            to: Some(keys::after(&keys::hour_sk(last))),
            ..Range::default()
        })
        .collect()
}

/// Slots of an index, added up over lanes.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    cut: Option<Timestamp>,
    days: BTreeMap<Day, Sums>,
    minutes: BTreeMap<Timestamp, Sums>,
    tags: BTreeMap<String, i128>,
}

/// Where a page begins: a minute, and how many of its rows come before the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PagePosition {
    /// The minute.
    pub minute: Timestamp,
    /// Rows of the minute before the page.
    pub skip: usize,
    /// All rows of the minute.
    pub rows: usize,
}

impl Timeline {
    /// Of everything at or after the start of `cut`'s minute.
    pub fn since(cut: Option<Timestamp>) -> Self {
        Self { cut: cut.map(Timestamp::floor_to_minute), ..Self::default() }
    }

    /// Takes in node items. Slots before the cut count for nothing.
    pub fn add<'a>(&mut self, nodes: impl IntoIterator<Item = &'a Item>) {
        for item in nodes {
            let Some((node, tag)) = keys::parse_node(&item.key) else { continue };
            for attribute in item.attributes.keys() {
                let Some((slot, measure)) = parse_slot(attribute) else { continue };
                let amount = item.number(attribute);
                let counted = match &node {
                    Node::Hour(hour) => self.add_minute(hour.start().plus(slot * MINUTE), measure, amount),
                    Node::Month(month) => self.add_day(*month, slot, measure, amount),
                };
                if let (true, Some(tag), Measure::All) = (counted, tag, measure) {
                    *self.tags.entry(tag.to_owned()).or_default() += amount;
                }
            }
        }
    }

    /// True if the amount lies in the window and in no other slot: the cut's own day is told by its minutes.
    fn add_day(&mut self, month: Month, slot: i64, measure: Measure, amount: i128) -> bool {
        let day = u32::try_from(slot).ok().and_then(|index| month.day(index));
        let Some(day) = day.filter(|day| self.cut.is_none_or(|cut| *day > cut.day())) else { return false };
        self.days.entry(day).or_default().add(measure, amount);
        true
    }

    fn add_minute(&mut self, minute: Timestamp, measure: Measure, amount: i128) -> bool {
        if self.cut.is_some_and(|cut| minute < cut) {
            return false;
        }
        self.minutes.entry(minute).or_default().add(measure, amount);
        self.cut.is_some_and(|cut| cut.day() == minute.day())
    }

    /// Sums of the whole window.
    pub fn total(&self) -> Sums {
        let mut total = Sums::default();
        self.days().values().for_each(|sums| total.merge(sums));
        total
    }

    /// Counts by tag over the whole window.
    pub const fn tags(&self) -> &BTreeMap<String, i128> {
        &self.tags
    }

    /// Sums by day; the cut's day holds only its part of the window.
    fn days(&self) -> BTreeMap<Day, Sums> {
        let mut days = self.days.clone();
        if let Some(cut) = self.cut {
            let edge = days.entry(cut.day()).or_default();
            self.minutes.range(cut..cut.day().start().plus(DAY)).for_each(|(_, sums)| edge.merge(sums));
        }
        days
    }

    /// The day that holds the row at `offset`, newest first, and the offset within that day.
    pub fn day_of(&self, streams: &[StatusPartition], offset: usize) -> Option<(Day, usize)> {
        descend(self.days().iter(), streams, offset).map(|(day, within, _)| (day, within))
    }

    /// True if the minutes of this day have been read.
    pub fn has_minutes_of(&self, day: Day) -> bool {
        self.cut.is_some_and(|cut| cut.day() == day)
    }

    /// The minute of a day that holds the row at `offset` within that day; its hours must have been added.
    pub fn minute_of(&self, streams: &[StatusPartition], day: Day, offset: usize) -> Option<PagePosition> {
        let minutes = self.minutes.range(day.start()..day.start().plus(DAY));
        let (minute, skip, rows) = descend(minutes, streams, offset)?;
        Some(PagePosition { minute, skip, rows })
    }
}

/// The slot that holds the row at `offset`, the rows before it in that slot, and all rows of the slot.
fn descend<'a, K: Copy + 'a>(
    slots: impl DoubleEndedIterator<Item = (&'a K, &'a Sums)>,
    streams: &[StatusPartition],
    offset: usize,
) -> Option<(K, usize, usize)> {
    let mut before = offset;
    for (key, sums) in slots.rev() {
        let rows: i128 = streams.iter().map(|stream| sums.rows_of(*stream)).sum();
        let rows = usize::try_from(rows).unwrap_or(0);
        if before < rows {
            return Some((*key, before, rows));
        }
        before -= rows;
    }
    None
}

/// The slot of an hour in a user's day.
pub const fn hour_slot(at: Timestamp) -> i64 {
    at.millis().rem_euclid(DAY) / HOUR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_name_of_its_own_that_reads_back() {
        for slot in 0..60 {
            let attribute = slot_attribute(slot, Measure::Success);
            assert_eq!(attribute.len(), 2);
            assert_eq!(parse_slot(&attribute), Some((slot, Measure::Success)));
        }
        assert_eq!(parse_slot(POPULATION), None);
    }
}
