//! What rows carry: the very facts that the execution's state says.

use super::*;
use crate::entities::fold::State;
use crate::events::{ReceivedMessage, parse};
use crate::projections::views;
use crate::storage::item::Key;
use crate::storage::keys::Lanes;
use crate::values::ids::{EntityKey, ExecutionId};
use proptest::prelude::*;
use serde_json::json;

const EXECUTION: &str = "33333333-0000-4000-8000-000000000001";

/// An execution of 2026-03-31T10:00:00Z that ended 5.3 s later.
fn execution(kind: &str, more: &serde_json::Value) -> State {
    let mut data = json!({
        "execution_id": EXECUTION,
        "task_id": "22222222-0000-4000-8000-000000000001",
        "user_id": "11111111-0000-4000-8000-000000000001",
        "started_at": "2026-03-31T10:00:00Z",
    });
    let object = data.as_object_mut().unwrap();
    object.extend(more.as_object().cloned().unwrap_or_default());
    let message = json!({ "specversion": "1.0", "id": "1", "source": "/test",
        "type": format!("ai.torale.execution.{kind}"), "time": "2026-03-31T10:00:05.300Z", "data": data });
    let Ok(ReceivedMessage::Known(event)) = parse(&message.to_string(), None) else {
        panic!("not an event: {message}")
    };
    let mut state = State::default();
    state.fold(*event);
    state
}

fn failed(message: &str) -> State {
    let error =
        json!({ "error_type": "Timeout", "error_message": message, "retry_count": 2, "will_retry": true });
    execution("failed", &error)
}

/// The rows that the state contributes to lists whose partitions begin with a text.
fn rows(state: &State, list: &str) -> Vec<Item> {
    let ExecutionId(id) = ExecutionId::parse(EXECUTION).unwrap();
    let entity = EntityKey::Execution(ExecutionId(id));
    let none = (&Default::default(), &Default::default());
    let all = views::contributions(&entity, state, none.0, none.1, Lanes::ONE).rows;
    let rows = all.into_iter().filter(|(key, _)| key.pk.starts_with(list));
    rows.map(|(key, attributes)| Item { key, attributes }).collect()
}

/// What all of these rows carry, which must be the same.
fn carried<S: Summary + PartialEq + std::fmt::Debug>(rows: &[Item]) -> Carried<S> {
    let all: Vec<Carried<S>> = rows.iter().map(|row| S::load(row).unwrap()).collect();
    assert!(all.windows(2).all(|two| two[0] == two[1]), "{all:?}");
    all.into_iter().next().unwrap()
}

fn summary<S: Summary>(state: &State) -> S {
    S::of(&Execution::of(state).unwrap()).unwrap()
}

#[test]
fn row_of_an_execution_says_how_it_stands() {
    let states = [
        (execution("started", &json!({})), ExecutionStatus::Running, None),
        (execution("succeeded", &json!({ "condition_met": true })), ExecutionStatus::Success, Some(true)),
        (execution("succeeded", &json!({ "condition_met": false })), ExecutionStatus::Success, Some(false)),
        (failed("late"), ExecutionStatus::Failed, None),
    ];
    let ended = Timestamp::parse("2026-03-31T10:00:05.300Z").map(|at| (at, 5300));

    for (state, status, condition_met) in states {
        let Carried::Summary(execution) = carried::<ExecutionSummary>(&rows(&state, "r#executions#")) else {
            panic!("{status:?}: no summary")
        };
        assert_eq!((execution.status, execution.condition_met), (status, condition_met));
        assert_eq!(execution.ended, ended.filter(|_| status != ExecutionStatus::Running));
        assert_eq!(execution.started_at.to_string(), "2026-03-31T10:00:00Z");
        assert_eq!(execution, summary(&state));
    }
}

#[test]
fn row_of_an_error_carries_a_message_of_160_bytes_and_of_a_longer_one_only_whose_it_is() {
    let short = failed(&"é".repeat(80));
    let long = failed(&format!("{}!", "é".repeat(80)));

    let (of_short, of_long) = (rows(&short, "r#errors"), rows(&long, "r#errors"));

    assert_eq!(of_short.len(), 2, "in the list of all errors, and in that of the type");
    assert_eq!(carried::<ErrorSummary>(&of_short), Carried::Summary(summary(&short)));
    let owners = summary::<ErrorSummary>(&long).owners;
    assert_eq!(carried::<ErrorSummary>(&of_long), Carried::Owners(owners));
}

