//! Reading one field of a cron expression: a list of `*`, `a`, `a-b`, each with an optional `/n`.

use std::collections::BTreeSet;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

const SUNDAY_AS_7: i64 = 7;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldKind {
    MinuteOrSecond,
    Hour,
    DayOfMonth,
    Month,
    Weekday,
    Year,
}

impl FieldKind {
    /// The least and the greatest value that a field may name.
    fn bounds(self) -> (i64, i64) {
        match self {
            FieldKind::MinuteOrSecond => (0, 59),
            FieldKind::Hour => (0, 23),
            FieldKind::DayOfMonth => (1, 31),
            FieldKind::Month => (1, 12),
            FieldKind::Weekday => (0, SUNDAY_AS_7),
            FieldKind::Year => (2000, 2100),
        }
    }

    /// "names of months and days in any case, cut anywhere from the third letter of a month and
    /// the second of a day on": the value of the first name, the names, and how many bytes are
    /// enough.
    fn names(self) -> (i64, &'static [&'static str], usize) {
        match self {
            FieldKind::Month => (1, &MONTHS, 3),
            FieldKind::Weekday => (0, &WEEKDAYS, 2),
            FieldKind::MinuteOrSecond | FieldKind::Hour | FieldKind::DayOfMonth | FieldKind::Year => {
                (0, &[], 0)
            }
        }
    }
}

/// All values that the field names; Sunday is 0. `None`: Temporal refuses the field.
pub(super) fn values(text: &str, kind: FieldKind) -> Option<BTreeSet<u32>> {
    let mut all = BTreeSet::new();
    for item in text.split(',') {
        let range = Range::read(item, kind)?;
        all.extend(range.values(kind)?);
    }
    Some(all)
}

struct Range {
    first: i64,
    last: i64,
    step: i64,
}

impl Range {
    fn read(item: &str, kind: FieldKind) -> Option<Range> {
        let (least, most) = kind.bounds();
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, Some(step.parse::<i64>().ok().filter(|step| *step >= 1)?)),
            None => (item, None),
        };
        let (first, last) = if base == "*" {
            (least, most)
        } else if let Some((first, last)) = base.split_once('-') {
            let first = value(first, kind, least)?;
            // A backward range is refused, also by name: `sat-sun` is 6-0.
            (first, value(last, kind, first)?)
        } else {
            let first = value(base, kind, least)?;
            // `a/n` goes on to the end.
            (first, if step.is_some() { most } else { first })
        };
        Some(Range { first, last, step: step.unwrap_or(1) })
    }

    fn values(&self, kind: FieldKind) -> Option<Vec<u32>> {
        let Range { first, mut last, step } = *self;
        let mut sunday = false;
        if kind == FieldKind::Weekday && last == SUNDAY_AS_7 {
            let holds_7 = (SUNDAY_AS_7 - first) % step == 0;
            // Temporal's own oddity: `1-7` and `1/1` become Monday to Saturday, without the
            // Sunday.
            sunday = holds_7 && (step > 1 || first > 1);
            last = 6;
        }
        // Temporal keeps a step in 32 bits, and a step of 0 as 1: `*/4294967296` is `*`.
        let step = match step as i32 {
            negative if negative < 0 => return None,
            0 => 1,
            step => usize::try_from(step).ok()?,
        };
        let range = (first..=last).step_by(step).chain(sunday.then_some(0));
        range.map(|value| u32::try_from(value).ok()).collect()
    }
}

/// A name, or an integer as Go reads one (with a sign, if any: `+5`), between `least` and the
/// field's greatest.
fn value(text: &str, kind: FieldKind, least: i64) -> Option<i64> {
    let (first, names, enough) = kind.names();
    // Letter by letter as Go does: `İ` is an `i`, where Rust alone would make two characters of
    // it.
    let lower: String = text.chars().filter_map(|letter| letter.to_lowercase().next()).collect();
    let named = names.iter().position(|name| text.len() >= enough && name.starts_with(&lower));
    let value = match named {
        Some(at) => first + i64::try_from(at).ok()?,
        None => text.parse().ok()?,
    };
    (least..=kind.bounds().1).contains(&value).then_some(value)
}
