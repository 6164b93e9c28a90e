//! Time zones, and which instant Temporal takes a wall clock time for.
//!
//! The zones are those of the IANA database 2025b that `chrono-tz` brings. A server asks its
//! machine first (or the copy that was compiled into it), so its database can be newer than ours.

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

/// Zones for which the IANA database 2026f says otherwise than 2025b from 2026 on. In these a
/// program with a newer database rightly disagrees with this one.
pub const ZONES_CHANGED_SINCE_2025B: [&str; 15] = [
    "Africa/Casablanca",
    "Africa/El_Aaiun",
    "America/Edmonton",
    "America/Havana",
    "America/Inuvik",
    "America/Rainy_River",
    "America/Vancouver",
    "America/Winnipeg",
    "America/Yellowknife",
    "Canada/Central",
    "Canada/Mountain",
    "Canada/Pacific",
    "Cuba",
    "Europe/Chisinau",
    "Europe/Tiraspol",
];

/// 2100-01-01T00:00:00Z, from where on `chrono-tz` knows no more clock changes.
const YEAR_2100: i64 = 4_102_444_800;

/// From 2094 to 2100: whole weeks, and both years have the same calendar, so the same rules give
/// the same dates.
const SIX_YEARS: i64 = 2191 * 24 * 3600;

#[derive(Clone, Copy)]
pub(super) struct ModelZone(Tz);

impl ModelZone {
    /// An exact IANA name; "an empty zone is UTC". A server knows more names, by the files of its
    /// machine (`Local`, `localtime`, `posix/Europe/Berlin`, `Europe//Berlin`): nobody else can
    /// tell what they mean.
    pub(super) fn named(name: &str) -> Option<ModelZone> {
        // A database's placeholder for a machine without a zone; `chrono-tz` leaves it out.
        if name.is_empty() || name == "Factory" {
            return Some(ModelZone(Tz::UTC));
        }
        name.parse().ok().map(ModelZone)
    }

    /// What a clock on the wall shows at this instant.
    pub(super) fn wall_clock(self, second: i64) -> Option<NaiveDateTime> {
        Some(DateTime::from_timestamp(second + self.offset(second), 0)?.naive_utc())
    }

    /// The instant that Go takes for this wall clock time. Of a repeated time that is the first
    /// west of Greenwich and the second east of it; for a skipped time it is one that the clock
    /// shows as an hour more or less.
    pub(super) fn instant(self, wall_clock: NaiveDateTime) -> i64 {
        let as_if_utc = wall_clock.and_utc().timestamp();
        let guess = self.offset(as_if_utc);
        as_if_utc - self.offset(as_if_utc - guess)
    }

    /// Seconds ahead of UTC.
    fn offset(self, second: i64) -> i64 {
        let known = if second < YEAR_2100 { second } else { second - SIX_YEARS };
        let time = DateTime::from_timestamp(known, 0).unwrap();
        i64::from(self.0.offset_from_utc_datetime(&time.naive_utc()).fix().local_minus_utc())
    }
}
