//! What operators watch: `GET /admin/health`.

use deactivate_user::DeactivateUser;
use health::Health;
use serde_json::{Value, json};
use torale_domain::storage::item::Key;
use torale_domain::storage::keys::{self, CONTROL_TABLE, QUARANTINE_TABLE};
use torale_testkit::events::{task, user};
use torale_testkit::fake_aws::CallFate;
use torale_testkit::request::{get, patch};
use torale_testkit::scenario::{Scenario, given, given_an_admin};
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{InstanceBuilder, NOW, number, text};

const USER: &str = "11111111-0000-4000-8000-000000000001";
const TASK: &str = "22222222-0000-4000-8000-000000000001";

/// An answer 850 ms later, from an instance with the function's permissions.
async fn health(scenario: &Scenario, events: &FakeSqs) -> (u16, Value) {
    let instance = InstanceBuilder::over(scenario.store_as("Health")).clock(|| NOW.plus(850));
    let answer = get::<Health>("").send(&instance.events(events.clone()).start()).await;
    (answer.status, answer.json())
}

/// The queue of the tests says that one message is being processed.
#[tokio::test]
async fn health_of_a_system_at_rest_has_zeros() {
    let scenario = given_an_admin().start().await;

    let expected = json!({
        "live_generation": { "name": "g1", "lanes": 2 }, "shadow_generation": null, "events_waiting": 1,
        "outbox": { "entries": 0, "capped": false, "oldest_at": null, "age_ms": 0 },
        "quarantine": { "messages": 0, "capped": false },
    });
    assert_eq!(health(&scenario, &FakeSqs::default()).await, (200, expected));
}

#[tokio::test]
async fn health_shows_both_generations_and_what_waits() {
    let unreadable = ["unreadable".to_owned(), "also unreadable".to_owned(), "unreadable".to_owned()];
    let events = (user(USER).created(), task(TASK).created(USER, "iPhone"), unreadable.to_vec());
    let scenario = given(events).start().await;
    let pointer = [("generation", text("g1")), ("lanes", number(2)), ("beside", text("g2"))];
    let shadow =
        [("beside_lanes", number(4)), ("beside_since", number(NOW.millis())), ("beside_complete", number(1))];
    let deactivation = patch::<DeactivateUser>(USER);
    let unreachable = FakeSqs::unreachable();
    let answer = deactivation.send_with(&scenario.app(), &unreachable.client()).await;
    assert_eq!(answer.status, 200);
    scenario.put(CONTROL_TABLE, &keys::live_generation(), pointer.into_iter().chain(shadow)).await;
    let queue = FakeSqs::default();
    queue.client().send(&["waiting".to_owned()]).await.unwrap();

    let expected = json!({
        "live_generation": { "name": "g1", "lanes": 2 },
        "shadow_generation": { "name": "g2", "lanes": 4, "since": NOW, "complete": true },
        "events_waiting": 2,
        "outbox": { "entries": 1, "capped": false, "oldest_at": NOW, "age_ms": 850 },
        "quarantine": { "messages": 2, "capped": false },
    });
    assert_eq!(health(&scenario, &queue).await, (200, expected));
}

/// One call to each partition of the quarantine, and 1,000 outbox entries at most: the cost is bounded.
#[tokio::test]
async fn health_says_where_there_may_be_more_than_is_counted() {
    let scenario = given_an_admin().start().await;
    for message in 0..4 {
        let key = Key::stored("a".to_owned(), format!("a{message:063}#00"));
        scenario.put(QUARANTINE_TABLE, &key, [("body", text(&"x".repeat(390_000)))]).await;
    }
    for entry in 0..1_000 {
        let key = Key::stored(keys::OUTBOX.to_owned(), format!("{entry:04}#unreadable"));
        scenario.put(CONTROL_TABLE, &key, []).await;
    }

    let (status, body) = health(&scenario, &FakeSqs::default()).await;

    assert_eq!(status, 200);
    let counted = body["quarantine"]["messages"].as_u64().unwrap();
    assert!((1..4).contains(&counted), "1 MB of them: {counted}");
    assert_eq!(body["quarantine"]["capped"], true);
    assert_eq!(body["outbox"], json!({ "entries": 1_000, "capped": true, "oldest_at": null, "age_ms": 0 }));
}

#[tokio::test]
async fn health_without_the_queue_is_not_known() {
    for (fate, expected) in [
        (CallFate::Unreachable, 503),
        (CallFate::Fails(503, "ServiceUnavailable"), 503),
        (CallFate::Fails(400, "QueueDoesNotExist"), 500),
    ] {
        let scenario = given_an_admin().start().await;

        let (status, _) = health(&scenario, &FakeSqs::always(fate)).await;

        assert_eq!(status, expected, "{fate:?}");
        let records = scenario.records().await;
        assert_eq!(records.last().map(|link| link.record.entry.status), Some(expected), "{fate:?}");
    }
}
