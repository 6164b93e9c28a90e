//! Tasks contribute:
//!
//! - a row in the list of their state, in that of their user and in that of their query;
//! - sums by state, their user's totals and those of their query;
//! - the sums of all their executions, to those of their query in their lane: all lanes write what a popular query adds
//!   up to, and would wait for each other;
//! - if they are active, a row among what is stopped when their user is deactivated.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::readings::Task;
use crate::events::types::TaskState;
use crate::projections::counter::POPULATION;
use crate::projections::index::{Measure, Sums};
use crate::storage::keys::{self, FilteredIndex, Index, IndexFilter, Lane, Lanes, StatusPartition};
use crate::values::ids::{TaskId, UserId};
use crate::values::time::{Day, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The attribute of an active task's row with the time of the event that made it active.
pub(crate) const SINCE: &str = "at";

pub(super) fn contributions(id: TaskId, state: &State, totals: &TaskTotals, lanes: Lanes) -> Contributions {
    let task = Task::of(state);
    let Some((user, query)) = task.user_id.zip(task.query).filter(|_| !task.deleted) else {
        return Contributions::default();
    };
    let active = i128::from(task.state == TaskState::Active);
    let paused = i128::from(task.state == TaskState::Paused);
    let text = id.to_string();
    let lane = lanes.of(text.as_bytes());
    let states = keys::task_states(lane);
    let user_totals = keys::user_totals(user);
    let mut counted = Contributions::default()
        .sum(states.clone(), "total", 1)
        .sum(states.clone(), "active", active)
        .sum(states.clone(), "paused", paused)
        .sum(states, POPULATION, 1)
        .sum(user_totals.clone(), "tasks", 1)
        .sum(user_totals.clone(), "active", active)
        .sum(user_totals, POPULATION, 1);
    if task.state == TaskState::Active {
        let since = task.state_at.unwrap_or(Timestamp::EARLIEST);
        counted = counted.row_with(keys::active_task(user, id), SINCE, since);
    }
    counted = with_rows(counted, &text, lane, (&task, user, query));
    counted.queries.insert(query.to_owned(), QueryTotals { tasks: 1, active });
    let ExecutionSums { n, s, f, d } = totals.sums;
    let executions = keys::query_executions(&keys::query_hash(query), lane);
    [("n", n), ("s", s), ("f", f), ("d", d), (POPULATION, n)]
        .into_iter()
        .fold(counted, |counted, (name, amount)| counted.sum(executions.clone(), name, amount))
}

/// The status partition of the tasks in a state.
pub(crate) const fn status_partition(state: TaskState) -> StatusPartition {
    match state {
        TaskState::Active => StatusPartition::Active,
        TaskState::Paused => StatusPartition::Paused,
        TaskState::Completed => StatusPartition::Completed,
    }
}

/// With the rows of a task in the list of all, by state, in that of its user, and in that of its query.
fn with_rows(
    counted: Contributions,
    id: &str,
    lane: Lane,
    (task, user, query): (&Task<'_>, UserId, &str),
) -> Contributions {
    let Some(at) = task.created_at else { return counted };
    let (active, paused) = match task.state {
        TaskState::Active => (1, 0),
        TaskState::Paused => (0, 1),
        TaskState::Completed => (0, 0),
    };
    let partition = status_partition(task.state);
    let states = Sums::of_rows(1).with(Measure::Active, active).with(Measure::Paused, paused);
    let hash = keys::query_hash(query);
    let filters = [IndexFilter::User(user), IndexFilter::Query(&hash)];
    let counted = counted.row(keys::row(Index::Tasks, partition, lane, at, &[id])).counted(
        (Index::Tasks, lane),
        at,
        None,
        &states,
    );
    filters.into_iter().fold(counted, |counted, filter| {
        let list = FilteredIndex { index: Index::Tasks, filter };
        counted.row(keys::row(list, StatusPartition::All, lane, at, &[id])).counted(
            (list, lane),
            at,
            None,
            &Sums::of_rows(1),
        )
    })
}

/// Numbers of executions by outcome. The fields are named as the stored attributes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionSums {
    /// All executions, running ones included.
    pub n: i128,
    /// Executions that succeeded.
    pub s: i128,
    /// Executions that failed.
    pub f: i128,
    /// The durations of those that succeeded or failed, in milliseconds.
    pub d: i128,
}

impl ExecutionSums {
    fn plus(self, other: Self, sign: i128) -> Self {
        Self {
            n: self.n + sign * other.n,
            s: self.s + sign * other.s,
            f: self.f + sign * other.f,
            d: self.d + sign * other.d,
        }
    }
}

/// What the executions of a task add up to, and how many of them began on each day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskTotals {
    /// The sums of all time.
    pub sums: ExecutionSums,
    /// Numbers of executions by the UTC day of their start; a day without executions is not in it.
    days: BTreeMap<Day, i128>,
    /// Numbers of failures by how long after their start they came: below 2 to the power of the key
    /// milliseconds, and not below the power before.
    failures: BTreeMap<u32, i128>,
}

