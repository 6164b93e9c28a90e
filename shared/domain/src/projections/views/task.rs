//! Tasks: counted by state, among their user's and in their query's totals, with all their executions; active ones have
//! a row among what is to be stopped when their user is deactivated.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::readings::Task;
use crate::events::types::TaskState;
use crate::projections::index::POPULATION;
use crate::storage::keys::{self, Lanes};
use crate::values::ids::TaskId;
use crate::values::time::{Day, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The attribute of an active task's row with the time of the event that says so.
pub(crate) const SINCE: &str = "at";

pub(super) fn contributions(id: TaskId, state: &State, totals: &TaskTotals, lanes: Lanes) -> Contributions {
    let task = Task::of(state);
    let Some((user, query)) = task.user_id.zip(task.query).filter(|_| !task.deleted) else {
        return Contributions::default();
    };
    let active = i128::from(task.state == TaskState::Active);
    let paused = i128::from(task.state == TaskState::Paused);
    let states = keys::task_states(lanes.of(id.to_string().as_bytes()));
    let of_user = keys::user_totals(user);
    let mut all = Contributions::default()
        .sum(states.clone(), "total", 1)
        .sum(states.clone(), "active", active)
        .sum(states.clone(), "paused", paused)
        .sum(states, POPULATION, 1)
        .sum(of_user.clone(), "tasks", 1)
        .sum(of_user.clone(), "active", active)
        .sum(of_user, POPULATION, 1);
    if task.state == TaskState::Active {
        let since = task.state_at.unwrap_or(Timestamp::EARLIEST);
        all = all.row_with(keys::active_task(user, id), SINCE, since);
    }
    all.queries.insert(query.to_owned(), QueryTotals { tasks: 1, active, executions: totals.sums });
    all
}

/// Executions by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionSums {
    /// All of them.
    pub n: i128,
    /// Successes.
    pub s: i128,
    /// Failures.
    pub f: i128,
    /// Durations of those two, in milliseconds.
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

/// What the executions of a task add up to, and how many began on which day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskTotals {
    /// Of all time.
    pub sums: ExecutionSums,
    /// Executions by the day of their start; no zeros.
    days: BTreeMap<Day, i128>,
}

impl TaskTotals {
    /// One execution.
    pub fn of(day: Day, success: i128, failed: i128, duration: i128) -> Self {
        Self {
            sums: ExecutionSums { n: 1, s: success, f: failed, d: duration },
            days: BTreeMap::from([(day, 1)]),
        }
    }

    /// Adds (`sign` 1) or takes away (-1).
    pub fn add(&mut self, other: &Self, sign: i128) {
        self.sums = self.sums.plus(other.sums, sign);
        for (day, count) in &other.days {
            let sum = self.days.entry(*day).or_default();
            *sum += sign * count;
            if *sum == 0 {
                self.days.remove(day);
            }
        }
    }

    /// How many days have executions.
    pub fn days(&self) -> usize {
        self.days.len()
    }

    /// True if nothing is counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Executions that began from `first` to `last`.
    pub fn between(&self, first: Day, last: Day) -> i128 {
        self.days.range(first..=last).map(|(_, count)| count).sum()
    }

    /// As text for the store: the sums, and runs of days with the same count as (days since the last run,
    /// days, count), so that a task which runs daily stays small for years.
    pub fn store(&self) -> String {
        let mut runs: Vec<(i64, i64, i128)> = Vec::new();
        let mut next = 0;
        for (Day(day), count) in &self.days {
            match runs.last_mut() {
                Some((_, days, of)) if *day == next && of == count => *days += 1,
                Some(_) | None => runs.push((day - next, 1, *count)),
            }
            next = day + 1;
        }
        let ExecutionSums { n, s, f, d } = self.sums;
        let runs: Vec<String> =
            runs.iter().map(|(gap, days, count)| format!("[{gap},{days},{count}]")).collect();
        format!("[[{n},{s},{f},{d}],[{}]]", runs.join(","))
    }

    /// Reads what [`TaskTotals::store`] wrote.
    pub fn load(text: &str) -> serde_json::Result<Self> {
        type Stored = ((i128, i128, i128, i128), Vec<(i64, i64, i128)>);
        let ((n, s, f, d), runs): Stored = serde_json::from_str(text)?;
        let mut next = 0;
        let mut days = BTreeMap::new();
        for (gap, length, count) in runs {
            let first = next + gap;
            next = first + length;
            days.extend((first..next).map(|day| (Day(day), count)));
        }
        Ok(Self { sums: ExecutionSums { n, s, f, d }, days })
    }
}

/// What a task adds to its query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryTotals {
    /// Tasks.
    pub tasks: i128,
    /// Active ones.
    pub active: i128,
    /// Their executions.
    pub executions: ExecutionSums,
}

impl QueryTotals {
    /// Adds (`sign` 1) or takes away (-1).
    pub fn add(&mut self, other: &Self, sign: i128) {
        self.tasks += sign * other.tasks;
        self.active += sign * other.active;
        self.executions = self.executions.plus(other.executions, sign);
    }

    /// The amounts by the attribute of the query's item.
    pub fn attributes(&self) -> [(&'static str, i128); 6] {
        let ExecutionSums { n, s, f, d } = self.executions;
        [("tasks", self.tasks), ("active", self.active), ("n", n), ("s", s), ("f", f), ("d", d)]
    }
}