#[test]
fn row_that_an_earlier_release_wrote_carries_nothing_and_a_damaged_one_is_corrupt() {
    for mut row in rows(&failed("late"), "r#e") {
        let load = |row: &Item| {
            let (a, b) = (ExecutionSummary::load(row), ErrorSummary::load(row));
            if row.key.pk.starts_with("r#executions") { a.map(|_| ()) } else { b.map(|_| ()) }
        };
        assert!(load(&row).is_ok());
        row.attributes.remove(TASK);
        assert!(load(&row).is_err(), "{row:?}");
        row.attributes.clear();
        assert_eq!(ExecutionSummary::load(&row), Ok(Carried::Nothing));
        assert_eq!(ErrorSummary::load(&row), Ok(Carried::Nothing));
    }
}

/// The greatest item of a row, as DynamoDB counts it, but for numbers, which are counted by their digits.
fn size(Item { key: Key { pk, sk }, attributes }: &Item) -> usize {
    let value = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Number(number) => number.to_string().len(),
    };
    let attributes = attributes.iter().map(|(name, found)| name.len() + value(found));
    "pksk".len() + pk.len() + sk.len() + attributes.sum::<usize>()
}

#[test]
fn every_row_is_written_with_one_unit() {
    let error = json!({
        "error_type": "T".repeat(64), "error_message": "m".repeat(MAX_MESSAGE_BYTES),
        "retry_count": 9_007_199_254_740_991_u64, "will_retry": false,
        "completed_at": "9999-12-31T23:59:59.999Z", "duration_ms": 9_007_199_254_740_991_u64,
    });

    let rows = rows(&execution("failed", &error), "r#");

    assert_eq!(rows.len(), 3);
    for row in rows {
        assert!(size(&row) <= 1024, "{} bytes: {row:?}", size(&row));
    }
}

proptest! {
    #[test]
    fn a_row_reads_back_as_the_summary_of_its_execution(
        kind in prop::sample::select(vec!["started", "succeeded", "failed"]),
        (met, retries, again, millis) in (any::<bool>(), 0..1_u64 << 53, any::<bool>(), 0..1_u64 << 53),
        message in ".{0,200}",
    ) {
        let more = match kind {
            "started" => json!({}),
            "succeeded" => json!({ "condition_met": met, "duration_ms": millis }),
            _ => json!({ "error_type": "E", "error_message": message, "retry_count": retries, "will_retry": again }),
        };
        let state = execution(kind, &more);

        prop_assert_eq!(
            carried::<ExecutionSummary>(&rows(&state, "r#executions#")),
            Carried::Summary(summary(&state))
        );
        if kind == "failed" {
            let error: ErrorSummary = summary(&state);
            let expected = match error.error_message.len() {
                0..=MAX_MESSAGE_BYTES => Carried::Summary(error),
                _ => Carried::Owners(error.owners),
            };
            prop_assert_eq!(carried::<ErrorSummary>(&rows(&state, "r#errors")), expected);
        }
    }
}

/// A schedule with this id and cron string.
fn schedule(id: &str, cron: &str) -> (EntityKey, State) {
    let message = json!({ "specversion": "1.0", "id": "1", "source": "/test", "time": "2026-03-31T10:00:00Z",
        "type": "ai.torale.temporal.schedule.created", "data": {
            "schedule_id": id, "cron": cron, "timezone": "Europe/Berlin", "paused": false,
            "task_id": "22222222-0000-4000-8000-000000000001", "user_id": "11111111-0000-4000-8000-000000000001" } });
    let Ok(ReceivedMessage::Known(event)) = parse(&message.to_string(), None) else {
        panic!("not an event: {message}")
    };
    let key = event.entity();
    let mut state = State::default();
    state.fold(*event);
    (key, state)
}

#[test]
fn row_of_a_schedule_carries_it_unless_its_id_or_cron_string_is_long() {
    let (id, cron) = ("i".repeat(128), "1 ".repeat(121));
    let (longer_id, longer_cron) = ("i".repeat(129), "1 ".repeat(122));

    for (id, cron, carries) in [
        ("schedule-1", "0 9 * * *", true),
        (&*id, &*cron, true),
        (&*longer_id, "0 9 * * *", false),
        ("schedule-1", &*longer_cron, false),
    ] {
        let (key, state) = schedule(id, cron);
        let none = (&Default::default(), &Default::default());
        let rows = views::contributions(&key, &state, none.0, none.1, Lanes::ONE).rows;
        let mut rows = rows.into_iter().filter(|(key, _)| key.pk.starts_with("r#schedules#"));
        let row = rows.next().map(|(key, attributes)| Item { key, attributes }).unwrap();

        let expected = ScheduleSummary::of(&crate::entities::readings::Schedule::of(&state)).unwrap();
        assert_eq!(ScheduleSummary::load(&row).unwrap(), carries.then_some(expected), "{id} {cron}");
        assert_eq!(row.text(views::OF), Some(&*keys::entity(&key).pk));
        assert!(size(&row) <= 1024, "{} bytes: {row:?}", size(&row));
    }
}