impl TaskTotals {
    /// The totals of one execution. `success` and `failed` are 0 or 1; `duration` is in
    /// milliseconds, 0 while the execution runs.
    pub fn of(day: Day, success: i128, failed: i128, duration: i128) -> Self {
        Self {
            sums: ExecutionSums { n: 1, s: success, f: failed, d: duration },
            days: BTreeMap::from([(day, 1)]),
            failures: BTreeMap::new(),
        }
    }

    /// The same of an execution that failed so many milliseconds after its start; negative if the events
    /// say that it failed before.
    #[must_use]
    pub fn with_failure_after(mut self, millis: i64) -> Self {
        let power = i64::BITS - millis.max(0).leading_zeros();
        *self.failures.entry(power).or_default() += 1;
        self
    }

    /// A number of milliseconds that no failure of the task came later after its start; `None` if none
    /// failed. At most twice that of the slowest failure.
    pub fn slowest_failure(&self) -> Option<i64> {
        // Only a generation that was written before failures were counted has negative numbers.
        let (power, _) = self.failures.iter().rev().find(|(_, count)| **count > 0)?;
        Some(1_i64.checked_shl(*power).filter(|bound| *bound > 0).unwrap_or(i64::MAX))
    }

    /// Adds other totals (`sign` 1) or subtracts them (`sign` -1).
    pub fn add(&mut self, other: &Self, sign: i128) {
        self.sums = self.sums.plus(other.sums, sign);
        add_counts(&mut self.days, &other.days, sign);
        add_counts(&mut self.failures, &other.failures, sign);
    }

    /// All its numbers, by a name of each.
    pub fn amounts(&self) -> impl Iterator<Item = (String, i128)> {
        let ExecutionSums { n, s, f, d } = self.sums;
        let sums = [("n", n), ("s", s), ("f", f), ("d", d)].map(|(name, sum)| (name.to_owned(), sum));
        let days = self.days.iter().map(|(Day(day), count)| (format!("day {day}"), *count));
        let failures = self.failures.iter().map(|(power, count)| (format!("failures {power}"), *count));
        sums.into_iter().chain(days).chain(failures)
    }

    /// On how many days executions began.
    pub fn days(&self) -> usize {
        self.days.len()
    }

    /// True if no execution is counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many executions began from the day `first` to the day `last`, both included.
    pub fn between(&self, first: Day, last: Day) -> i128 {
        self.days.range(first..=last).map(|(_, count)| count).sum()
    }

    /// All of it as one text: `[[n,s,f,d],days]` or `[[n,s,f,d],days,failures]`.
    pub fn store(&self) -> String {
        let mut text = self.store_sums();
        if let Some(failures) = self.store_failures() {
            text.truncate(text.len() - 1);
            text += &format!(",{failures}]");
        }
        text
    }

    /// How many failures came how late, as a text of its own: `[[power,failures],...]`; `None` if there are
    /// none. A release that does not know it still reads the sums.
    pub fn store_failures(&self) -> Option<String> {
        let pairs: Vec<String> =
            self.failures.iter().map(|(power, count)| format!("[{power},{count}]")).collect();
        (!pairs.is_empty()).then(|| format!("[{}]", pairs.join(",")))
    }

    /// Reads what [`TaskTotals::store_failures`] wrote into totals without failures.
    ///
    /// # Errors
    /// If the text does not have that form.
    pub fn load_failures(&mut self, text: &str) -> serde_json::Result<()> {
        let pairs: Vec<(u32, i128)> = serde_json::from_str(text)?;
        self.failures = pairs.into_iter().collect();
        Ok(())
    }

