//! Timelines: the slots of an index that were read, added up over lanes.

use super::measure::{Measure, Sums, parse_slot};
use super::position::PagePosition;
use super::window::Window;
use crate::projections::descent::{self, Descent};
use crate::storage::item::Item;
use crate::storage::keys::{self, Node, StatusPartition};
use crate::storage::read::ReadResult;
use crate::values::time::{DAY, Day, HOUR, Hour, MINUTE, Month, Timestamp};
use std::collections::{BTreeMap, btree_map};

/// The sums of a window, by day and, where they were read, by hour and by minute.
#[derive(Debug, Clone)]
pub struct Timeline {
    cut: Option<Timestamp>,
    /// Whether the cut's day is counted by hours, and only the cut's hour by minutes.
    by_hours: bool,
    partitions: Vec<String>,
    days: BTreeMap<Day, Sums>,
    hours: BTreeMap<Hour, Sums>,
    minutes: BTreeMap<Timestamp, Sums>,
    tags: BTreeMap<String, i128>,
    /// Only nodes with this tag count, but for `tags`.
    only: Option<String>,
}

impl Timeline {
    /// The sums of a window, from what [`Window::plan`] found, maybe together with other items.
    pub fn of(window: Window<'_>, found: &ReadResult) -> Self {
        let mut timeline = Self {
            cut: window.since(),
            by_hours: window.has_day_nodes(),
            partitions: window.partitions().collect(),
            days: BTreeMap::new(),
            hours: BTreeMap::new(),
            minutes: BTreeMap::new(),
            tags: BTreeMap::new(),
            only: window.tag().map(str::to_owned),
        };
        timeline.add(found);
        timeline
    }

    /// Adds the slots of all nodes of the list that were found; none of them may have been added before. Slots before
    /// the cut, and other items, are ignored.
    pub fn add(&mut self, found: &ReadResult) {
        found.items.values().chain(found.ranges.iter().flatten()).for_each(|item| self.add_item(item));
    }

    fn add_item(&mut self, item: &Item) {
        if !self.partitions.contains(&item.key.pk) {
            return;
        }
        let Some((node, tag)) = keys::parse_node(&item.key) else { return };
        let counts = self.only.is_none() || self.only.as_deref() == tag;
        for (attribute, amount) in item.numbers() {
            let Some((slot, measure)) = parse_slot(attribute) else { continue };
            let added = counts.then_some((measure, amount));
            let in_total = match &node {
                // They are read for a page alone, by `PagePosition`.
                Node::Minute(_) => false,
                Node::Month(month) => self.add_day(*month, slot, added),
                Node::Day(day) => self.add_hour(Hour(day.first_hour().0 + slot), added),
                Node::Hour(hour) => self.add_minute(hour.start().plus(slot * MINUTE), added),
            };
            if let (true, Some(tag), Measure::Rows) = (in_total, tag, measure) {
                *self.tags.entry(tag.to_owned()).or_default() += amount;
            }
        }
    }

    /// Adds the slot of a day. Returns whether it counts towards the total: not if the day lies before the cut, and not
    /// if it is the cut's own day, which is counted by smaller slots.
    fn add_day(&mut self, month: Month, slot: i64, added: Option<(Measure, i128)>) -> bool {
        let day = u32::try_from(slot).ok().and_then(|index| month.day(index));
        let Some(day) = day.filter(|day| self.cut.is_none_or(|cut| *day > cut.day())) else { return false };
        add(&mut self.days, day, added);
        true
    }

    /// Adds the slot of an hour. It counts towards the total on the cut's own day. The cut's hour is counted by
    /// minutes, if its beginning lies before the cut.
    fn add_hour(&mut self, hour: Hour, added: Option<(Measure, i128)>) -> bool {
        if self.cut.is_some_and(|cut| hour.start() < cut) {
            return false;
        }
        add(&mut self.hours, hour, added);
        let in_total = self.has_hours_of(hour.day());
        if in_total {
            add(&mut self.days, hour.day(), added);
        }
        in_total
    }

    /// Adds the slot of a minute. It counts towards the total in the cut's hour; on the cut's whole day where that is
    /// not counted by hours.
    fn add_minute(&mut self, minute: Timestamp, added: Option<(Measure, i128)>) -> bool {
        if self.cut.is_some_and(|cut| minute < cut) {
            return false;
        }
        add(&mut self.minutes, minute, added);
        let in_total = self.has_minutes_of(minute.hour());
        if in_total {
            add(&mut self.hours, minute.hour(), added);
            add(&mut self.days, minute.day(), added);
        }
        in_total
    }

    /// The sums of the whole window.
    pub fn total(&self) -> Sums {
        let mut total = Sums::default();
        self.days.values().for_each(|sums| total.merge(sums));
        total
    }

    /// The sums of the days of the window from one to another, both included.
    pub fn sums_of_days(&self, first: Day, last: Day) -> Sums {
        let mut total = Sums::default();
        self.days.range(first..=last.max(first)).for_each(|(_, sums)| total.merge(sums));
        total
    }

    /// The population of the whole window by tag, of an index whose nodes have tags.
    pub const fn tags(&self) -> &BTreeMap<String, i128> {
        &self.tags
    }

    /// The day that holds the row at `offset`, newest first, and the row's offset within that day.
    /// `None` past the last row.
    pub fn day_of(&self, partitions: &[StatusPartition], offset: usize) -> Option<(Day, usize)> {
        newest_first(self.days.iter(), partitions, offset).map(|found| (found.slot, found.skip))
    }

