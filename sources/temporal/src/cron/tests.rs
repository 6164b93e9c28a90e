use super::*;
use proptest::prelude::*;
use temporalio_common::protos::temporal::api::schedule::v1::ScheduleState;
use torale_domain::values::time::DAY;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn range(start: i32, end: i32, step: i32) -> Range {
    Range { start, end, step }
}

/// What a server makes of `* * * * *`.
fn every_minute() -> StructuredCalendarSpec {
    StructuredCalendarSpec {
        second: vec![range(0, 0, 1)],
        minute: vec![range(0, 59, 1)],
        hour: vec![range(0, 23, 1)],
        day_of_month: vec![range(1, 31, 1)],
        month: vec![range(1, 12, 1)],
        day_of_week: vec![range(0, 6, 1)],
        ..StructuredCalendarSpec::default()
    }
}

fn spec(calendar: StructuredCalendarSpec) -> ScheduleSpec {
    ScheduleSpec { structured_calendar: vec![calendar], ..ScheduleSpec::default() }
}

fn cron_of(spec: ScheduleSpec) -> CronSpec {
    CronSpec::of(&Schedule { spec: Some(spec), ..Schedule::default() }, Some(NOW))
}

fn interval(seconds: i64, phase: i64) -> ScheduleSpec {
    let mut of = IntervalSpec { interval: Some(Default::default()), phase: Some(Default::default()) };
    of.interval.as_mut().unwrap().seconds = seconds;
    of.phase.as_mut().unwrap().seconds = phase;
    ScheduleSpec { interval: vec![of], ..ScheduleSpec::default() }
}

#[test]
fn calendars_are_written_as_people_write_cron() {
    let check = |change: fn(&mut StructuredCalendarSpec), cron: &str| {
        let mut calendar = every_minute();
        change(&mut calendar);
        let of = cron_of(spec(calendar));
        assert_eq!((of.cron.as_str(), of.is_next_time), (cron, false));
    };
    check(|_| {}, "* * * * *");
    check(|of| of.minute = vec![range(0, 59, 15)], "*/15 * * * *");
    check(
        |of| (of.minute, of.hour) = (vec![range(0, 0, 1)], vec![range(9, 0, 0), range(17, 19, 1)]),
        "0 9,17-19 * * *",
    );
    check(|of| of.day_of_week = vec![range(1, 5, 1)], "* * * * 1-5");
    check(|of| of.day_of_week = vec![range(1, 5, 2)], "* * * * 1-5/2");
    check(|of| of.year = vec![range(2027, 2027, 1)], "* * * * * 2027");
    check(|of| of.second = vec![range(0, 59, 20)], "*/20 * * * * * *");
    check(|of| of.comment = "weekly".to_owned(), "* * * * *");
}

#[test]
fn intervals_are_written_with_every() {
    assert_eq!(cron_of(interval(21_600, 7200)).cron, "@every 6h/2h");
    assert_eq!(cron_of(interval(90, 0)).cron, "@every 1m30s");
    assert_eq!(cron_of(interval(86_400, 0)).cron, "@every 24h");
}

#[test]
fn a_zone_is_kept_and_an_unknown_one_is_said_by_the_next_time() {
    let zoned = |name: &str| cron_of(ScheduleSpec { timezone_name: name.to_owned(), ..spec(every_minute()) });

    assert_eq!(zoned("Europe/Berlin").timezone, "Europe/Berlin");
    let unknown = zoned("Mars/Olympus");
    assert_eq!((unknown.timezone.as_str(), unknown.is_next_time), ("", true));
}