    /// The sums and the days as a text: `[[n,s,f,d],[[gap,days,count],...]]`. Consecutive days with the
    /// same count are one run, written as the days since the run before it, its length in days,
    /// and the count. So a task that runs daily stays small for years.
    pub fn store_sums(&self) -> String {
        let mut runs: Vec<(i64, i64, i128)> = Vec::new();
        let mut next = 0;
        for (Day(day), count) in &self.days {
            match runs.last_mut() {
                Some((_, days, of_each)) if *day == next && of_each == count => *days += 1,
                Some(_) | None => runs.push((day - next, 1, *count)),
            }
            next = day + 1;
        }
        let ExecutionSums { n, s, f, d } = self.sums;
        let runs: Vec<String> =
            runs.iter().map(|(gap, days, count)| format!("[{gap},{days},{count}]")).collect();
        let runs = runs.join(",");
        let days = if runs.len() <= MAX_RUNS_BYTES { format!("[{runs}]") } else { dense(&self.days) };
        format!("[[{n},{s},{f},{d}],{days}]")
    }

    /// Reads what [`TaskTotals::store`] wrote.
    ///
    /// # Errors
    /// If the text does not have that form.
    pub fn load(text: &str) -> serde_json::Result<Self> {
        let StoredTotals((n, s, f, d), days, failures) = serde_json::from_str(text)?;
        let sums = ExecutionSums { n, s, f, d };
        let failures = failures.into_iter().collect();
        if days.get().starts_with('"') {
            let days = from_dense(&serde_json::from_str::<String>(days.get())?);
            let fault = || serde::de::Error::custom("not the days of a task's totals");
            return Ok(Self { sums, days: days.ok_or_else(fault)?, failures });
        }
        let runs: Vec<(i64, i64, i128)> = serde_json::from_str(days.get())?;
        let mut next = 0;
        let mut days = BTreeMap::new();
        for (gap, length, count) in runs {
            let first = next + gap;
            next = first + length;
            days.extend((first..next).map(|day| (Day(day), count)));
        }
        Ok(Self { sums, days, failures })
    }
}

/// What [`TaskTotals::store`] writes.
#[derive(Deserialize)]
struct StoredTotals<'a>(
    (i128, i128, i128, i128),
    #[serde(borrow)] &'a RawValue,
    #[serde(default)] Vec<(u32, i128)>,
);

/// Adds counts to others (`sign` 1) or subtracts them (`sign` -1); what becomes 0 is not in it.
fn add_counts<K: Copy + Ord>(counts: &mut BTreeMap<K, i128>, other: &BTreeMap<K, i128>, sign: i128) {
    for (key, count) in other {
        let sum = counts.entry(*key).or_default();
        *sum += sign * count;
        if *sum == 0 {
            counts.remove(key);
        }
    }
}

/// The most bytes of days as runs: above what any task of the first twelve years has.
const MAX_RUNS_BYTES: usize = 128 * 1024;

/// The digits of dense days: the first 32 end a count, the others have more digits after them.
const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

/// Days as a JSON text: the first day, a colon, and the count of each day from it on, least digits
/// first, five bits a digit. A count below 2^30 takes at most six bytes, so that a task of which so
/// many executions begin every day from 2015 on stays below 200 KB until the year 2100.
fn dense(days: &BTreeMap<Day, i128>) -> String {
    let Some((Day(first), _)) = days.first_key_value() else { return "\"\"".to_owned() };
    let mut text = format!("\"{first}:");
    let mut next = *first;
    for (Day(day), count) in days {
        text.extend(std::iter::repeat_n('0', usize::try_from(day - next).unwrap_or(0)));
        let mut rest = u128::try_from(*count).unwrap_or(0);
        loop {
            let (digit, more) = (rest % 32, rest / 32);
            let place = usize::try_from(digit).unwrap_or(0) + if more > 0 { 32 } else { 0 };
            text.extend(DIGITS.get(place).map(|digit| char::from(*digit)));
            rest = more;
            if rest == 0 {
                break;
            }
        }
        next = day + 1;
    }
    text.push('"');
    text
}

