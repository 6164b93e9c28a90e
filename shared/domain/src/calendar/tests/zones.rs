//! Zones inside the cron string and next to it.

use super::{NOW, fires, refused};
use crate::calendar::next_run;
use jiff::tz::TimeZoneDatabase;

#[test]
fn an_empty_zone_is_utc() {
    for zone in ["", "UTC", "Etc/UTC", "Local"] {
        fires("0 9 * * *", zone, NOW, &["2026-11-28T09:00:00Z"]);
    }
    fires("0 9 * * *", "Asia/Tokyo", NOW, &["2026-11-29T00:00:00Z"]);
}

#[test]
fn the_cron_string_may_name_the_zone() {
    for cron in
        ["CRON_TZ=Asia/Tokyo 0 9 * * *", "TZ=Asia/Tokyo 0 9 * * *", "  TZ=Asia/Tokyo   0 9 * * * # Tokyo"]
    {
        fires(cron, "", NOW, &["2026-11-29T00:00:00Z"]);
        fires(cron, "Asia/Tokyo", NOW, &["2026-11-29T00:00:00Z"]);
        refused(cron, "UTC");
    }
    fires("TZ=Asia/Tokyo @daily", "", NOW, &["2026-11-28T15:00:00Z"]);
    fires("TZ= 0 9 * * *", "Asia/Tokyo", NOW, &["2026-11-29T00:00:00Z"]);
    for cron in [
        "TZ=Asia/Tokyo",
        "TZ=Asia/Tokyo\t0 9 * * *",
        "TZ=Nowhere 0 9 * * *",
        "TZ==UTC 0 9 * * *",
        "TZ=#UTC 0 9 * * *",
        "tz=UTC 0 9 * * *",
        "0 9 * * * TZ=UTC",
        "TZ=UTC TZ=UTC 0 9 * * *",
    ] {
        refused(cron, "");
    }
}

#[test]
fn an_interval_does_not_look_at_the_zone_in_the_cron_string() {
    fires("CRON_TZ=Asia/Tokyo @every 12h", "America/New_York", NOW, &["2026-11-28T12:00:00Z"]);
    fires("TZ=Nowhere @every 12h", "", NOW, &["2026-11-28T12:00:00Z"]);
}

#[test]
fn names_of_zones_are_exact() {
    for zone in [
        "europe/berlin",
        "EUROPE/BERLIN",
        "utc",
        "local",
        "Mars/Olympus",
        "Etc/Unknown",
        "Europe",
        "+01:00",
        "UTC+1",
        " UTC",
        "UTC ",
        "Europe/Berlin/",
        "/UTC",
        "../UTC",
        "UTC\0",
    ] {
        refused("0 9 * * *", zone);
    }
}

#[test]
fn every_zone_of_the_database_is_accepted() {
    let zones: Vec<_> = TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
    assert!(zones.len() > 590, "{}", zones.len());
    for zone in zones {
        assert!(next_run("0 9 * * *", &zone, super::time(NOW)).is_some(), "{zone}");
    }
}

/// A database that ended with 2025b had these an hour off.
#[test]
fn zones_that_changed_in_2026_fire_by_their_new_rules() {
    fires("0 9 * * *", "America/Vancouver", "2026-11-23T00:00:00Z", &["2026-11-23T16:00:00Z"]);
    fires("0 9 * * *", "Africa/Casablanca", "2026-11-23T00:00:00Z", &["2026-11-23T09:00:00Z"]);
}
