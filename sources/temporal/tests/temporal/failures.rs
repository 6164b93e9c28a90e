//! What a run does when Temporal refuses, does not answer or knows less than was known, and what the next one makes of
//! it.

use crate::fake::{EPOCH, Synced, refused, task_id};
use serde_json::json;
use std::sync::atomic::{AtomicI64, Ordering};
use temporalio_client::tonic::Code;
use torale_domain::values::time::{HOUR, Timestamp};
use torale_platform::store::Usage;
use torale_platform::store::temporal::TemporalSyncState;
use torale_temporal::connection::TemporalError;
use torale_temporal::sync::SyncError;
use torale_testkit::events::event_about;
use torale_testkit::fake_aws::CallFate;
use torale_testkit::stack::NOW;

fn schedule(number: usize) -> String {
    format!("schedule-{}", task_id(number))
}

/// Seconds from 2020 to now.
fn now() -> i64 {
    NOW.millis() / 1000 - EPOCH
}

async fn state(synced: &Synced) -> TemporalSyncState {
    synced.stack.store().temporal_sync("n", &Usage::default()).await.unwrap()
}

#[tokio::test]
async fn first_run_finds_all_runs_and_later_ones_only_what_is_new() {
    let mut synced = Synced::start().await;
    let temporal = &synced.sync.temporal;
    temporal.runs.lock().unwrap().extend([
        (0, Some(90), 1),
        (now() - 400, None, 2),
        (now() - 60, Some(now() - 30), 3),
    ]);

    let (report, facts) = synced.run().await;

    let expected = [
        "workflow.closed 1",
        "workflow.closed 3",
        "workflow.started 1",
        "workflow.started 2",
        "workflow.started 3",
    ];
    assert_eq!(facts, expected);
    assert_eq!((report.as_ref().unwrap().sent, report.unwrap().lag_ms), (5, 0));
    assert_eq!(state(&synced).await.until, NOW.plus(-300_000), "what is younger may still be indexed");

    let (_, nothing) = synced.run().await;
    assert_eq!(nothing, [""; 0]);

    // One that was indexed late, and the end of one that was known.
    synced.sync.temporal.runs.lock().unwrap().push((now() - 200, None, 4));
    synced.sync.temporal.runs.lock().unwrap()[1].1 = Some(now() - 1);
    assert_eq!(synced.run().await.1, ["workflow.closed 2", "workflow.started 4"]);
}

#[tokio::test]
async fn a_window_with_too_many_runs_is_halved_until_it_fits() {
    let mut synced = Synced::start().await;
    synced.sync.temporal.runs.lock().unwrap().extend((0..12_000).map(|n| (n * 60, None, 1)));
    let mut known = state(&synced).await;
    (known.until, known.window) = (Timestamp::from_millis(EPOCH * 1000), 12_000 * 60_000);
    synced.stack.store().save_temporal_sync("n", &known, &Usage::default()).await.unwrap();
    let temporal = std::mem::take(&mut synced.sync.temporal.page);
    synced.sync.temporal.page = temporal.max(1000);

    let (report, facts) = synced.run().await;

    assert_eq!((report.unwrap().sent, facts.len()), (12_000, 12_000));
}

#[tokio::test]
async fn an_expired_page_token_loses_no_run() {
    let mut synced = Synced::start().await;
    synced.sync.temporal.runs.lock().unwrap().extend((1..9).map(|n| (i64::try_from(n).unwrap(), None, n)));
    synced.sync.temporal.fail("next runs", refused(Code::InvalidArgument));

    let (failed, some) = synced.run().await;

    assert!(
        matches!(failed, Err(SyncError::Temporal(TemporalError::Answered(Code::InvalidArgument, _)))),
        "{failed:?}"
    );
    assert_eq!(some.len(), 3, "the page that came");
    let (report, all) = synced.run().await;
    assert_eq!((report.unwrap().lag_ms, all.len()), (0, 8));
}