/// Reads what [`dense`] wrote, between the quotes.
fn from_dense(text: &str) -> Option<BTreeMap<Day, i128>> {
    let mut days = BTreeMap::new();
    let Some((first, digits)) = text.split_once(':') else { return text.is_empty().then_some(days) };
    let (mut day, mut count, mut shift): (i64, i128, u32) = (first.parse().ok()?, 0, 0);
    for digit in digits.bytes() {
        let place = i128::try_from(DIGITS.iter().position(|of| *of == digit)?).ok()?;
        count += (place % 32).checked_shl(shift)?;
        shift += 5;
        if place < 32 {
            if count != 0 {
                days.insert(Day(day), count);
            }
            (day, count, shift) = (day + 1, 0, 0);
        }
    }
    (shift == 0).then_some(days)
}

/// The totals of the tasks that have a query. A rebuild that the release before has begun, whose subtotals hold
/// executions as well, fails rather than loses them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryTotals {
    /// How many tasks there are that are not deleted.
    pub tasks: i128,
    /// How many of them are active.
    pub active: i128,
}

impl QueryTotals {
    /// Adds other totals (`sign` 1) or subtracts them (`sign` -1).
    pub fn add(&mut self, other: &Self, sign: i128) {
        self.tasks += sign * other.tasks;
        self.active += sign * other.active;
    }

    /// Its amounts, by the attribute of the query's item that holds them.
    pub const fn attributes(&self) -> [(&'static str, i128); 2] {
        [("tasks", self.tasks), ("active", self.active)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2015-01-01.
    const FIRST: i64 = 16_436;

    /// On every day so many executions as nobody else has counted.
    fn every_day(days: i64, least: i128) -> TaskTotals {
        let days = (0..days).map(|day| (Day(FIRST + day), least + i128::from(day % 7)));
        let failures = BTreeMap::new();
        TaskTotals { sums: ExecutionSums { n: 1, s: 2, f: 3, d: 4 }, days: days.collect(), failures }
    }

    #[test]
    fn totals_of_the_first_years_are_stored_as_runs_of_days() {
        // Twelve years, every day with the greatest count that is exact everywhere.
        let totals = every_day(12 * 366, (1 << 53) - 8);
        assert!(totals.store().starts_with("[[1,2,3,4],[[16436,1,9007199254740984],[0,1,"));
        assert_eq!(TaskTotals::load(&totals.store()).unwrap(), totals);
    }

    /// Issue 16: what grows without end is bounded.
    #[test]
    fn totals_of_a_century_fit_beside_the_greatest_state_of_a_task() {
        let until_2100 = 31_046;
        let mut totals = every_day(until_2100, (1 << 30) - 8);
        totals.days.retain(|day, _| day.0 % 5 != 0);
        let stored = totals.store();
        assert!(stored.starts_with("[[1,2,3,4],\"16436:"), "{}", &stored[..40]);
        assert!(stored.len() < 200_000, "{}", stored.len());
        assert_eq!(TaskTotals::load(&stored).unwrap(), totals);
    }

    #[test]
    fn the_slowest_failure_is_bounded_by_a_power_of_two_and_taken_back() {
        let failed = |millis: i64| TaskTotals::of(Day(FIRST), 0, 1, millis.into()).with_failure_after(millis);
        for (millis, bound) in [(0, 1), (-5, 1), (1, 2), (5_300, 8_192), (8_192, 16_384)] {
            assert_eq!(failed(millis).slowest_failure(), Some(bound), "{millis}");
        }
        assert_eq!(failed(i64::MAX).slowest_failure(), Some(i64::MAX));
        let mut totals = failed(5_300);
        totals.add(&failed(1), 1);
        assert_eq!(totals.store(), "[[2,0,2,5301],[[16436,1,2]],[[1,1],[13,1]]]");
        assert_eq!(totals.store_sums(), "[[2,0,2,5301],[[16436,1,2]]]", "what the release before reads");
        assert_eq!(TaskTotals::load(&totals.store()).unwrap(), totals);
        totals.add(&failed(5_300), -1);
        assert_eq!((totals.slowest_failure(), totals), (Some(2), failed(1)));
    }

    #[test]
    fn dense_days_are_read_as_the_digits_say() {
        // 1, none, none, 31, 32 = 0 + 1 * 32.
        let load = |days: &str| TaskTotals::load(&format!("[[1,0,0,0],\"{days}\"]"));
        let days = load("100:100VW1").unwrap().days;
        assert_eq!(Vec::from_iter(days), [(Day(100), 1), (Day(103), 31), (Day(104), 32)]);
        for wrong in ["100", "x:1", "100:!", "100:W", "100:WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW1"] {
            assert!(load(wrong).is_err(), "{wrong}");
        }
    }
}
