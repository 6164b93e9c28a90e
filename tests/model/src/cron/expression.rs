//! Reading a cron string as Temporal does. Everywhere `None` means: Temporal refuses it.

use super::calendar::ModelCalendar;
use super::field::{self, FieldKind};
use super::interval::ModelInterval;

/// The comment that follows a `#` is kept by Temporal, up to this many bytes.
const MOST_COMMENT_BYTES: usize = 200;

pub(super) enum Rule {
    Calendar(ModelCalendar),
    Interval(ModelInterval),
}

/// The rule, and the zone of a leading `CRON_TZ=` or `TZ=` (empty without one).
pub(super) fn read(cron: &str) -> Option<(Rule, String)> {
    let (zone, rest) = split_zone(cron.trim())?;
    let (text, comment) = rest.split_once('#').unwrap_or((rest, ""));
    let text = text.trim();
    if text.starts_with("@every") {
        // Neither the zone nor the comment of an interval is read: `TZ=Nowhere @every 5m` is fine.
        return Some((Rule::Interval(interval(text)?), String::new()));
    }
    let calendar = calendar(macro_or_fields(text))?;
    (comment.trim().len() <= MOST_COMMENT_BYTES).then(|| (Rule::Calendar(calendar), zone.to_owned()))
}

/// A zone ends at the first plain space; there must be one.
fn split_zone(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ=")) {
        Some(named) => named.split_once(' '),
        None => Some(("", text)),
    }
}

/// `@every <interval>[/<phase>]`; anything may stand between `@every` and the first plain space.
fn interval(text: &str) -> Option<ModelInterval> {
    let (_, durations) = text.split_once(' ')?;
    let (interval, phase) = durations.split_once('/').unwrap_or((durations, ""));
    ModelInterval::new(interval, phase)
}

fn macro_or_fields(text: &str) -> &str {
    match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => text,
    }
}

fn calendar(text: &str) -> Option<ModelCalendar> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    // "five, six (year last) or seven fields (seconds first, year last)"
    let (second, [minute, hour, day, month, weekday], year) = match fields[..] {
        [minute, hour, day, month, weekday] => ("0", [minute, hour, day, month, weekday], "*"),
        [minute, hour, day, month, weekday, year] => ("0", [minute, hour, day, month, weekday], year),
        [second, minute, hour, day, month, weekday, year] => {
            (second, [minute, hour, day, month, weekday], year)
        }
        _ => return None,
    };
    Some(ModelCalendar {
        seconds: field::values(second, FieldKind::MinuteOrSecond)?,
        minutes: field::values(minute, FieldKind::MinuteOrSecond)?,
        hours: field::values(hour, FieldKind::Hour)?,
        days: field::values(day, FieldKind::DayOfMonth)?,
        months: field::values(month, FieldKind::Month)?,
        weekdays: field::values(weekday, FieldKind::Weekday)?,
        years: field::values(year, FieldKind::Year)?,
    })
}
