use super::ms;
use crate::cron::next_fire;
use crate::time::show;

fn next(cron: &str, zone: &str, now: &str) -> Option<String> {
    next_fire(cron, zone, ms(now)).map(show)
}

#[track_caller]
fn check(cron: &str, zone: &str, now: &str, expected: &str) {
    assert_eq!(next(cron, zone, now).as_deref(), Some(expected), "{cron} in {zone} after {now}");
}

#[test]
fn strictly_after_now() {
    check("0 9 * * *", "UTC", "2024-01-15T10:30:00Z", "2024-01-16T09:00:00Z");
    check("0 9 * * *", "UTC", "2024-01-15T08:59:59.999Z", "2024-01-15T09:00:00Z");
    check("0 9 * * *", "UTC", "2024-01-15T09:00:00Z", "2024-01-16T09:00:00Z");
    check("* * * * *", "UTC", "2024-01-15T09:00:00Z", "2024-01-15T09:01:00Z");
    check("* * * * *", "UTC", "2024-12-31T23:59:30Z", "2025-01-01T00:00:00Z");
}

#[test]
fn lists_ranges_and_steps() {
    let now = "2024-01-15T10:30:00Z"; // a Monday
    check("*/20 * * * *", "UTC", now, "2024-01-15T10:40:00Z");
    check("50/5 * * * *", "UTC", now, "2024-01-15T10:50:00Z");
    check("10-40/7 * * * *", "UTC", now, "2024-01-15T10:31:00Z"); // 10 17 24 31 38
    check("5,45,15 * * * *", "UTC", now, "2024-01-15T10:45:00Z");
    check("0 1-3,22 * * *", "UTC", now, "2024-01-15T22:00:00Z");
    check("*/100 */30 * * *", "UTC", now, "2024-01-16T00:00:00Z");
    check("07 09 03 02 *", "UTC", now, "2024-02-03T09:07:00Z");
    check(" 0  9 \t* * * ", "UTC", now, "2024-01-16T09:00:00Z");
}

#[test]
fn names_and_sundays() {
    let now = "2024-01-15T10:30:00Z"; // a Monday
    check("0 9 * MAR-may Wed", "UTC", now, "2024-03-06T09:00:00Z");
    check("0 9 * * sUn", "UTC", now, "2024-01-21T09:00:00Z");
    check("0 9 * * 0", "UTC", now, "2024-01-21T09:00:00Z");
    check("0 9 * * 7", "UTC", now, "2024-01-21T09:00:00Z");
    check("0 9 * * 6-7", "UTC", "2024-01-20T10:00:00Z", "2024-01-21T09:00:00Z");
    check("0 9 * december friday", "UTC", now, "2024-12-06T09:00:00Z");
    // "a/n" goes on to 7, which is a Sunday: 4, 7.
    check("0 9 * * 4/3", "UTC", "2024-01-18T09:00:00Z", "2024-01-21T09:00:00Z");
}

#[test]
fn both_days_must_match() {
    // Friday the 13th
    check("0 0 13 * 5", "UTC", "2024-01-15T00:00:00Z", "2024-09-13T00:00:00Z");
    check("0 0 ? * 2", "UTC", "2024-01-15T00:00:00Z", "2024-01-16T00:00:00Z");
    check("0 0 20 * ?", "UTC", "2024-01-15T00:00:00Z", "2024-01-20T00:00:00Z");
    // The 31st exists in some months only.
    check("0 0 31 * *", "UTC", "2024-01-31T00:00:00Z", "2024-03-31T00:00:00Z");
}