#[tokio::test]
async fn refusals_and_silence_are_errors_that_lose_nothing() {
    for error in [refused(Code::PermissionDenied), TemporalError::TimedOut] {
        let mut synced = Synced::start().await;
        synced.sync.temporal.set(&schedule(1), false, 5);
        synced.sync.temporal.runs.lock().unwrap().push((7, None, 1));
        let text = error.to_string();
        synced.sync.temporal.fail("schedules", error);

        let (failed, facts) = synced.run().await;

        assert_eq!(failed.unwrap_err().to_string(), text);
        assert_eq!(facts, ["workflow.started 1"], "runs are read all the same");
        assert_eq!(synced.run().await.1, ["schedule.created 1"]);
    }
}

#[tokio::test]
async fn a_rate_limit_ends_a_run_without_an_error() {
    let mut synced = Synced::start().await;
    synced.sync.temporal.set(&schedule(1), false, 5);
    synced.sync.temporal.fail("describe", refused(Code::ResourceExhausted));

    let (report, facts) = synced.run().await;

    assert!(report.unwrap().throttled);
    assert_eq!(facts, [""; 0]);
    assert_eq!(synced.run().await.1, ["schedule.created 1"]);
}

#[tokio::test]
async fn a_schedule_that_temporal_cant_describe_keeps_no_other_back() {
    for error in [refused(Code::Internal), TemporalError::TimedOut] {
        let mut synced = Synced::start().await;
        for n in 1..=3 {
            synced.sync.temporal.set(&schedule(n), false, 5);
        }
        synced.sync.temporal.fail("describe", error);

        let (report, facts) = synced.run().await;

        let report = report.unwrap();
        assert_eq!((report.undescribed, facts.len()), (1, 2), "{facts:?}");
        assert_eq!(synced.run().await.1.len(), 1, "it is looked at again");
    }
}

#[tokio::test]
async fn a_schedule_that_takes_too_long_is_counted_even_if_nothing_else_is_due() {
    let mut synced = Synced::start().await;
    synced.sync.temporal.set(&schedule(1), false, 5);
    synced.sync.temporal.fail("describe", TemporalError::TimedOut);

    let (report, facts) = synced.run().await;

    assert_eq!((report.unwrap().undescribed, facts), (1, Vec::new()));
    assert_eq!(synced.run().await.1, ["schedule.created 1"]);
}

/// Each takes seconds: the runs would have no time left.
#[tokio::test]
async fn several_schedules_that_take_too_long_end_the_look_at_schedules() {
    let mut synced = Synced::start().await;
    synced.sync.temporal.runs.lock().unwrap().push((7, None, 1));
    for n in 1..=6 {
        synced.sync.temporal.set(&schedule(n), false, 5);
        synced.sync.temporal.fail("describe", TemporalError::TimedOut);
    }

    let (failed, facts) = synced.run().await;

    assert!(matches!(failed, Err(SyncError::Temporal(TemporalError::TimedOut))), "{failed:?}");
    assert_eq!(facts, ["workflow.started 1"], "runs are read all the same");
}

/// SQS refuses two characters as they are, so they are escaped.
#[tokio::test]
async fn a_run_with_a_character_that_sqs_refuses_stops_no_other() {
    let mut synced = Synced::start().await;
    synced.sync.temporal.set(&format!("{}-\u{ffff}", schedule(1)), false, 5);
    synced.sync.temporal.set(&schedule(2), false, 5);

    let (report, facts) = synced.run().await;

    assert_eq!(report.unwrap().sent, 2, "{facts:?}");
}

