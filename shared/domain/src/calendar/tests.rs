mod clock_changes;
mod expressions;
mod intervals;
mod properties;
mod zones;

use super::{Calendar, next_run};
use crate::values::time::Timestamp;

/// The moment at which the facts of the contract were asked of a server.
const NOW: &str = "2026-11-28T03:37:00Z";

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// The first firings after `now` are these, and `next_run` is the first of them.
#[track_caller]
fn fires(cron: &str, zone: &str, now: &str, expected: &[&str]) {
    let calendar = Calendar::read(cron, zone).unwrap_or_else(|| panic!("{cron:?} in {zone:?} is refused"));
    let firings: Vec<_> =
        calendar.firings(time(now)).take(expected.len()).map(|time| time.to_string()).collect();
    assert_eq!(firings, expected, "{cron:?} in {zone:?} after {now}");
    assert_eq!(next_run(cron, zone, time(now)), expected.first().copied().map(time));
}

/// It is accepted and never fires again.
#[track_caller]
fn never_fires(cron: &str, zone: &str, now: &str) {
    assert!(Calendar::read(cron, zone).is_some(), "{cron:?} in {zone:?} is refused");
    assert_eq!(next_run(cron, zone, time(now)), None, "{cron:?} in {zone:?} after {now}");
}

#[track_caller]
fn refused(cron: &str, zone: &str) {
    assert!(Calendar::read(cron, zone).is_none(), "{cron:?} in {zone:?} is accepted");
    assert_eq!(next_run(cron, zone, time(NOW)), None);
}

#[test]
fn a_schedule_fires_after_now_and_now_is_cut_to_the_second() {
    fires("0 9 * * *", "UTC", "2024-01-15T09:00:00Z", &["2024-01-16T09:00:00Z"]);
    fires("0 9 * * *", "UTC", "2024-01-15T08:59:59.999Z", &["2024-01-15T09:00:00Z"]);
    fires("0 9 * * *", "UTC", "2024-01-15T09:00:00.001Z", &["2024-01-16T09:00:00Z"]);
    fires("*/15 * * * *", "UTC", "2024-01-15T09:07:00Z", &["2024-01-15T09:15:00Z", "2024-01-15T09:30:00Z"]);
}

/// The table of issue 17, section 3.
#[test]
fn facts_that_a_temporal_server_told() {
    fires(
        "@every 6h/2h",
        "UTC",
        NOW,
        &["2026-11-28T08:00:00Z", "2026-11-28T14:00:00Z", "2026-11-28T20:00:00Z"],
    );
    fires("@every 90s", "UTC", NOW, &["2026-11-28T03:37:30Z", "2026-11-28T03:39:00Z"]);
    fires("CRON_TZ=America/New_York 0 9 * * *", "", NOW, &["2026-11-28T14:00:00Z"]);
    refused("CRON_TZ=America/New_York 0 9 * * *", "Europe/Berlin");
    fires("0 9 * * * 2027", "UTC", NOW, &["2027-01-01T09:00:00Z"]);
    fires("30 0 9 * * * *", "UTC", NOW, &["2026-11-28T09:00:30Z"]);
    let mondays = &["2026-11-30T09:00:00Z", "2026-12-07T09:00:00Z", "2026-12-14T09:00:00Z"];
    fires("0 9 * * MON#2", "UTC", NOW, mondays);
    fires("0 9 * * MONDAY", "UTC", NOW, mondays);
    fires("30 2 31 10 *", "Europe/Berlin", NOW, &["2027-10-31T01:30:00Z", "2028-10-31T01:30:00Z"]);
    let half_hours = &[
        "2027-10-30T23:00:00Z",
        "2027-10-30T23:30:00Z",
        "2027-10-31T00:00:00Z",
        "2027-10-31T01:30:00Z",
        "2027-10-31T02:00:00Z",
        "2027-10-31T02:30:00Z",
    ];
    fires("0,30 1-3 31 10 *", "Europe/Berlin", NOW, half_hours);
    fires("30 1 7 11 *", "America/New_York", NOW, &["2027-11-07T05:30:00Z", "2027-11-07T06:30:00Z"]);
    fires("0 0 30 4 *", "Africa/Cairo", NOW, &["2028-04-29T21:00:00Z"]);
}
