//! The backfill: the same events as the triggers', from one snapshot, to the queue or into the log, resumable.

use crate::platform::{NEW, id};
use crate::server::Database;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use torale_domain::events::ReceivedMessage;
use torale_domain::values::time::Timestamp;
use torale_platform::clock;
use torale_platform::consume::Consumer;
use torale_replay::status::GenerationRole;
use torale_replay::tail::Tail;
use torale_replay::{Replay, StopSignal};
use torale_source::BackfillError;
use torale_source::backfill::{
    self, BackfillMeter, BackfillOutcome, BackfillProgress, BackfillSink, EventSink,
};
use torale_source::generation::{build_and_promote, promote};
use torale_source::pages::TableSnapshot;
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{Stack, consume, messages};

/// Keeps events; fails once it holds as many as it may.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) events: Mutex<Vec<String>>,
    most: Option<usize>,
}

impl EventSink for Collected {
    async fn deliver(
        &self,
        events: &[(&str, ReceivedMessage)],
        _now: Timestamp,
    ) -> Result<(), BackfillError> {
        let mut kept = self.events.lock().unwrap();
        if self.most.is_some_and(|most| kept.len() >= most) {
            return Err(BackfillError::Progress("enough".to_owned()));
        }
        kept.extend(events.iter().map(|(body, _)| (*body).to_owned()));
        Ok(())
    }
}

/// All events of a backfill.
pub(crate) async fn collect(db: &Database) -> Vec<String> {
    let sink = Collected::default();
    let outcome = backfill::run(
        &db.source(),
        &sink,
        &mut BackfillProgress::unsaved(),
        &BackfillMeter::default(),
        clock::system,
    )
    .await;
    assert_eq!(outcome.unwrap(), BackfillOutcome::Finished);
    sink.events.into_inner().unwrap()
}

/// What a dry run counts.
pub(crate) async fn dry_run(db: &Database) -> BackfillProgress {
    counted(db, &BackfillMeter::default()).await
}

async fn counted(db: &Database, meter: &BackfillMeter) -> BackfillProgress {
    let mut progress = BackfillProgress::unsaved();
    backfill::run(&db.source(), &BackfillSink::Nowhere, &mut progress, meter, clock::system).await.unwrap();
    progress
}

const TABLES: [&str; 5] = ["users", "api_keys", "tasks", "task_executions", "notification_sends"];

