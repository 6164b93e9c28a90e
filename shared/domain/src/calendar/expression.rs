//! The parts of a cron string: `CRON_TZ=Europe/Berlin 0 9 * * MON # comment`.

use super::Times;
use super::fields::{Fields, Texts};
use super::interval::Interval;

/// Longest comment, in bytes.
const MAX_COMMENT: usize = 200;

/// A cron string that was read.
pub(super) struct CronExpression<'a> {
    /// What determines the times.
    pub(super) times: Times,
    /// The zone that the cron string names; empty where it names none.
    pub(super) zone: &'a str,
}

impl<'a> CronExpression<'a> {
    /// `None` where Temporal refuses it.
    pub(super) fn read(cron: &'a str) -> Option<Self> {
        let (zone, rest) = split_zone(cron.trim())?;
        let (fields, comment) = rest.split_once('#').unwrap_or((rest, ""));
        let fields = fields.trim();
        // An interval has no use for a zone or a comment, and neither is looked at.
        if fields.starts_with("@every") {
            let (_, interval) = fields.split_once(' ')?;
            return Some(Self { times: Times::Interval(Interval::read(interval)?), zone: "" });
        }
        if comment.trim().len() > MAX_COMMENT {
            return None;
        }
        let fields = Fields::read(&texts(macro_fields(fields))?)?;
        Some(Self { times: Times::Fields(Box::new(fields)), zone })
    }
}

/// The zone at the beginning and what follows the first blank.
fn split_zone(cron: &str) -> Option<(&str, &str)> {
    match cron.strip_prefix("CRON_TZ=").or_else(|| cron.strip_prefix("TZ=")) {
        Some(named) => named.split_once(' '),
        None => Some(("", cron)),
    }
}

/// The fields that a macro stands for; any other text is its own.
fn macro_fields(text: &str) -> &str {
    match text {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        fields => fields,
    }
}

/// Five fields, or six with the year last, or seven with the seconds first.
fn texts(fields: &str) -> Option<Texts<'_>> {
    let mut words = fields.split_whitespace();
    let mut all = [""; 7];
    let mut count = 0;
    for (place, word) in all.iter_mut().zip(&mut words) {
        *place = word;
        count += 1;
    }
    let [first, second, third, fourth, fifth, sixth, seventh] = all;
    let minute_to_year = |second, [minute, hour, day, month, weekday, year]: [_; 6]| Texts {
        second,
        minute,
        hour,
        day,
        month,
        weekday,
        year,
    };
    match (count, words.next()) {
        (5, None) => Some(minute_to_year("0", [first, second, third, fourth, fifth, "*"])),
        (6, None) => Some(minute_to_year("0", [first, second, third, fourth, fifth, sixth])),
        (7, None) => Some(minute_to_year(first, [second, third, fourth, fifth, sixth, seventh])),
        _other_counts => None,
    }
}