#[test]
fn what_no_expression_says_is_said_by_the_next_time() {
    let base = || spec(every_minute());
    let none = |_: &mut StructuredCalendarSpec| {};
    let emptied = |change: fn(&mut StructuredCalendarSpec)| {
        let mut calendar = every_minute();
        change(&mut calendar);
        spec(calendar)
    };
    let specs = [
        ScheduleSpec::default(),
        ScheduleSpec { structured_calendar: vec![every_minute(); 2], ..base() },
        ScheduleSpec { interval: interval(60, 0).interval, ..base() },
        ScheduleSpec { exclude_structured_calendar: vec![every_minute()], ..base() },
        ScheduleSpec { start_time: Some(Default::default()), ..base() },
        ScheduleSpec { end_time: Some(Default::default()), ..base() },
        interval(0, 0),
        emptied(|of| of.hour.clear()),
        emptied(|of| of.year = vec![range(1999, 2001, 1)]),
        emptied(|of| of.minute = (0..59).map(|minute| range(minute, minute + 1, 1)).collect()),
    ];
    let mut jittered = base();
    jittered.jitter = Some(Default::default());
    assert!(!cron_of(jittered.clone()).is_next_time);
    jittered.jitter.as_mut().unwrap().seconds = 1;
    none(&mut every_minute());

    for spec in specs.into_iter().chain([jittered]) {
        let of = cron_of(spec.clone());
        assert!(of.is_next_time, "{spec:?}");
        let calendar = Calendar::read(&of.cron, &of.timezone).unwrap();
        assert_eq!(calendar.firings(NOW.plus(-DAY)).collect::<Vec<_>>(), [NOW], "{}", of.cron);
    }
}

#[test]
fn a_schedule_with_a_limited_number_of_runs_is_said_by_the_next_time_and_by_nothing_at_the_end() {
    let state = Some(ScheduleState { limited_actions: true, ..ScheduleState::default() });
    let schedule = Schedule { spec: Some(spec(every_minute())), state, ..Schedule::default() };

    assert!(CronSpec::of(&schedule, Some(NOW)).is_next_time);
    assert_eq!(CronSpec::of(&schedule, None).cron, "");
}

/// A next time that is no whole second, as with a jitter, is the second after it.
#[test]
fn a_next_time_is_rounded_up_to_a_second() {
    let next = |millis| CronSpec::of(&Schedule::default(), Some(NOW.plus(millis))).cron;

    assert_eq!(next(0), "40 6 11 18 11 * 2026 # the next time");
    assert_eq!(next(1), next(1000));
}

/// Ranges of a field: where they start, how far they go, and their steps.
fn ranges(least: i32, greatest: i32) -> impl Strategy<Value = Vec<Range>> {
    let one = (least..=greatest, 0..=greatest, 0..8)
        .prop_map(move |(start, more, step)| range(start, (start + more).min(greatest), step));
    prop_oneof![2 => Just(vec![range(least, greatest, 1)]), 3 => prop::collection::vec(one, 1..3)]
}

/// The numbers of ranges, one by one.
fn listed(ranges: &[Range]) -> String {
    let numbers =
        ranges.iter().flat_map(|of| (of.start..=of.end).step_by(usize::try_from(of.step.max(1)).unwrap()));
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}

proptest! {
    /// The expression of a calendar fires as one does in which every number of the calendar is written out.
    #[test]
    fn expression_of_a_calendar_fires_when_the_calendar_does(
        second in ranges(0, 59), minute in ranges(0, 59), hour in ranges(0, 23), day_of_month in ranges(1, 31),
        month in ranges(1, 12), day_of_week in ranges(0, 6), years in prop::option::of(ranges(2020, 2090)),
        zone in prop::sample::select(vec!["", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe"]),
        after in 1_500_000_000_000_i64..3_000_000_000_000,
    ) {
        let all = [&minute, &hour, &day_of_month, &month, &day_of_week].map(|ranges| listed(ranges)).join(" ");
        let year = years.as_ref().map_or("*".to_owned(), |years| listed(years));
        let written_out = format!("{} {all} {year}", listed(&second));
        let calendar = StructuredCalendarSpec {
            second, minute, hour, day_of_month, month, day_of_week, year: years.unwrap_or_default(), comment: String::new(),
        };

        let of = cron_of(ScheduleSpec { timezone_name: zone.to_owned(), ..spec(calendar) });

        prop_assert!(!of.is_next_time);
        let firings = |cron: &str| -> Vec<Timestamp> {
            Calendar::read(cron, zone).unwrap().firings(Timestamp::from_millis(after)).take(5).collect()
        };
        prop_assert_eq!(firings(&of.cron), firings(&written_out));
    }
}
