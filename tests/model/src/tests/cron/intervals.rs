//! `@every <interval>[/<phase>]`.

use super::{check, check_all, never, refused};

const NOW: &str = "2026-11-28T03:37:00Z";

#[test]
fn intervals_count_from_the_epoch() {
    let expected = ["2026-11-28T08:00:00Z", "2026-11-28T14:00:00Z", "2026-11-28T20:00:00Z"];
    check_all("@every 6h/2h", "", NOW, &expected);
    check_all("@every 90s", "", NOW, &["2026-11-28T03:37:30Z", "2026-11-28T03:39:00Z"]);
    check("@every 90s", "", "2026-11-28T03:37:29.999Z", "2026-11-28T03:37:30Z");
    check("@every 90s", "", "2026-11-28T03:37:30Z", "2026-11-28T03:39:00Z");
    // 1970-01-01 was a Thursday, and so is each seventh day from there.
    check("@every 7d", "", NOW, "2026-12-03T00:00:00Z");
    check("@every 7d/3d", "", NOW, "2026-11-29T00:00:00Z");
    check("@every 1d/9h", "Europe/Berlin", NOW, "2026-11-28T09:00:00Z");
}

#[test]
fn durations_are_read_as_go_reads_them() {
    check("@every 1h30m", "", NOW, "2026-11-28T04:30:00Z"); // 16 times a day
    check("@every .5h", "", NOW, "2026-11-28T04:00:00Z");
    check("@every 1.h", "", NOW, "2026-11-28T04:00:00Z");
    check("@every +5m", "", NOW, "2026-11-28T03:40:00Z");
    check("@every 5m0s", "", NOW, "2026-11-28T03:40:00Z");
    check("@every 300000ms", "", NOW, "2026-11-28T03:40:00Z");
    check("@every 4m59s999999µs1000ns", "", NOW, "2026-11-28T03:40:00Z");
    check("@every 0.5d", "", NOW, "2026-11-28T12:00:00Z");
    check("@every 0d12h", "", NOW, "2026-11-28T12:00:00Z");
    // Days become hours of six decimals: 0.00001157 days are 0.999648 seconds, but 0.000278 hours
    // are 1.0008.
    check("@every 0.00001157d", "", NOW, "2026-11-28T03:37:01Z");
    refused("@every 0.00001156d", "");
    // What is behind the second is cut: each second.
    check("@every 1.5s", "", NOW, "2026-11-28T03:37:01Z");
    check("@every 1.5s/999ms", "", NOW, "2026-11-28T03:37:01Z");
}

#[test]
fn phases() {
    check("@every 5m/", "", NOW, "2026-11-28T03:40:00Z");
    check("@every 5m/0", "", NOW, "2026-11-28T03:40:00Z");
    check("@every 5m/-0", "", NOW, "2026-11-28T03:40:00Z");
    check("@every 5m/299s", "", NOW, "2026-11-28T03:39:59Z");
    check("@every 5m/299.9s", "", NOW, "2026-11-28T03:39:59Z");
    for wrong in ["5m/5m", "5m/300s", "5m/-1s", "5m/1m/1m", "5m/x", "5m/ 1m"] {
        refused(&format!("@every {wrong}"), "");
    }
}

#[test]
fn what_stands_around_an_interval() {
    check("@every 5m # often", "", NOW, "2026-11-28T03:40:00Z");
    check("@everyfive 5m", "", NOW, "2026-11-28T03:40:00Z");
    // Its own zone is not even read, the schedule's must exist.
    check("TZ=Nowhere @every 5m", "", NOW, "2026-11-28T03:40:00Z");
    check("TZ=Europe/Paris @every 5m", "Europe/Berlin", NOW, "2026-11-28T03:40:00Z");
    refused("@every 5m", "Nowhere");
}

#[test]
fn an_interval_that_never_fires() {
    // 292 years are the longest that Go's durations hold.
    never("@every 2562047h", "", NOW);
    refused("@every 2562048h", "");
    // A phase that lies ahead is passed over, and what follows it is after 2100.
    never("@every 876000h/800000h", "", NOW);
}

#[test]
fn what_temporal_refuses() {
    let wrong = [
        "",
        " ",
        " 5m",
        "5m ago",
        "0",
        "0s",
        "-5m",
        "999ms",
        "90",
        "5",
        "1w",
        "1D",
        "1 h",
        "1h 30m",
        "h",
        ".h",
        ".",
        "1..h",
        "1.2.3h",
        "1h-30m",
        "5dh",
        "1e3s",
        "inf",
        "５m",
        "99999999999999999999s",
    ];
    for durations in wrong {
        refused(&format!("@every {durations}"), "");
    }
    refused("@every", "");
    refused("@every\t5m", "");
    refused("@EVERY 5m", "");
}
