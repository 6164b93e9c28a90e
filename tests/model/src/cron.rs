//! When a cron expression of five fields fires next, by walking the calendar.
//!
//! The zones are `chrono-tz`'s, of 2025b: those whose rules changed since then are an hour off from 2026 on.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;

/// Temporal looks no further than this year ("as Temporal fires it").
const LAST_YEAR: i32 = 2100;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

struct Spec {
    minutes: BTreeSet<u32>,
    hours: BTreeSet<u32>,
    days: BTreeSet<u32>,
    months: BTreeSet<u32>,
    weekdays: BTreeSet<u32>,
}

/// What a field may hold.
struct Range {
    least: u32,
    most: u32,
    /// Names and how many of their letters are enough (as in Temporal).
    names: &'static [&'static str],
    letters: usize,
    /// The two day fields read `?` as `*`.
    day: bool,
}

/// "the next time the cron expression fires after now, in the schedule's time zone ... `null` if it never fires again,
/// or if expression or zone can't be read"
pub fn next_fire(cron: &str, zone: &str, now_ms: i64) -> Option<i64> {
    let spec = parse(cron)?;
    let zone: Tz = zone.parse().ok()?;
    let today = DateTime::from_timestamp_millis(now_ms)?.with_timezone(&zone).date_naive();
    // One day early, so that no clock change can hide a time; those that are past are dropped below.
    let first = today.checked_sub_days(Days::new(1))?;
    for year in first.year()..=LAST_YEAR {
        for month in &spec.months {
            for day in &spec.days {
                // February 30 and the like are no dates.
                let Some(date) = NaiveDate::from_ymd_opt(year, *month, *day) else { continue };
                // "where day of month and day of week are both given, both must match"
                let is_on = spec.weekdays.contains(&date.weekday().num_days_from_sunday());
                if date >= first
                    && is_on
                    && let Some(fire) = first_on(date, &spec, zone, now_ms)
                {
                    return Some(fire);
                }
            }
        }
    }
    None
}

/// The first firing on this local day that is after now.
fn first_on(date: NaiveDate, spec: &Spec, zone: Tz, now_ms: i64) -> Option<i64> {
    for hour in &spec.hours {
        for minute in &spec.minutes {
            let local = date.and_hms_opt(*hour, *minute, 0)?;
            if let Some(fire) = to_utc(local, zone).filter(|ms| *ms > now_ms) {
                return Some(fire);
            }
        }
    }
    None
}

/// "a local time that a clock change skips does not fire, one that it repeats fires the first time"
fn to_utc(local: NaiveDateTime, zone: Tz) -> Option<i64> {
    let mapped = zone.from_local_datetime(&local);
    [mapped.earliest(), mapped.latest()].iter().flatten().map(DateTime::timestamp_millis).min()
}

fn parse(cron: &str) -> Option<Spec> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [minutes, hours, days, months, weekdays] = fields[..] else { return None };
    let plain = |least, most| Range { least, most, names: &[], letters: 0, day: false };
    let on = field(weekdays, &Range { names: &WEEKDAYS, letters: 2, day: true, ..plain(0, 7) })?;
    Some(Spec {
        minutes: field(minutes, &plain(0, 59))?,
        hours: field(hours, &plain(0, 23))?,
        days: field(days, &Range { day: true, ..plain(1, 31) })?,
        months: field(months, &Range { names: &MONTHS, letters: 3, ..plain(1, 12) })?,
        // "0 and 7 both Sunday"
        weekdays: on.into_iter().map(|weekday| weekday % 7).collect(),
    })
}

fn field(text: &str, range: &Range) -> Option<BTreeSet<u32>> {
    let mut all = BTreeSet::new();
    for item in text.split(',') {
        all.extend(list_item(item, range)?);
    }
    Some(all)
}

/// `*`, `?`, `a`, `a-b`, `*/n`, `a-b/n`, or `a/n` (from a to the end).
fn list_item(item: &str, range: &Range) -> Option<Vec<u32>> {
    if item == "?" && range.day {
        return list_item("*", range);
    }
    let (base, step) = match item.split_once('/') {
        Some((base, step)) => (base, Some(number(step)?)),
        None => (item, None),
    };
    let (first, last) = if base == "*" {
        (range.least, range.most)
    } else if let Some((a, b)) = base.split_once('-') {
        (value(a, range)?, value(b, range)?)
    } else {
        let a = value(base, range)?;
        (a, if step.is_some() { range.most } else { a })
    };
    let step = usize::try_from(step.unwrap_or(1)).ok()?;
    if first > last || step == 0 {
        return None;
    }
    Some((first..=last).step_by(step).collect())
}

fn value(text: &str, range: &Range) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let named = range.names.iter().position(|name| lower.len() >= range.letters && name.starts_with(&lower));
    match named {
        Some(at) => Some(range.least + u32::try_from(at).ok()?),
        None => number(text).filter(|n| (range.least..=range.most).contains(n)),
    }
}

fn number(text: &str) -> Option<u32> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}
