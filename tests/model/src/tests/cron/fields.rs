//! The fields of an expression, in UTC.

use super::{check, check_all, never, refused};

/// A Monday.
const NOW: &str = "2024-01-15T10:30:00Z";

#[test]
fn a_firing_is_strictly_after_now_cut_to_the_second() {
    check("0 9 * * *", "UTC", NOW, "2024-01-16T09:00:00Z");
    check("0 9 * * *", "UTC", "2024-01-15T08:59:59.999Z", "2024-01-15T09:00:00Z");
    check("0 9 * * *", "UTC", "2024-01-15T09:00:00Z", "2024-01-16T09:00:00Z");
    check("* * * * *", "UTC", "2024-01-15T09:00:00Z", "2024-01-15T09:01:00Z");
    check("* * * * *", "UTC", "2024-12-31T23:59:30Z", "2025-01-01T00:00:00Z");
    check("* * * * * * *", "UTC", "2024-12-31T23:59:58.999Z", "2024-12-31T23:59:59Z");
    check("* * * * * * *", "UTC", "2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z");
}

#[test]
fn lists_ranges_and_steps() {
    check("*/20 * * * *", "UTC", NOW, "2024-01-15T10:40:00Z");
    check("50/5 * * * *", "UTC", NOW, "2024-01-15T10:50:00Z");
    check("10-40/7 * * * *", "UTC", NOW, "2024-01-15T10:31:00Z"); // 10 17 24 31 38
    check("5,45,15 * * * *", "UTC", NOW, "2024-01-15T10:45:00Z");
    check("0 1-3,22 * * *", "UTC", NOW, "2024-01-15T22:00:00Z");
    check("*/100 */30 * * *", "UTC", NOW, "2024-01-16T00:00:00Z");
    check("07 09 03 02 *", "UTC", NOW, "2024-02-03T09:07:00Z");
    check("40-40/9,*/45 * * * *", "UTC", NOW, "2024-01-15T10:40:00Z");
}

#[test]
fn seconds_come_first_and_years_last() {
    check("0 9 * * * 2027", "", "2026-11-28T03:37:00Z", "2027-01-01T09:00:00Z");
    check("30 0 9 * * * *", "", "2026-11-28T03:37:00Z", "2026-11-28T09:00:30Z");
    check("*/25 1 2 3 4 * 2030", "", "2026-11-28T03:37:00Z", "2030-04-03T02:01:00Z");
    check_all(
        "15,45 59 23 31 12 * 2027/2",
        "",
        "2027-12-31T23:59:20Z",
        &["2027-12-31T23:59:45Z", "2029-12-31T23:59:15Z"],
    );
    check("0 9 * * * *,2027", "", "2026-11-28T03:37:00Z", "2026-11-28T09:00:00Z");
    // Seconds fill a minute, minutes an hour.
    check_all(
        "58-59 59 * * * * *",
        "",
        "2027-02-28T23:59:57Z",
        &["2027-02-28T23:59:58Z", "2027-02-28T23:59:59Z", "2027-03-01T00:59:58Z"],
    );
}

#[test]
fn names_in_any_case_are_cut_from_the_third_and_the_second_letter_on() {
    check("0 9 * MAR-may Wed", "UTC", NOW, "2024-03-06T09:00:00Z");
    check("0 9 * december friday", "UTC", NOW, "2024-12-06T09:00:00Z");
    check("0 9 * dec FR", "UTC", NOW, "2024-12-06T09:00:00Z");
    check("0 9 * SEPT thurs", "UTC", NOW, "2024-09-05T09:00:00Z");
    check("0 9 1 jan,feb/5 *", "UTC", NOW, "2024-02-01T09:00:00Z"); // months 1, 2, 7, 12
    // Letters are lowered one by one, as Go does it: a dotted capital I is an i.
    check("0 9 * * frİ", "", "2026-11-28T05:40:00Z", "2026-12-04T09:00:00Z");
    for wrong in ["0 9 * ja *", "0 9 * marchy *", "0 9 * * s", "0 9 * * mondays", "0 9 jan * *"] {
        refused(wrong, "");
    }
}

