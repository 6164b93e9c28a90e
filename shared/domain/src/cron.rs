//! When a schedule fires next, as Temporal reads cron expressions.

use crate::values::time::Timestamp;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use std::collections::BTreeSet;

/// How many skipped or repeated local times are passed over before giving up; no clock change was of more than a day.
const MAX_PASSED_OVER: usize = 24 * 60;

/// The first time after `now` at which `expression` fires in `zone`; `None` if it never does or either can't be read.
pub fn next_run(expression: &str, zone: &str, now: Timestamp) -> Option<Timestamp> {
    let zone = time_zone(zone)?;
    let cron = read(expression)?;
    let now = jiff::Timestamp::from_millisecond(now.millis()).ok()?;
    let mut local = zone.to_datetime(now);
    for _ in 0..=MAX_PASSED_OVER {
        local = cron.find_next_occurrence(&local, false).ok()?;
        let fires = zone.to_ambiguous_timestamp(local);
        // A local time that comes twice fires the first time; one that a clock change skips does not.
        if matches!(fires.offset(), AmbiguousOffset::Gap { .. }) {
            continue;
        }
        let fires = fires.earlier().ok()?;
        if fires > now {
            return Some(Timestamp::from_millis(fires.as_millisecond()));
        }
    }
    None
}

/// A zone of the database in the binary, by its exact name: the library would take `europe/berlin` too.
fn time_zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok().filter(|zone| zone.iana_name() == Some(name))
}

/// Five fields, each of `*`, `?` (days only), numbers, names, ranges and steps, in lists. Every field is written out
/// as a list of numbers, so that only what Temporal reads counts and none of the library's extensions.
fn read(expression: &str) -> Option<Cron> {
    let fields: Vec<&str> = expression.split_ascii_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else { return None };
    let plain = |field, first, last| numbers(field, first, last, &[], false);
    let (days, months) = (numbers(day, 1, 31, &[], true)?, numbers(month, 1, 12, &MONTHS, false)?);
    // The search would look through all years for a date that is in none, such as 30 February.
    let longest = months.iter().filter_map(|month| LONGEST.get(usize::try_from(month - 1).ok()?)).max();
    if days.first() > longest {
        return None;
    }
    let weekdays = numbers(weekday, 0, 7, &WEEKDAYS, true)?;
    let fields = [
        listed(&plain(minute, 0, 59)?, 60),
        listed(&plain(hour, 0, 23)?, 24),
        listed(&days, 31),
        listed(&months, 12),
        listed(&weekdays, 8),
    ];
    let parser =
        CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).dom_and_dow(true).build();
    parser.parse(&fields.join(" ")).ok()
}

/// Numbers as a list, or `*` where they are all that a field can have: a day field that restricts nothing is none.
fn listed(numbers: &BTreeSet<u32>, all: usize) -> String {
    if numbers.len() == all {
        return "*".to_owned();
    }
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// The numbers that a field names.
fn numbers(field: &str, first: u32, last: u32, names: &[&str], day: bool) -> Option<BTreeSet<u32>> {
    let mut all = BTreeSet::new();
    for part in field.split(',') {
        if part == "*" || (day && part == "?") {
            all.extend(first..=last);
            continue;
        }
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step)?)),
            None => (part, None),
        };
        let (from, to) = match (range, range.split_once('-')) {
            ("*", _) => (first, last),
            (_, Some((from, to))) => (named(from, first, names)?, named(to, first, names)?),
            (_, None) => {
                let from = named(range, first, names)?;
                (from, if step.is_some() { last } else { from })
            }
        };
        let step = usize::try_from(step.unwrap_or(1)).ok().filter(|step| *step > 0)?;
        if from < first || to > last || from > to {
            return None;
        }
        all.extend((from..=to).step_by(step));
    }
    Some(all)
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A number, or the beginning of a name that no other name shares.
fn named(text: &str, first: u32, names: &[&str]) -> Option<u32> {
    let upper = text.to_ascii_uppercase();
    let letters = if names.len() == WEEKDAYS.len() { 2 } else { 3 };
    let place =
        (upper.len() >= letters).then(|| names.iter().position(|name| name.starts_with(&upper))).flatten();
    match place {
        Some(place) => Some(first + u32::try_from(place).ok()?),
        None => number(text),
    }
}

