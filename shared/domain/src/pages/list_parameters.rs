//! What several lists have in common: the parameters `hours` and `limit`, the start of "the last N hours", and a
//! rounded mean (docs/contract/http.md, "Windows").

use crate::requests::parameters::Integer;
use crate::values::time::{HOUR, Timestamp};

/// The parameter `hours`: how far back a list reaches, a year at most.
pub(super) const HOURS: Integer = Integer {
    name: "hours",
    about: "How many hours the list reaches back, from the start of that minute.",
    min: 1,
    max: 8760,
    default: 24,
};
/// The parameter `limit`: the number of rows on a page.
pub(super) const LIMIT: Integer =
    Integer { name: "limit", about: "Rows a page, at most.", min: 1, max: 100, default: 50 };

/// The start of "the last N hours": the start of the minute in which they begin.
pub(super) fn last_hours(now: Timestamp, hours: u64) -> Timestamp {
    now.plus(-i64::try_from(hours).unwrap_or(i64::MAX).saturating_mul(HOUR)).floor_to_minute()
}

/// `sum / count`, rounded half up to an integer; 0 if `count` is not positive.
pub(super) fn average(sum: i128, count: i128) -> i128 {
    if count > 0 { (2 * sum + count) / (2 * count) } else { 0 }
}
