//! The search for the next wall clock time that matches all fields, from the year inwards.
//!
//! Temporal searches wall clock times, not instants: a reading is carried from field to field, and
//! becomes an instant at the end. What happens at clock changes follows from this search, so it is
//! done step by step the same way: where a reading is checked, and where a search begins anew,
//! decides which times fire.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, Timelike};

use super::LAST_YEAR;
use super::zone::ModelZone;

const HOUR: i64 = 3600;

pub(super) struct ModelCalendar {
    pub(super) seconds: BTreeSet<u32>,
    pub(super) minutes: BTreeSet<u32>,
    pub(super) hours: BTreeSet<u32>,
    pub(super) days: BTreeSet<u32>,
    pub(super) months: BTreeSet<u32>,
    /// Sunday is 0.
    pub(super) weekdays: BTreeSet<u32>,
    pub(super) years: BTreeSet<u32>,
}

/// A wall clock time under trial.
#[derive(Clone, Copy)]
struct Reading {
    date: NaiveDate,
    hour: u32,
    minute: u32,
    second: u32,
    /// Seconds to add to the instant: an hour in what Temporal takes for the second copy of a
    /// repeated hour.
    shift: i64,
}

/// What came of one pass over the fields.
enum Pass {
    Fires(i64),
    /// A field ran out of values; the next pass begins at the reading reached.
    Again,
}

impl ModelCalendar {
    /// The first firing after this second.
    pub(super) fn next(&self, after: i64, zone: ModelZone) -> Option<i64> {
        let mut reading = Reading::after(after, zone)?;
        while reading.date.year() <= LAST_YEAR {
            if let Pass::Fires(instant) = self.pass(&mut reading, zone)? {
                return Some(instant);
            }
        }
        None
    }

    fn pass(&self, reading: &mut Reading, zone: ModelZone) -> Option<Pass> {
        if !self.find_day(reading, zone)? {
            return Some(Pass::Again);
        }
        match first_from(&self.hours, reading.hour) {
            Some(hour) if hour == reading.hour => {}
            Some(hour) => *reading = Reading::start_of_hour(reading.date, hour),
            None => {
                *reading = Reading::start_of_hour(tomorrow(reading.date)?, 0);
                return Some(Pass::Again);
            }
        }
        let minute = first_from(&self.minutes, reading.minute);
        if minute != Some(reading.minute) {
            reading.second = 0;
        }
        let Some(minute) = minute else {
            reading.end_hour(zone)?;
            return Some(Pass::Again);
        };
        reading.minute = minute;
        let Some(second) = first_from(&self.seconds, reading.second) else {
            reading.end_minute(zone)?;
            return Some(Pass::Again);
        };
        reading.second = second;

        let instant = reading.instant(zone)?;
        if zone.wall_clock(instant)?.hour() != reading.hour {
            // The clock skips this time: on with the next hour, and whatever was to be added
            // stays.
            reading.go_to_next_hour()?;
            return Some(Pass::Again);
        }
        Some(Pass::Fires(instant + reading.shift))
    }

    /// Moves the reading to the first day that matches, in this year and month. The weekday is
    /// that of the instant, and only the first hour under trial is asked for it: where midnight is
    /// skipped, a day has the wrong weekday.
    fn find_day(&self, reading: &mut Reading, zone: ModelZone) -> Option<bool> {
        let date = reading.date;
        let year = date.year();
        if !self.years.contains(&u32::try_from(year).ok()?) {
            *reading = Reading::start_of_hour(NaiveDate::from_ymd_opt(year + 1, 1, 1)?, 0);
            return Some(false);
        }
        let Some(month) = first_from(&self.months, date.month()) else {
            *reading = Reading::start_of_hour(NaiveDate::from_ymd_opt(year + 1, 1, 1)?, 0);
            return Some(false);
        };
        if month != date.month() {
            *reading = Reading::start_of_hour(NaiveDate::from_ymd_opt(year, month, 1)?, 0);
        }
        while reading.date.month() == month {
            let weekday = zone.wall_clock(reading.instant(zone)?)?.weekday().num_days_from_sunday();
            // "Both day fields must match where both are given."
            if self.days.contains(&reading.date.day()) && self.weekdays.contains(&weekday) {
                return Some(true);
            }
            *reading = Reading::start_of_hour(tomorrow(reading.date)?, 0);
        }
        Some(false)
    }
}

impl Reading {
    /// The second after this one.
    fn after(second: i64, zone: ModelZone) -> Option<Reading> {
        let wall_clock = zone.wall_clock(second)?;
        let hour = wall_clock.hour();
        let hour_before = zone.wall_clock(second - HOUR)?.hour();
        let mut reading = Reading {
            date: wall_clock.date(),
            hour,
            minute: wall_clock.minute(),
            second: wall_clock.second() + 1,
            shift: if hour_before == hour { HOUR } else { 0 },
        };
        if reading.second == 60 {
            reading.end_minute(zone)?;
        }
        Some(reading)
    }

    fn start_of_hour(date: NaiveDate, hour: u32) -> Reading {
        Reading { date, hour, minute: 0, second: 0, shift: 0 }
    }

    fn wall_clock(&self) -> Option<NaiveDateTime> {
        self.date.and_hms_opt(self.hour, self.minute, self.second)
    }

    fn instant(&self, zone: ModelZone) -> Option<i64> {
        Some(zone.instant(self.wall_clock()?))
    }

    fn end_minute(&mut self, zone: ModelZone) -> Option<()> {
        self.second = 0;
        self.minute += 1;
        if self.minute == 60 { self.end_hour(zone) } else { Some(()) }
    }

    /// On to the next hour; but if the clock takes longer than an hour to get there, this one is
    /// searched once more, an hour later.
    fn end_hour(&mut self, zone: ModelZone) -> Option<()> {
        let begin = Reading::start_of_hour(self.date, self.hour);
        let mut end = begin;
        end.go_to_next_hour()?;
        let is_repeated = self.shift == 0 && end.instant(zone)? - begin.instant(zone)? > HOUR;
        *self = if is_repeated { Reading { shift: HOUR, ..begin } } else { end };
        Some(())
    }

    fn go_to_next_hour(&mut self) -> Option<()> {
        (self.minute, self.second) = (0, 0);
        self.hour += 1;
        if self.hour == 24 {
            (self.date, self.hour) = (tomorrow(self.date)?, 0);
        }
        Some(())
    }
}

fn tomorrow(date: NaiveDate) -> Option<NaiveDate> {
    date.checked_add_days(Days::new(1))
}

fn first_from(values: &BTreeSet<u32>, least: u32) -> Option<u32> {
    values.range(least..).next().copied()
}
