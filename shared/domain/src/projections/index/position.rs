//! Positions: where in a list the rows of a page begin, and how the seconds of a crowded minute narrow that.

use super::measure::{Measure, Sums, parse_slot};
use crate::projections::descent::{self, Descent};
use crate::storage::item::Item;
use crate::storage::keys::{FilteredIndex, Index, IndexFilter, StatusPartition};
use crate::storage::read::ReadResult;
use crate::values::time::{MINUTE, Minute, SECOND, Timestamp};
use std::collections::BTreeMap;

/// Where a page begins: a minute or a second, and how many of its rows come before the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PagePosition {
    /// The start of the minute or second.
    pub start: Timestamp,
    /// How long it lasts, in milliseconds.
    pub millis: i64,
    /// How many of its rows come before the page.
    pub skip: usize,
    /// How many rows it has.
    pub rows: usize,
}

/// Schedules fire at full hours, and some at half hours.
const FIRES_EVERY_MINUTES: i64 = 30;
/// So many minutes follow in which what fired begins.
const CROWDED_MINUTES: i64 = 5;

/// Whether a minute has a node that counts it by seconds: one of the first five minutes of an hour or of its
/// second half. In all others, rows are few enough to be skipped one by one
/// (docs/adr/0027-crowded-minutes-are-counted-by-seconds.md).
pub const fn has_node(minute: Minute) -> bool {
    minute.0.rem_euclid(FIRES_EVERY_MINUTES) < CROWDED_MINUTES
}

/// The index whose nodes of minutes count these rows by seconds; `None` if there are none.
pub(super) const fn counted_by_seconds(list: FilteredIndex<'_>) -> Option<Index> {
    match (list.index, list.filter) {
        (Index::Executions | Index::Errors, IndexFilter::Whole) => Some(Index::Executions),
        (Index::Workflows, IndexFilter::Whole) => Some(Index::Workflows),
        _counted_by_minutes => None,
    }
}

impl PagePosition {
    /// Of a page that begins with the newest row before a time.
    pub const fn below(end: Timestamp) -> Self {
        Self { start: end.plus(-MINUTE), millis: MINUTE, skip: 0, rows: 0 }
    }

    /// The end of its minute or second.
    pub const fn end(self) -> Timestamp {
        self.start.plus(self.millis)
    }

    /// How many rows are read in vain, from the nearer end.
    pub fn skipped(self) -> usize {
        self.skip.min(self.rows.saturating_sub(self.skip))
    }

    /// The minute, if it may be counted by seconds.
    pub fn crowded_minute(self) -> Option<Minute> {
        Some(self.start.minute()).filter(|minute| self.millis == MINUTE && has_node(*minute))
    }

