//! Times: RFC 3339 in, unix milliseconds inside, RFC 3339 in UTC out.

use chrono::{DateTime, NaiveDate};

pub(crate) const SECOND: i64 = 1000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// 2015-01-01T00:00:00Z, the earliest time that a message may name.
pub(crate) const EARLIEST: i64 = 1_420_070_400_000;

/// The second of a leap second: "`:60`, in any minute, is read as the start of the next one".
const LEAP: u32 = 60;

/// "RFC 3339, any offset; kept in UTC, cut to milliseconds". Lower-case `t` and `z` are fine, a
/// space instead of the `T` is not.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    if b.len() < 20 || !b.is_ascii() {
        return None;
    }
    let marks =
        b[4] == b'-' && b[7] == b'-' && b[10].eq_ignore_ascii_case(&b't') && b[13] == b':' && b[16] == b':';
    if !marks {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(digits(&b[0..4])?).ok()?,
        digits(&b[5..7])?,
        digits(&b[8..10])?,
    )?;
    let (hour, minute, second) = (digits(&b[11..13])?, digits(&b[14..16])?, digits(&b[17..19])?);
    let start_of_minute = date.and_hms_opt(hour, minute, 0)?.and_utc().timestamp_millis();
    let (millis, rest) = fraction(&b[19..])?;
    let in_minute = match second {
        0..LEAP => i64::from(second) * SECOND + millis,
        // "a fraction after it is dropped"
        LEAP => MINUTE,
        _ => return None,
    };
    Some(start_of_minute + in_minute - offset(rest)?)
}

/// The milliseconds of an optional `.123456`, further digits cut off, and what follows it.
fn fraction(b: &[u8]) -> Option<(i64, &[u8])> {
    if b.first() != Some(&b'.') {
        return Some((0, b));
    }
    let length = b[1..].iter().take_while(|c| c.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let three: Vec<u8> = b[1..=length].iter().copied().chain(*b"000").take(3).collect();
    Some((i64::from(digits(&three)?), &b[1 + length..]))
}

/// The offset from UTC in milliseconds: `Z`, `+01:00`, `-05:30`.
fn offset(b: &[u8]) -> Option<i64> {
    match b {
        [b'z' | b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let length = i64::from(hours) * HOUR + i64::from(minutes) * MINUTE;
            Some(if *sign == b'-' { -length } else { length })
        }
        _ => None,
    }
}

fn digits(b: &[u8]) -> Option<u32> {
    if b.iter().all(u8::is_ascii_digit) { std::str::from_utf8(b).ok()?.parse().ok() } else { None }
}

/// "RFC 3339 in UTC with a `Z`, whole seconds where the value has no fraction, else milliseconds".
pub(crate) fn show(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms).unwrap();
    let format = if ms.rem_euclid(SECOND) == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%.3fZ" };
    time.format(format).to_string()
}

fn floor(ms: i64, unit: i64) -> i64 {
    ms - ms.rem_euclid(unit)
}

/// "The last N hours": at or after `floor_to_minute(now - N hours)`. No upper bound.
pub(crate) fn window(now_ms: i64, length: i64) -> i64 {
    floor(now_ms - length, MINUTE)
}

/// Per-user windows and `active_30d`: at or after `floor_to_hour(now - window)`. No upper bound.
pub(crate) fn window_per_user(now_ms: i64, length: i64) -> i64 {
    floor(now_ms - length, HOUR)
}

/// The start of the current UTC day.
pub(crate) fn start_of_day(now_ms: i64) -> i64 {
    floor(now_ms, DAY)
}
