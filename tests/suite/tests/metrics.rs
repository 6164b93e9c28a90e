//! What CloudWatch is told every minute, and what of it is left out when something can't be found out.

use lambda_http::http::Method;
use metrics::cloudwatch::MetricValue;
use metrics::{MetricSources, MetricsError, handle};
use serde_json::json;
use std::collections::BTreeMap;
use torale_domain::values::time::{DAY, HOUR, MINUTE, Timestamp};
use torale_platform::consume::{BatchOutcome, Consumer};
use torale_platform::metrics::line;
use torale_platform::serve::App;
use torale_platform::store::{Generations, Store, Usage};
use torale_tests::cloudwatch::Stub;
use torale_tests::faults::Faults;
use torale_tests::generate::{self, event};
use torale_tests::sqs::{MessageFate, Sqs, URL};
use torale_tests::stack::{self, NOW, Stack};

const USER: &str = "11111111-0000-4000-8000-000000000001";
const TASK: &str = "22222222-0000-4000-8000-000000000001";

fn sources(store: Store, sqs: &Sqs, cloudwatch: &Stub) -> MetricSources {
    let (events, generations) = (sqs.queue(Some(URL)), Generations::default());
    MetricSources { store, generations, events, cloudwatch: cloudwatch.client(), clock: || NOW }
}

/// An execution that ended so long before the present.
fn execution(number: usize, ended: i64, outcome: Option<u64>) -> String {
    let at = NOW.plus(-ended);
    let id = format!("33333333-0000-4000-8000-{number:012}");
    let mut data =
        json!({ "execution_id": id, "task_id": TASK, "user_id": USER, "started_at": at.plus(-3000) });
    match outcome {
        None => {
            data["condition_met"] = json!(true);
            event(&format!("s{number}"), at, "execution.succeeded", data)
        }
        Some(retries) => {
            data["retry_count"] = json!(retries);
            data["error_type"] = json!("TimeoutError");
            data["error_message"] = json!("too slow");
            event(&format!("f{number}"), at, "execution.failed", data)
        }
    }
}

fn story() -> Vec<String> {
    let user = json!({ "user_id": USER, "clerk_user_id": "user_ann", "email": "ann@example.com" });
    let task = json!({ "task_id": TASK, "user_id": USER, "search_query": "iPhone" });
    vec![
        event("u", NOW.plus(-2 * DAY), "user.created", user),
        event("t", NOW.plus(-2 * DAY), "task.created", task),
        execution(1, MINUTE, None),
        execution(2, MINUTE, None),
        execution(3, MINUTE, Some(0)),
        execution(4, 2 * MINUTE, Some(2)),
        execution(5, 2 * HOUR, Some(0)),
        execution(6, 2 * HOUR, None),
        "poison".to_owned(),
        "more poison".to_owned(),
    ]
}

fn value(put: &BTreeMap<String, (f64, String)>, name: &str) -> Option<f64> {
    put.get(name).map(|(value, _)| *value)
}

#[tokio::test]
async fn everything_is_told_with_its_unit() {
    let stack = Stack::start().await;
    stack.consume(&[generate::admin(), story()].concat()).await;
    // One record that is sealed, and one since.
    stack.get("/admin/stats", "").await;
    stack.seal().await;
    let later =
        App::new(stack.store(), stack::keys_only(), stack::LIMITS, stack::temporal_ui(), || NOW.plus(1));
    let key = format!("Bearer {}", stack::ADMIN_KEY);
    stack::answer(&later, stack::request(Method::GET, "/admin/stats", "", Some(&key))).await;
    let (sqs, cloudwatch) = (Sqs::default(), Stub::default());
    sqs.queue(Some(URL)).send(&["waiting".to_owned()]).await.unwrap();
    let seconds = |at: Timestamp| i32::try_from(at.millis() / 1000).unwrap().into();
    cloudwatch.has_ages(&[(seconds(NOW.plus(-MINUTE)), 42.0), (seconds(NOW.plus(-2 * MINUTE)), 99.0)]);
    handle(&sources(stack.store(), &sqs, &cloudwatch)).await.unwrap();
    let expected = [
        ("ActiveTasks", 1.0, "Count"),
        ("AuditSealAgeSeconds", 0.0, "Seconds"),
        ("AuditUnsealedRecords", 1.0, "Count"),
        ("AvgDurationMs", 3000.0, "Milliseconds"),
        ("ErrorRate", 50.0, "Percent"),
        ("FailedExecutionsPerHour", 2.0, "Count"),
        ("NewErrorsPerHour", 1.0, "Count"),
        ("NewUsers7d", 1.0, "Count"),
        ("OutboxAgeSeconds", 0.0, "Seconds"),
        ("ProjectionLagEvents", 2.0, "Count"),
        ("ProjectionLagSeconds", 42.0, "Seconds"),
        ("QuarantinedMessages", 2.0, "Count"),
    ];
    let expected = expected.map(|(name, value, unit)| (name.to_owned(), (value, unit.to_owned())));
    assert_eq!(cloudwatch.put(), BTreeMap::from(expected));
    assert_eq!(cloudwatch.namespaces(), ["Torale/Admin"]);
    assert_eq!(cloudwatch.calls(), ["GetMetricStatistics", "GetMetricStatistics", "PutMetricData"]);
}