#[tokio::test]
async fn a_queue_that_takes_nothing_leaves_all_for_the_next_run() {
    let mut synced = Synced::start().await;
    synced.sync.temporal.set(&schedule(1), false, 5);
    synced.sync.temporal.runs.lock().unwrap().push((7, None, 1));
    let working = std::mem::replace(
        &mut synced.sync.events,
        torale_testkit::sqs::FakeSqs::always(CallFate::Fails(403, "AccessDenied")).client(),
    );

    let (failed, _) = synced.run().await;

    assert!(matches!(failed, Err(SyncError::Queue(_))), "{failed:?}");
    synced.sync.events = working;
    assert_eq!(synced.run().await.1, ["schedule.created 1", "workflow.started 1"]);
}

#[tokio::test]
async fn schedules_are_described_once_while_they_do_not_change() {
    let mut synced = Synced::start().await;
    (1..6).for_each(|number| synced.sync.temporal.set(&schedule(number), false, 5));

    assert_eq!(synced.run().await.1.len(), 5);
    assert_eq!(synced.run().await.1, [""; 0]);
    assert_eq!(synced.sync.temporal.asked("describe"), 5);

    synced.sync.temporal.set(&schedule(2), true, 5);
    synced.sync.temporal.set(&schedule(3), false, 6);
    assert_eq!(synced.run().await.1, ["schedule.paused 2", "schedule.updated 3"]);
    assert_eq!(synced.sync.temporal.asked("describe"), 7);

    synced.sync.temporal.set(&schedule(2), false, 5);
    synced.restart();
    assert_eq!(synced.run().await.1, ["schedule.unpaused 2"]);
    assert_eq!(
        synced.sync.temporal.asked("describe"),
        12,
        "an instance that remembers nothing looks at all of them"
    );
}

#[tokio::test]
async fn a_schedule_that_is_gone_is_deleted_by_the_same_instance_and_by_another() {
    let mut synced = Synced::start().await;
    (1..4).for_each(|number| synced.sync.temporal.set(&schedule(number), number == 2, 5));
    synced.run().await.0.unwrap();

    synced.sync.temporal.schedules.lock().unwrap().remove(&schedule(1));
    assert_eq!(synced.run().await.1, ["schedule.deleted 1"]);

    synced.sync.temporal.schedules.lock().unwrap().remove(&schedule(2));
    synced.restart();
    assert_eq!(synced.run().await.1, ["schedule.deleted 2"]);

    synced.sync.temporal.schedules.lock().unwrap().remove(&schedule(3));
    synced.restart();
    assert_eq!(
        synced.run().await.1,
        ["schedule.deleted 3"],
        "the last one, from a namespace that was seen to be right"
    );
    assert_eq!(synced.run().await.1, [""; 0]);
}

/// It may be there: only what Temporal says it has not is deleted. Another instance does not remember it.
#[tokio::test]
async fn a_schedule_that_the_list_lacks_and_temporal_cant_describe_is_asked_for_again_by_the_next_run() {
    for is_another in [false, true] {
        for is_gone in [true, false] {
            let mut synced = Synced::start().await;
            (1..4).for_each(|number| synced.sync.temporal.set(&schedule(number), false, 5));
            synced.run().await.0.unwrap();
            synced.sync.temporal.unlisted.lock().unwrap().push(schedule(1));
            if is_gone {
                synced.sync.temporal.schedules.lock().unwrap().remove(&schedule(1));
            }
            if is_another {
                synced.restart();
            }

            let mut runs = Vec::new();
            for _ in 0..2 {
                synced.sync.temporal.fail("describe", refused(Code::Internal));
                let (report, facts) = synced.run().await;
                runs.push((report.unwrap().undescribed, facts));
            }
            let (report, facts) = synced.run().await;

            let deleted = Vec::from_iter(is_gone.then(|| "schedule.deleted 1".to_owned()));
            assert_eq!(runs, [(1, Vec::new()), (1, Vec::new())], "{is_another}, {is_gone}");
            assert_eq!((report.unwrap().undescribed, facts), (0, deleted), "{is_another}, {is_gone}");
        }
    }
}

