//! The relay takes events from the outbox to the queue: each at least once, whoever fails.

use crate::platform::NEW;
use crate::server::Database;
use std::collections::BTreeSet;
use tokio::time::{Duration, Instant};
use torale_source::SourceError;
use torale_source::relay::{self, SourceRelayReport};
use torale_testkit::fake_aws::CallFate;
use torale_testkit::sqs::FakeSqs;

fn users(count: u32) -> String {
    format!(
        "INSERT INTO users (clerk_user_id, email) SELECT 'c' || i, i || '@example.org' FROM generate_series(1, {count}) i"
    )
}

async fn run(db: &Database, sqs: &FakeSqs) -> Result<SourceRelayReport, SourceError> {
    relay::run(&db.source(), &sqs.client(), Instant::now() + Duration::from_secs(600)).await
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
        let relaying = tokio::spawn(async move {
            relay::run(&source, &queue, Instant::now() + Duration::from_secs(600)).await
        });
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

    let report = relay::run(&db.source(), &FakeSqs::default().client(), Instant::now()).await.unwrap();

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