#[test]
fn leap_days() {
    check("0 0 29 2 *", "UTC", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z");
    check("0 0 29 2 *", "UTC", "2023-03-01T00:00:00Z", "2024-02-29T00:00:00Z");
    // February 29 is a Monday every 28 years: 2016, 2044.
    check("0 0 29 2 1", "UTC", "2024-01-15T00:00:00Z", "2044-02-29T00:00:00Z");
    assert_eq!(next("0 0 30 2 *", "UTC", "2024-01-15T00:00:00Z"), None);
    assert_eq!(next("0 0 31 4,6,9,11 *", "UTC", "2024-01-15T00:00:00Z"), None);
}

#[test]
fn berlin_skips_and_repeats() {
    let zone = "Europe/Berlin";
    check("0 9 * * *", zone, "2024-01-15T10:30:00Z", "2024-01-16T08:00:00Z");
    check("0 9 * * *", zone, "2024-07-15T10:30:00Z", "2024-07-16T07:00:00Z");
    // 2024-03-31: 02:00..03:00 does not exist.
    check("30 2 * * *", zone, "2024-03-30T12:00:00Z", "2024-04-01T00:30:00Z");
    check("*/30 2,3 * * *", zone, "2024-03-30T12:00:00Z", "2024-03-31T01:00:00Z");
    // 2024-10-27: 02:00..03:00 comes twice, from 00:00Z (the first) and from 01:00Z.
    check("30 2 * * *", zone, "2024-10-26T12:00:00Z", "2024-10-27T00:30:00Z");
    check("30 2 * * *", zone, "2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z");
    check("30 * * * *", zone, "2024-10-27T00:30:00Z", "2024-10-27T02:30:00Z");
    check("30 * * * *", zone, "2024-10-27T01:15:00Z", "2024-10-27T02:30:00Z");
}

#[test]
fn new_york_skips_and_repeats() {
    let zone = "America/New_York";
    // 2024-03-10: 02:00..03:00 does not exist; 03:00 is 07:00Z.
    check("15 2 * * *", zone, "2024-03-10T05:00:00Z", "2024-03-11T06:15:00Z");
    check("0 3 * * *", zone, "2024-03-10T05:00:00Z", "2024-03-10T07:00:00Z");
    // 2024-11-03: 01:00..02:00 comes twice, from 05:00Z and from 06:00Z.
    check("0 1 * * *", zone, "2024-11-03T04:00:00Z", "2024-11-03T05:00:00Z");
    check("0 1 * * *", zone, "2024-11-03T05:00:00Z", "2024-11-04T06:00:00Z");
    check("0 20 31 12 *", zone, "2024-12-31T12:00:00Z", "2025-01-01T01:00:00Z");
    // Summer time is still known far ahead.
    check("0 12 1 7 *", zone, "2049-12-31T12:00:00Z", "2050-07-01T16:00:00Z");
}

#[test]
fn odd_zones() {
    check("0 0 * * *", "Asia/Kathmandu", "2024-01-15T00:00:00Z", "2024-01-15T18:15:00Z");
    // Lord Howe moves by half an hour: 2024-04-07 02:00 back to 01:30, 01:30..02:00 comes twice.
    check("45 1 * * *", "Australia/Lord_Howe", "2024-04-06T00:00:00Z", "2024-04-06T14:45:00Z");
    // Santiago skips midnight: 2024-09-08 00:00..01:00 does not exist.
    check("0 0 * * *", "America/Santiago", "2024-09-07T12:00:00Z", "2024-09-09T03:00:00Z");
    check("0 12 * * *", "Pacific/Kiritimati", "2024-01-15T00:00:00Z", "2024-01-15T22:00:00Z");
}

#[test]
fn unreadable() {
    let now = "2024-01-15T10:30:00Z";
    let wrong = [
        "",
        "* * * *",
        "* * * * * *",
        "@daily",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 0 *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-3 * * * *",
        "* * * * sat-sun",
        "1,,2 * * * *",
        ",1 * * * *",
        "1- * * * *",
        "-1 * * * *",
        "+1 * * * *",
        "1/ * * * *",
        "/2 * * * *",
        "1/2/3 * * * *",
        "1-2-3 * * * *",
        "*-5 * * * *",
        "? * * * *",
        "* ? * * *",
        "* * * ? *",
        "* * L * *",
        "* * 15W * *",
        "* * * * 5#2",
        "* * * * x",
        "* * * ja *",
        "* * * * m",
        "1.5 * * * *",
        "99999999999 * * * *",
        "* * ?/2 * *",
    ];
    for cron in wrong {
        assert_eq!(next(cron, "UTC", now), None, "{cron}");
    }
    for zone in ["", "utc ", "Europe/Nowhere", "europe/berlin", "+01:00", "CET2"] {
        assert_eq!(next("* * * * *", zone, now), None, "{zone}");
    }
}
