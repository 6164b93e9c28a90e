//! What stands around the fields: zones, comments, macros, blanks.

use super::{check, check_all, never, refused};

/// A Saturday.
const NOW: &str = "2026-11-28T03:37:00Z";

#[test]
fn macros() {
    check_all("@hourly", "", NOW, &["2026-11-28T04:00:00Z", "2026-11-28T05:00:00Z"]);
    check_all("@daily", "", NOW, &["2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"]);
    check_all("@midnight", "", NOW, &["2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"]);
    check_all("@weekly", "", NOW, &["2026-11-29T00:00:00Z", "2026-12-06T00:00:00Z"]);
    check_all("@monthly", "", NOW, &["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
    check_all("@yearly", "", NOW, &["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]);
    check_all("@annually", "", NOW, &["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]);
    check(" @daily # at night", "Europe/Berlin", NOW, "2026-11-28T23:00:00Z");
    for wrong in ["@Daily", "@", "@reboot", "@daily *", "@dailyx", "0 @daily"] {
        refused(wrong, "");
    }
}

#[test]
fn a_zone_may_stand_before_the_fields() {
    check("CRON_TZ=America/New_York 0 9 * * *", "", NOW, "2026-11-28T14:00:00Z");
    check("TZ=America/New_York 0 9 * * *", "", NOW, "2026-11-28T14:00:00Z");
    check("CRON_TZ=America/New_York 0 9 * * *", "America/New_York", NOW, "2026-11-28T14:00:00Z");
    check("TZ=Europe/Berlin @daily", "", NOW, "2026-11-28T23:00:00Z");
    check(" CRON_TZ=UTC \t 0 9 * * *", "", NOW, "2026-11-28T09:00:00Z");
    // An empty one says nothing.
    check("TZ= 0 9 * * *", "Europe/Berlin", NOW, "2026-11-28T08:00:00Z");
}

#[test]
fn two_zones_that_differ_are_refused() {
    refused("CRON_TZ=America/New_York 0 9 * * *", "Europe/Berlin");
    refused("CRON_TZ=Europe/Berlin 0 9 * * *", "UTC");
    refused("TZ=UTC 0 9 * * *", "Etc/UTC");
    refused("TZ=Europe/Berlin @daily", "Europe/Paris");
}

#[test]
fn a_zone_needs_a_plain_space_and_upper_case() {
    refused("TZ=UTC", "");
    refused("TZ=UTC\t0 9 * * *", "");
    refused("tz=UTC 0 9 * * *", "");
    refused("Cron_TZ=UTC 0 9 * * *", "");
    refused("TZ=Europe/Berlin TZ=Europe/Berlin 0 9 * * *", "");
    refused("TZ=Nowhere 0 9 * * *", "");
    refused("TZ=UTC# 0 9 * * *", "");
}

#[test]
fn zones_are_exact_iana_names_and_an_empty_one_is_utc() {
    check("0 9 * * *", "", NOW, "2026-11-28T09:00:00Z");
    check("0 9 * * *", "UTC", NOW, "2026-11-28T09:00:00Z");
    check("0 9 * * *", "Factory", NOW, "2026-11-28T09:00:00Z");
    check("0 9 * * *", "Europe/Berlin", NOW, "2026-11-28T08:00:00Z");
    check("0 9 * * *", "US/Eastern", NOW, "2026-11-28T14:00:00Z");
    check("0 9 * * *", "EST", NOW, "2026-11-28T14:00:00Z");
    check("0 9 * * *", "Etc/GMT+5", NOW, "2026-11-28T14:00:00Z");
    check("0 9 * * *", "GMT-0", NOW, "2026-11-28T09:00:00Z");
    let wrong = [
        "utc",
        "utc ",
        " UTC",
        "Europe/Nowhere",
        "europe/berlin",
        "EUROPE/BERLIN",
        "Europe",
        "Europe/Berlin ",
        "/Europe/Berlin",
        "../Europe/Berlin",
        "+01:00",
        "CET2",
        "BST",
        // A server with such files on its machine takes these; only that server knows what they
        // mean.
        "Local",
        "localtime",
        "posix/Europe/Berlin",
        "Europe//Berlin",
    ];
    for zone in wrong {
        refused("* * * * *", zone);
    }
}

#[test]
fn a_comment_begins_at_the_first_hash() {
    // `MON#2` is every Monday.
    check_all("0 9 * * MON#2", "", NOW, &["2026-11-30T09:00:00Z", "2026-12-07T09:00:00Z"]);
    check("0 9 * * MONDAY", "", NOW, "2026-11-30T09:00:00Z");
    check("0 9 * * * # every morning # really", "", NOW, "2026-11-28T09:00:00Z");
    check("0 9 * * *#2030", "", NOW, "2026-11-28T09:00:00Z");
    refused("# 0 9 * * *", "");
    refused("0 9 * * #MON", "");
}

#[test]
fn a_comment_has_at_most_200_bytes() {
    let with = |comment: &str| format!("0 9 * * * # {comment} ");
    check(&with(&"x".repeat(200)), "", NOW, "2026-11-28T09:00:00Z");
    refused(&with(&"x".repeat(201)), "");
    check(&with(&"é".repeat(100)), "", NOW, "2026-11-28T09:00:00Z");
    refused(&with(&"é".repeat(101)), "");
    // That of an interval is not kept.
    check(&format!("@every 5m # {}", "x".repeat(201)), "", NOW, "2026-11-28T03:40:00Z");
}

#[test]
fn five_to_seven_fields_between_any_blanks() {
    check(" 0  9 \t* * * ", "UTC", NOW, "2026-11-28T09:00:00Z");
    check("0\u{a0}9\u{2003}*\u{3000}* *\n", "UTC", NOW, "2026-11-28T09:00:00Z");
    for wrong in ["", " ", "* * * *", "* * * * * * * *", "\u{feff}0 9 * * *", "0\u{200b}9 * * *"] {
        refused(wrong, "UTC");
    }
    never("0 9 31 2 *", "UTC", NOW);
}
