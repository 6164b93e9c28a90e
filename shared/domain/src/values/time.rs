//! One type for every time: whole milliseconds since 1970 in UTC, from the clock or read from text.

use crate::values::schema::described;
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// One second in milliseconds.
pub const SECOND: i64 = 1000;
/// Milliseconds in a minute, an hour and a day.
pub const MINUTE: i64 = 60_000;
/// Milliseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Milliseconds in a day.
pub const DAY: i64 = 24 * HOUR;

/// A point in time, in whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest time the event contract allows: 2015-01-01T00:00:00Z.
    pub const EARLIEST: Self = Self(1_420_070_400_000);

    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with any offset and cuts it to milliseconds. A leap second (`:60`, in any minute) is the start of
    /// the next minute. A blank for the `T` and what is no year of four digits in UTC are refused.
    pub fn parse(text: &str) -> Option<Self> {
        let separator = text.is_ascii() && matches!(text.as_bytes().get(10), Some(b'T' | b't'));
        let time = match Self::without_leap_second(text) {
            Some(second_59) => Self::parse_seconds(&second_59)?.floor_to_minute().plus(MINUTE),
            None => Self::parse_seconds(text)?,
        };
        // An offset, or a leap second, can lead out of the years that can be printed again.
        let printable = time.to_chrono().is_some_and(|time| (0..=9999).contains(&time.year()));
        (separator && printable).then_some(time)
    }

    /// The same text with second 59 instead of 60; `None` for a text with another second.
    fn without_leap_second(text: &str) -> Option<String> {
        let (before, second, after) = (text.get(..17)?, text.get(17..19)?, text.get(19..)?);
        (second == "60").then(|| format!("{before}59{after}"))
    }

    fn parse_seconds(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|time| Self(time.timestamp_millis()))
    }

    /// This time moved by a number of milliseconds; saturates at the ends of the range.
    pub const fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The start of its minute.
    pub const fn floor_to_minute(self) -> Self {
        Self(self.0 - self.0.rem_euclid(MINUTE))
    }

    /// The start of its hour.
    pub const fn floor_to_hour(self) -> Self {
        Self(self.0 - self.0.rem_euclid(HOUR))
    }

    /// Its UTC day.
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(DAY))
    }

    /// Its UTC hour.
    pub const fn hour(self) -> Hour {
        Hour(self.0.div_euclid(HOUR))
    }

    /// Its UTC minute.
    pub const fn minute(self) -> Minute {
        Minute(self.0.div_euclid(MINUTE))
    }

    /// Second within its minute, 0 to 59.
    pub const fn second_of_minute(self) -> i64 {
        self.0.rem_euclid(MINUTE) / SECOND
    }

    /// Minute within its hour, 0 to 59.
    pub const fn minute_of_hour(self) -> i64 {
        self.0.rem_euclid(HOUR) / MINUTE
    }

    /// As a date and time of the `chrono` crate; `None` outside its range of years.
    fn to_chrono(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }
}

/// RFC 3339 with a `Z`: whole seconds where the value has no fraction, else milliseconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = if self.0.rem_euclid(1000) == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
        let time = self.to_chrono().unwrap_or(DateTime::UNIX_EPOCH);
        f.write_str(&time.to_rfc3339_opts(format, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

described!(Timestamp, {
    "type": "string", "format": "date-time",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z$",
});

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not an RFC 3339 time"))
    }
}

/// A UTC day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

impl Day {
    /// Midnight at its start.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 * DAY)
    }

    /// Its calendar date.
    pub fn date(self) -> NaiveDate {
        self.start().to_chrono().unwrap_or(DateTime::UNIX_EPOCH).date_naive()
    }

    /// Its month.
    pub fn month(self) -> Month {
        let date = self.date();
        Month { year: date.year(), month: date.month() }
    }

    /// As eight digits: year, month, day.
    pub fn digits(self) -> String {
        let date = self.date();
        format!("{:04}{:02}{:02}", date.year(), date.month(), date.day())
    }

    /// Reads eight digits.
    pub fn parse(text: &str) -> Option<Self> {
        let month = Month { year: text.get(..4)?.parse().ok()?, month: text.get(4..6)?.parse().ok()? };
        month.day(text.get(6..8)?.parse::<u32>().ok()?.checked_sub(1)?)
    }

    /// Its first hour.
    pub const fn first_hour(self) -> Hour {
        Hour(self.0 * 24)
    }
}

/// A UTC hour, counted from 1970-01-01T00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub i64);

