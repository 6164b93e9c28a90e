//! Tasks: counted by state, in their user's totals, and with the totals of all their executions
//! in those of their query. An active task also has a row among what is stopped when its user
//! is deactivated.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::readings::Task;
use crate::events::types::TaskState;
use crate::projections::counter::POPULATION;
use crate::storage::keys::{self, Lanes};
use crate::values::ids::TaskId;
use crate::values::time::{Day, Timestamp};
use serde::{Deserialize, Serialize};
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
    let states = keys::task_states(lanes.of(id.to_string().as_bytes()));
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
    counted.queries.insert(query.to_owned(), QueryTotals { tasks: 1, active, executions: totals.sums });
    counted
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
}

impl TaskTotals {
    /// The totals of one execution. `success` and `failed` are 0 or 1; `duration` is in
    /// milliseconds, 0 while the execution runs.
    pub fn of(day: Day, success: i128, failed: i128, duration: i128) -> Self {
        Self {
            sums: ExecutionSums { n: 1, s: success, f: failed, d: duration },
            days: BTreeMap::from([(day, 1)]),
        }
    }

    /// Adds other totals (`sign` 1) or subtracts them (`sign` -1).
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

    /// The text that is stored: `[[n,s,f,d],[[gap,days,count],...]]`. Consecutive days with the
    /// same count are one run, written as the days since the run before it, its length in days,
    /// and the count. So a task that runs daily stays small for years.
    pub fn store(&self) -> String {
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
        format!("[[{n},{s},{f},{d}],[{}]]", runs.join(","))
    }

    /// Reads what [`TaskTotals::store`] wrote.
    ///
    /// # Errors
    /// If the text does not have that form.
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

/// The totals of the tasks that have a query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryTotals {
    /// How many tasks there are that are not deleted.
    pub tasks: i128,
    /// How many of them are active.
    pub active: i128,
    /// The sums of their executions, of all time.
    pub executions: ExecutionSums,
}

impl QueryTotals {
    /// Adds other totals (`sign` 1) or subtracts them (`sign` -1).
    pub fn add(&mut self, other: &Self, sign: i128) {
        self.tasks += sign * other.tasks;
        self.active += sign * other.active;
        self.executions = self.executions.plus(other.executions, sign);
    }

    /// Its amounts, by the attribute of the query's item that holds them.
    pub fn attributes(&self) -> [(&'static str, i128); 6] {
        let ExecutionSums { n, s, f, d } = self.executions;
        [("tasks", self.tasks), ("active", self.active), ("n", n), ("s", s), ("f", f), ("d", d)]
    }
}