/// As of a server whose limit is used up by others.
#[tokio::test]
async fn a_rate_limit_that_no_run_keeps_to_the_end_delays_schedules_and_stops_none() {
    let mut synced = Synced::start().await;
    (1..10).for_each(|number| synced.sync.temporal.set(&schedule(number), false, 5));
    let limited = async |synced: &mut Synced| {
        *synced.sync.temporal.descriptions_left.lock().unwrap() = Some(4);
        let (report, facts) = synced.run().await;
        (report.unwrap().throttled, facts.len())
    };

    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(limited(&mut synced).await);
    }
    synced.sync.temporal.schedules.lock().unwrap().retain(|id, _| *id == schedule(1));
    for _ in 0..2 {
        synced.restart();
        runs.push(limited(&mut synced).await);
    }

    let [some, rest] = [(true, 4), (false, 1)];
    assert_eq!(runs, [some, some, rest, some, some], "nine are found, then eight are gone");
}

/// One after the other, a thousand of them would take more than the time of a run.
#[tokio::test]
async fn schedules_that_are_gone_are_asked_about_several_at_once_and_no_more_than_eight() {
    let mut synced = Synced::start().await;
    (1..10).for_each(|number| synced.sync.temporal.set(&schedule(number), false, 5));
    synced.run().await.0.unwrap();
    synced.sync.temporal.schedules.lock().unwrap().clear();
    synced.sync.temporal.set("other", false, 5);
    synced.restart();
    synced.sync.temporal.most_described_at_once.store(0, Ordering::Relaxed);

    let (_, facts) = synced.run().await;

    assert_eq!(facts.iter().filter(|fact| fact.starts_with("schedule.deleted")).count(), 9);
    assert_eq!(synced.sync.temporal.most_described_at_once.load(Ordering::Relaxed), 8);
}

#[tokio::test]
async fn a_schedule_that_the_list_lacks_is_not_deleted_while_temporal_has_it() {
    let mut synced = Synced::start().await;
    (1..3).for_each(|number| synced.sync.temporal.set(&schedule(number), false, 5));
    synced.run().await.0.unwrap();

    synced.sync.temporal.unlisted.lock().unwrap().push(schedule(1));

    assert_eq!(synced.run().await.1, [""; 0]);
}

/// As when the namespace is the wrong one: deletions are for ever.
#[tokio::test]
async fn nothing_is_deleted_by_a_namespace_that_has_had_no_schedule_that_is_known() {
    let mut synced = Synced::start().await;
    (1..3).for_each(|number| synced.sync.temporal.set(&schedule(number), false, 5));
    synced.run().await.0.unwrap();
    synced.restart();
    synced.sync.source = "another".to_owned();
    synced.sync.temporal.schedules.lock().unwrap().clear();
    synced.sync.temporal.set(&schedule(7), false, 5);

    for _run_and_another_instance in 0..2 {
        let (report, facts) = synced.run().await;

        assert_eq!(report.unwrap().unproven, 2);
        assert_eq!(facts, [""; 0]);
        synced.restart();
    }
}

#[tokio::test]
async fn what_belongs_to_no_task_or_user_is_counted_and_a_task_that_comes_later_is_found() {
    let mut synced = Synced::start().await;
    synced.sync.temporal.set("nightly", false, 5);
    synced.sync.temporal.set(&schedule(10), false, 5);
    synced.sync.temporal.runs.lock().unwrap().push((7, None, 0));

    let (report, facts) = synced.run().await;

    let report = report.unwrap();
    assert_eq!((report.without_task, report.without_user, facts.len()), (2, 1, 0));
    let later = torale_testkit::events::task(&task_id(10)).created(crate::fake::USER, "q").at(NOW).message();
    synced.stack.consume(&[later]).await;
    assert_eq!(synced.run().await.1.len(), 1);
}