/// Rows with every kind of value, by chance.
fn random_rows(rows: u32) -> String {
    format!(
        "SELECT setseed(0.5);
         INSERT INTO users (id, clerk_user_id, email, is_active, created_at, updated_at)
           SELECT gen_random_uuid(), 'c' || i, nullif(i % 7, 3)::text || i || '@example.org', random() < 0.8,
             now() - random() * interval '900 days', CASE WHEN i % 3 > 0 THEN now() - random() * interval '900 days' END
           FROM generate_series(1, {rows}) i;
         INSERT INTO api_keys (user_id, key_prefix, key_hash, name, is_active, created_at)
           SELECT id, 'sk_', encode(sha256(id::text::bytea), 'hex'), CASE WHEN random() < 0.5 THEN 'n' END, random() < 0.5,
             created_at FROM users;
         INSERT INTO tasks (user_id, name, search_query, schedule, state, config, created_at, updated_at)
           SELECT id, 'name ' || n, CASE WHEN random() < 0.7 THEN repeat('q', (random() * 600)::int) END, '* * * * *',
             (ARRAY['active', 'paused', 'completed', NULL, 'lost'])[1 + (random() * 4)::int],
             CASE WHEN random() < 0.5 THEN '{{\"query\": \"é\"}}'::jsonb END, created_at,
             CASE WHEN random() < 0.5 THEN now() - random() * interval '900 days' END
           FROM users, generate_series(1, 2) n;
         INSERT INTO task_executions (task_id, status, started_at, completed_at, error_message, notification, retry_count)
           SELECT id, (ARRAY['pending', 'running', 'success', 'failed', 'odd'])[1 + (random() * 4)::int],
             CASE WHEN random() < 0.9 THEN now() - random() * interval '20 days' END,
             CASE WHEN random() < 0.7 THEN now() - random() * interval '20 days' END,
             CASE WHEN random() < 0.5 THEN 'Timeout: ' || n END, CASE WHEN random() < 0.5 THEN 'yes' END, (random() * 3)::int
           FROM tasks, generate_series(1, 3) n;
         INSERT INTO notification_sends (user_id, task_id, notification_type, status)
           SELECT CASE WHEN random() < 0.9 THEN user_id END, id, 'email', CASE WHEN random() < 0.8 THEN 'success' ELSE 'failed' END
           FROM tasks;"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_of_inserted_rows_gives_the_triggers_events_byte_for_byte() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&random_rows(60));

    let emitted = db.outbox().await;
    let mut read = Vec::new();
    for table in TABLES {
        read.extend(db.backfilled(table).await);
    }

    let sorted = |events: &[String]| events.iter().cloned().collect::<BTreeSet<_>>();
    assert!(emitted.len() > 700, "{}", emitted.len());
    assert_eq!(sorted(&read).len(), read.len(), "no event is read twice");
    assert_eq!(sorted(&read), sorted(&emitted));
}

/// After changes only `created` events may say anything else, whose registers the others override.
#[tokio::test(flavor = "multi_thread")]
async fn backfill_of_changed_rows_adds_no_fact_to_the_triggers_events() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&random_rows(30));
    for change in [
        "UPDATE users SET email = 'x' || email WHERE random() < 0.5",
        "UPDATE users SET is_active = NOT is_active WHERE random() < 0.5",
        "UPDATE tasks SET state = 'paused', updated_at = now() WHERE random() < 0.5",
        "UPDATE tasks SET search_query = 'new ' || id WHERE random() < 0.5",
        "UPDATE task_executions SET status = 'success', completed_at = now() WHERE random() < 0.5",
        "UPDATE task_executions SET status = 'running' WHERE random() < 0.2",
        "UPDATE api_keys SET is_active = false WHERE random() < 0.5",
    ] {
        db.run(change);
    }

    let emitted: BTreeSet<String> = db.outbox().await.into_iter().collect();
    let said: BTreeSet<String> = emitted.iter().map(|event| content(event)).collect();
    let mut added = Vec::new();
    for table in TABLES {
        added.extend(db.backfilled(table).await.into_iter().filter(|event| !emitted.contains(event)));
    }

    assert!(!added.is_empty());
    let created = |event: &&String| {
        event.contains("\"ai.torale.user.created\"") || event.contains("\"ai.torale.task.created\"")
    };
    let new: Vec<&String> =
        added.iter().filter(|event| !created(event) && !said.contains(&content(event))).collect();
    assert_eq!(new, Vec::<&String>::new());
}

