//! The metrics that are sent to CloudWatch every minute, and those that are left out while their source fails.

use aws_sdk_cloudwatch::types::StandardUnit;
use metrics::cloudwatch::{CloudWatch, MetricValue};
use metrics::{MetricSources, MetricsError, handle};
use serde_json::json;
use stats::Stats;
use std::collections::BTreeMap;
use tokio::time::Instant;
use torale_domain::values::time::{DAY, HOUR, MINUTE, Timestamp};
use torale_platform::consume::{BatchOutcome, Consumer};
use torale_platform::metrics::line;
use torale_platform::store::{Generations, Store, Usage};
use torale_testkit::cloudwatch::FakeCloudWatch;
use torale_testkit::events::{EventBuilder, IntoMessages, execution, task, user};
use torale_testkit::fake_aws::CallFate;
use torale_testkit::faults::Faults;
use torale_testkit::request::get;
use torale_testkit::scenario::given;
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{self, NOW, Stack};

const USER: &str = "11111111-0000-4000-8000-000000000001";
const TASK: &str = "22222222-0000-4000-8000-000000000001";

fn sources(store: Store, sqs: &FakeSqs, cloudwatch: &FakeCloudWatch) -> MetricSources {
    let (events, generations) = (sqs.client(), Generations::default());
    MetricSources {
        store,
        generations,
        events,
        cloudwatch: CloudWatch::new(cloudwatch.config()),
        clock: || NOW,
    }
}

/// A queue of events with one message in it.
async fn queue_with_a_message() -> FakeSqs {
    let sqs = FakeSqs::default();
    sqs.client().send(&["waiting".to_owned()]).await.unwrap();
    sqs
}

/// An execution of 3 s that ended so long before the present: it succeeded, or failed after so many retries.
fn ended(number: usize, before: i64, retries: Option<u64>) -> EventBuilder {
    let at = NOW.plus(-before);
    let run =
        execution(&format!("33333333-0000-4000-8000-{number:012}"), TASK, USER).started_at(at.plus(-3000));
    let event = match retries {
        None => run.succeeded(true),
        Some(retries) => run.failed("TimeoutError", "too slow").with("retry_count", retries),
    };
    event.at(at)
}

/// Eight events and two messages that are none.
fn history() -> Vec<String> {
    let long_ago = NOW.plus(-2 * DAY);
    let created = [user(USER).created().at(long_ago), task(TASK).created(USER, "iPhone").at(long_ago)];
    let executions = [
        ended(1, MINUTE, None),
        ended(2, MINUTE, None),
        ended(3, MINUTE, Some(0)),
        ended(4, 2 * MINUTE, Some(2)),
        ended(5, 2 * HOUR, Some(0)),
        ended(6, 2 * HOUR, None),
    ];
    (created, executions, ["unreadable", "also unreadable"]).into_messages()
}

fn value(put: &BTreeMap<String, (f64, String)>, name: &str) -> Option<f64> {
    put.get(name).map(|(value, _)| *value)
}

