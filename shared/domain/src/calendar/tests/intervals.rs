//! `@every`.

use super::{NOW, fires, never_fires, refused};

#[test]
fn intervals_are_counted_from_1970_whatever_the_zone() {
    for zone in ["", "UTC", "America/New_York", "Asia/Kathmandu"] {
        fires("@every 12h", zone, NOW, &["2026-11-28T12:00:00Z", "2026-11-29T00:00:00Z"]);
    }
    fires("@every 1h", "UTC", "2026-11-28T04:00:00Z", &["2026-11-28T05:00:00Z"]);
    fires("@every 1h/59m59s", "UTC", NOW, &["2026-11-28T03:59:59Z", "2026-11-28T04:59:59Z"]);
    // 1970-01-01 was a Thursday.
    fires("@every 7d", "UTC", NOW, &["2026-12-03T00:00:00Z", "2026-12-10T00:00:00Z"]);
    fires("@every 7d/2d", "UTC", NOW, &["2026-12-05T00:00:00Z"]);
    refused("@every 1h", "Nowhere");
}

#[test]
fn durations_are_sums_of_numbers_with_units() {
    for quarter in
        ["15m", "900s", "0.25h", ".25h", "900000ms", "10m5m", "14m60s", "14m59.999999999s1ns", "+15m"]
    {
        fires(&format!("@every {quarter}"), "UTC", NOW, &["2026-11-28T03:45:00Z", "2026-11-28T04:00:00Z"]);
    }
    for micro in ["us", "\u{b5}s", "\u{3bc}s"] {
        fires(&format!("@every 60000000{micro}"), "UTC", NOW, &["2026-11-28T03:38:00Z"]);
    }
    fires("@every 0.5d", "UTC", NOW, &["2026-11-28T12:00:00Z"]);
    fires("@every 0.25d6h", "UTC", NOW, &["2026-11-28T12:00:00Z"]);
    fires("@every 1.d", "UTC", NOW, &["2026-11-29T00:00:00Z"]);
    fires("@everything 6h", "UTC", NOW, &["2026-11-28T06:00:00Z"]);
    fires("@every 6h/0", "UTC", NOW, &["2026-11-28T06:00:00Z"]);
    fires("@every 6h/-0h", "UTC", NOW, &["2026-11-28T06:00:00Z"]);
    fires("@every 6h/", "UTC", NOW, &["2026-11-28T06:00:00Z"]);
    for text in [
        "", " ", " 6h", "6", "h", ".h", "6x", "6H", "6h x", "6h/ 2h", "6h /2h", "6h/2h/1h", "/2h", "1..5h",
        "1.2.3h", "6days", "1D", ".d", "..5d", "1e3s", "6h-1h", "--6h", "+", "-", "1h1", "1,5h",
    ] {
        refused(&format!("@every {text}"), "UTC");
    }
    refused("@every", "UTC");
    refused("@every\t6h", "UTC");
}

#[test]
fn seconds_count_but_not_their_fractions() {
    fires("@every 1.9s", "UTC", NOW, &["2026-11-28T03:37:01Z", "2026-11-28T03:37:02Z"]);
    fires("@every 1h/1.9s", "UTC", NOW, &["2026-11-28T04:00:01Z"]);
    fires("@every 1.5s/1.2s", "UTC", NOW, &["2026-11-28T03:37:01Z"]);
    // A floating-point number falls short of 1800 s here, so these are 1799 s: 998,235 times since
    // 1970.
    fires("@every 0.50000000000000h", "UTC", "2026-11-28T00:00:00Z", &["2026-11-28T00:12:45Z"]);
    refused("@every 0.999999999s", "UTC");
    refused("@every 999ms", "UTC");
}

#[test]
fn intervals_are_a_second_at_least_and_phases_less_than_their_interval() {
    for refusal in ["0", "0s", "-6h", "6h/6h", "6h/7h", "6h/-1s", "1.5s/1.5s"] {
        refused(&format!("@every {refusal}"), "UTC");
    }
    fires("@every 6h/5h59m59s", "UTC", NOW, &["2026-11-28T05:59:59Z"]);
}

#[test]
fn the_longest_intervals_overflow_nothing() {
    // 292 years: the next is in 2262.
    never_fires("@every 9223372036854775807ns", "UTC", NOW);
    never_fires("@every 2562047h", "UTC", NOW);
    refused("@every 9223372036854775808ns", "UTC");
    refused("@every 2562048h", "UTC");
    refused(&format!("@every {}h", "9".repeat(240)), "UTC");
    refused(&format!("@every {}d", "9".repeat(240)), "UTC");
    // 100 years of 365 days after 1970, and, as long as the phase is to come, only after one
    // interval more.
    fires("@every 876000h", "UTC", NOW, &["2069-12-07T00:00:00Z"]);
    never_fires("@every 876000h/875999h", "UTC", NOW);
    // Go's sum of two of the greatest parts is 0.
    fires("@every 9223372036854775808ns9223372036854775808ns6h", "UTC", NOW, &["2026-11-28T06:00:00Z"]);
}