#[tokio::test]
async fn a_schedule_that_comes_again_after_its_deletion_is_counted() {
    let mut synced = Synced::start().await;
    synced.sync.temporal.set(&schedule(1), false, 5);
    synced.run().await.0.unwrap();
    synced.sync.temporal.schedules.lock().unwrap().clear();
    synced.run().await.0.unwrap();

    synced.sync.temporal.set(&schedule(1), false, 6);
    // The alarm must stay on: also while nothing is due.
    for _ in 0..2 {
        let (report, facts) = synced.run().await;
        assert_eq!((report.unwrap().recreated, facts.len()), (1, 0));
    }
    synced.sync.temporal.schedules.lock().unwrap().clear();
    assert_eq!(synced.run().await.0.unwrap().recreated, 0);
}

/// Two runs at once: the slower one does not take back what the other has read.
#[tokio::test]
async fn how_far_runs_were_read_never_goes_back() {
    let synced = Synced::start().await;
    let (store, usage) = (synced.stack.store(), Usage::default());
    let further = TemporalSyncState { until: NOW, window: 7, seen: true };
    let behind = TemporalSyncState { until: NOW.plus(-1), window: 9, seen: false };

    for state in [&further, &behind] {
        store.save_temporal_sync("n", state, &usage).await.unwrap();
    }

    assert_eq!(state(&synced).await, further);
    assert_eq!(store.temporal_sync("m", &usage).await.unwrap(), TemporalSyncState::default());
}

/// The consumer may be behind: what an instance has sent counts as known.
#[tokio::test]
async fn an_edit_before_the_creation_was_consumed_is_an_edit() {
    let mut synced = Synced::start().await;
    synced.sync.temporal.set(&schedule(1), false, 5);
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(600);
    assert_eq!(synced.sync.run(until, until, &Usage::default()).await.unwrap().sent, 1);

    synced.sync.temporal.set(&schedule(1), true, 6);

    assert_eq!(synced.run().await.1, ["schedule.created 1", "schedule.paused 1", "schedule.updated 1"]);
}

/// The executor of commands pauses a schedule right after it was described, and its event is consumed before the sync
/// reads what is known.
#[tokio::test]
async fn a_pause_right_after_the_description_is_not_undone_and_the_schedule_is_looked_at_again() {
    static PASSED: AtomicI64 = AtomicI64::new(0);
    let mut synced = Synced::start().await;
    synced.sync.clock = || NOW.plus(PASSED.load(Ordering::Relaxed));
    synced.sync.temporal.set(&schedule(1), false, 5);
    assert_eq!(synced.run().await.1, ["schedule.created 1"]);
    synced.restart();
    let data = json!({ "schedule_id": schedule(1) });
    let paused = event_about(&schedule(1), "temporal.schedule.paused", data).at(NOW.plus(1000));
    synced.stack.consume(&[paused.message()]).await;
    synced.sync.temporal.after_description = Some(|| PASSED.store(2000, Ordering::Relaxed));

    assert_eq!(synced.run().await.1, [""; 0]);

    assert_eq!(synced.run().await.1, ["schedule.unpaused 1"], "it does run, also a moment later");
}

/// By a clock that runs ahead: for as long as it does, nothing that Temporal says would be believed.
#[tokio::test]
async fn a_pause_that_is_dated_in_the_future_is_undone_in_the_next_run_if_the_schedule_runs() {
    let mut synced = Synced::start().await;
    synced.sync.temporal.set(&schedule(1), false, 5);
    assert_eq!(synced.run().await.1, ["schedule.created 1"]);
    synced.restart();
    let data = json!({ "schedule_id": schedule(1) });
    let paused = event_about(&schedule(1), "temporal.schedule.paused", data).at(NOW.plus(HOUR));
    synced.stack.consume(&[paused.message()]).await;

    assert_eq!(synced.run().await.1, ["schedule.unpaused 1"]);

    assert_eq!(synced.run().await.1, [""; 0]);
}
