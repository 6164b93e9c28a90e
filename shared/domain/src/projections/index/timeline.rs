//! Timelines: the slots of an index that were read, added up over lanes.

use super::measure::{Measure, Sums};
use crate::projections::descent::{self, Descent};
use crate::projections::slot;
use crate::storage::item::Item;
use crate::storage::keys::{self, Node, StatusPartition};
use crate::values::time::{DAY, Day, MINUTE, Month, Timestamp};
use std::collections::BTreeMap;

/// The sums of a window, by day and, of the days whose hours were read, by minute.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    cut: Option<Timestamp>,
    days: BTreeMap<Day, Sums>,
    minutes: BTreeMap<Timestamp, Sums>,
    tags: BTreeMap<String, i128>,
    /// Only nodes with this tag count, but for `tags`.
    only: Option<String>,
}

/// Where a page begins: a minute, and how many of its rows come before the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PagePosition {
    /// The start of the minute.
    pub minute: Timestamp,
    /// How many rows of the minute come before the page.
    pub skip: usize,
    /// How many rows the minute has.
    pub rows: usize,
}

impl Timeline {
    /// An empty timeline of the window that begins with the minute of `cut`; of all
    /// time without it.
    pub fn since(cut: Option<Timestamp>) -> Self {
        Self { cut: cut.map(Timestamp::floor_to_minute), ..Self::default() }
    }

    /// The same timeline that, but for [`Timeline::tags`], counts only nodes with this tag; all nodes
    /// without one.
    #[must_use]
    pub fn only(self, tag: Option<&str>) -> Self {
        Self { only: tag.map(str::to_owned), ..self }
    }

    /// Adds the slots of some nodes. Slots before the cut, and items that are no
    /// nodes, are ignored.
    pub fn add<'a>(&mut self, nodes: impl IntoIterator<Item = &'a Item>) {
        for item in nodes {
            let Some((node, tag)) = keys::parse_node(&item.key) else { continue };
            let counts = self.only.is_none() || self.only.as_deref() == tag;
            for (attribute, amount) in item.numbers() {
                let Some((slot, measure)) = parse_slot(attribute) else { continue };
                let in_total = match &node {
                    Node::Hour(hour) => {
                        let minute = hour.start().plus(slot * MINUTE);
                        self.add_minute(minute, counts.then_some((measure, amount)))
                    }
                    Node::Month(month) => self.add_day(*month, slot, counts.then_some((measure, amount))),
                    // Only series read the nodes of days.
                    Node::Day(_) => false,
                };
                if let (true, Some(tag), Measure::Population) = (in_total, tag, measure) {
                    *self.tags.entry(tag.to_owned()).or_default() += amount;
                }
            }
        }
    }

    /// Adds the slot of a day, if there is an amount to add. Returns whether it counts towards the total: not if the day lies
    /// before the cut, and not if it is the cut's own day, which is counted by its minutes.
    fn add_day(&mut self, month: Month, slot: i64, amount: Option<(Measure, i128)>) -> bool {
        let day = u32::try_from(slot).ok().and_then(|index| month.day(index));
        let Some(day) = day.filter(|day| self.cut.is_none_or(|cut| *day > cut.day())) else { return false };
        if let Some((measure, amount)) = amount {
            self.days.entry(day).or_default().add(measure, amount);
        }
        true
    }

    /// Adds the slot of a minute, if there is an amount to add. Returns whether it counts towards the total: only on the cut's
    /// own day, because every later day is counted by the slot of the day.
    fn add_minute(&mut self, minute: Timestamp, amount: Option<(Measure, i128)>) -> bool {
        if self.cut.is_some_and(|cut| minute < cut) {
            return false;
        }
        if let Some((measure, amount)) = amount {
            self.minutes.entry(minute).or_default().add(measure, amount);
        }
        self.cut.is_some_and(|cut| cut.day() == minute.day())
    }

    /// The sums of the whole window.
    pub fn total(&self) -> Sums {
        let mut total = Sums::default();
        self.days().values().for_each(|sums| total.merge(sums));
        total
    }

    /// The population of the whole window by tag, of an index whose nodes have tags.
    pub const fn tags(&self) -> &BTreeMap<String, i128> {
        &self.tags
    }

    /// Sums by day; the cut's day holds only its part of the window.
    fn days(&self) -> BTreeMap<Day, Sums> {
        let mut days = self.days.clone();
        if let Some(cut) = self.cut {
            let cut_day = days.entry(cut.day()).or_default();
            self.minutes.range(cut..cut.day().start().plus(DAY)).for_each(|(_, sums)| cut_day.merge(sums));
        }
        days
    }

    /// The day that holds the row at `offset`, newest first, and the row's offset within that day.
    /// `None` past the last row.
    pub fn day_of(&self, partitions: &[StatusPartition], offset: usize) -> Option<(Day, usize)> {
        newest_first(self.days().iter(), partitions, offset).map(|found| (found.slot, found.skip))
    }

    /// True if the minutes of this day are already known: it is the day of the cut.
    pub fn has_minutes_of(&self, day: Day) -> bool {
        self.cut.is_some_and(|cut| cut.day() == day)
    }

    /// The minute that holds the row at `offset` within a day, newest first. The hours of that day
    /// must have been added. `None` past the last row of the day.
    pub fn minute_of(&self, partitions: &[StatusPartition], day: Day, offset: usize) -> Option<PagePosition> {
        let minutes = self.minutes.range(day.start()..day.start().plus(DAY));
        let Descent { slot: minute, skip, rows } = newest_first(minutes, partitions, offset)?;
        Some(PagePosition { minute, skip, rows })
    }
}

/// The slot and the measure of an attribute; `None` for an attribute that is no slot of an index.
pub(super) fn parse_slot(attribute: &str) -> Option<(i64, Measure)> {
    let (slot, letter) = slot::parse(attribute)?;
    Some((slot, Measure::from_letter(letter)?))
}

/// Descends from the newest slot to the one that holds the row at `offset`.
fn newest_first<'a, K: Copy + 'a>(
    slots: impl DoubleEndedIterator<Item = (&'a K, &'a Sums)>,
    partitions: &[StatusPartition],
    offset: usize,
) -> Option<Descent<K>> {
    descent::descend(slots.rev().map(|(slot, sums)| (*slot, sums.rows_in_any(partitions))), offset)
}
