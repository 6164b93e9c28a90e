//! Measures: what the counted index sums up in a slot, and sums of them.

use crate::projections::slot::{self, slot_letters};
use crate::storage::keys::StatusPartition;
use std::collections::BTreeMap;

slot_letters! {
    /// What is summed in the slots of an index.
    pub enum Measure {
        /// How many rows there are.
        Rows = 'n',
        /// Rows of executions that succeeded.
        Success = 's',
        /// Rows of executions that failed.
        Failed = 'f',
        /// Durations of finished executions, in milliseconds.
        Duration = 'd',
        /// Rows of users, schedules or tasks that are active.
        Active = 'a',
        /// Rows of tasks that are paused.
        Paused = 'z',
        /// Failed executions whose first attempt failed (`retry_count` 0), among the errors.
        FirstTry = 'r',
        /// Executions that failed at this time, whenever they began: the errors of every type, among
        /// the executions.
        Error = 'e',
    }
    retired: []
}

/// What some rows add up to: how many they are, and an amount for each further measure.
///
/// There is no way to make sums without saying what the population of a node counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums(BTreeMap<Measure, i128>);

impl Measure {
    /// Whether the nodes of days count it: what a series shows, and what is summed over a window of an index
    /// that has them.
    pub(super) const fn is_in_day_nodes(self) -> bool {
        match self {
            Self::Rows | Self::Success | Self::Failed | Self::Duration | Self::Error => true,
            Self::Active | Self::Paused | Self::FirstTry => false,
        }
    }

    /// Whether the nodes of minutes count it: what a page of a list is found by.
    pub(super) const fn is_in_minute_nodes(self) -> bool {
        match self {
            Self::Rows | Self::Success | Self::Failed | Self::Error => true,
            Self::Duration | Self::Active | Self::Paused | Self::FirstTry => false,
        }
    }
}

impl Sums {
    /// The sums of this many rows, with every other measure 0.
    pub fn of_rows(rows: i128) -> Self {
        Self(BTreeMap::from([(Measure::Rows, rows)]))
    }

    /// The same sums with an amount added to one measure.
    #[must_use]
    pub fn with(mut self, measure: Measure, amount: i128) -> Self {
        self.add(measure, amount);
        self
    }

    /// What failures at one time add to the nodes of the executions: they are no rows of that list.
    pub fn errors(failures: i128) -> Self {
        Self(BTreeMap::from([(Measure::Error, failures)]))
    }

    /// What the sums add to the population of a node: it is 0 if nothing is counted there.
    pub(super) fn population(&self) -> i128 {
        self.get(Measure::Rows) + self.get(Measure::Error)
    }

    /// The amount of one measure.
    pub fn get(&self, measure: Measure) -> i128 {
        self.0.get(&measure).copied().unwrap_or(0)
    }

    /// How many of the rows lie in a status partition.
    pub fn rows_in(&self, partition: StatusPartition) -> i128 {
        let all = self.get(Measure::Rows);
        match partition {
            StatusPartition::All => all,
            StatusPartition::Success => self.get(Measure::Success),
            StatusPartition::Failed => self.get(Measure::Failed),
            StatusPartition::Running => all - self.get(Measure::Success) - self.get(Measure::Failed),
            StatusPartition::Active => self.get(Measure::Active),
            StatusPartition::Inactive => all - self.get(Measure::Active),
            StatusPartition::Paused => self.get(Measure::Paused),
            StatusPartition::Completed => all - self.get(Measure::Active) - self.get(Measure::Paused),
        }
    }

    /// Whether [`Sums::rows_in`] a status partition needs nothing but what the nodes of days count.
    pub(super) const fn day_nodes_count(partition: StatusPartition) -> bool {
        match partition {
            StatusPartition::All
            | StatusPartition::Success
            | StatusPartition::Failed
            | StatusPartition::Running => true,
            StatusPartition::Active
            | StatusPartition::Inactive
            | StatusPartition::Paused
            | StatusPartition::Completed => false,
        }
    }

    /// How many of the rows lie in any of these status partitions.
    pub fn rows_in_any(&self, partitions: &[StatusPartition]) -> i128 {
        partitions.iter().map(|partition| self.rows_in(*partition)).sum()
    }

    /// Every measure that was given, with its amount.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Measure, i128)> {
        self.0.iter().map(|(measure, amount)| (*measure, *amount))
    }

    pub(super) fn add(&mut self, measure: Measure, amount: i128) {
        *self.0.entry(measure).or_default() += amount;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(measure, amount)| self.add(measure, amount));
    }
}

/// The slot and the measure of an attribute; `None` for an attribute that is no slot of an index.
pub(super) fn parse_slot(attribute: &str) -> Option<(i64, Measure)> {
    let (slot, letter) = slot::parse(attribute)?;
    Some((slot, Measure::from_letter(letter)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored nodes hold these letters. Add a new one here; one that is missing must be retired.
    #[test]
    fn the_letters_of_stored_nodes_stay_what_they_are() {
        let letters = [
            (Measure::Rows, 'n'),
            (Measure::Success, 's'),
            (Measure::Failed, 'f'),
            (Measure::Duration, 'd'),
            (Measure::Active, 'a'),
            (Measure::Paused, 'z'),
            (Measure::FirstTry, 'r'),
            (Measure::Error, 'e'),
        ];

        assert_eq!(letters.map(|(_, letter)| letter), Measure::LETTERS);
        for (measure, letter) in letters {
            assert_eq!((measure.letter(), Measure::from_letter(letter)), (letter, Some(measure)));
        }
        assert_eq!(Measure::from_letter('x'), None);
    }

    #[test]
    fn rows_that_are_neither_successful_nor_failed_are_running() {
        let sums = Sums::of_rows(10).with(Measure::Success, 6).with(Measure::Failed, 3);

        assert_eq!(sums.rows_in(StatusPartition::Running), 1);
        assert_eq!(sums.rows_in_any(&[StatusPartition::Success, StatusPartition::Running]), 7);
    }
}