    /// The second in which the page begins, from the nodes of the minute that were found. The minute itself if
    /// they do not count all of its rows, as in a generation that an earlier release has built.
    #[must_use]
    pub fn within_seconds(
        self,
        list: FilteredIndex<'_>,
        partitions: &[StatusPartition],
        found: &ReadResult,
    ) -> Self {
        let mut seconds: BTreeMap<i64, Sums> = BTreeMap::new();
        for (attribute, amount) in found.items.values().flat_map(Item::numbers) {
            if let Some((slot, measure)) = parse_slot(attribute) {
                seconds.entry(slot).or_default().add(measure, amount);
            }
        }
        let are_failures = list.index == Index::Errors;
        let rows = |sums: &Sums| match are_failures {
            true => sums.get(Measure::Error),
            false => sums.rows_in_any(partitions),
        };
        let counted: i128 = seconds.values().map(rows).sum();
        if usize::try_from(counted).is_ok_and(|counted| counted < self.rows) {
            return self;
        }
        let seconds = seconds.iter().rev().map(|(second, sums)| (*second, rows(sums)));
        let Some(Descent { slot, skip, rows }) = descent::descend(seconds, self.skip) else { return self };
        Self { start: self.start.plus(slot * SECOND), millis: SECOND, skip, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projections::index::node_amounts;
    use crate::storage::item::{Attributes, Value};
    use crate::storage::keys::{Lanes, Node, parse_node};

    const PARTITIONS: &[StatusPartition] = &[StatusPartition::Success, StatusPartition::Failed];

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// The node of a minute in which executions began or failed at these times.
    fn node(added: &[(&str, Sums)]) -> ReadResult {
        let lane = Lanes::ONE.all().next().unwrap();
        let mut items: BTreeMap<_, Attributes> = BTreeMap::new();
        for (time, sums) in added {
            for (key, attribute, amount) in node_amounts(Index::Executions, lane, at(time), None, sums) {
                let value = items.entry(key).or_default().entry(attribute).or_insert(Value::Number(0));
                if let Value::Number(sum) = value {
                    *sum += amount;
                }
            }
        }
        items.retain(|key, _| matches!(parse_node(key), Some((Node::Minute(_), None))));
        let item = |(key, attributes): (crate::storage::item::Key, Attributes)| {
            (key.clone(), Item { key, attributes })
        };
        ReadResult { items: items.into_iter().map(item).collect(), ranges: Vec::new() }
    }

    fn minute(skip: usize, rows: usize) -> PagePosition {
        PagePosition { start: at("2026-03-31T09:00:00Z"), millis: MINUTE, skip, rows }
    }

    fn second(start: &str, skip: usize, rows: usize) -> PagePosition {
        PagePosition { start: at(start), millis: SECOND, skip, rows }
    }

    #[test]
    fn page_begins_in_the_second_that_holds_its_first_row() {
        let rows = |success: i128| Sums::of_rows(success).with(Measure::Success, success);
        let found = node(&[("2026-03-31T09:00:05.900Z", rows(3)), ("2026-03-31T09:00:41Z", rows(2))]);
        let within = |skip| minute(skip, 5).within_seconds(Index::Executions.into(), PARTITIONS, &found);

        assert_eq!(within(0), second("2026-03-31T09:00:41Z", 0, 2));
        assert_eq!(within(1), second("2026-03-31T09:00:41Z", 1, 2));
        assert_eq!(within(4), second("2026-03-31T09:00:05Z", 2, 3));
    }

    #[test]
    fn failures_are_found_by_the_seconds_in_which_executions_failed() {
        let found = node(&[
            ("2026-03-31T09:00:05Z", Sums::of_rows(9).with(Measure::Failed, 9)),
            ("2026-03-31T09:00:07Z", Sums::errors(9)),
        ]);

        let position = minute(4, 9).within_seconds(Index::Errors.into(), &[StatusPartition::All], &found);

        assert_eq!(position, second("2026-03-31T09:00:07Z", 4, 9));
    }

    #[test]
    fn seconds_that_miss_rows_are_not_relied_on() {
        let partly = node(&[("2026-03-31T09:00:05Z", Sums::of_rows(3).with(Measure::Success, 3))]);
        for found in [partly, node(&[])] {
            let position = minute(1, 5);
            assert_eq!(position.within_seconds(Index::Executions.into(), PARTITIONS, &found), position);
        }
    }

    #[test]
    fn minutes_after_a_full_or_half_hour_have_nodes() {
        for (time, crowds) in [
            ("08:59:59", false),
            ("09:00:00", true),
            ("09:04:59", true),
            ("09:05:00", false),
            ("09:30:00", true),
        ] {
            let time = at(&format!("2026-03-31T{time}Z"));
            assert_eq!(has_node(time.minute()), crowds, "{time}");
            let position = PagePosition { start: time.floor_to_minute(), ..minute(0, 1) };
            assert_eq!(position.crowded_minute(), crowds.then(|| time.minute()));
        }
        assert_eq!(second("2026-03-31T09:00:00Z", 0, 1).crowded_minute(), None);
    }
}
