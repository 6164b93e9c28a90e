//! `@every <interval>[/<phase>]`: times that are counted from 1970 on, whatever the clocks show.

const SECOND: u64 = 1_000_000_000;
/// A duration's whole nanoseconds are at most so many, on the way to its sum.
const MAX_SUM: u64 = 1 << 63;

/// The seconds `phase + n * interval` since 1970.
#[derive(Debug)]
pub(super) struct Interval {
    /// At least 1.
    interval: i64,
    /// From 0 on, less than `interval` or, where both are cut to seconds, equal.
    phase: i64,
}

impl Interval {
    /// Reads what stands behind `@every`; `None` where Temporal refuses it.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (interval, phase) = text.split_once('/').unwrap_or((text, ""));
        let interval = nanoseconds(interval)?;
        let phase = if phase.is_empty() { 0 } else { nanoseconds(phase)? };
        if interval < SECOND || phase >= interval {
            return None;
        }
        let seconds = |nanoseconds| i64::try_from(nanoseconds / SECOND).ok();
        Some(Self { interval: seconds(interval)?, phase: seconds(phase)? })
    }

    /// The first second after `now`. Before the phase the first is `phase + interval`: the division
    /// cuts towards zero.
    pub(super) fn next_after(&self, now: i64) -> Option<i64> {
        let passed = now.checked_sub(self.phase)? / self.interval;
        passed.checked_add(1)?.checked_mul(self.interval)?.checked_add(self.phase)
    }
}

/// A duration that is not negative, such as `1h30m`, `1.5h` or `2d`, in the grammar of Go's
/// durations and with days.
fn nanoseconds(text: &str) -> Option<u64> {
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut sum: u64 = 0;
    loop {
        let (number, behind) = split_where(rest, |letter| !is_numeric(letter));
        let (unit, behind) = split_where(behind, is_numeric);
        let part = match unit {
            // A day is 24 hours, of which six decimals count.
            "d" => part(&format!("{:.6}", 24.0 * decimal(number)?), HOUR)?,
            unit => part(number, length(unit)?)?,
        };
        // Go's sum of twice the greatest part is 0.
        sum = Some(sum.wrapping_add(part)).filter(|sum| *sum <= MAX_SUM)?;
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    (sum == 0 || (!negative && sum < MAX_SUM)).then_some(sum)
}

fn is_numeric(letter: char) -> bool {
    letter.is_ascii_digit() || letter == '.'
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

const HOUR: u64 = 3600 * SECOND;

/// A unit's nanoseconds.
fn length(unit: &str) -> Option<u64> {
    match unit {
        "ns" => Some(1),
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(1000),
        "ms" => Some(1_000_000),
        "s" => Some(SECOND),
        "m" => Some(60 * SECOND),
        "h" => Some(HOUR),
        _unknown => None,
    }
}

/// The number before a `d`: digits with at most one point.
fn decimal(number: &str) -> Option<f64> {
    number.parse().ok().filter(|number: &f64| number.is_finite())
}

/// So many units, in nanoseconds: whole ones exactly, the fraction as Go's floating-point numbers
/// have it.
fn part(number: &str, unit: u64) -> Option<u64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(decimals) || (whole.is_empty() && decimals.is_empty()) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    whole.checked_mul(unit)?.checked_add(fraction(decimals, unit)).filter(|sum| *sum <= MAX_SUM)
}

/// The decimals of a number of units, cut to whole nanoseconds. Decimals beyond those that fit in
/// 63 bits don't count.
#[allow(clippy::as_conversions, reason = "rounding to the nearest float and cutting back is what Go does")]
fn fraction(decimals: &str, unit: u64) -> u64 {
    let (mut number, mut scale): (u64, f64) = (0, 1.0);
    for digit in decimals.chars().filter_map(|digit| digit.to_digit(10)) {
        match number.checked_mul(10).and_then(|tens| tens.checked_add(u64::from(digit))) {
            Some(longer) if longer <= MAX_SUM => (number, scale) = (longer, scale * 10.0),
            _too_long => break,
        }
    }
    (number as f64 * (unit as f64 / scale)) as u64
}
