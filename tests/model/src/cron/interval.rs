//! `@every <interval>[/<phase>]`, "from the Unix epoch", with durations as Go reads them and days
//! besides.

const SECOND_NS: i64 = 1_000_000_000;
const HOUR_NS: u128 = 3_600_000_000_000;

/// The greatest magnitude that Go's arithmetic lets pass on the way to a duration: 2^63
/// nanoseconds.
const MOST_NS: u128 = 1 << 63;

/// In whole seconds: Temporal checks the nanoseconds and then cuts them.
pub(super) struct ModelInterval {
    interval: i64,
    phase: i64,
}

impl ModelInterval {
    /// An empty phase is 0.
    pub(super) fn new(interval: &str, phase: &str) -> Option<ModelInterval> {
        let interval = nanoseconds(interval)?;
        let phase = if phase.is_empty() { 0 } else { nanoseconds(phase)? };
        let right = interval >= SECOND_NS && (0..interval).contains(&phase);
        right.then_some(ModelInterval { interval: interval / SECOND_NS, phase: phase / SECOND_NS })
    }

    /// The division drops what is behind the point, also below 0: a phase that lies ahead of
    /// `after` is passed over.
    pub(super) fn next(&self, after: i64) -> i64 {
        ((after - self.phase) / self.interval + 1) * self.interval + self.phase
    }
}

/// A sign, then `0` alone or numbers with a unit each: `1h30m`, `.5h`, `1.h`, `-1s`.
fn nanoseconds(text: &str) -> Option<i64> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !is_number(c))?;
        let (number, behind) = rest.split_at(unit_at);
        let next_at = behind.find(is_number).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(next_at);
        total += part(number, unit)?;
        if total > MOST_NS {
            return None;
        }
        rest = behind;
    }
    if negative { i64::try_from(-i128::try_from(total).ok()?).ok() } else { i64::try_from(total).ok() }
}

fn is_number(c: char) -> bool {
    c == '.' || c.is_ascii_digit()
}

/// The nanoseconds of one number with its unit.
fn part(number: &str, unit: &str) -> Option<u128> {
    let unit: u128 = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => HOUR_NS,
        // Temporal writes days as hours of six decimals before Go reads them.
        "d" => return decimal(&format!("{:.6}", 24.0 * days(number)?), HOUR_NS),
        _ => return None,
    };
    decimal(number, unit)
}

/// The value of `1`, `1.5`, `1.` or `.5`; one too great for a float is infinite and refused.
fn days(number: &str) -> Option<f64> {
    let days: f64 = if is_decimal(number) { number.parse().ok()? } else { return None };
    days.is_finite().then_some(days)
}

fn is_decimal(number: &str) -> bool {
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    digits >= 1 && number.len() - digits <= 1
}

/// Go's arithmetic: the whole part in integers, the fraction as a float.
fn decimal(number: &str, unit: u128) -> Option<u128> {
    if !is_decimal(number) {
        return None;
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let (value, scale) = fraction_of(fraction);
    let more = value as f64 * (unit as f64 / scale);
    let total = whole.checked_mul(unit)?.checked_add(more as u128)?;
    (total <= MOST_NS).then_some(total)
}

/// The digits as an integer and the power of ten below them; digits that a 63-bit integer can't
/// take are dropped.
fn fraction_of(digits: &str) -> (u128, f64) {
    let (mut value, mut scale) = (0_u128, 1.0_f64);
    for digit in digits.bytes() {
        let longer = value * 10 + u128::from(digit - b'0');
        if longer > MOST_NS || value > (MOST_NS - 1) / 10 {
            break;
        }
        (value, scale) = (longer, scale * 10.0);
    }
    (value, scale)
}
