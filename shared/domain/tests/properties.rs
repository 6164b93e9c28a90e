//! Laws of the pure core, for any input.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails by panicking")]

use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use torale_domain::entities::fold::State;
use torale_domain::events::{self, Event, ReceivedMessage};
use torale_domain::projections::index::{PagePosition, Sums, Timeline, Window, has_node, node_amounts};
use torale_domain::projections::views::TaskTotals;
use torale_domain::storage::item::{Attributes, Item, Key, Value};
use torale_domain::storage::keys::{self, Index, Lanes, StatusPartition};
use torale_domain::storage::read::{Range, ReadPlan, ReadResult};
use torale_domain::values::ids::{RunId, WorkflowId};
use torale_domain::values::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);

fn event(kind: &str, time: i64, id: u8, source: &str, data: serde_json::Value) -> Event {
    let message = json!({ "specversion": "1.0", "id": format!("e{id}"), "source": source, "type": format!("ai.torale.{kind}"),
        "time": NOW.plus(time * 1000).to_string(), "data": data });
    match events::parse(&message.to_string(), None).unwrap() {
        ReceivedMessage::Known(event) => *event,
        ReceivedMessage::Unknown { event_type } => unreachable!("{event_type}"),
    }
}

/// Events of one schedule: every register, deletions, ties in everything but the data.
fn schedule_event() -> impl Strategy<Value = Event> {
    let kinds = prop::sample::select(vec!["created", "updated", "paused", "unpaused", "deleted"]);
    (kinds, 0..3_i64, 0..2_u8, prop::sample::select(vec!["/a", "/b"]), 0..2_u8, any::<bool>(), any::<bool>())
        .prop_map(|(kind, time, id, source, value, cron, zone)| {
            let mut data = json!({ "schedule_id": "s", "unlisted": value });
            if kind == "created" {
                data["task_id"] = json!("22222222-0000-4000-8000-000000000001");
                data["user_id"] = json!("11111111-0000-4000-8000-000000000001");
            }
            if kind == "created" || (kind == "updated" && cron) {
                data["cron"] = json!(format!("{value} * * * *"));
            }
            if kind == "updated" && zone {
                data["timezone"] = json!("UTC");
            }
            event(&format!("temporal.schedule.{kind}"), time, id, source, data)
        })
}

fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> State {
    let mut state = State::default();
    for event in events {
        state.fold(event.clone());
    }
    state
}

