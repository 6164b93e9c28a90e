//! The relay takes events from the outbox to the queue: each at least once, whoever fails.

use crate::platform::NEW;
use crate::server::Database;
use std::collections::BTreeSet;
use std::task::{Context, Poll};
use tokio::time::{Duration, Instant};
use torale_platform::clock;
use torale_source_outbox::SourceError;
use torale_source_outbox::connect::SourceDatabase;
use torale_source_outbox::relay::{self, SourceRelayReport};
use torale_testkit::fake_aws::CallFate;
use torale_testkit::sqs::FakeSqs;

fn users(count: u32) -> String {
    format!(
        "INSERT INTO users (clerk_user_id, email) SELECT 'c' || i, i || '@example.org' FROM generate_series(1, {count}) i"
    )
}

async fn run(db: &Database, sqs: &FakeSqs) -> Result<SourceRelayReport, SourceError> {
    relay::run(&db.source(), &sqs.client(), later(), later()).await
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

fn set(events: Vec<String>) -> BTreeSet<String> {
    events.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_sends_all_and_deletes_what_the_queue_took() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&users(1203));
    let (events, sqs) = (db.outbox().await, FakeSqs::default());

    let report = run(&db, &sqs).await.unwrap();

    assert_eq!(report, SourceRelayReport { sent: 1203, ..SourceRelayReport::default() });
    assert_eq!(sqs.taken().len(), 1203);
    assert_eq!(set(sqs.taken()), set(events));
    assert_eq!(db.outbox().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_relays_at_once_send_every_event_once() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&users(3000));
    let (events, sqs) = (db.outbox().await, FakeSqs::default());

    let reports = futures::future::join_all((0..4).map(|_| run(&db, &sqs))).await;

    assert_eq!(reports.into_iter().map(|report| report.unwrap().sent).sum::<u64>(), 3000);
    assert_eq!(sqs.taken().len(), 3000);
    assert_eq!(set(sqs.taken()), set(events));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_can_not_be_reached_leaves_all_in_the_outbox() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&users(30));

    let failed = run(&db, &FakeSqs::unreachable()).await.unwrap_err();

    assert!(matches!(failed, SourceError::Queue(_)), "{failed}");
    assert_eq!(db.outbox().await.len(), 30);
    assert_eq!(run(&db, &FakeSqs::default()).await.unwrap().sent, 30);
}

/// A relay that dies after SQS took its messages has not deleted them: its connection's end rolls back.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_loses_nothing() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&users(700));
    let (events, sqs) = (db.outbox().await, FakeSqs::default());

    for kills in 1..6 {
        let (source, queue) = (db.source(), sqs.client());
        let relaying = tokio::spawn(async move { relay::run(&source, &queue, later(), later()).await });
        while sqs.taken().len() < kills * 40 && !relaying.is_finished() {
            tokio::task::yield_now().await;
        }
        relaying.abort();
        drop(relaying.await);
    }
    run(&db, &sqs).await.unwrap();

    assert_eq!(set(sqs.taken()), set(events));
    assert_eq!(db.outbox().await, [""; 0]);
}

/// Polls a future so many times; `None` if it is not ready by then.
async fn polled<T>(times: u32, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut left) = (std::pin::pin!(work), times);
    let poll = move |context: &mut Context<'_>| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    };
    std::future::poll_fn(poll).await
}

/// Killed wherever it waits: while it connects, begins, reads, sends, deletes, commits, counts and closes.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_at_any_step_loses_nothing() {
    let Some(db) = Database::installed(NEW) else { return };
    let sqs = FakeSqs::default();
    let mut events = BTreeSet::new();
    for steps in 1.. {
        db.run(&format!(
            "INSERT INTO users (clerk_user_id, email) VALUES ('c{steps}', '{steps}@example.org')"
        ));
        events.extend(db.outbox().await);
        if polled(steps, run(&db, &sqs)).await.is_some() {
            // Some twenty times on a quiet machine; on a busy one, much is ready when it looks.
            assert!(steps > 3, "it waits more often: {steps}");
            break;
        }
    }
    // What a killed relay has locked is free once the server has noticed.
    while !db.outbox().await.is_empty() {
        run(&db, &sqs).await.unwrap();
    }

    assert_eq!(set(sqs.taken()), events);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_queue_refuses_is_marked_and_holds_up_nothing() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&users(20));
    let sqs = FakeSqs::refusing("\"13@example.org");

    let report = run(&db, &sqs).await.unwrap();
    let again = run(&db, &sqs).await.unwrap();

    assert_eq!((report.sent, report.refused, report.waiting, report.troubles), (19, 1, 0, 1));
    assert_eq!((again.sent, again.refused, again.troubles), (0, 0, 1));
    assert_eq!(set(sqs.taken()).len(), 19);
    let reasons = db.texts("SELECT refused FROM torale_admin_source.outbox").await;
    assert_eq!(reasons, ["InvalidMessageContents"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_not_there_marks_nothing_as_refused() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&users(3));

    let failed = run(&db, &FakeSqs::always(CallFate::Fails(400, "QueueDoesNotExist"))).await.unwrap_err();

    assert!(matches!(failed, SourceError::Queue(_)), "{failed}");
    assert_eq!(db.texts("SELECT refused FROM torale_admin_source.outbox").await, ["null"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_nobody_empties_has_a_lag() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&format!(
        "{}; UPDATE torale_admin_source.outbox SET created_at = now() - interval '1 hour' WHERE id = 2",
        users(3)
    ));

    let report =
        relay::run(&db.source(), &FakeSqs::default().client(), Instant::now(), later()).await.unwrap();

    assert_eq!((report.sent, report.waiting), (0, 3));
    assert!(report.lag_ms >= 3_600_000, "{}", report.lag_ms);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_follows_goes_on_after_a_failure() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&users(2));
    let sqs = FakeSqs::with([CallFate::Fails(403, "AccessDenied")]);
    let mut results = Vec::new();

    relay::follow(&db.source(), &sqs.client(), Duration::from_millis(1), |result| {
        results.push(result.map(|report| report.sent).map_err(|error| error.to_string()));
        results.len() < 3
    })
    .await;

    assert!(results[0].as_ref().is_err_and(|error| error.contains("AccessDenied")), "{results:?}");
    assert_eq!(results[1..], [Ok(2), Ok(0)]);
}