#[tokio::test]
async fn the_consumer_counts_events_by_type_duplicates_and_what_became_of_a_batch() {
    let stack = Stack::start().await;
    let twice = [story(), story()].concat();
    stack.consume(&story()).await;
    let outcome = stack.consume(&twice).await;
    let sets = consumer::counters(&outcome, &stack::messages(&twice), 7, NOW);
    let line: serde_json::Value = serde_json::from_str(&line(&sets, NOW)).unwrap();
    let counted = json!({ "Messages": 20, "Duplicates": 16, "SetAside": 4, "HandedBack": 0, "StuckAge": 0, "Conflicts": 0,
        "Transactions": 0, "BatchTime": 7, "user.created": 2, "task.created": 2, "execution.succeeded": 6,
        "execution.failed": 6 });
    let mut found = line.clone();
    found.as_object_mut().unwrap().remove("_aws");
    assert_eq!(found, counted);
    let named: Vec<_> = line["_aws"]["CloudWatchMetrics"].as_array().unwrap().iter().collect();
    assert_eq!(
        named.iter().map(|set| &set["Namespace"]).collect::<Vec<_>>(),
        ["Torale/Consumer", "Torale/Events"]
    );
    let names = named.iter().flat_map(|set| set["Metrics"].as_array().unwrap()).count();
    assert_eq!(names, counted.as_object().unwrap().len());
}

/// The same event twice in a batch is a duplicate, too, though the entity is new.
#[tokio::test]
async fn duplicates_of_one_batch_are_counted() {
    let stack = Stack::start().await;
    let outcome = stack.consume(&[story(), story()].concat()).await;
    let sets = consumer::counters(&outcome, &[], 7, NOW);
    assert!(sets[0].metrics.contains(&("Duplicates", "Count", 8)), "{sets:?}");
}

/// SQS forgets the age of what was handed out three times, which is just what can't be taken in.
#[tokio::test]
async fn what_is_handed_back_again_and_again_goes_on_ageing() {
    let (stack, sqs, cloudwatch) = (Stack::start().await, Sqs::default(), Stub::default());
    sqs.queue(Some(URL)).send(&["stuck".to_owned()]).await.unwrap();
    let at = |minutes: i64| f64::from(i32::try_from(NOW.plus(-minutes * MINUTE).millis() / 1000).unwrap());
    cloudwatch.has_ages(&[(at(1), 10.0)]);
    cloudwatch.has_stuck(&[(at(11), 9_000.0), (at(8), 4_000.0), (at(2), 0.0)]);
    handle(&sources(stack.store(), &sqs, &cloudwatch)).await.unwrap();
    assert_eq!(value(&cloudwatch.put(), "ProjectionLagSeconds"), Some(4_000.0));
}

#[tokio::test]
async fn the_consumer_tells_how_old_is_what_it_hands_back() {
    let stack = Stack::start().await;
    let broken = Consumer::new(stack.faulty_store(Faults::new(0, false, true)), || NOW);
    let mut messages = stack::messages(&story());
    for (age, message) in (0..).zip(&mut messages) {
        message.sent_at = Some(NOW.plus(-age * MINUTE));
        message.received = 3;
    }
    let until = tokio::time::Instant::now() + stack::LONG;
    let outcome = broken.consume(&messages, until, &Usage::default()).await;
    assert_eq!(outcome.failed.len(), messages.len());
    let sets = consumer::counters(&outcome, &messages, 7, NOW);
    assert!(sets[0].metrics.contains(&("StuckAge", "Seconds", 9 * 60)), "{sets:?}");
    let others = consumer::counters(&BatchOutcome::default(), &messages, 7, NOW);
    assert!(others[0].metrics.contains(&("StuckAge", "Seconds", 0)), "{others:?}");
}