/// What an event says of its row, whatever its type and time: a task's query, name and schedule may be said again.
fn content(event: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    let mut data = event["data"].as_object().unwrap().clone();
    if event["type"].as_str().unwrap().starts_with("ai.torale.task.") && data.contains_key("search_query") {
        data.retain(|name, _| name != "user_id" && name != "state");
        return serde_json::Value::Object(data).to_string();
    }
    event.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_and_says_what_can_not_become_an_event() {
    let Some(db) = Database::with(NEW) else { return };
    db.install(&["triggers=off"]);
    db.run(&format!(
        "INSERT INTO users (id, clerk_user_id, email) VALUES ({u}, 'c1', 'a@example.org'), ({n}, 'c2', NULL);
         INSERT INTO tasks (user_id, search_query) VALUES ({u}, repeat('q', 501)), ({u}, 'short');",
        u = id(1),
        n = id(2)
    ));

    let meter = BackfillMeter::default();
    let progress = counted(&db, &meter).await;

    let (users, tasks) = (&progress.tables()["users"], &progress.tables()["tasks"]);
    assert_eq!((users.rows, users.events, tasks.rows, tasks.events), (2, 1, 2, 2));
    let problem = &users.problems["email is missing"];
    assert_eq!(
        (problem.count, problem.ids.as_slice()),
        (1, ["00000000-0000-0000-0000-000000000002".to_owned()].as_slice())
    );
    assert_eq!(tasks.notes["search_query is cut to 500 characters"].count, 1);
    assert_eq!((meter.rows(), meter.total()), (4, 4));
}

/// As of a table that was never analysed, or is partitioned: PostgreSQL has no estimate of a view's rows either.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_an_estimate_is_counted_up_to_some_millions() {
    let Some(db) = Database::with(
        "CREATE VIEW users AS SELECT a AS id FROM generate_series(1, 5100) a, generate_series(1, 1000) b",
    ) else {
        return;
    };
    db.install(&["triggers=off"]);

    let tables = TableSnapshot::take(&db.source()).await.unwrap().tables().await.unwrap();

    assert_eq!(tables.iter().map(|table| table.rows).collect::<Vec<_>>(), [5_000_001]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_backfill_continues_after_the_last_page_that_was_delivered() {
    let Some(db) = Database::with(NEW) else { return };
    db.install(&["triggers=off"]);
    db.run("INSERT INTO users (clerk_user_id, email) SELECT 'c' || i, i || '@example.org' FROM generate_series(1, 4500) i");
    let file = file("continued");
    let (source, sink) = (db.source(), Collected { most: Some(2000), ..Collected::default() });

    let mut progress = BackfillProgress::open(&file, "t").unwrap();
    let failed = backfill::run(&source, &sink, &mut progress, &BackfillMeter::default(), clock::system).await;
    assert!(failed.is_err());
    let stopping = BackfillMeter::default();
    stopping.stop();
    let second = Collected::default();
    let mut progress = BackfillProgress::open(&file, "t").unwrap();
    let stopped = backfill::run(&source, &second, &mut progress, &stopping, clock::system).await.unwrap();
    let third = Collected::default();
    let mut progress = BackfillProgress::open(&file, "t").unwrap();
    let finished = backfill::run(&source, &third, &mut progress, &BackfillMeter::default(), clock::system)
        .await
        .unwrap();

    assert_eq!((stopped, finished), (BackfillOutcome::Stopped, BackfillOutcome::Finished));
    let counts = [sink, second, third].map(|sink| sink.events.into_inner().unwrap().len());
    assert_eq!(counts, [2000, 2000, 500]);
    assert_eq!(progress.tables()["users"].rows, 4500);
    progress.forget().unwrap();
    assert!(!file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_holds_what_was_there_when_it_was_taken() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org')");
    let snapshot = torale_source::pages::TableSnapshot::take(&db.source()).await.unwrap();
    assert_eq!(snapshot.tables().await.unwrap().iter().map(|table| table.rows).sum::<u64>(), 1);

    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c2', 'b@example.org')");

    assert_eq!(snapshot.page("users", None, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_to_the_queue_sends_every_event() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&random_rows(20));
    let sqs = FakeSqs::default();

    let sink = BackfillSink::Queue(sqs.client());
    backfill::run(
        &db.source(),
        &sink,
        &mut BackfillProgress::unsaved(),
        &BackfillMeter::default(),
        clock::system,
    )
    .await
    .unwrap();

    let sorted = |events: Vec<String>| events.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(sorted(sqs.taken()), sorted(db.outbox().await));
    assert_eq!(sqs.client().url().await.unwrap(), torale_testkit::sqs::URL, "it names the account");
    let refused = backfill::run(
        &db.source(),
        &BackfillSink::Queue(FakeSqs::unreachable().client()),
        &mut BackfillProgress::unsaved(),
        &BackfillMeter::default(),
        clock::system,
    )
    .await;
    assert!(matches!(refused, Err(BackfillError::Queue(_))), "{refused:?}");
}

/// The progress of a backfill into a log, as the command opens it.
fn progress(name: &str) -> BackfillProgress {
    BackfillProgress::open(&file(name), "a log").unwrap()
}

async fn run_into(db: &Database, sink: &BackfillSink, progress: &mut BackfillProgress) {
    backfill::run(&db.source(), sink, progress, &BackfillMeter::default(), clock::system).await.unwrap();
}

/// Its own first import would be found in the log, and the rows be written a second time.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_backfill_into_the_log_of_the_first_is_refused_and_an_interrupted_one_goes_on() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&random_rows(4));
    let stack = Stack::start().await;
    let replay = Replay::new(stack.store(), clock::system);

    let first = progress("into-log");
    BackfillSink::into_log(replay.clone(), &first).await.unwrap();
    let mut again = progress("into-log");
    let sink = BackfillSink::into_log(replay.clone(), &again).await.unwrap();
    run_into(&db, &sink, &mut again).await;
    let finished = progress("into-log");
    BackfillSink::into_log(replay.clone(), &finished).await.unwrap();
    again.forget().unwrap();
    let second = BackfillSink::into_log(replay, &progress("into-log")).await.unwrap_err().to_string();

    assert_eq!(first.import_digest(), finished.import_digest());
    assert!(second.contains("the log is not empty"), "{second}");
    assert!(!file("into-log").exists(), "what was refused leaves no progress");
    assert_eq!(stack.logged().await.len(), db.outbox().await.len());
}

/// What was delivered to the first would be missing in the second.
#[tokio::test(flavor = "multi_thread")]
async fn a_progress_into_one_log_is_refused_for_another() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&random_rows(4));
    let (stack, other) = (Stack::start().await, Stack::start().await);
    let [one, two] = [&stack, &other].map(|stack| Replay::new(stack.store(), clock::system));

    let mut begun = progress("other-log");
    let sink = BackfillSink::into_log(one, &begun).await.unwrap();
    run_into(&db, &sink, &mut begun).await;
    let refused = BackfillSink::into_log(two.clone(), &begun).await.unwrap_err().to_string();
    let still = BackfillSink::into_log(two, &begun).await.is_err();
    begun.forget().unwrap();

    assert!(refused.contains("into another log, not this one"), "{refused}");
    assert!(still, "a refusal begins nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_into_an_empty_log_makes_live_what_the_consumer_would_have() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&random_rows(10));
    let (stack, other) = (Stack::start().await, Stack::start().await);
    let replay = Replay { settle: Duration::from_millis(50), ..Replay::new(stack.store(), clock::system) };

    replay.begin_import("one").await.unwrap();
    let sink = BackfillSink::Log(replay.clone());
    backfill::run(
        &db.source(),
        &sink,
        &mut BackfillProgress::unsaved(),
        &BackfillMeter::default(),
        clock::system,
    )
    .await
    .unwrap();
    let mut unsaved = BackfillProgress::unsaved();
    let folded = build_and_promote(&replay, &mut unsaved, &StopSignal::default()).await.unwrap().unwrap();
    let events = db.outbox().await;
    let consumer = Consumer::new(other.store(), clock::system);
    let consumed = consume(&consumer, &messages(&events)).await;

    assert_eq!(consumed.failed, [""; 0]);

    assert_eq!(folded.events, u64::try_from(events.len()).unwrap());
    assert_eq!(stack.generation("g2").await, other.projections().await);
    assert_eq!(replay.pointer().await.unwrap().live.name, "g2");
    let second = replay.begin_import("another").await.unwrap_err().to_string();
    assert!(second.contains("the log is not empty"), "{second}");
}

/// Ctrl-C while the log settles, which is two minutes in the cloud.
#[tokio::test]
async fn a_stop_is_noticed_while_the_log_settles() {
    let stack = Stack::start().await;
    let replay = Replay { settle: Duration::from_secs(86_400), ..Replay::new(stack.store(), clock::system) };
    let stop = StopSignal::default();
    stop.request();

    let stopped = build_and_promote(&replay, &mut BackfillProgress::unsaved(), &stop).await.unwrap();

    assert_eq!(stopped, None);
}

/// A stack whose log holds some events, with nothing built of it, and its replay with this settle time.
async fn stack_with_a_log(settle: Duration) -> (Stack, Replay) {
    let stack = Stack::start().await;
    let consumer = Consumer::new(stack.store(), clock::system);
    let consumed = consume(&consumer, &messages(&torale_testkit::events::admin())).await;
    assert_eq!(consumed.failed, [""; 0]);
    let replay = Replay { settle, ..Replay::new(stack.store(), clock::system) };
    (stack, replay)
}

/// Ctrl-C while the writers of two minutes ago may still write.
#[tokio::test]
async fn a_stop_during_the_promotion_ends_it_and_the_next_call_finishes_it() {
    let (stack, quick) = stack_with_a_log(Duration::from_millis(50)).await;
    let stop = StopSignal::default();
    let slow = Replay { settle: Duration::from_secs(86_400), ..quick.clone() };
    let generation = quick.next_generation(quick.pointer().await.unwrap().live.lanes).await.unwrap();
    quick.begin(&generation).await.unwrap();
    quick.build(&generation.name, 1, &stop).await.unwrap();
    Tail::resume(&quick, &generation).await.unwrap().catch_up().await.unwrap();

    let role = async || {
        let status = quick.status().await.unwrap();
        status.generations.iter().find(|one| one.name == generation.name).unwrap().role
    };
    let stopping = async {
        while role().await != GenerationRole::Joining {
            tokio::task::yield_now().await;
        }
        stop.request();
    };
    let (promoted, ()) = tokio::join!(promote(&slow, &generation.name, &stop), stopping);
    let left = role().await;
    let mut progress = progress_of(&generation.name);
    build_and_promote(&quick, &mut progress, &StopSignal::default()).await.unwrap().unwrap();

    assert_eq!((promoted.unwrap(), left), (false, GenerationRole::Joining));
    assert_eq!(quick.pointer().await.unwrap().live.name, generation.name);
    assert_eq!(quick.status().await.unwrap().generations.len(), 2, "nothing is built a second time");
    assert_eq!(stack.generation(&generation.name).await, stack.projections().await);
}

/// The progress of a backfill that has begun to build this generation.
fn progress_of(generation: &str) -> BackfillProgress {
    let mut progress = BackfillProgress::unsaved();
    progress.set_generation(generation).unwrap();
    progress
}

/// Builds the next generation of what is in the log, as `cargo replay rebuild` does.
async fn rebuild(replay: &Replay) -> String {
    let next = replay.next_generation(replay.pointer().await.unwrap().live.lanes).await.unwrap();
    replay.begin(&next).await.unwrap();
    replay.build(&next.name, 1, &StopSignal::default()).await.unwrap();
    next.name
}

/// Generations that were live before are built as well, and so may be what others have built of a part of the log.
#[tokio::test]
async fn a_backfill_takes_no_generation_but_its_own_and_ends_if_that_is_live() {
    for promotions in 0..=3 {
        let (stack, replay) = stack_with_a_log(Duration::from_millis(50)).await;
        for _ in 0..promotions {
            let next = rebuild(&replay).await;
            assert!(promote(&replay, &next, &StopSignal::default()).await.unwrap());
        }
        rebuild(&replay).await;
        let before = replay.status().await.unwrap().generations.len();
        let mut own = BackfillProgress::unsaved();

        let mut tallies = Vec::new();
        for _ in 0..2 {
            let tally = build_and_promote(&replay, &mut own, &StopSignal::default()).await.unwrap();
            tallies.push(tally.unwrap());
        }

        let live = replay.pointer().await.unwrap().live.name;
        assert_eq!(live, format!("g{}", promotions + 3));
        assert_eq!(own.generation(), Some(live.as_str()));
        assert_eq!(replay.status().await.unwrap().generations.len(), before + 1, "it is built once");
        assert!(tallies[0].events > 0 && tallies[0] == tallies[1], "{tallies:?}");
        assert_eq!(stack.generation(&live).await, stack.projections().await);
    }
}

/// An operator rebuilds, with a later release perhaps, while the progress of a backfill is still there.
#[tokio::test]
async fn a_backfill_leaves_a_generation_live_that_is_newer_than_its_own() {
    let (_stack, replay) = stack_with_a_log(Duration::from_millis(50)).await;
    let mut own = BackfillProgress::unsaved();
    build_and_promote(&replay, &mut own, &StopSignal::default()).await.unwrap().unwrap();
    for _ in 0..2 {
        let next = rebuild(&replay).await;
        assert!(promote(&replay, &next, &StopSignal::default()).await.unwrap());
    }
    let before = replay.pointer().await.unwrap();

    build_and_promote(&replay, &mut own, &StopSignal::default()).await.unwrap().unwrap();

    assert_eq!((replay.pointer().await.unwrap(), own.generation()), (before, Some("g2")));
}

/// The store fails between the last two writes of a promotion, or an operator has rolled back.
#[tokio::test]
async fn a_generation_that_every_event_is_written_to_is_made_live_by_the_next_call() {
    let (_stack, replay) = stack_with_a_log(Duration::from_millis(50)).await;
    let mut own = BackfillProgress::unsaved();
    build_and_promote(&replay, &mut own, &StopSignal::default()).await.unwrap().unwrap();
    replay.rollback().await.unwrap();

    build_and_promote(&replay, &mut own, &StopSignal::default()).await.unwrap().unwrap();

    assert_eq!(replay.pointer().await.unwrap().live.name, own.generation().unwrap());
    assert_eq!(replay.status().await.unwrap().generations.len(), 2, "nothing is built a second time");
}

/// Ctrl-C, or a crash, between the building and the promotion.
#[tokio::test]
async fn a_generation_that_is_built_already_is_promoted_and_not_built_again() {
    let (_stack, replay) = stack_with_a_log(Duration::from_millis(50)).await;
    let generation = replay.next_generation(replay.pointer().await.unwrap().live.lanes).await.unwrap();
    replay.begin(&generation).await.unwrap();
    replay.build(&generation.name, 1, &StopSignal::default()).await.unwrap();

    let mut progress = progress_of(&generation.name);
    build_and_promote(&replay, &mut progress, &StopSignal::default()).await.unwrap().unwrap();

    assert_eq!(replay.pointer().await.unwrap().live.name, generation.name);
    assert_eq!(replay.status().await.unwrap().generations.len(), 2);
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("torale-source-{name}-{}.json", std::process::id()))
}
