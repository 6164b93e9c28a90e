//! Local times that a clock change skips or repeats: "a skipped local time does not fire; of a
//! repeated one Temporal fires sometimes the first, sometimes the second, and sometimes both".
//!
//! The reason: Go takes the second copy of a repeated time east of Greenwich and the first west of
//! it; and Temporal searches an hour twice from whose beginning to the next one's more than an
//! hour passes.

use super::{check, check_all, never};

#[test]
fn berlin_in_winter_and_summer() {
    let zone = "Europe/Berlin";
    check("0 9 * * *", zone, "2027-01-15T10:30:00Z", "2027-01-16T08:00:00Z");
    check("0 9 * * *", zone, "2027-07-15T10:30:00Z", "2027-07-16T07:00:00Z");
    // Summer time is still known in the last year.
    check("0 12 1 7 *", zone, "2099-12-31T12:00:00Z", "2100-07-01T10:00:00Z");
    check("0 12 1 1 *", "America/Santiago", "2099-12-31T16:00:00Z", "2100-01-01T15:00:00Z");
    check("0 12 1 7 *", "America/Santiago", "2099-12-31T16:00:00Z", "2100-07-01T16:00:00Z");
}

#[test]
fn berlin_skips_an_hour() {
    // 2027-03-28: 02:00..03:00 does not exist; 03:00 is 01:00Z.
    let zone = "Europe/Berlin";
    check("30 2 * * *", zone, "2027-03-27T12:00:00Z", "2027-03-29T00:30:00Z");
    check("*/30 2,3 * * *", zone, "2027-03-27T12:00:00Z", "2027-03-28T01:00:00Z");
    check("30 * * * *", zone, "2027-03-28T00:30:00Z", "2027-03-28T01:30:00Z");
    check("0 0 2 28 3 * 2027,2028", zone, "2027-03-01T00:00:00Z", "2028-03-28T00:00:00Z");
}

#[test]
fn berlin_repeats_an_hour() {
    // 2027-10-31: 02:00..03:00 comes twice, from 00:00Z (the first) and from 01:00Z.
    let zone = "Europe/Berlin";
    check_all(
        "30 2 31 10 *",
        zone,
        "2026-11-28T03:37:00Z",
        &["2027-10-31T01:30:00Z", "2028-10-31T01:30:00Z"],
    );
    // Hour 1 is searched twice, as from 01:00 to 02:00 (the second) are two hours.
    check_all(
        "0,30 1-3 31 10 *",
        zone,
        "2026-11-28T03:37:00Z",
        &[
            "2027-10-30T23:00:00Z",
            "2027-10-30T23:30:00Z",
            "2027-10-31T00:00:00Z",
            "2027-10-31T01:30:00Z",
            "2027-10-31T02:00:00Z",
            "2027-10-31T02:30:00Z",
        ],
    );
    check_all(
        "30 1 31 10 *",
        zone,
        "2027-10-30T12:00:00Z",
        &["2027-10-30T23:30:00Z", "2027-10-31T00:30:00Z"],
    );
    // Asked within the first copy of the hour.
    check("30 2 * * *", zone, "2027-10-31T00:29:59Z", "2027-10-31T01:30:00Z");
    check("30 2 * * *", zone, "2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z");
    check("30 * * * *", zone, "2027-10-31T00:30:00Z", "2027-10-31T02:30:00Z");
    // In the second copy an hour is added to what Go takes for the second copy already.
    check("30 * * * *", zone, "2027-10-31T01:15:00Z", "2027-10-31T02:30:00Z");
    check("45 * * * *", zone, "2027-10-31T01:59:59Z", "2027-10-31T02:45:00Z");
}

#[test]
fn london_repeats_an_hour() {
    // 2027-10-31: 01:00..02:00 comes twice, from 00:00Z and from 01:00Z; winter's offset of 0 is
    // the second.
    let zone = "Europe/London";
    check("30 1 31 10 *", zone, "2027-10-30T12:00:00Z", "2027-10-31T01:30:00Z");
    check_all(
        "30 0 31 10 *",
        zone,
        "2027-10-30T12:00:00Z",
        &["2027-10-30T23:30:00Z", "2027-10-31T00:30:00Z"],
    );
    // 2027-03-28: 01:00..02:00 does not exist.
    check("30 1 28 3 *", zone, "2027-03-27T12:00:00Z", "2028-03-28T00:30:00Z");
}