#[test]
fn sunday_is_0_and_7() {
    check("0 9 * * sUn", "UTC", NOW, "2024-01-21T09:00:00Z");
    check("0 9 * * 0", "UTC", NOW, "2024-01-21T09:00:00Z");
    check("0 9 * * 7", "UTC", NOW, "2024-01-21T09:00:00Z");
    check("0 9 * * 6-7", "UTC", "2024-01-20T10:00:00Z", "2024-01-21T09:00:00Z");
    check("0 9 * * 0-7", "UTC", "2024-01-20T10:00:00Z", "2024-01-21T09:00:00Z");
    // "a/n" goes on to 7, which is a Sunday: 4, 7.
    check("0 9 * * 4/3", "UTC", "2024-01-18T09:00:00Z", "2024-01-21T09:00:00Z");
    check("0 9 * * 1-7/2", "UTC", "2024-01-19T09:00:00Z", "2024-01-21T09:00:00Z");
    // 1, 4, 7 again, and 2, 5: no Sunday.
    check("0 9 * * 2-7/3", "UTC", "2024-01-19T09:00:00Z", "2024-01-23T09:00:00Z");
}

#[test]
fn monday_to_7_leaves_sunday_out_at_temporal() {
    // 2026-11-28 is a Saturday.
    let expected = ["2026-11-28T09:00:00Z", "2026-11-30T09:00:00Z", "2026-12-01T09:00:00Z"];
    for cron in ["0 9 * * 1-7", "0 9 * * 1/1", "0 9 * * mon-7"] {
        check_all(cron, "", "2026-11-28T05:40:00Z", &expected);
    }
    check("0 9 * * 1-7,0", "", "2026-11-28T10:00:00Z", "2026-11-29T09:00:00Z");
}

#[test]
fn both_days_must_match() {
    // Friday the 13th
    check("0 0 13 * 5", "UTC", "2024-01-15T00:00:00Z", "2024-09-13T00:00:00Z");
    // The 31st exists in some months only.
    check("0 0 31 * *", "UTC", "2024-01-31T00:00:00Z", "2024-03-31T00:00:00Z");
}

#[test]
fn leap_days() {
    check("0 0 29 2 *", "UTC", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z");
    check("0 0 29 2 *", "UTC", "2023-03-01T00:00:00Z", "2024-02-29T00:00:00Z");
    // February 29 is a Monday every 28 years: 2016, 2044.
    check("0 0 29 2 1", "UTC", "2024-01-15T00:00:00Z", "2044-02-29T00:00:00Z");
    never("0 0 30 2 *", "UTC", "2024-01-15T00:00:00Z");
    never("0 0 31 4,6,9,11 *", "UTC", "2024-01-15T00:00:00Z");
}

#[test]
fn nothing_fires_after_2100() {
    check("59 59 23 31 12 * *", "", "2100-12-31T23:59:58Z", "2100-12-31T23:59:59Z");
    never("* * * * * * *", "", "2100-12-31T23:59:59Z");
    never("0 0 29 2 *", "", "2096-02-29T00:00:00Z"); // 2100 is no leap year
    // New Year's Eve in New York is 2101 in UTC.
    never("0 23 31 12 * 2100", "America/New_York", "2027-01-01T00:00:00Z");
    never("0 9 * * * 2026", "", "2027-01-01T00:00:00Z");
}

#[test]
fn integers_are_read_as_go_reads_them() {
    let now = "2026-11-28T05:40:00Z";
    check("+5 * * * *", "", now, "2026-11-28T06:05:00Z");
    check("*/+25 * * * *", "", now, "2026-11-28T05:50:00Z");
    // A step is kept in 32 bits: 2^32 becomes 0, which is 1; 2^32 + 7 becomes 7; 2^31 is below 0.
    check("*/4294967296 * * * *", "", now, "2026-11-28T05:41:00Z");
    check("*/4294967303 * * * *", "", now, "2026-11-28T05:42:00Z");
    refused("*/2147483648 * * * *", "");
    refused("*/9223372036854775808 * * * *", "");
}

#[test]
fn what_temporal_refuses() {
    let wrong = [
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 0 *",
        "* * * 13 *",
        "* * * * 8",
        "* * * * * 1999",
        "* * * * * 2101",
        "60 * * * * * *",
        "*/0 * * * *",
        "*/-1 * * * *",
        "5-3 * * * *",
        "* * * * sat-sun",
        "* * * * * 2028-2027",
        "1,,2 * * * *",
        ",1 * * * *",
        "1, * * * *",
        "1- * * * *",
        "-1 * * * *",
        "-0 * * * *",
        "1/ * * * *",
        "/2 * * * *",
        "1/2/3 * * * *",
        "1-2-3 * * * *",
        "*-5 * * * *",
        "? * * * *",
        "* * ? * *",
        "* * * * ?",
        "* * ?/2 * *",
        "* * L * *",
        "* * 15W * *",
        "* * * * 5L",
        "* * * * x",
        "1.5 * * * *",
        "1_0 * * * *",
        "0x5 * * * *",
        "٣ * * * *",
        "99999999999999999999 * * * *",
    ];
    for cron in wrong {
        refused(cron, "UTC");
    }
}
