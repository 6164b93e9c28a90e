//! Time zones: which instant a reading of the clock is, as Temporal sees it.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Seconds in an hour.
pub(super) const HOUR: i64 = 3600;
/// Seconds in a day.
pub(super) const DAY: i64 = 24 * HOUR;

/// A time zone. Instants are in seconds since 1970; a *reading* is what its clock shows then, as if
/// it were UTC.
#[derive(Debug)]
pub(super) struct Zone(TimeZone);

impl Zone {
    /// A zone of the database in the binary, by its exact name: jiff itself would take
    /// `europe/berlin` too. Empty is UTC, and so is `Local`, which to a server is the machine's own
    /// zone.
    pub(super) fn named(name: &str) -> Option<Self> {
        if matches!(name, "" | "UTC" | "Local") {
            return Some(Self(TimeZone::UTC));
        }
        TimeZoneDatabase::bundled().get(name).ok().filter(|zone| zone.iana_name() == Some(name)).map(Self)
    }

    /// What its clock shows at an instant.
    pub(super) fn reading(&self, instant: i64) -> i64 {
        instant + self.offset(instant)
    }

    /// The instant of a reading, and what the clock shows then: the same, unless the reading is
    /// skipped.
    ///
    /// A reading is taken for UTC first, and corrected by the offset of the instant that the offset
    /// at that time leads to. So one that comes twice is mostly the later in zones east of
    /// Greenwich, and the earlier west of it.
    pub(super) fn instant(&self, reading: i64) -> (i64, i64) {
        let first = self.offset(reading);
        let second = self.offset(reading - first);
        let instant = reading - second;
        (instant, if first == second { reading } else { self.reading(instant) })
    }

    /// Seconds east of UTC; 0 outside the years that the library knows.
    fn offset(&self, instant: i64) -> i64 {
        Timestamp::from_second(instant).map_or(0, |instant| i64::from(self.0.to_offset(instant).seconds()))
    }
}