    /// True if the hours of this day are known from the window's own nodes.
    pub fn has_hours_of(&self, day: Day) -> bool {
        self.by_hours && self.cut.is_some_and(|cut| cut.day() == day)
    }

    /// The hours of a day that are known, with their sums.
    fn hours_in(&self, day: Day) -> btree_map::Range<'_, Hour, Sums> {
        let first = day.first_hour();
        self.hours.range(first..Hour(first.0 + DAY / HOUR))
    }

    /// The hour that holds the row at `offset` within a day, newest first, and the row's offset within that
    /// hour. The hours of that day must have been added. `None` past the last row of the day.
    pub fn hour_of(&self, partitions: &[StatusPartition], day: Day, offset: usize) -> Option<(Hour, usize)> {
        let hours = self.hours_in(day);
        newest_first(hours, partitions, offset).map(|found| (found.slot, found.skip))
    }

    /// True if the minutes of this hour are known from the window's own nodes.
    pub fn has_minutes_of(&self, hour: Hour) -> bool {
        self.cut.is_some_and(|cut| {
            if self.by_hours { hour.start() < cut && cut.hour() == hour } else { cut.day() == hour.day() }
        })
    }

    /// The minute that holds the row at `offset` within the `millis` from `start` on, newest first. The minutes in them
    /// must have been added. `None` past their last row.
    pub fn minute_of(
        &self,
        partitions: &[StatusPartition],
        (start, millis): (Timestamp, i64),
        offset: usize,
    ) -> Option<PagePosition> {
        let minutes = self.minutes.range(start..start.plus(millis));
        let Descent { slot: start, skip, rows } = newest_first(minutes, partitions, offset)?;
        Some(PagePosition { start, millis: MINUTE, skip, rows })
    }

    /// When the smallest slot begins that is known to hold the row at `offset` of the window, newest first: its minute;
    /// its hour or its day where the slots below are not known, or do not add up to it. `None` past the last row.
    pub fn start_of(&self, partitions: &[StatusPartition], offset: usize) -> Option<Timestamp> {
        let (day, offset) = self.day_of(partitions, offset)?;
        let has_hours = self.hours_in(day).next().is_some();
        let (slot, offset) = match self.hour_of(partitions, day, offset) {
            Some((hour, offset)) => ((hour.start(), HOUR), offset),
            None if has_hours => return Some(day.start()),
            None => ((day.start(), DAY), offset),
        };
        Some(self.minute_of(partitions, slot, offset).map_or(slot.0, |minute| minute.start))
    }
}

fn add<K: Ord>(sums: &mut BTreeMap<K, Sums>, slot: K, added: Option<(Measure, i128)>) {
    if let Some((measure, amount)) = added {
        sums.entry(slot).or_default().add(measure, amount);
    }
}

/// Descends from the newest slot to the one that holds the row at `offset`.
fn newest_first<'a, K: Copy + 'a>(
    slots: impl DoubleEndedIterator<Item = (&'a K, &'a Sums)>,
    partitions: &[StatusPartition],
    offset: usize,
) -> Option<Descent<K>> {
    descent::descend(slots.rev().map(|(slot, sums)| (*slot, sums.rows_in_any(partitions))), offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projections::index::node_amounts;
    use crate::storage::item::{Attributes, Value};
    use crate::storage::keys::{Index, Lanes};

    const ALL: &[StatusPartition] = &[StatusPartition::All];

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// The nodes of some sizes that count so many rows at one time.
    fn nodes(rows: i128, time: &str, of_size: impl Fn(&Node) -> bool) -> Vec<Item> {
        let lane = Lanes::ONE.all().next().unwrap();
        let amounts = node_amounts(Index::Executions, lane, at(time), None, &Sums::of_rows(rows));
        let of_size = amounts
            .into_iter()
            .filter(|(key, _, _)| keys::parse_node(key).is_some_and(|(node, _)| of_size(&node)));
        let item =
            |(key, name, amount)| Item { key, attributes: Attributes::from([(name, Value::Number(amount))]) };
        of_size.map(item).collect()
    }

    fn timeline(items: Vec<Item>) -> Timeline {
        let window = Window::new(Index::Executions, Lanes::ONE, None, at("2026-03-31T10:30:00Z"));
        Timeline::of(window, &ReadResult { ranges: vec![items], ..ReadResult::default() })
    }

    #[test]
    fn start_of_a_row_is_its_days_where_the_hours_of_that_day_are_too_few() {
        let month = nodes(10, "2026-03-30T09:05:00Z", |node| matches!(node, Node::Month(_)));
        let hours = nodes(2, "2026-03-30T09:05:00Z", |node| matches!(node, Node::Day(_)));
        let minutes = nodes(10, "2026-03-30T09:05:00Z", |node| matches!(node, Node::Hour(_)));
        let without_hours = timeline([month.clone(), minutes.clone()].concat());
        let with_hours = timeline([month, hours, minutes].concat());

        assert_eq!(without_hours.start_of(ALL, 5), Some(at("2026-03-30T09:05:00Z")));
        assert_eq!(with_hours.start_of(ALL, 1), Some(at("2026-03-30T09:05:00Z")));
        assert_eq!(with_hours.start_of(ALL, 5), Some(at("2026-03-30T00:00:00Z")));
        assert_eq!(with_hours.start_of(ALL, 10), None);
    }
}
