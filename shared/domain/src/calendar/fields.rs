//! The fields of a cron string as sets of numbers.

/// The text of each field.
pub(super) struct Texts<'a> {
    pub(super) second: &'a str,
    pub(super) minute: &'a str,
    pub(super) hour: &'a str,
    pub(super) day: &'a str,
    pub(super) month: &'a str,
    pub(super) weekday: &'a str,
    pub(super) year: &'a str,
}

/// The numbers that each field allows. A time matches where all of them do, both days included.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) seconds: NumberSet,
    pub(super) minutes: NumberSet,
    pub(super) hours: NumberSet,
    pub(super) days: NumberSet,
    pub(super) months: NumberSet,
    /// 0 is Sunday.
    pub(super) weekdays: NumberSet,
    pub(super) years: NumberSet,
}

impl Fields {
    /// `None` where Temporal refuses a field.
    pub(super) fn read(texts: &Texts<'_>) -> Option<Self> {
        Some(Self {
            seconds: SECOND_OR_MINUTE.read(texts.second)?,
            minutes: SECOND_OR_MINUTE.read(texts.minute)?,
            hours: HOUR.read(texts.hour)?,
            days: DAY.read(texts.day)?,
            months: MONTH.read(texts.month)?,
            weekdays: WEEKDAY.read(texts.weekday)?,
            years: YEAR.read(texts.year)?,
        })
    }
}

/// A set of numbers, none of which is over 127 more than the least that its field allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumberSet {
    least: i64,
    bits: u128,
}

impl NumberSet {
    fn insert(&mut self, number: i64) {
        let bit = u32::try_from(number - self.least).ok().and_then(|place| 1_u128.checked_shl(place));
        self.bits |= bit.unwrap_or(0);
    }

    /// The least of its numbers from `number` on.
    pub(super) fn at_or_after(&self, number: i64) -> Option<i64> {
        let place = u32::try_from((number - self.least).max(0)).ok()?;
        let rest = self.bits.checked_shr(place)?;
        (rest != 0).then(|| self.least + i64::from(place + rest.trailing_zeros()))
    }

    /// Whether it has this number.
    pub(super) fn contains(&self, number: i64) -> bool {
        self.at_or_after(number) == Some(number)
    }
}

/// What a field may hold.
struct FieldKind {
    least: i64,
    greatest: i64,
    /// In the order of their numbers, from `least` on.
    names: &'static [&'static str],
    /// Bytes that a name must have at least.
    shortest_name: usize,
    /// Whether the greatest number is another name for 0.
    wraps: bool,
}

const SECOND_OR_MINUTE: FieldKind = FieldKind::numbers(0, 59);
const HOUR: FieldKind = FieldKind::numbers(0, 23);
const DAY: FieldKind = FieldKind::numbers(1, 31);
const YEAR: FieldKind = FieldKind::numbers(2000, 2100);
const MONTH: FieldKind = FieldKind { names: &MONTHS, shortest_name: 3, ..FieldKind::numbers(1, 12) };
const WEEKDAY: FieldKind =
    FieldKind { names: &WEEKDAYS, shortest_name: 2, wraps: true, ..FieldKind::numbers(0, 7) };

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

/// A step is stored in 32 bits: see [`FieldKind::insert_range`].
const STEP_BITS: i64 = 1 << 32;

impl FieldKind {
    const fn numbers(least: i64, greatest: i64) -> Self {
        Self { least, greatest, names: &[], shortest_name: 0, wraps: false }
    }

    /// Reads a list of ranges.
    fn read(&self, text: &str) -> Option<NumberSet> {
        let mut set = NumberSet { least: self.least, bits: 0 };
        for part in text.split(',') {
            self.insert_part(part, &mut set)?;
        }
        Some(set)
    }

    /// Reads `*`, `a`, `a-b`, each with an optional `/step`; `a/step` ends with the greatest
    /// number.
    fn insert_part(&self, part: &str, set: &mut NumberSet) -> Option<()> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(integer(step).filter(|step| *step >= 1)?)),
            None => (part, None),
        };
        let (first, last) = match (range, range.split_once('-')) {
            ("*", _) => (self.least, self.greatest),
            (_, Some((first, last))) => (self.number(first)?, self.number(last)?),
            (_, None) => {
                let first = self.number(range)?;
                (first, if step.is_some() { self.greatest } else { first })
            }
        };
        if first > last {
            return None;
        }
        self.insert_range(first, last, step.unwrap_or(1), set)
    }

    /// Every `step`-th number of a range.
    ///
    /// Two peculiarities of Temporal. A range that reaches 7, a Sunday, takes in 0 only if it began
    /// after 1 or has a step, so `1-7` leaves Sunday out. And only the lower 32 bits of a step are
    /// kept: it refuses those that are negative then, and takes 0 for 1.
    fn insert_range(&self, first: i64, mut last: i64, step: i64, set: &mut NumberSet) -> Option<()> {
        if self.wraps && last == self.greatest {
            if (last - first) % step == 0 && (step > 1 || first > 1) {
                set.insert(0);
            }
            last -= 1;
            if first > last {
                return Some(());
            }
        }
        let kept = step % STEP_BITS;
        if kept >= STEP_BITS / 2 {
            return None;
        }
        let mut number = first;
        while number <= last {
            set.insert(number);
            number += kept.max(1);
        }
        Some(())
    }

    /// A name that is not cut too short, or a number.
    fn number(&self, text: &str) -> Option<i64> {
        let named = || {
            let lower: String = text.chars().map(lower).collect();
            let place = self.names.iter().position(|name| name.starts_with(&lower))?;
            Some(self.least + i64::try_from(place).ok()?)
        };
        let long_enough = !self.names.is_empty() && text.len() >= self.shortest_name;
        let number = long_enough.then(named).flatten().or_else(|| integer(text))?;
        (self.least..=self.greatest).contains(&number).then_some(number)
    }
}

/// The lower case of a character, as far as it is an ASCII letter: two letters beyond ASCII have
/// one, too.
fn lower(letter: char) -> char {
    match letter {
        '\u{130}' => 'i',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    }
}

/// Digits, with or without a `+`.
fn integer(text: &str) -> Option<i64> {
    if text.starts_with('-') { None } else { text.parse().ok() }
}
