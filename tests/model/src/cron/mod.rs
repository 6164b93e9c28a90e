//! When a Temporal server fires a schedule next ("a real Temporal server", `contract/http.md`,
//! `next_run_time`).
//!
//! The rule was learnt from the public source of the server (1.32) and each point of it was asked
//! of a running one. Where Temporal does something odd, so does this module; the odd points have a
//! test each.
//!
//! - `expression` reads a cron string: zone prefix, comment, macros, `@every`, five to seven
//!   fields;
//! - `field` reads one field; `interval` the durations of `@every`;
//! - `calendar` searches the next matching wall clock time; `zone` maps it to an
//!   instant.

mod calendar;
mod expression;
mod field;
mod interval;
mod zone;

use chrono::{DateTime, Datelike};

use crate::time::SECOND;
use expression::Rule;
use zone::ModelZone;
pub use zone::ZONES_CHANGED_SINCE_2025B;

/// The last year in which Temporal fires anything.
const LAST_YEAR: i32 = 2100;

/// The first firing after `now_ms`, in unix milliseconds. `None`: it never fires again, or
/// Temporal refuses the expression or the zone.
pub fn next_fire(cron: &str, zone: &str, now_ms: i64) -> Option<i64> {
    // "all counted from now, cut to the second"
    ModelSchedule::read(cron, zone)?.next(now_ms.div_euclid(SECOND)).map(|second| second * SECOND)
}

/// The first `count` firings after `now_ms`, fewer if it never fires again. Each is counted from
/// the one before.
pub fn fires_after(cron: &str, zone: &str, now_ms: i64, count: usize) -> Vec<i64> {
    let next = |now_ms: &i64| next_fire(cron, zone, *now_ms);
    std::iter::successors(next_fire(cron, zone, now_ms), next).take(count).collect()
}

/// Whether Temporal takes a schedule with this expression and zone; one that it takes may never
/// fire all the same.
pub fn is_accepted(cron: &str, zone: &str) -> bool {
    ModelSchedule::read(cron, zone).is_some()
}

struct ModelSchedule {
    rule: Rule,
    zone: ModelZone,
}

impl ModelSchedule {
    fn read(cron: &str, zone: &str) -> Option<ModelSchedule> {
        let (rule, own_zone) = expression::read(cron)?;
        // Two zones must be equal: `CRON_TZ=Europe/Berlin` beside `UTC` is a conflict.
        if !own_zone.is_empty() && !zone.is_empty() && own_zone != zone {
            return None;
        }
        // The zone must exist, even if an interval has no use for it.
        let zone = ModelZone::named(if own_zone.is_empty() { zone } else { &own_zone })?;
        Some(ModelSchedule { rule, zone })
    }

    fn next(&self, after: i64) -> Option<i64> {
        let next = match &self.rule {
            Rule::Calendar(calendar) => calendar.next(after, self.zone)?,
            Rule::Interval(interval) => interval.next(after),
        };
        (DateTime::from_timestamp(next, 0)?.year() <= LAST_YEAR).then_some(next)
    }
}