/// The function's run against an encrypted connection: what it does is in its answer and in its metrics.
#[tokio::test(flavor = "multi_thread")]
async fn function_relays_over_tls_and_closes_its_connection() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&users(30));
    let url = format!("{}?sslmode=require", db.url());
    let source = SourceDatabase::new(&url, Some(&db.certificate()), "torale_admin_source").unwrap();
    let sqs = FakeSqs::refusing("\"13@example.org");

    let report =
        postgres_relay::handle(&source, &sqs.client(), clock::system, later(), later()).await.unwrap();

    assert_eq!((report.sent, report.refused, report.troubles), (29, 1, 1));
    let metrics = [("OutboxSent", 29), ("OutboxWaiting", 0), ("OutboxLag", 0), ("OutboxTroubles", 1)];
    let emitted = postgres_relay::counters(&report).metrics;
    assert_eq!(emitted.into_iter().map(|(name, _, value)| (name, value)).collect::<Vec<_>>(), metrics);
    let others = "SELECT application_name FROM pg_stat_activity WHERE application_name = 'torale-source' \
        AND datname = current_database()";
    // The server ends its process a moment after the connection.
    let mut left = db.texts(others).await;
    for _ in 0..600 {
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        left = db.texts(others).await;
    }
    assert_eq!(left, [""; 0]);
}

/// A queue that does not answer before the end: the run fails by itself, and its rows can be locked at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_out_of_time_says_so_and_leaves_no_locks() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&users(30));
    let end = Instant::now() + Duration::from_millis(500);

    let silent = FakeSqs::always(CallFate::Hangs);
    let failed = relay::run(&db.source(), &silent.client(), later(), end).await.unwrap_err();

    assert!(failed.to_string().contains("out of time"), "{failed}");
    let free =
        "SELECT count(*)::text FROM (SELECT 1 FROM torale_admin_source.outbox FOR UPDATE SKIP LOCKED) rows";
    assert_eq!(db.texts(free).await, ["30"]);
}

/// A server that takes the connection and says nothing: the end of the run comes before connecting gives up.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_in_time_while_it_connects() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgresql://u@127.0.0.1:{}/p", silent.local_addr().unwrap().port());
    let source = SourceDatabase::new(&url, None, "torale_admin_source").unwrap();
    let end = Instant::now() + Duration::from_millis(200);

    let failed = relay::run(&source, &FakeSqs::default().client(), end, end).await.unwrap_err();

    assert!(failed.to_string().contains("out of time"), "{failed}");
}

/// Nobody waits for the exact number of millions.
#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_is_counted_up_to_a_hundred_thousand() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run("INSERT INTO torale_admin_source.outbox (event, created_at, refused) \
         SELECT '{}', now() - (200000 - n) * interval '1 s', CASE WHEN n % 50000 = 1 THEN 'r' END FROM generate_series(1, 150000) n;
         INSERT INTO torale_admin_source.failures (relation, operation, reason) VALUES ('users', 'INSERT', 'r')");

    let report =
        relay::run(&db.source(), &FakeSqs::default().client(), Instant::now(), later()).await.unwrap();

    // Of three refused rows the last one is behind the first 100,000.
    assert_eq!((report.sent, report.waiting, report.troubles), (0, 100_000, 3));
    // The first row that is not refused is the second.
    assert!(report.lag_ms >= 199_998_000 && report.lag_ms < 201_000_000, "{}", report.lag_ms);
}

/// No change of such a table becomes an event, and nothing else says so.
#[tokio::test(flavor = "multi_thread")]
async fn tables_without_the_triggers_are_troubles() {
    let Some(db) = Database::installed(NEW) else { return };
    let troubles = async || run(&db, &FakeSqs::default()).await.unwrap().troubles;
    assert_eq!(troubles().await, 0);

    db.run("ALTER TABLE notification_sends RENAME TO old; CREATE TABLE notification_sends (LIKE old INCLUDING ALL); DROP TABLE old");
    assert_eq!(troubles().await, 1, "it was replaced");
    db.run("ALTER TABLE users DISABLE TRIGGER ALL");
    db.run("ALTER TABLE tasks ENABLE REPLICA TRIGGER torale_source_update");
    assert_eq!(troubles().await, 3, "they do not fire");
    db.run(
        "ALTER TABLE users ENABLE TRIGGER ALL; ALTER TABLE tasks ENABLE ALWAYS TRIGGER torale_source_update",
    );
    assert_eq!(troubles().await, 1);
    db.install(&[]);
    assert_eq!(troubles().await, 0);
    db.run("DROP TABLE notification_sends");
    assert_eq!(troubles().await, 1, "it is gone, or has another name");
    db.install(&[]);
    assert_eq!(troubles().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_can_not_be_reached_is_an_error_that_names_it() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgresql://u:secret@127.0.0.1:{free}/p");
    let source = SourceDatabase::new(&url, None, "torale_admin_source").unwrap();

    let failed =
        postgres_relay::handle(&source, &FakeSqs::default().client(), clock::system, later(), later()).await;

    let text = failed.unwrap_err().to_string();
    assert!(text.starts_with("PostgreSQL: ") && !text.contains("secret"), "{text}");
}
