//! Macros, fields, names, comments, and what is refused.

use super::{NOW, fires, never_fires, refused};

#[test]
fn every_macro_stands_for_its_fields() {
    fires("@hourly", "UTC", NOW, &["2026-11-28T04:00:00Z", "2026-11-28T05:00:00Z"]);
    fires("@daily", "UTC", NOW, &["2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"]);
    fires("@midnight", "UTC", NOW, &["2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"]);
    fires("@weekly", "UTC", NOW, &["2026-11-29T00:00:00Z", "2026-12-06T00:00:00Z"]);
    fires("@monthly", "UTC", NOW, &["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
    fires("@yearly", "UTC", NOW, &["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]);
    fires("@annually", "UTC", NOW, &["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]);
    fires(" @daily # at midnight", "America/New_York", NOW, &["2026-11-28T05:00:00Z"]);
    for unknown in ["@reboot", "@DAILY", "@daily x", "@dailyx", "@", "daily"] {
        refused(unknown, "UTC");
    }
}

#[test]
fn five_six_or_seven_fields_are_read() {
    fires("15 9 * * *", "UTC", NOW, &["2026-11-28T09:15:00Z", "2026-11-29T09:15:00Z"]);
    fires("15 9 * * * *", "UTC", NOW, &["2026-11-28T09:15:00Z", "2026-11-29T09:15:00Z"]);
    fires("15 9 28 11 * 2030", "UTC", NOW, &["2030-11-28T09:15:00Z"]);
    fires(
        "*/20 15 9 * * * *",
        "UTC",
        NOW,
        &["2026-11-28T09:15:00Z", "2026-11-28T09:15:20Z", "2026-11-28T09:15:40Z"],
    );
    fires("\u{3000}15\t9\u{a0}*  * *\n", "UTC", NOW, &["2026-11-28T09:15:00Z"]);
    for count in ["", " ", "#", "# 0 9 * * *", "0", "0 9 * *", "0 0 9 * * * * *", "0\u{200b}9 * * *"] {
        refused(count, "UTC");
    }
}

#[test]
fn years_are_those_from_2000_to_2100() {
    fires(
        "0 0 1 1 * 2028/36",
        "UTC",
        NOW,
        &["2028-01-01T00:00:00Z", "2064-01-01T00:00:00Z", "2100-01-01T00:00:00Z"],
    );
    fires("59 23 31 12 *", "UTC", "2100-01-01T00:00:00Z", &["2100-12-31T23:59:00Z"]);
    never_fires("59 23 31 12 *", "UTC", "2100-12-31T23:59:00Z");
    // The end is in UTC, and by the zone's own clock.
    never_fires("0 20 31 12 *", "America/New_York", "2100-02-01T00:00:00Z");
    never_fires("0 0 1 1 *", "Asia/Tokyo", "2100-01-01T00:00:00Z");
    never_fires("0 9 * * * 2000-2025", "UTC", NOW);
    for year in ["1999", "2101", "1999-2030", "2030-2101", "2030-2029"] {
        refused(&format!("0 9 * * * {year}"), "UTC");
    }
}

#[test]
fn lists_ranges_and_steps_are_read() {
    let minutes = |field: &str, expected: &[&str]| {
        let expected: Vec<_> = expected.iter().map(|minute| format!("2026-11-28T10:{minute}:00Z")).collect();
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        fires(&format!("{field} 10 28 11 * 2026"), "UTC", NOW, &expected);
        never_fires(&format!("{field} 10 28 11 * 2026"), "UTC", expected.last().unwrap());
    };
    minutes("7", &["07"]);
    minutes("07", &["07"]);
    minutes("+7", &["07"]);
    minutes("30,7,7", &["07", "30"]);
    minutes("7-9,58", &["07", "08", "09", "58"]);
    minutes("*/25", &["00", "25", "50"]);
    minutes("*/+25", &["00", "25", "50"]);
    minutes("7/25", &["07", "32", "57"]);
    minutes("7-31/12", &["07", "19", "31"]);
    minutes("7-+8", &["07", "08"]);
    minutes("7-7", &["07"]);
    minutes("57/1", &["57", "58", "59"]);
    minutes("*/99", &["00"]);
    // Temporal keeps the lower 32 bits of a step.
    minutes("*/2147483647", &["00"]);
    minutes("57/4294967296", &["57", "58", "59"]);
    minutes("57/4294967298", &["57", "59"]);
}

#[test]
fn what_is_no_list_of_ranges_is_refused() {
    for minute in [
        "60",
        "0-60",
        "-1",
        "-0",
        "5-3",
        "1-2-3",
        "1--2",
        "0--0",
        "1-",
        "-",
        "*-5",
        "**",
        "*5",
        ",",
        "1,",
        ",1",
        "1,,2",
        "/5",
        "5/",
        "*/0",
        "*/-1",
        "*/x",
        "1/2/3",
        "*/2147483648",
        "*/9223372036854775808",
        "x",
        "1.5",
        "0x5",
        "1_0",
        "\u{ff11}",
        "?",
        "L",
        "H",
        "99999999999999999999",
    ] {
        refused(&format!("{minute} 9 * * * *"), "UTC");
    }
    for fields in [
        "0 24 * * *",
        "0 9 0 * *",
        "0 9 32 * *",
        "0 9 * 0 *",
        "0 9 * 13 *",
        "0 9 * * 8",
        "60 0 9 * * * *",
        "0 9 ? * *",
        "0 9 * * ?",
        "0 9 L * *",
        "0 9 15W * *",
        "0 9 * * 5L",
        "0 22-4 * * *",
        "0 9 * 11-2 *",
    ] {
        refused(fields, "UTC");
    }
}

#[test]
fn names_of_months_and_days_may_be_cut_and_have_any_case() {
    for month in ["jan", "JAN", "Janu", "jANUARY", "1"] {
        fires(&format!("0 9 5 {month} *"), "UTC", NOW, &["2027-01-05T09:00:00Z"]);
    }
    fires("0 9 5 apr-Jun,SEPT *", "UTC", NOW, &["2027-04-05T09:00:00Z", "2027-05-05T09:00:00Z"]);
    for day in ["tu", "TUE", "Tues", "tuesday", "2"] {
        fires(&format!("0 9 * * {day}"), "UTC", NOW, &["2026-12-01T09:00:00Z", "2026-12-08T09:00:00Z"]);
    }
    fires(
        "0 9 * * mo-WE/2",
        "UTC",
        NOW,
        &["2026-11-30T09:00:00Z", "2026-12-02T09:00:00Z", "2026-12-07T09:00:00Z"],
    );
    // The lower case of this letter is an i.
    fires("0 9 * * FR\u{130}", "UTC", NOW, &["2026-12-04T09:00:00Z"]);
    for month in ["ja", "januaryx", "jab", "1jan", "mon", "nov-jan"] {
        refused(&format!("0 9 5 {month} *"), "UTC");
    }
    for day in ["t", "tuesdays", "tx", "jan", "sa-su", "\u{17f}un"] {
        refused(&format!("0 9 * * {day}"), "UTC");
    }
    refused("jan 9 * * *", "UTC");
    refused("0 9 mon * *", "UTC");
}

#[test]
fn seven_is_sunday_but_not_in_a_range_that_begins_before_2() {
    let (saturday, sunday) = ("2026-11-28T09:00:00Z", "2026-11-29T09:00:00Z");
    let monday = "2026-11-30T09:00:00Z";
    let next_sunday = "2026-12-06T09:00:00Z";
    fires("0 9 * * 7", "UTC", NOW, &[sunday, next_sunday]);
    fires("0 9 * * 0", "UTC", NOW, &[sunday, next_sunday]);
    fires("0 9 * * 6-7", "UTC", NOW, &[saturday, sunday, "2026-12-05T09:00:00Z"]);
    fires("0 9 * * 0-7", "UTC", NOW, &[saturday, sunday, monday]);
    fires("0 9 * * */7", "UTC", NOW, &[sunday, next_sunday]);
    fires("0 9 * * 5/2", "UTC", NOW, &[sunday, "2026-12-04T09:00:00Z", next_sunday]);
    fires("0 9 * * 1-7", "UTC", NOW, &[saturday, monday]);
    fires("0 9 * * 1/1", "UTC", NOW, &[saturday, monday]);
    fires("0 9 * * 1/2", "UTC", NOW, &[sunday, monday, "2026-12-02T09:00:00Z"]);
}

#[test]
fn both_days_must_match_where_both_are_given() {
    fires("0 0 13 * FRI", "UTC", "2024-01-15T00:00:00Z", &["2024-09-13T00:00:00Z", "2024-12-13T00:00:00Z"]);
    fires("0 0 1-7 * MON", "UTC", NOW, &["2026-12-07T00:00:00Z", "2027-01-04T00:00:00Z"]);
}

#[test]
fn dates_that_few_years_or_none_have_are_found_or_end_the_search() {
    fires("0 0 29 2 *", "UTC", "2024-03-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    fires("0 0 29 2 MON", "UTC", "2024-03-01T00:00:00Z", &["2044-02-29T00:00:00Z"]);
    fires("0 0 29 2 *", "UTC", "2096-02-28T00:00:00Z", &["2096-02-29T00:00:00Z"]);
    never_fires("0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z");
    never_fires("0 0 30 2 *", "UTC", NOW);
    never_fires("0 0 31 4,6,9,11 *", "UTC", NOW);
}

#[test]
fn a_comment_has_200_bytes_at_most() {
    fires("0 9 * * * # mornings # really", "UTC", NOW, &["2026-11-28T09:00:00Z"]);
    fires(&format!("0 9 * * * # {} ", "x".repeat(200)), "UTC", NOW, &["2026-11-28T09:00:00Z"]);
    refused(&format!("0 9 * * * # {}", "x".repeat(201)), "UTC");
    refused(&format!("0 9 * * * # {}", "é".repeat(101)), "UTC");
    fires(&format!("@every 1h # {}", "x".repeat(201)), "UTC", NOW, &["2026-11-28T04:00:00Z"]);
}