impl Hour {
    /// Its first millisecond.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 * HOUR)
    }

    /// As ten digits: those of its day, and the hour.
    pub fn digits(self) -> String {
        let date = self.day().date();
        format!("{:04}{:02}{:02}{:02}", date.year(), date.month(), date.day(), self.0.rem_euclid(24))
    }

    /// Reads ten digits.
    pub fn parse(text: &str) -> Option<Self> {
        let day = Day::parse(text.get(..8)?)?;
        let hour = text.get(8..)?.parse::<i64>().ok().filter(|hour| (0..24).contains(hour))?;
        Some(Self(day.first_hour().0 + hour))
    }

    /// The day it lies in.
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(24))
    }
}

/// A UTC minute, counted from 1970-01-01T00:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub i64);

impl Minute {
    /// Its first millisecond.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 * MINUTE)
    }

    /// As twelve digits: those of its hour, and the minute.
    pub fn digits(self) -> String {
        format!("{}{:02}", self.start().hour().digits(), self.start().minute_of_hour())
    }

    /// Reads twelve digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hour = Hour::parse(text.get(..10)?)?;
        let minute = text.get(10..)?.parse::<i64>().ok().filter(|minute| (0..60).contains(minute))?;
        Some(hour.start().plus(minute * MINUTE).minute())
    }
}

/// A calendar month in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    /// The year, such as 2026.
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
}

impl Month {
    /// The month after it.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.month < 12 {
            Self { year: self.year, month: self.month + 1 }
        } else {
            Self { year: self.year + 1, month: 1 }
        }
    }

    /// Its n-th day, counted from 0; `None` past its end.
    pub fn day(self, index: u32) -> Option<Day> {
        let date = NaiveDate::from_ymd_opt(self.year, self.month, index.checked_add(1)?)?;
        Some(Day(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis().div_euclid(DAY)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn january_follows_december() {
        let december = Month { year: 2026, month: 12 };
        assert_eq!(december.next(), Month { year: 2027, month: 1 });
        assert_eq!(december.next().next(), Month { year: 2027, month: 2 });
    }

    #[test]
    fn times_are_kept_in_utc_cut_to_milliseconds_and_printed_as_the_contract_says() {
        for (text, printed) in [
            ("2024-01-15T10:00:04.1209Z", "2024-01-15T10:00:04.120Z"),
            ("2024-01-15t10:00:04.000z", "2024-01-15T10:00:04Z"),
            ("2024-01-15T12:30:04+02:30", "2024-01-15T10:00:04Z"),
            ("2024-02-28T23:59:60+00:00", "2024-02-29T00:00:00Z"),
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), printed);
        }
        for refused in [
            "2024-01-15 10:00:04Z",
            "2024-01-15T10:00:04",
            "2024-02-30T00:00:00Z",
            "2024-01-15T10:00:00\u{2212}05:00",
        ] {
            assert_eq!(Timestamp::parse(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_leap_second_is_the_start_of_the_next_minute_and_its_fraction_is_dropped() {
        for (text, printed) in [
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("2017-01-01T05:29:60.999+05:30", "2017-01-01T00:00:00Z"),
            ("2024-01-15T10:07:60.5z", "2024-01-15T10:08:00Z"),
            ("2014-12-31T23:59:60Z", "2015-01-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), printed);
        }
        for refused in [
            "2024-01-15T10:07:61Z",
            "2024-01-15T10:60:60Z",
            "2024-01-15T10:07:60.Z",
            "2024-01-15T10:07:60",
            "9999-12-31T23:59:60Z",
        ] {
            assert_eq!(Timestamp::parse(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_minute_is_twelve_digits_and_knows_its_seconds() {
        let time = Timestamp::parse("2026-03-31T09:05:59.999Z").unwrap();
        assert_eq!((time.minute().digits(), time.second_of_minute()), ("202603310905".to_owned(), 59));
        assert_eq!(time.minute().start().to_string(), "2026-03-31T09:05:00Z");
        assert_eq!(Minute::parse("202603310905"), Some(time.minute()));
        for other in ["2026033109", "202603310960", "2026033109-1", "20260331090x"] {
            assert_eq!(Minute::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_day_knows_its_month_and_a_month_its_days() {
        let leap = Timestamp::parse("2024-02-29T23:59:59.999Z").unwrap().day();
        assert_eq!(leap.month(), Month { year: 2024, month: 2 });
        assert_eq!(leap.month().day(28), Some(leap));
        assert_eq!(leap.month().day(29), None);
    }
}
