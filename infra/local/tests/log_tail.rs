//! Starting with a store in which a killed run left events that are in the log but not projected.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use torale_domain::storage::keys;
use torale_domain::values::ids::{EntityKey, TaskId, UserId};
use torale_local::console::Console;
use torale_local::data::log_tail::{self, ProjectedUntil, TailReport};
use torale_local::store;
use torale_platform::clock::system;
use torale_platform::consume::{Consumer, QueueMessage};
use torale_platform::store::log::LogEntry;
use torale_platform::store::{Generation, Store, Usage};

const PROJECTED: &str = "11111111-0000-4000-8000-000000000001";
const ONLY_LOGGED: &str = "11111111-0000-4000-8000-000000000002";

fn user_created(user: &str) -> String {
    let data = json!({ "user_id": user, "clerk_user_id": format!("clerk-{user}"), "email": "a@example.com" });
    json!({ "specversion": "1.0", "id": user, "source": "/test", "type": "ai.torale.user.created",
        "time": "2024-01-15T09:00:00Z", "data": data })
    .to_string()
}

fn message(id: &str, kind: &str, data: &serde_json::Value) -> String {
    json!({ "specversion": "1.0", "id": id, "source": "/test", "type": format!("ai.torale.{kind}"),
        "time": "2024-01-16T09:00:00Z", "data": data })
    .to_string()
}

fn entity(user: &str) -> EntityKey {
    EntityKey::User(UserId::parse(user).unwrap())
}

async fn start() -> (u16, CancellationToken) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    tokio::spawn(store::serve(listener, store::open(None).unwrap(), Console::default(), stop.clone()));
    store::create_tables(&store::client(port)).await.unwrap();
    (port, stop)
}

/// Whether the projections hold a state of the user.
async fn is_projected(port: u16, user: &str) -> bool {
    let key = keys::entity(&entity(user));
    let item = store::client(port).get_item().table_name(Generation::first().table());
    let item = item.key("pk", text(key.pk)).key("sk", text(key.sk)).send().await.unwrap();
    item.item.is_some()
}

fn text(value: String) -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::S(value)
}

/// What a consumer does with the message that creates a user.
async fn consume(store: &Store, user: &str) {
    consume_message(store, user_created(user)).await;
}

async fn consume_message(store: &Store, body: String) {
    let id = "message".to_owned();
    let message = QueueMessage { id, body, sent_at: None, received: 1 };
    let deadline = Instant::now() + Duration::from_secs(60);
    let (consumer, usage) = (Consumer::new(store.clone(), system), Usage::default());
    let outcome = consumer.consume(&[message], deadline, &usage).await;
    assert_eq!(outcome.failed, Vec::<String>::new());
}

/// What a consumer that is killed after its first step has done with a message.
async fn append_only(store: &Store, user: &str) {
    let body = user_created(user);
    let entry = LogEntry { lane: keys::log_lane(&entity(user)), body: &body };
    store.append(&[entry], system(), "killed", &Usage::default()).await.unwrap();
}

#[tokio::test]
async fn start_projects_events_that_a_killed_run_had_only_logged() {
    let (port, _stop) = start().await;
    let store = Store::new(store::client_config(port));
    let folder = std::env::temp_dir().join(format!("torale-tail-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let projected = ProjectedUntil::new(&folder);
    consume(&store, PROJECTED).await;
    projected.record().unwrap();
    append_only(&store, ONLY_LOGGED).await;
    assert!(is_projected(port, PROJECTED).await && !is_projected(port, ONLY_LOGGED).await);

    let report = log_tail::fold(store.clone(), &projected).await.unwrap();

    // Both were received within the two minutes before the recorded time that a tail goes back.
    assert_eq!(report, TailReport { events: 2, failed: 0 });
    assert!(is_projected(port, PROJECTED).await && is_projected(port, ONLY_LOGGED).await);
    std::fs::remove_dir_all(folder).unwrap();
}

/// What is made before anything else writes, such as a history, is not folded again by the next start.
#[tokio::test]
async fn tail_begins_where_the_log_was_at_rest_even_if_that_was_a_moment_ago() {
    let (port, _stop) = start().await;
    let store = Store::new(store::client_config(port));
    let folder = std::env::temp_dir().join(format!("torale-rest-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let projected = ProjectedUntil::new(&folder);
    consume(&store, PROJECTED).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    projected.record_at_rest().unwrap();
    append_only(&store, ONLY_LOGGED).await;
    // The end of the start, which comes soon after.
    projected.record().unwrap();

    let report = log_tail::fold(store.clone(), &projected).await.unwrap();

    assert_eq!(report, TailReport { events: 1, failed: 0 });
    assert!(is_projected(port, ONLY_LOGGED).await);
    std::fs::remove_dir_all(folder).unwrap();
}

/// The ends of the keys of the outbox entries.
async fn outbox(port: u16) -> Vec<String> {
    let query = store::client(port).query().table_name(keys::CONTROL_TABLE);
    let query = query.key_condition_expression("pk = :pk");
    let found = query.expression_attribute_values(":pk", text(keys::OUTBOX.to_owned())).send().await.unwrap();
    let keys = found.items().iter().map(|item| item["sk"].as_s().unwrap());
    keys.map(|key| key.rsplit_once('#').unwrap().1.to_owned()).collect()
}

/// A message that comes again would be subject to the late rule, and the queue has forgotten it.
#[tokio::test]
async fn task_of_a_deactivated_user_in_the_tail_is_stopped() {
    const TASK: &str = "22222222-0000-4000-8000-000000000001";
    let (port, _stop) = start().await;
    let store = Store::new(store::client_config(port));
    consume(&store, PROJECTED).await;
    let clerk = format!("clerk-{PROJECTED}");
    consume_message(&store, message("d", "identity.deleted", &json!({ "clerk_user_id": clerk }))).await;
    let before = outbox(port).await;
    assert_eq!(before.len(), 1, "the commands of the deactivation: {before:?}");
    let data = json!({ "task_id": TASK, "user_id": PROJECTED, "search_query": "news" });
    let (body, task) = (message("t", "task.created", &data), EntityKey::Task(TaskId::parse(TASK).unwrap()));
    let entry = LogEntry { lane: keys::log_lane(&task), body: &body };
    store.append(&[entry], system(), "killed", &Usage::default()).await.unwrap();

    let never_recorded = ProjectedUntil::new(&std::env::temp_dir().join("torale-tail-nowhere"));
    let report = log_tail::fold(store, &never_recorded).await.unwrap();

    assert_eq!(report, TailReport { events: 3, failed: 0 });
    let after = outbox(port).await;
    assert!(after.len() == 2 && after.iter().any(|target| target.contains(TASK)), "{after:?}");
}

#[tokio::test]
async fn tail_of_a_folder_without_a_recorded_time_is_the_whole_log() {
    let (port, _stop) = start().await;
    let store = Store::new(store::client_config(port));
    append_only(&store, ONLY_LOGGED).await;

    let never_recorded = ProjectedUntil::new(&std::env::temp_dir().join("torale-tail-nowhere"));
    let report = log_tail::fold(store, &never_recorded).await.unwrap();

    assert_eq!(report, TailReport { events: 1, failed: 0 });
    assert!(is_projected(port, ONLY_LOGGED).await);
}

#[tokio::test]
async fn tail_of_an_empty_store_is_empty() {
    let (port, _stop) = start().await;
    let never_recorded = ProjectedUntil::new(&std::env::temp_dir().join("torale-tail-nowhere"));

    let report = log_tail::fold(Store::new(store::client_config(port)), &never_recorded).await.unwrap();

    assert_eq!(report, TailReport::default());
}