#[tokio::test]
async fn metrics_are_all_sent_with_their_units() {
    let scenario = given(history()).start().await;
    // One record that is sealed, and one since.
    scenario.when(get::<Stats>("")).await;
    scenario.seal().await;
    get::<Stats>("").send(&scenario.instance().clock(|| NOW.plus(1)).start()).await;
    let (sqs, cloudwatch) = (queue_with_a_message().await, FakeCloudWatch::default());
    let seconds = |at: Timestamp| i32::try_from(at.millis() / 1000).unwrap().into();
    cloudwatch.has_ages(&[(seconds(NOW.plus(-MINUTE)), 42.0), (seconds(NOW.plus(-2 * MINUTE)), 99.0)]);

    handle(&sources(scenario.store(), &sqs, &cloudwatch)).await.unwrap();

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
async fn consumer_metrics_count_events_by_type_duplicates_and_outcomes_of_a_batch() {
    let stack = Stack::start().await;
    let twice = [history(), history()].concat();
    stack.consume(&history()).await;

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
async fn consumer_metrics_count_duplicates_within_one_batch() {
    let outcome = Stack::start().await.consume(&[history(), history()].concat()).await;

    let sets = consumer::counters(&outcome, &[], 7, NOW);

    assert!(sets[0].metrics.contains(&("Duplicates", "Count", 8)), "{sets:?}");
}

/// SQS leaves out the age of messages that were delivered three times, which are just those that always fail.
#[tokio::test]
async fn lag_metric_includes_the_age_of_messages_that_always_fail() {
    let (stack, sqs, cloudwatch) =
        (Stack::start().await, queue_with_a_message().await, FakeCloudWatch::default());
    let at = |minutes: i64| f64::from(i32::try_from(NOW.plus(-minutes * MINUTE).millis() / 1000).unwrap());
    cloudwatch.has_ages(&[(at(1), 10.0)]);
    cloudwatch.has_stuck(&[(at(11), 9_000.0), (at(8), 4_000.0), (at(2), 0.0)]);
    handle(&sources(stack.store(), &sqs, &cloudwatch)).await.unwrap();

    assert_eq!(value(&cloudwatch.put(), "ProjectionLagSeconds"), Some(4_000.0));
}

#[tokio::test]
async fn consumer_metrics_have_the_age_of_the_oldest_message_that_failed_again() {
    let stack = Stack::start().await;
    let broken = Consumer::new(stack.faulty_store(&Faults::always()), || NOW);
    let mut messages = stack::messages(&history());

    for (age, message) in (0..).zip(&mut messages) {
        message.sent_at = Some(NOW.plus(-age * MINUTE));
        message.received = 3;
    }

    let until = Instant::now() + stack::LONG;
    let outcome = broken.consume(&messages, until, &Usage::default()).await;

    assert_eq!(outcome.failed.len(), messages.len());

    let sets = consumer::counters(&outcome, &messages, 7, NOW);
    assert!(sets[0].metrics.contains(&("StuckAge", "Seconds", 9 * 60)), "{sets:?}");

    let none_failed = consumer::counters(&BatchOutcome::default(), &messages, 7, NOW);
    assert!(none_failed[0].metrics.contains(&("StuckAge", "Seconds", 0)), "{none_failed:?}");
}

#[test]
fn executor_metrics_have_count_and_age_of_the_messages_that_failed() {
    let mut messages = stack::messages(&["one".to_owned(), "other".to_owned()]);
    (messages[1].sent_at, messages[1].received) = (Some(NOW.plus(-HOUR)), 3);
    let failed: Vec<_> = messages.iter().collect();

    let metrics = command_executor::counters(3, 1, &failed, NOW).metrics;

    assert_eq!(
        metrics,
        [
            ("Commands", "Count", 3),
            ("HandedBack", "Count", 2),
            ("MissingSchedules", "Count", 1),
            ("StuckAge", "Seconds", 3600)
        ]
    );
}

#[tokio::test]
async fn metrics_without_a_known_value_are_not_sent() {
    let (stack, sqs, cloudwatch) =
        (Stack::start().await, queue_with_a_message().await, FakeCloudWatch::default());
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
async fn metrics_job_without_the_queue_sends_the_others_and_fails() {
    let (stack, cloudwatch) = (Stack::start().await, FakeCloudWatch::default());
    stack.consume(&history()).await;
    let sqs = FakeSqs::always(CallFate::Fails(400, "AWS.SimpleQueueService.NonExistentQueue"));

    let failure = handle(&sources(stack.store(), &sqs, &cloudwatch)).await.unwrap_err();

    assert_eq!(failure.to_string(), "not known: lag");

    let put = cloudwatch.put();
    assert_eq!((value(&put, "ProjectionLagEvents"), value(&put, "ActiveTasks")), (None, Some(1.0)));
}

#[tokio::test]
async fn metrics_job_without_the_age_of_messages_sends_the_others_and_fails() {
    let (stack, sqs) = (Stack::start().await, queue_with_a_message().await);
    let cloudwatch = FakeCloudWatch::with([CallFate::Fails(400, "InvalidParameterValue")]);

    let failure = handle(&sources(stack.store(), &sqs, &cloudwatch)).await.unwrap_err();

    assert_eq!(failure.to_string(), "not known: lag in seconds");

    let put = cloudwatch.put();
    assert_eq!((value(&put, "ProjectionLagEvents"), value(&put, "ProjectionLagSeconds")), (Some(2.0), None));
}

#[tokio::test]
async fn metrics_job_without_the_store_sends_the_others_and_fails() {
    let (stack, cloudwatch) = (Stack::start().await, FakeCloudWatch::default());
    let store = stack.faulty_store(&Faults::always());

    let failure = handle(&sources(store, &FakeSqs::default(), &cloudwatch)).await.unwrap_err();

    assert_eq!(failure.to_string(), "not known: platform, outbox, quarantine, audit");
    assert_eq!(cloudwatch.put().len(), 1, "the number of waiting events is known");
}

#[tokio::test]
async fn metrics_job_fails_when_cloudwatch_refuses_the_values() {
    let stack = Stack::start().await;
    let cloudwatch = FakeCloudWatch::always(CallFate::Fails(400, "InvalidParameterValue"));

    let failure = handle(&sources(stack.store(), &FakeSqs::default(), &cloudwatch)).await.unwrap_err();

    assert!(matches!(failure, MetricsError::Unpublished(_)), "{failure}");
}

/// Time is virtual.
#[tokio::test(start_paused = true)]
async fn cloudwatch_out_of_reach_is_an_error_within_its_timeout_and_a_single_failure_is_retried() {
    let values = [MetricValue { name: "ActiveTasks", unit: StandardUnit::Count, value: 1.0 }];

    for fate in [CallFate::Hangs, CallFate::Unreachable, CallFate::Fails(500, "InternalFailure")] {
        let started = Instant::now();
        let client = CloudWatch::new(FakeCloudWatch::always(fate).config());
        assert!(client.put(&values, NOW).await.is_err(), "{fate:?}");
        assert!(client.oldest_message("torale-events", NOW).await.is_err(), "{fate:?}");
        assert!(started.elapsed().as_secs() <= 2 * 8, "{fate:?}: {:?}", started.elapsed());

        let fails_once = FakeCloudWatch::with([fate]);
        CloudWatch::new(fails_once.config()).put(&values, NOW).await.unwrap();
        assert_eq!(fails_once.calls().len(), 2, "{fate:?}");
    }
}