#[test]
fn the_executor_tells_what_it_hands_back() {
    let mut messages = stack::messages(&["one".to_owned(), "other".to_owned()]);
    (messages[1].sent_at, messages[1].received) = (Some(NOW.plus(-HOUR)), 3);
    let failed: Vec<_> = messages.iter().collect();
    let told = command_executor::counters(3, &failed, NOW).metrics;
    assert_eq!(told, [("Commands", "Count", 3), ("HandedBack", "Count", 2), ("StuckAge", "Seconds", 3600)]);
}

#[tokio::test]
async fn an_age_that_nobody_has_told_yet_is_not_made_up() {
    let (stack, sqs, cloudwatch) = (Stack::start().await, Sqs::default(), Stub::default());
    sqs.queue(Some(URL)).send(&["waiting".to_owned()]).await.unwrap();
    let seconds = i32::try_from(NOW.millis() / 1000 - 60).unwrap();
    cloudwatch.has_stuck(&[(seconds.into(), 0.0)]);
    handle(&sources(stack.store(), &sqs, &cloudwatch)).await.unwrap();
    let put = cloudwatch.put();
    assert_eq!(value(&put, "ProjectionLagEvents"), Some(2.0));
    assert_eq!(value(&put, "ProjectionLagSeconds"), None);
    assert_eq!(value(&put, "AuditSealAgeSeconds"), None, "nothing has ever been sealed");
    assert_eq!(value(&put, "ErrorRate"), Some(0.0), "nothing has run");
}

#[tokio::test]
async fn what_cannot_be_found_out_takes_nothing_else_with_it_and_is_a_failure() {
    let (stack, cloudwatch) = (Stack::start().await, Stub::default());
    stack.consume(&story()).await;
    let sqs = Sqs::always(MessageFate::Fails(400, "AWS.SimpleQueueService.NonExistentQueue"));
    let failure = handle(&sources(stack.store(), &sqs, &cloudwatch)).await.unwrap_err();
    assert_eq!(failure.to_string(), "not known: lag");
    let put = cloudwatch.put();
    assert_eq!((value(&put, "ProjectionLagEvents"), value(&put, "ActiveTasks")), (None, Some(1.0)));

    let waiting = Sqs::default();
    waiting.queue(Some(URL)).send(&["waiting".to_owned()]).await.unwrap();
    let cloudwatch = Stub::with([MessageFate::Fails(400, "InvalidParameterValue")]);
    let failure = handle(&sources(stack.store(), &waiting, &cloudwatch)).await.unwrap_err();
    assert_eq!(failure.to_string(), "not known: lag in seconds");
    let put = cloudwatch.put();
    assert_eq!((value(&put, "ProjectionLagEvents"), value(&put, "ProjectionLagSeconds")), (Some(2.0), None));

    let cloudwatch = Stub::default();
    let store = stack.faulty_store(Faults::new(0, false, true));
    let failure = handle(&sources(store, &Sqs::default(), &cloudwatch)).await.unwrap_err();
    assert_eq!(failure.to_string(), "not known: platform, outbox, quarantine, audit");
    assert_eq!(cloudwatch.put().len(), 1, "the number of waiting events is known");
}

#[tokio::test]
async fn values_that_cloudwatch_does_not_take_are_a_failure() {
    let (stack, cloudwatch) =
        (Stack::start().await, Stub::always(MessageFate::Fails(400, "InvalidParameterValue")));
    let failure = handle(&sources(stack.store(), &Sqs::default(), &cloudwatch)).await.unwrap_err();
    assert!(matches!(failure, MetricsError::Unpublished(_)), "{failure}");
}

/// Time is virtual.
#[tokio::test(start_paused = true)]
async fn cloudwatch_gets_its_time_and_no_more() {
    let values = [MetricValue {
        name: "ActiveTasks",
        unit: aws_sdk_cloudwatch::types::StandardUnit::Count,
        value: 1.0,
    }];
    for fate in [MessageFate::Hangs, MessageFate::Unreachable, MessageFate::Fails(500, "InternalFailure")] {
        let (stub, started) = (Stub::always(fate), tokio::time::Instant::now());
        let client = stub.client();
        assert!(client.put(&values, NOW).await.is_err(), "{fate:?}");
        assert!(client.oldest_message("torale-events", NOW).await.is_err(), "{fate:?}");
        assert!(started.elapsed().as_secs() <= 2 * 8, "{fate:?}: {:?}", started.elapsed());
        let once = Stub::with([fate]);
        once.client().put(&values, NOW).await.unwrap();
        assert_eq!(once.calls().len(), 2, "{fate:?}: a short fault is none");
    }
}