proptest! {
    #[test]
    fn folding_depends_on_the_set_alone(events in prop::collection::vec(schedule_event(), 0..12), seed in any::<u64>()) {
        let mut shuffled: Vec<&Event> = events.iter().chain(events.iter().take(4)).collect();
        let len = shuffled.len().max(1);
        for i in 0..shuffled.len() {
            let j = usize::try_from(seed.rotate_left(u32::try_from(i).unwrap()) % u64::try_from(len).unwrap()).unwrap();
            shuffled.swap(i, j);
        }
        prop_assert_eq!(fold(&events).store().unwrap(), fold(shuffled).store().unwrap());
    }

    #[test]
    fn folding_parts_and_then_the_rest_is_folding_all(events in prop::collection::vec(schedule_event(), 0..12), cut in 0..12_usize) {
        let (first, rest) = events.split_at(cut.min(events.len()));
        let stored = fold(first).store().unwrap();
        let mut state = State::load(&stored).unwrap();
        prop_assert_eq!(&state.store().unwrap(), &stored);
        for event in rest {
            state.fold(event.clone());
        }
        prop_assert_eq!(state.store().unwrap(), fold(&events).store().unwrap());
    }

    #[test]
    fn folding_says_truly_whether_it_changed_anything(events in prop::collection::vec(schedule_event(), 0..12)) {
        let mut state = State::default();
        for event in events {
            let before = state.store().unwrap();
            let changed = state.fold(event);
            prop_assert_eq!(changed, state.store().unwrap() != before);
        }
    }

    #[test]
    fn rows_sort_as_their_ids_do(a in "\\PC{1,20}|[\u{0}-\u{3}]{1,4}", b in "\\PC{1,20}|[\u{0}-\u{3}]{1,4}", c in "[\u{0}-\u{3}a]{1,3}", d in "[\u{0}-\u{3}a]{1,3}") {
        let lane = Lanes::DEFAULT.all().next().unwrap();
        let row = |workflow: &str, run: &str| keys::row(Index::Workflows, StatusPartition::All, lane, NOW, &[workflow, run]).sk;
        prop_assert_eq!(row(&a, &c).cmp(&row(&b, &d)), (&a, &c).cmp(&(&b, &d)));
    }

    #[test]
    fn totals_of_a_task_come_back_from_the_store(days in prop::collection::vec((16_436..21_000_i64, 1..4_usize), 0..40)) {
        let mut totals = TaskTotals::default();
        for (day, times) in days {
            for _ in 0..times {
                totals.add(&TaskTotals::of(torale_domain::values::time::Day(day), 1, 0, 1049), 1);
            }
        }
        prop_assert_eq!(TaskTotals::load(&totals.store()).unwrap(), totals);
    }

    #[test]
    fn the_counted_index_counts_and_finds_as_a_sorted_list_does(
        index in prop::sample::select(vec![Index::Workflows, Index::Schedules]),
        ages in prop::collection::vec((0..40 * DAY / MINUTE, 0..MINUTE), 1..60),
        hours in 1..900_i64,
        // The cut lies within an hour, at the start of one, and at the start of a day.
        minutes in prop::sample::select(vec![0, 30, 10 * 60 + 30]),
        offset in 0..70_usize,
        more in 0..20_usize,
    ) {
        let mut times: Vec<Timestamp> = ages.iter().map(|(minutes, rest)| NOW.plus(-minutes * MINUTE - rest)).collect();
        times.sort();
        let items = nodes(index, &times);
        let since = NOW.plus(-hours * HOUR - minutes * MINUTE).floor_to_minute();
        let rows: Vec<Timestamp> = times.into_iter().rev().filter(|time| *time >= since).collect();

        let window = Window::new(index, Lanes::DEFAULT, Some(since), NOW);
        let mut timeline = Timeline::of(window, &found(window.plan(), &items));
        let place = descend(window, &mut timeline, &items, offset);

        prop_assert_eq!(timeline.total().rows_in(StatusPartition::All), i128::try_from(rows.len()).unwrap());
        let expected = rows.get(offset).map(|time| {
            // A minute that crowds is counted by seconds.
            let by_seconds = index == Index::Workflows && has_node(time.minute());
            let millis = if by_seconds { SECOND } else { MINUTE };
            let start = |time: Timestamp| time.plus(-time.millis().rem_euclid(millis));
            let shares = |other: &&Timestamp| start(**other) == start(*time);
            let skip = rows.iter().take(offset).filter(shares).count();
            PagePosition { start: start(*time), millis, skip, rows: rows.iter().filter(shares).count() }
        });
        prop_assert_eq!(place, expected);

        // A page of some rows from there on ends in a slot that is known, of the hour of its first row a minute.
        let (first, last) = (rows.get(offset), rows.get(offset + more));
        let start = timeline.start_of(&[StatusPartition::All], offset + more);
        prop_assert_eq!(start.is_some(), last.is_some());
        if let (Some(first), Some(last), Some(start)) = (first, last, start) {
            prop_assert!([MINUTE, HOUR, DAY].iter().any(|millis| start == last.plus(-last.millis().rem_euclid(*millis))));
            prop_assert!(first.hour() != last.hour() || start == last.floor_to_minute());
            let days = timeline.sums_of_days(last.day(), first.day()).rows_in(StatusPartition::All);
            let same_days = rows.iter().filter(|time| (last.day()..=first.day()).contains(&time.day())).count();
            prop_assert_eq!(days, i128::try_from(same_days).unwrap());
        }
    }
}