/// Days of each month in its longest year.
const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const MONTHS: [&str; 12] = [
    "JANUARY",
    "FEBRUARY",
    "MARCH",
    "APRIL",
    "MAY",
    "JUNE",
    "JULY",
    "AUGUST",
    "SEPTEMBER",
    "OCTOBER",
    "NOVEMBER",
    "DECEMBER",
];
const WEEKDAYS: [&str; 7] = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    #[track_caller]
    fn check(expression: &str, zone: &str, now: &str, expected: Option<&str>) {
        let found = next_run(expression, zone, Timestamp::parse(now).unwrap()).map(|time| time.to_string());
        assert_eq!(found.as_deref(), expected, "{expression} in {zone} after {now}");
    }

    #[test]
    fn fires_strictly_after_now() {
        check("0 9 * * *", "UTC", "2024-01-15T09:00:00Z", Some("2024-01-16T09:00:00Z"));
        check("0 9 * * *", "UTC", "2024-01-15T08:59:59.999Z", Some("2024-01-15T09:00:00Z"));
        check("*/15 * * * *", "UTC", "2024-01-15T09:07:00Z", Some("2024-01-15T09:15:00Z"));
    }

    #[test]
    fn both_days_must_match_where_both_are_given() {
        check("0 0 13 * FRI", "UTC", "2024-01-15T00:00:00Z", Some("2024-09-13T00:00:00Z"));
        check("0 0 13 * 5", "UTC", "2024-01-15T00:00:00Z", Some("2024-09-13T00:00:00Z"));
    }

    #[test]
    fn skipped_local_times_do_not_fire_and_repeated_ones_fire_the_first_time() {
        check("30 2 * * *", "Europe/Berlin", "2024-03-31T00:00:00Z", Some("2024-04-01T00:30:00Z"));
        check("30 2 * * *", "Europe/Berlin", "2024-10-26T22:00:00Z", Some("2024-10-27T00:30:00Z"));
        check("30 2 * * *", "Europe/Berlin", "2024-10-27T00:30:00Z", Some("2024-10-28T01:30:00Z"));
        check("45 * * * *", "Europe/Berlin", "2024-10-27T00:50:00Z", Some("2024-10-27T02:45:00Z"));
    }

    const OFTEN: [&str; 9] = [
        "0 9 * * *",
        "*/15 * * * *",
        "30 1,2,3 * * *",
        "45 23 * * 6,0",
        "59 23 * 3,4,9,10,11 sun",
        "0 0 13 * 5",
        "0 0 1 * *",
        "5 0 31 * *",
        "30 2 29 2 *",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Each of these fires within two years, and so before 2026, from when on the model's zones are out of date.
        #[test]
        fn every_zone_is_read_as_the_model_reads_it(
            zone in any::<Index>(),
            expression in select(&OFTEN[..]),
            now in Timestamp::EARLIEST.millis()..1_704_067_200_000,
        ) {
            let zones: Vec<String> =
                TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
            let zone = zone.get(&zones);
            let fires = next_run(expression, zone, Timestamp::from_millis(now)).map(Timestamp::millis);
            // A placeholder of the database's own, which the model's leaves out.
            let expected = if zone == "Factory" { "UTC" } else { zone };
            prop_assert_eq!(fires, torale_model::cron::next_fire(expression, expected, now), "{} {}", expression, zone);
        }
    }

    /// The database that was used first ended with 2025b and had these an hour off.
    #[test]
    fn zones_that_changed_in_2026_fire_by_their_new_rules() {
        check("0 9 * * *", "America/Vancouver", "2026-11-23T00:00:00Z", Some("2026-11-23T16:00:00Z"));
        check("0 9 * * *", "Africa/Casablanca", "2026-11-23T00:00:00Z", Some("2026-11-23T09:00:00Z"));
    }

    #[test]
    fn a_whole_day_may_be_skipped() {
        check("* * * * *", "Pacific/Apia", "2011-12-30T09:59:00Z", Some("2011-12-30T10:00:00Z"));
        check("0 12 30 * *", "Pacific/Apia", "2011-12-01T00:00:00Z", Some("2012-01-29T22:00:00Z"));
    }

    #[test]
    fn what_cannot_be_read_or_never_comes_has_no_next_time() {
        for expression in
            ["", "* * * *", "0 0 L * *", "0 0 * * 5#2", "61 * * * *", "0 0 30 2 *", "0 0 1W * *", "@daily"]
        {
            check(expression, "UTC", "2024-01-15T00:00:00Z", None);
        }
        for zone in ["Mars/Olympus", "europe/berlin", "utc", "Etc/Unknown", "Local", "+01:00", ""] {
            check("0 9 * * *", zone, "2024-01-15T00:00:00Z", None);
        }
        check("0 0 29 2 *", "UTC", "2024-03-01T00:00:00Z", Some("2028-02-29T00:00:00Z"));
        check("0 0 29 2 1", "UTC", "2024-03-01T00:00:00Z", Some("2044-02-29T00:00:00Z"));
        check("0 0 * * 5-3", "UTC", "2024-03-01T00:00:00Z", None);
        check("0 0 * SEPT mo", "UTC", "2024-03-01T00:00:00Z", Some("2024-09-02T00:00:00Z"));
    }
}
