//! When a schedule fires, exactly as a Temporal server says (docs/adr/0015-temporals-calendar.md).
//!
//! | step | module |
//! |---|---|
//! | split the cron string into zone, comment and fields | `expression` |
//! | read the fields into sets of numbers | `fields` |
//! | read the interval of `@every` | `interval` |
//! | find the zone, turn clock readings into instants | `zone` |
//! | find the next reading of the clock that matches | `search` |
//!
//! May use: [`values`](crate::values).

mod expression;
mod fields;
mod interval;
mod search;
#[cfg(test)]
mod tests;
mod zone;

use crate::values::time::Timestamp;
use expression::CronExpression;
use fields::Fields;
use interval::Interval;
use std::collections::HashMap;
use zone::Zone;

/// The last year in which Temporal's schedules fire, in UTC and by the zone's own clock.
const LAST_YEAR: i16 = 2100;
/// The first second of the year after [`LAST_YEAR`], in UTC.
const END: i64 = 4_133_980_800;

/// The first time after `now` at which Temporal fires a schedule with this cron string and time
/// zone. `None` if it never fires again, or if Temporal refuses either of them.
pub fn next_run(cron: &str, timezone: &str, now: Timestamp) -> Option<Timestamp> {
    Calendar::read(cron, timezone)?.next_after(now)
}

/// The next firings of many schedules after one time: each distinct cron string and time zone is read
/// once.
#[derive(Debug)]
pub struct NextRuns {
    now: Timestamp,
    known: HashMap<(String, String), Option<Timestamp>>,
}

impl NextRuns {
    /// Nothing is known yet of the firings after `now`.
    pub fn after(now: Timestamp) -> Self {
        Self { now, known: HashMap::new() }
    }

    /// As [`next_run`].
    pub fn of(&mut self, cron: &str, timezone: &str) -> Option<Timestamp> {
        let key = (cron.to_owned(), timezone.to_owned());
        *self.known.entry(key).or_insert_with(|| next_run(cron, timezone, self.now))
    }
}

/// The times at which a schedule fires.
#[derive(Debug)]
pub struct Calendar {
    times: Times,
    zone: Zone,
}

/// What determines the times.
#[derive(Debug)]
enum Times {
    /// The clock of the zone.
    Fields(Box<Fields>),
    /// The seconds since 1970, whatever the zone.
    Interval(Interval),
}

impl Calendar {
    /// Reads a cron string and the name of a time zone, empty for UTC; `None` if Temporal refuses
    /// either of them.
    pub fn read(cron: &str, timezone: &str) -> Option<Self> {
        let CronExpression { times, zone } = CronExpression::read(cron)?;
        let zone = match (zone, timezone) {
            ("", given) | (given, "") => given,
            (one, other) if one == other => one,
            _conflicting => return None,
        };
        Some(Self { times, zone: Zone::named(zone)? })
    }

    /// The first time it fires after `now`; `None` if it never does again.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        // Temporal compares whole seconds and begins with 1970.
        let now = now.millis().div_euclid(1000).max(-1);
        let next = match &self.times {
            Times::Fields(fields) => search::next_after(fields, &self.zone, now),
            Times::Interval(interval) => interval.next_after(now),
        };
        next.filter(|next| (now + 1..END).contains(next))
            .map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000)))
    }

    /// All times it fires after `now`, one after the other.
    pub fn firings(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(now), |last| self.next_after(*last))
    }
}
