//! The next time that matches all fields.
//!
//! The search goes by readings of the zone's clock: from the one at hand to the next that matches,
//! date first, then hour, minute and second. What makes it Temporal's is how it treats clock
//! changes, which follows from a few rules (docs/adr/0015-temporals-calendar.md):
//! - a reading that comes twice is the instant that [`Zone::instant`] says;
//! - where an hour of readings takes more than one hour, its matches are taken a second time, an hour
//!   later; so they are if the search begins in the second of two equal hours;
//! - a reading whose hour never comes is passed over, together with the rest of its hour;
//! - the weekday of a date is the one at its first reading that is looked at, which is midnight
//!   unless the search begins later. Where midnight is skipped, that may be the day before.

use super::LAST_YEAR;
use super::fields::Fields;
use super::zone::{DAY, HOUR, Zone};
use jiff::civil::Date;
use jiff::tz::Offset;

/// The first second after `now` that matches; `None` if there is none up to [`LAST_YEAR`].
pub(super) fn next_after(fields: &Fields, zone: &Zone, now: i64) -> Option<i64> {
    let mut place = Place::after(zone, now)?;
    loop {
        place.carry(zone)?;
        place.seek_date(fields, zone)?;
        if place.seek_time(fields) {
            let (instant, shown) = zone.instant(place.reading());
            if hour(shown) == place.hour {
                return Some(instant + if place.second_pass { HOUR } else { 0 });
            }
            place.hour += 1;
            (place.minute, place.second) = (0, 0);
        }
    }
}

/// How far the search has come.
struct Place {
    date: Date,
    /// The reading at which the date begins.
    midnight: i64,
    /// Up to 24, 60 and 60: [`Place::carry`] follows.
    hour: i64,
    minute: i64,
    second: i64,
    /// Whether this hour's readings are gone through for the second time.
    second_pass: bool,
}

impl Place {
    /// One second after the clock's reading at an instant.
    fn after(zone: &Zone, instant: i64) -> Option<Self> {
        let reading = zone.reading(instant);
        let date = Offset::UTC.to_datetime(jiff::Timestamp::from_second(reading).ok()?).date();
        let second = reading.rem_euclid(DAY);
        Some(Self {
            hour: second / HOUR,
            minute: second % HOUR / 60,
            second: second % 60 + 1,
            second_pass: hour(zone.reading(instant - HOUR)) == hour(reading),
            ..Self::midnight(date)?
        })
    }

    /// The beginning of a date.
    fn midnight(date: Date) -> Option<Self> {
        let midnight =
            Offset::UTC.to_timestamp(date.to_datetime(jiff::civil::Time::midnight())).ok()?.as_second();
        Some(Self { date, midnight, hour: 0, minute: 0, second: 0, second_pass: false })
    }

    fn reading(&self) -> i64 {
        self.midnight + self.hour * HOUR + self.minute * 60 + self.second
    }

    /// Goes on to the next minute, hour or date where seconds, minutes or hours have run out.
    fn carry(&mut self, zone: &Zone) -> Option<()> {
        if self.second >= 60 {
            (self.minute, self.second) = (self.minute + 1, 0);
        }
        if self.minute >= 60 {
            self.minute = 0;
            let this_hour = self.midnight + self.hour * HOUR;
            let ((next, _), (this, _)) = (zone.instant(this_hour + HOUR), zone.instant(this_hour));
            self.second_pass = !self.second_pass && next - this > HOUR;
            self.hour += i64::from(!self.second_pass);
        }
        if self.hour >= 24 {
            let second_pass = self.second_pass;
            *self = Self { second_pass, ..Self::midnight(self.date.tomorrow().ok()?)? };
        }
        Some(())
    }

    /// Goes on to the first date that matches, which may be this one; `None` if there is none up to
    /// [`LAST_YEAR`].
    fn seek_date(&mut self, fields: &Fields, zone: &Zone) -> Option<()> {
        loop {
            let date = first_date(fields, self.date)?;
            if date != self.date {
                *self = Self::midnight(date)?;
            }
            if matches_weekday(fields, zone, self.reading()) {
                return Some(());
            }
            *self = Self::midnight(date.tomorrow().ok()?)?;
        }
    }

    /// Goes on to the first time of this date that matches. If hours, minutes or seconds run out,
    /// it is false.
    fn seek_time(&mut self, fields: &Fields) -> bool {
        let hour = fields.hours.at_or_after(self.hour).unwrap_or(24);
        if hour != self.hour {
            (self.hour, self.minute, self.second, self.second_pass) = (hour, 0, 0, false);
        }
        if hour == 24 {
            return false;
        }
        let minute = fields.minutes.at_or_after(self.minute).unwrap_or(60);
        if minute != self.minute {
            (self.minute, self.second) = (minute, 0);
        }
        if minute == 60 {
            return false;
        }
        self.second = fields.seconds.at_or_after(self.second).unwrap_or(60);
        self.second < 60
    }
}

/// Whether the weekday that the clock shows is one of the fields', where a skipped reading shows as
/// another one.
fn matches_weekday(fields: &Fields, zone: &Zone, reading: i64) -> bool {
    let allowed = |days: i64| fields.weekdays.contains(weekday(reading + days * DAY));
    // No clock change was of more than a day: the zone has to be asked only if the days around do
    // not agree.
    match (allowed(-1), allowed(0), allowed(1)) {
        (true, true, true) => true,
        (false, false, false) => false,
        _mixed => fields.weekdays.contains(weekday(zone.instant(reading).1)),
    }
}

/// The first date from `date` on whose year, month and day match.
fn first_date(fields: &Fields, date: Date) -> Option<Date> {
    let (mut year, mut month, mut day) =
        (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
    loop {
        let matching_year = fields.years.at_or_after(year).filter(|year| *year <= i64::from(LAST_YEAR))?;
        if matching_year != year {
            (year, month, day) = (matching_year, 1, 1);
        }
        let Some(matching_month) = fields.months.at_or_after(month) else {
            (year, month, day) = (year + 1, 1, 1);
            continue;
        };
        if matching_month != month {
            (month, day) = (matching_month, 1);
        }
        let first = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, 1).ok()?;
        match fields.days.at_or_after(day).filter(|day| *day <= i64::from(first.days_in_month())) {
            Some(day) => return Date::new(first.year(), first.month(), i8::try_from(day).ok()?).ok(),
            None => (month, day) = (month + 1, 1),
        }
    }
}

/// 0 to 23.
fn hour(reading: i64) -> i64 {
    reading.rem_euclid(DAY) / HOUR
}

/// 0 is Sunday; 1970 began with a Thursday.
fn weekday(reading: i64) -> i64 {
    (reading.div_euclid(DAY) + 4).rem_euclid(7)
}