#[test]
fn new_york_skips_and_repeats_an_hour() {
    let zone = "America/New_York";
    // 2027-03-14: 02:00..03:00 does not exist; 03:00 is 07:00Z.
    check("15 2 * * *", zone, "2027-03-14T05:00:00Z", "2027-03-15T06:15:00Z");
    check("0 3 * * *", zone, "2027-03-14T05:00:00Z", "2027-03-14T07:00:00Z");
    // 2027-11-07: 01:00..02:00 comes twice, from 05:00Z and from 06:00Z: both fire.
    check_all(
        "30 1 7 11 *",
        zone,
        "2026-11-28T03:37:00Z",
        &["2027-11-07T05:30:00Z", "2027-11-07T06:30:00Z", "2028-11-07T06:30:00Z"],
    );
    check_all(
        "0 1 * * *",
        zone,
        "2027-11-07T04:00:00Z",
        &["2027-11-07T05:00:00Z", "2027-11-07T06:00:00Z", "2027-11-08T06:00:00Z"],
    );
    check("0 20 31 12 *", zone, "2027-12-31T12:00:00Z", "2028-01-01T01:00:00Z");
}

#[test]
fn a_skipped_midnight_does_not_fire() {
    // Cairo: 2027-04-30 begins at 01:00.
    check("0 0 30 4 *", "Africa/Cairo", "2026-11-28T03:37:00Z", "2028-04-29T21:00:00Z");
    // Santiago: 2027-09-05 begins at 01:00, which is 04:00Z.
    check("0 0 * * *", "America/Santiago", "2027-09-04T12:00:00Z", "2027-09-06T03:00:00Z");
    check("30 0-1 * * *", "America/Santiago", "2027-09-04T12:00:00Z", "2027-09-05T04:30:00Z");
}

#[test]
fn a_day_without_midnight_has_the_weekday_before() {
    // Sunday 2027-09-05: Go takes its 00:00 for Saturday 23:00, and Temporal asks that for the
    // weekday.
    let zone = "America/Santiago";
    check("0 5 * * 0", zone, "2027-09-04T12:00:00Z", "2027-09-12T08:00:00Z");
    check("0 5 * * 6", zone, "2027-09-04T12:00:00Z", "2027-09-05T08:00:00Z");
    // The clocks change on the first Sunday from September 2 on, so a Sunday the 5th never has a
    // midnight.
    never("0 5 5 9 0", zone, "2027-09-04T12:00:00Z");
    // Asked on that Sunday itself, after its beginning.
    check("0 5 * * 0", zone, "2027-09-05T04:00:00Z", "2027-09-05T08:00:00Z");
}

#[test]
fn shifts_of_half_an_hour_and_of_two_hours() {
    // Lord Howe goes back by half an hour: 2027-04-04 01:30..02:00 comes twice, from 14:30Z and
    // from 15:00Z.
    check("45 1 4 4 *", "Australia/Lord_Howe", "2027-04-03T00:00:00Z", "2027-04-03T15:15:00Z");
    // Troll goes back by two hours: 2027-10-31 01:00..03:00 comes twice, from 23:00Z and from
    // 01:00Z.
    check_all(
        "30 0-3 31 10 *",
        "Antarctica/Troll",
        "2027-10-30T20:00:00Z",
        &["2027-10-30T22:30:00Z", "2027-10-30T23:30:00Z", "2027-10-31T02:30:00Z", "2027-10-31T03:30:00Z"],
    );
}

#[test]
fn odd_offsets() {
    check("0 0 * * *", "Asia/Kathmandu", "2027-01-15T00:00:00Z", "2027-01-15T18:15:00Z");
    check("0 12 * * *", "Pacific/Kiritimati", "2027-01-15T00:00:00Z", "2027-01-15T22:00:00Z");
}
