//! Firings of cron expressions. Every literal here was worked out by hand; those of 2027 and
//! later, and all that Temporal refuses, were also asked of a real server (1.32).

mod clock_changes;
mod expressions;
mod fields;
mod intervals;

use super::ms;
use crate::cron::{fires_after, is_accepted, next_fire};
use crate::time::show;

#[track_caller]
fn check(cron: &str, zone: &str, now: &str, expected: &str) {
    let next = next_fire(cron, zone, ms(now)).map(show);
    assert_eq!(next.as_deref(), Some(expected), "{cron} in {zone} after {now}");
}

#[track_caller]
fn check_all(cron: &str, zone: &str, now: &str, expected: &[&str]) {
    let fires: Vec<String> = fires_after(cron, zone, ms(now), expected.len()).into_iter().map(show).collect();
    assert_eq!(fires, expected, "{cron} in {zone} after {now}");
}

/// Temporal takes it, but it never fires after `now`.
#[track_caller]
fn never(cron: &str, zone: &str, now: &str) {
    assert!(is_accepted(cron, zone), "{cron} in {zone} is accepted");
    assert_eq!(next_fire(cron, zone, ms(now)), None, "{cron} in {zone} after {now}");
}

#[track_caller]
fn refused(cron: &str, zone: &str) {
    assert!(!is_accepted(cron, zone), "{cron} in {zone} is refused");
    assert_eq!(next_fire(cron, zone, ms("2027-01-15T10:30:00Z")), None, "{cron} in {zone}");
}
