//! Skipped and repeated times. Berlin goes from 02:00 to 03:00 on 2027-03-28 at 01:00 UTC and from
//! 03:00 to 02:00 on 2027-10-31 at 01:00 UTC; New York from 02:00 to 03:00 on 2027-03-14 at 07:00
//! UTC and from 02:00 to 01:00 on 2027-11-07 at 06:00 UTC.

use super::{fires, never_fires};

#[test]
fn a_skipped_time_does_not_fire() {
    fires("30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", &["2027-03-29T00:30:00Z"]);
    fires("30 2 * * *", "America/New_York", "2027-03-13T12:00:00Z", &["2027-03-15T06:30:00Z"]);
    let around = ["2027-03-14T06:30:00Z", "2027-03-14T07:30:00Z"];
    fires("30 1-3 * * *", "America/New_York", "2027-03-14T05:00:00Z", &around);
}

#[test]
fn a_time_that_is_skipped_in_every_year_never_fires() {
    // Second Sunday of March; an adversary's choice.
    never_fires("* 2 8-14 3 SUN", "America/New_York", "2027-01-01T00:00:00Z");
    never_fires("* * 2 8-14 3 SUN *", "America/New_York", "2027-01-01T00:00:00Z");
}

#[test]
fn a_single_repeated_time_fires_the_second_time_east_of_greenwich() {
    fires(
        "30 2 * * *",
        "Europe/Berlin",
        "2027-10-30T12:00:00Z",
        &["2027-10-31T01:30:00Z", "2027-11-01T01:30:00Z"],
    );
    fires(
        "30 1 * * *",
        "Europe/London",
        "2027-10-30T12:00:00Z",
        &["2027-10-31T01:30:00Z", "2027-11-01T01:30:00Z"],
    );
}

#[test]
fn a_single_repeated_time_fires_both_times_west_of_greenwich() {
    let both = ["2027-11-07T05:30:00Z", "2027-11-07T06:30:00Z", "2027-11-08T06:30:00Z"];
    fires("30 1 * * *", "America/New_York", "2027-11-06T12:00:00Z", &both);
}

#[test]
fn every_minute_of_a_repeated_hour_fires() {
    let minutes = ["2027-11-07T05:59:00Z", "2027-11-07T06:00:00Z", "2027-11-07T06:01:00Z"];
    fires("* * * * *", "America/New_York", "2027-11-07T05:58:00Z", &minutes);
    let minutes = ["2027-11-07T06:59:00Z", "2027-11-07T07:00:00Z"];
    fires("* * * * *", "America/New_York", "2027-11-07T06:58:00Z", &minutes);
}

/// From the hour before, Temporal comes into the first of the two hours. From there it goes on to
/// the second, and from there, since the search begins anew with each firing, an hour ahead.
#[test]
fn quarters_of_the_repeated_hours_fire_once_or_not_at_all_in_berlin() {
    let quarters = [
        "2027-10-30T23:45:00Z",
        "2027-10-31T00:00:00Z",
        "2027-10-31T01:15:00Z",
        "2027-10-31T02:30:00Z",
        "2027-10-31T02:45:00Z",
    ];
    fires("*/15 * * * *", "Europe/Berlin", "2027-10-30T23:30:00Z", &quarters);
}

/// The hour before the repeated ones is the long one, so its matches are taken twice.
#[test]
fn a_time_in_the_hour_before_the_repeated_ones_fires_twice_in_berlin() {
    let both = ["2027-10-30T23:30:00Z", "2027-10-31T00:30:00Z", "2027-11-01T00:30:00Z"];
    fires("30 1 * * *", "Europe/Berlin", "2027-10-30T12:00:00Z", &both);
}

/// In the second of two equal hours the search looks an hour ahead: it fires what the clock no
/// longer shows.
#[test]
fn a_search_that_begins_in_the_repeated_hour_goes_through_it_once_more() {
    fires(
        "30 2 * * *",
        "Europe/Berlin",
        "2027-10-31T01:10:00Z",
        &["2027-10-31T02:30:00Z", "2027-11-01T01:30:00Z"],
    );
    fires("30 2 * * *", "Europe/Berlin", "2027-10-31T01:40:00Z", &["2027-11-01T01:30:00Z"]);
}

/// Lord Howe goes from 02:00 to 02:30 on 2027-10-03 (15:30 UTC the day before), from 02:00 to 01:30
/// on 2027-04-04 (15:00 UTC).
#[test]
fn half_an_hour_that_is_skipped_fires_half_an_hour_later() {
    fires(
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2027-10-02T00:00:00Z",
        &["2027-10-02T15:45:00Z", "2027-10-03T15:15:00Z"],
    );
    fires(
        "45 2 * * *",
        "Australia/Lord_Howe",
        "2027-10-02T00:00:00Z",
        &["2027-10-02T15:45:00Z", "2027-10-03T15:45:00Z"],
    );
}

/// Chatham goes from 02:45 to 03:45 on 2027-09-26 (14:00 UTC the day before).
#[test]
fn an_hour_whose_beginning_is_skipped_fires_only_if_nothing_is_looked_for_in_the_gap() {
    fires(
        "50 3 * * *",
        "Pacific/Chatham",
        "2027-09-25T00:00:00Z",
        &["2027-09-25T14:05:00Z", "2027-09-26T14:05:00Z"],
    );
    fires(
        "0,50 3 * * *",
        "Pacific/Chatham",
        "2027-09-25T00:00:00Z",
        &["2027-09-26T13:15:00Z", "2027-09-26T14:05:00Z"],
    );
}

/// Cairo goes from 00:00 to 01:00 on the last Friday of April.
#[test]
fn a_midnight_that_is_skipped_does_not_fire() {
    fires("@daily", "Africa/Cairo", "2027-04-28T22:30:00Z", &["2027-04-30T21:00:00Z"]);
}

/// Santiago goes from 00:00 to 01:00 on Sunday, 2027-09-05: Temporal takes the day for Saturday.
#[test]
fn a_day_without_midnight_has_the_weekday_before_west_of_greenwich() {
    fires("0 12 * * SUN", "America/Santiago", "2027-09-01T00:00:00Z", &["2027-09-12T15:00:00Z"]);
    let saturdays = ["2027-09-04T16:00:00Z", "2027-09-05T15:00:00Z", "2027-09-11T15:00:00Z"];
    fires("0 12 * * SAT", "America/Santiago", "2027-09-01T00:00:00Z", &saturdays);
    // From the day's own hours on, it is Sunday.
    fires("0 12 * * SUN", "America/Santiago", "2027-09-05T04:30:00Z", &["2027-09-05T15:00:00Z"]);
}

/// Apia had no 2011-12-30, and Temporal's next time would be a day back. No zone has skipped a day
/// since 2015.
#[test]
fn nothing_fires_in_the_past_where_a_whole_day_is_skipped() {
    never_fires("* * * * *", "Pacific/Apia", "2011-12-30T09:59:00Z");
}
