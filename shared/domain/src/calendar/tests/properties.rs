//! What holds for any schedule.

use crate::calendar::{Calendar, next_run};
use crate::values::time::{DAY, HOUR, MINUTE, Timestamp};
use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use proptest::collection::btree_set;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;

/// Up to the end of 2100, in milliseconds.
const END: i64 = 4_133_980_800_000;

fn any_now() -> impl Strategy<Value = i64> {
    Timestamp::EARLIEST.millis()..END
}

fn any_zone() -> impl Strategy<Value = String> {
    any::<Index>().prop_map(|index| {
        let zones: Vec<_> = TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
        index.get(&zones).clone()
    })
}

/// A cron string that was written from the numbers it stands for.
#[derive(Debug, Clone)]
struct Written {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: BTreeSet<i8>,
    months: BTreeSet<i8>,
    weekdays: BTreeSet<i8>,
}

impl Written {
    fn text(&self) -> String {
        let list = |set: &BTreeSet<i8>| set.iter().map(i8::to_string).collect::<Vec<_>>().join(",");
        [&self.minutes, &self.hours, &self.days, &self.months, &self.weekdays].map(list).join(" ")
    }

    fn matches_date(&self, date: Date) -> bool {
        let weekday = Weekday::to_sunday_zero_offset(date.weekday());
        self.days.contains(&date.day())
            && self.months.contains(&date.month())
            && self.weekdays.contains(&weekday)
    }
}

/// Any numbers of each field, or all of them.
fn written() -> impl Strategy<Value = Written> {
    let some = |first: i8, last: i8| {
        let all: BTreeSet<i8> = (first..=last).collect();
        prop_oneof![Just(all), btree_set(first..=last, 1..4)]
    };
    (some(0, 59), some(0, 23), some(1, 31), some(1, 12), some(0, 6)).prop_map(
        |(minutes, hours, days, months, weekdays)| Written { minutes, hours, days, months, weekdays },
    )
}

fn local(zone: &TimeZone, millis: i64) -> jiff::civil::DateTime {
    zone.to_datetime(jiff::Timestamp::from_millisecond(millis).unwrap())
}

fn offset(zone: &TimeZone, millis: i64) -> i32 {
    zone.to_offset(jiff::Timestamp::from_millisecond(millis).unwrap()).seconds()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A minute after the other, as far as no clock changes: the first that matches is the next
    /// run.
    #[test]
    fn between_clock_changes_the_first_minute_that_matches_fires(
        fields in written(),
        name in any_zone(),
        now in any_now(),
    ) {
        let zone = TimeZone::get(&name).unwrap_or(TimeZone::UTC);
        let hours = (-25..72).map(|hours| now + hours * HOUR);
        let fixed = hours.map(|hour| offset(&zone, hour)).collect::<BTreeSet<_>>().len() == 1;
        prop_assume!(fixed);
        let minutes = (now.div_euclid(MINUTE) + 1..=(now + 2 * DAY).div_euclid(MINUTE)).map(|minute| minute * MINUTE);
        let expected = minutes.take_while(|minute| *minute < END).find(|minute| {
            let time = local(&zone, *minute);
            time.year() <= 2100
                && fields.matches_date(time.date())
                && fields.hours.contains(&time.hour())
                && fields.minutes.contains(&time.minute())
        });
        let found = next_run(&fields.text(), &name, Timestamp::from_millis(now)).map(Timestamp::millis);
        let near = found.filter(|found| *found <= (now + 2 * DAY).div_euclid(MINUTE) * MINUTE);
        prop_assert_eq!(near, expected, "{} in {}", fields.text(), name);
    }

    /// However far the next time is away: nothing fires only if no day up to 2100 matches.
    #[test]
    fn the_first_day_that_matches_fires_and_without_one_none(fields in written(), now in any_now()) {
        let time = local(&TimeZone::UTC, now);
        let (hour, minute) = (time.hour(), time.minute());
        let later_today = fields.hours.iter().any(|h| {
            *h > hour || (*h == hour && fields.minutes.iter().any(|m| *m > minute))
        });
        let first = if later_today { time.date() } else { time.date().tomorrow().unwrap() };
        let days = std::iter::successors(Some(first), |day| day.tomorrow().ok());
        let expected = days.take_while(|day| day.year() <= 2100).find(|day| fields.matches_date(*day));
        let found = next_run(&fields.text(), "UTC", Timestamp::from_millis(now));
        let found = found.map(|time| local(&TimeZone::UTC, time.millis()).date());
        prop_assert_eq!(found, expected, "{}", fields.text());
    }

    /// Around clock changes as well, times go forward.
    #[test]
    fn firings_are_after_now_and_increase(fields in written(), name in any_zone(), now in any_now()) {
        let zone = TimeZone::get(&name).unwrap_or(TimeZone::UTC);
        let change = zone.following(jiff::Timestamp::from_millisecond(now).unwrap()).next();
        let near = change.map_or(now, |change| change.timestamp().as_millisecond() - 2 * HOUR + now % (4 * HOUR));
        let calendar = Calendar::read(&fields.text(), &name).unwrap();
        for start in [now, near] {
            let start = Timestamp::from_millis(start);
            let mut times = vec![start];
            times.extend(calendar.firings(start).take(30));
            prop_assert!(times.is_sorted_by(|one, other| one < other), "{} in {}", fields.text(), name);
        }
    }

    /// Any text at all is read or refused, and what is read fires later or never.
    #[test]
    fn any_text_fires_later_or_never(
        cron in prop_oneof![".{0,256}", "[0-9*/,@#+=a-zA-Z -]{0,256}", "([0-9*/,-]{1,8} ){5,7}", "@every [0-9.a-z/+-]{0,40}"],
        zone in prop_oneof![any_zone(), ".{0,64}".boxed()],
        now in any::<i64>(),
    ) {
        let now = Timestamp::from_millis(now);
        prop_assert!(next_run(&cron, &zone, now).is_none_or(|next| next > now));
    }
}