/// The nodes of an index with a row at each of these times.
fn nodes(index: Index, times: &[Timestamp]) -> Vec<Item> {
    let lane = Lanes::DEFAULT.all().next().unwrap();
    let mut nodes: BTreeMap<Key, Attributes> = BTreeMap::new();
    for time in times {
        for (key, name, amount) in node_amounts(index, lane, *time, None, &Sums::of_rows(1)) {
            let Value::Number(sum) = nodes.entry(key).or_default().entry(name).or_insert(Value::Number(0))
            else {
                unreachable!("a node holds numbers")
            };
            *sum += amount;
        }
    }
    nodes.into_iter().map(|(key, attributes)| Item { key, attributes }).collect()
}

/// What a plan finds among some items.
fn found(plan: ReadPlan, items: &[Item]) -> ReadResult {
    let keyed = |item: &Item| (item.key.clone(), item.clone());
    let lies_in = |range: &Range, item: &Item| {
        let sk = Some(&item.key.sk);
        item.key.pk == range.pk && sk >= range.from.as_ref() && range.to.is_none() | (sk <= range.to.as_ref())
    };
    let within = |range: &Range| items.iter().filter(|item| lies_in(range, item)).cloned().collect();
    ReadResult {
        items: items.iter().filter(|item| plan.gets.contains(&item.key)).map(keyed).collect(),
        ranges: plan.ranges.iter().map(within).collect(),
    }
}

/// Where the row at `offset` lies, down to the second where a minute is counted by seconds.
fn descend(
    window: Window<'_>,
    timeline: &mut Timeline,
    items: &[Item],
    offset: usize,
) -> Option<PagePosition> {
    let position = descend_to_minute(window, timeline, items, offset)?;
    let seconds = position.crowded_minute().and_then(|minute| window.seconds_of(minute));
    let Some(seconds) = seconds else { return Some(position) };
    Some(position.within_seconds(Index::Workflows.into(), &[StatusPartition::All], &found(seconds, items)))
}

/// Where the row at `offset` lies: by hours in an index that has nodes of days, by minutes in another.
fn descend_to_minute(
    window: Window<'_>,
    timeline: &mut Timeline,
    items: &[Item],
    offset: usize,
) -> Option<PagePosition> {
    const ALL: &[StatusPartition] = &[StatusPartition::All];
    let (day, offset) = timeline.day_of(ALL, offset)?;
    if !window.counts_by_hours(ALL) {
        if !timeline.has_minutes_of(day.first_hour()) {
            timeline.add(&found(window.hour_nodes_from(day.first_hour()), items));
        }
        return timeline.minute_of(ALL, (day.start(), DAY), offset);
    }
    if !timeline.has_hours_of(day) {
        timeline.add(&found(window.hours_of(day), items));
    }
    let (hour, offset) = timeline.hour_of(ALL, day, offset)?;
    if !timeline.has_minutes_of(hour) {
        timeline.add(&found(window.minutes_of(hour), items));
    }
    timeline.minute_of(ALL, (hour.start(), HOUR), offset)
}

#[test]
fn ids_too_long_for_a_key_are_cut_and_told_apart() {
    let long = |last: char| format!("{}{last}", "é".repeat(255));
    let lane = Lanes::DEFAULT.all().next().unwrap();
    let row = |id: &str| keys::row(Index::Workflows, StatusPartition::All, lane, NOW, &[id, id]).sk;
    let (a, b) = (row(&long('a')), row(&long('b')));
    assert!(a.len() <= 1024 && a != b, "{}", a.len());
    assert!(WorkflowId::parse(&long('a')).is_some() && RunId::parse(&long('a')).is_some());
}

#[test]
fn data_over_its_limit_still_orders_and_comes_back() {
    let with = |text: &str| {
        let unlisted = format!("{}{text}", "x".repeat(events::MAX_KEPT_DATA));
        event("temporal.schedule.paused", 0, 1, "/a", json!({ "schedule_id": "s", "unlisted": unlisted }))
    };
    let (a, b) = (with("a"), with("b"));
    assert_ne!(a, b);
    let (one, other) = (fold([&a, &b]), fold([&b, &a]));
    assert_eq!(one.store().unwrap(), other.store().unwrap());
    assert_eq!(State::load(&one.store().unwrap()).unwrap(), one);
}
