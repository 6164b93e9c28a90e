//! Temporal keeps calendars and intervals, not the cron strings that they were made from: writes them back.

use temporalio_common::protos::temporal::api::schedule::v1::{
    IntervalSpec, Range, Schedule, ScheduleSpec, StructuredCalendarSpec,
};
use torale_domain::calendar::Calendar;
use torale_domain::events::types::{MAX_SCHEDULE_CHARS, MAX_ZONE_CHARS};
use torale_domain::values::time::Timestamp;

/// When a schedule fires, as `temporal.schedule.*` events say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronSpec {
    /// A cron expression; empty if the schedule never fires again.
    pub cron: String,
    /// The name of a time zone; empty for UTC.
    pub timezone: String,
    /// Whether the expression is only the schedule's next time: no expression says all of them.
    pub is_next_time: bool,
}

impl CronSpec {
    /// The cron expression of a schedule: one that fires as its calendar or its interval does. Where there are several
    /// of them, exclusions, a beginning, an end, a jitter or a limited number of runs, it is the one time that Temporal
    /// says is next.
    pub fn of(schedule: &Schedule, next: Option<Timestamp>) -> Self {
        let limited = schedule.state.as_ref().is_some_and(|state| state.limited_actions);
        let spec = schedule.spec.as_ref().filter(|_| !limited);
        spec.and_then(expression).unwrap_or_else(|| Self::next_time(next))
    }

    fn next_time(next: Option<Timestamp>) -> Self {
        let cron = next.map(|next| {
            let text = next.plus(999).to_string();
            let number = |from: usize, to: usize| {
                text.get(from..to).map_or("0", |digits| digits.trim_start_matches('0')).to_owned()
            };
            let or_0 = |number: String| if number.is_empty() { "0".to_owned() } else { number };
            let [year, month, day, hour, minute, second] =
                [(0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19)]
                    .map(|(from, to)| or_0(number(from, to)));
            format!("{second} {minute} {hour} {day} {month} * {year} # the next time")
        });
        Self { cron: cron.unwrap_or_default(), timezone: String::new(), is_next_time: true }
    }
}

fn expression(spec: &ScheduleSpec) -> Option<CronSpec> {
    let is_more = !spec.cron_string.is_empty()
        || !spec.calendar.is_empty()
        || !spec.exclude_structured_calendar.is_empty()
        || spec.start_time.is_some()
        || spec.end_time.is_some()
        || spec.jitter.as_ref().is_some_and(|jitter| jitter.seconds != 0 || jitter.nanos != 0)
        || !spec.timezone_data.is_empty();
    if is_more {
        return None;
    }
    let cron = match (spec.structured_calendar.as_slice(), spec.interval.as_slice()) {
        ([calendar], []) => of_calendar(calendar)?,
        ([], [interval]) => of_interval(interval)?,
        _none_or_several => return None,
    };
    let timezone = spec.timezone_name.clone();
    let fits = cron.chars().count() <= MAX_SCHEDULE_CHARS && timezone.chars().count() <= MAX_ZONE_CHARS;
    // A zone that this release does not know is one whose times it can't compute.
    (fits && Calendar::read(&cron, &timezone).is_some()).then_some(CronSpec {
        cron,
        timezone,
        is_next_time: false,
    })
}

/// Five fields; six with a year, seven with seconds as well.
fn of_calendar(calendar: &StructuredCalendarSpec) -> Option<String> {
    let second = field(&calendar.second, 0, 59)?;
    let fields = [
        field(&calendar.minute, 0, 59)?,
        field(&calendar.hour, 0, 23)?,
        field(&calendar.day_of_month, 1, 31)?,
        field(&calendar.month, 1, 12)?,
        field(&calendar.day_of_week, 0, 6)?,
    ];
    // Without a year there are all of them.
    let year = if calendar.year.is_empty() { "*".to_owned() } else { field(&calendar.year, 2000, 2100)? };
    let fields = fields.join(" ");
    Some(match (second.as_str(), year.as_str()) {
        ("0", "*") => fields,
        ("0", year) => format!("{fields} {year}"),
        (second, year) => format!("{second} {fields} {year}"),
    })
}

/// A list of ranges; `None` if it is empty, since a field without ranges never matches, or has what no expression says.
fn field(ranges: &[Range], least: i32, greatest: i32) -> Option<String> {
    let parts: Option<Vec<String>> = ranges.iter().map(|range| part(range, least, greatest)).collect();
    parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join(","))
}

/// A range. Its end is its start where that is greater, its step 1 where there is none.
fn part(range: &Range, least: i32, greatest: i32) -> Option<String> {
    let (start, end, step) = (range.start, range.end.max(range.start), range.step.max(1));
    if start < least || end > greatest {
        return None;
    }
    let numbers = match (start == least && end == greatest, start == end) {
        (true, _) => "*".to_owned(),
        (false, true) => start.to_string(),
        (false, false) => format!("{start}-{end}"),
    };
    Some(if step == 1 || start == end { numbers } else { format!("{numbers}/{step}") })
}

/// `@every` with the interval and, where there is one, the phase.
fn of_interval(spec: &IntervalSpec) -> Option<String> {
    let interval = spec.interval.as_ref()?.seconds;
    let phase = spec.phase.as_ref().map_or(0, |phase| phase.seconds);
    match phase {
        _ if interval < 1 || phase < 0 => None,
        0 => Some(format!("@every {}", duration(interval))),
        phase => Some(format!("@every {}/{}", duration(interval), duration(phase))),
    }
}

/// Seconds as a person writes them: `6h`, `1h30m`, `90s` as `1m30s`.
fn duration(seconds: i64) -> String {
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    parts.iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number}{unit}")).collect()
}

#[cfg(test)]
mod tests;
