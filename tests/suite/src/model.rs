//! Compares the system with the independent model.

use crate::endpoints;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};
use std::fmt;
use torale_domain::pages::metrics::{self, Metrics};
use torale_domain::values::time::Timestamp;
use torale_model::{Message, ModelTemporalUi, World};
use torale_platform::store::{Generation, TableReader, Usage};
use torale_testkit::generator::Generator;
use torale_testkit::stack::{NOW, Stack, temporal_ui};

/// The model of some messages, received at the present of the tests.
pub fn model(messages: &[String]) -> World {
    model_at(messages, NOW)
}

/// The model of some messages.
pub fn model_at(messages: &[String], received_at: Timestamp) -> World {
    let received_at_ms = received_at.millis();
    World::of(&messages.iter().map(|body| Message { body: body.clone(), received_at_ms }).collect::<Vec<_>>())
}

/// The system and the model must give the same answer.
pub async fn check(stack: &Stack, model: &World, path: &str, query: &str) {
    let ui = temporal_ui();
    let ui = ModelTemporalUi { url: ui.url, namespace: ui.namespace };
    let answer = endpoints::answer(stack, path, query).await;
    let expected = model.get(path, query, NOW.millis(), &ui);
    let mut found = (answer.status, comparable(path, answer.status, &answer.text));
    // Which commands wait in the outbox is no matter of events.
    if let Some(deactivation) = found.1.get_mut("deactivation").and_then(Value::as_object_mut) {
        deactivation
            .insert("commands_pending".to_owned(), expected.1["deactivation"]["commands_pending"].clone());
    }
    assert_eq!(found, expected, "GET {path}?{query}\n found: {}\nexpected: {}", found.1, expected.1);
}

/// The system and the model must compute the same metrics of the platform, which are returned.
pub async fn check_metrics(stack: &Stack, model: &World) -> Metrics {
    let (store, usage) = (stack.store(), Usage::default());
    let reader = TableReader::of(&store, &Generation::first(), &usage);
    let found = metrics::answer(&reader, NOW).await.unwrap();
    assert_eq!(usage.round_trips(), 1);
    let computed = json!({
        "error_rate": i64::try_from(found.error_rate).unwrap(),
        "avg_duration_ms": i64::try_from(found.avg_duration_ms).unwrap(),
        "failed_executions": i64::try_from(found.failed_executions).unwrap(),
        "new_errors": i64::try_from(found.new_errors).unwrap(),
        "new_users_7d": i64::try_from(found.new_users_7d).unwrap(),
        "active_tasks": i64::try_from(found.active_tasks).unwrap(),
    });
    assert_eq!(computed, model.metrics(NOW.millis()));
    found
}

/// The body as the model writes it: faults by place only, error types as pairs in their order.
fn comparable(path: &str, status: u16, text: &str) -> Value {
    let mut body: Value = serde_json::from_str(text).unwrap();
    if status == 422 {
        let mut places: Vec<Value> =
            body["detail"].as_array().unwrap().iter().map(|fault| json!({ "loc": fault["loc"] })).collect();
        places.sort_by_key(Value::to_string);
        return json!({ "detail": places });
    }
    if path == "/admin/errors" {
        let Ordered { error_types: Pairs(pairs) } = serde_json::from_str(text).unwrap();
        body["error_types"] = json!(pairs);
    }
    body
}

#[derive(Deserialize)]
struct Ordered {
    error_types: Pairs,
}

struct Pairs(Vec<(String, u64)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The commonest requests to every endpoint that reads.
pub const PLAIN: [(&str, &str); 31] = [
    ("/admin/stats", ""),
    ("/admin/stats/series", "metric=executions&bucket=hour&hours=744"),
    ("/admin/stats/series", "metric=errors&bucket=minute"),
    ("/admin/stats/series", "metric=notifications&bucket=day&hours=8760"),
    ("/admin/stats/series", "metric=new_users&bucket=day&hours=168"),
    ("/admin/stats/series", "metric=last_logins&bucket=hour&hours=720"),
    ("/admin/stats/series", "metric=workflows&bucket=minute"),
    ("/admin/queries", ""),
    ("/admin/executions", "hours=8760"),
    ("/admin/executions", "status=running&hours=8760"),
    ("/admin/executions", ""),
    ("/admin/executions", "task_id=0000abcd-0000-0002-0000-000000000001&hours=8760"),
    ("/admin/executions", "task_id=0000abcd-0000-0002-0000-000000000002&status=failed&hours=8760"),
    ("/admin/errors", "hours=8760"),
    ("/admin/errors", ""),
    ("/admin/errors", "error_type=TimeoutError&hours=8760"),
    ("/admin/errors", "task_id=0000abcd-0000-0002-0000-000000000001&hours=8760"),
    ("/admin/errors", "task_id=0000abcd-0000-0002-0000-000000000002&error_type=E&hours=168"),
    ("/admin/tasks", ""),
    ("/admin/tasks", "state=paused"),
    ("/admin/tasks", "user_id=0000abcd-0000-0001-0000-000000000001"),
    ("/admin/tasks", "search_query=x"),
    ("/admin/users", "q=n"),
    ("/admin/users", "q=NEW&active_only=true"),
    ("/admin/users", "q=c&limit=1&page=2"),
    ("/admin/users", ""),
    ("/admin/users", "active_only=1"),
    ("/admin/temporal/workflows", ""),
    ("/admin/temporal/schedules", ""),
    ("/admin/temporal/schedules", "include_paused=true"),
    ("/admin/temporal/schedules", "include_paused=true&include_timezone=true"),
];

/// The path of everything that a generator's messages may name, and of one thing that none names.
pub fn details() -> Vec<String> {
    let kinds = [("executions", 3, 14), ("tasks", 2, 7), ("users", 1, 5)];
    let id = |kind, n| format!("0000abcd-0000-000{kind}-0000-{n:012x}");
    let of = |(name, kind, count)| (0..=count).map(move |n| format!("/admin/{name}/{}", id(kind, n)));
    kinds.into_iter().flat_map(of).collect()
}

/// A random request.
pub fn request(generator: &mut Generator) -> (&'static str, String) {
    let (path, names): (&str, &[&str]) = generator.pick(&[
        ("/admin/queries", &["page", "limit"] as &[&str]),
        ("/admin/stats/series", &["metric", "bucket", "hours"]),
        ("/admin/executions", &["status", "hours", "page", "limit"]),
        ("/admin/executions", &["task_id", "status", "hours", "page", "limit"]),
        ("/admin/temporal/workflows", &["limit", "page"]),
        ("/admin/temporal/schedules", &["page", "limit", "include_paused", "include_timezone"]),
        ("/admin/errors", &["hours", "limit", "page"]),
        ("/admin/errors", &["error_type", "task_id", "hours", "limit", "page"]),
        ("/admin/tasks", &["page", "limit"]),
        ("/admin/tasks", &["state", "page", "limit"]),
        ("/admin/tasks", &["user_id", "page", "limit"]),
        ("/admin/tasks", &["search_query", "page", "limit"]),
        ("/admin/tasks", &["state", "user_id", "search_query"]),
        ("/admin/users", &["active_only", "page", "limit"]),
        ("/admin/users", &["q", "active_only", "page", "limit"]),
    ]);
    let mut pairs = Vec::new();
    for name in names {
        // Without either there is no series.
        if generator.chance(if ["metric", "bucket"].contains(name) { 95 } else { 70 }) {
            pairs.push(format!("{name}={}", value(generator, name)));
        }
    }
    if generator.chance(5) {
        pairs.push("unknown=1".to_owned());
    }
    if generator.chance(5) && !pairs.is_empty() {
        pairs.push(pairs[0].clone());
    }
    (path, pairs.join("&"))
}

fn value(generator: &mut Generator, name: &str) -> String {
    if generator.chance(6) {
        return generator
            .pick(&["", "-1", "0", "1001", "abc", "1.5", "8761", "%31", "TRUE", "+1"])
            .to_owned();
    }
    match name {
        "page" => generator.pick(&["1", "1", "2", "3", "4", "007", "1000000000000"]).to_owned(),
        "limit" => generator.pick(&["1", "2", "3", "5", "50", "100"]).to_owned(),
        "hours" => generator.pick(&["1", "24", "168", "720", "8760"]).to_owned(),
        "metric" => generator
            .pick(&["executions", "errors", "notifications", "new_users", "last_logins", "workflows"])
            .to_owned(),
        "task_id" => format!("0000ABCD-0000-0002-0000-{:012x}", generator.below(8)),
        "error_type" => generator.pick(&["TimeoutError", "RateLimitError", "E", "e", "Other"]).to_owned(),
        "search_query" => generator
            .pick(&["x", "PS6+price", "iPhone%20release%20date", "iPhone+release+date+", "X", "%25"])
            .to_owned(),
        "user_id" => format!("0000abcd-0000-0001-0000-{:012X}", generator.below(6)),
        "state" => generator.pick(&["active", "paused", "completed"]).to_owned(),
        "q" => generator
            .pick(&["0", "N", "new1", "clerk", "CLERK0@", "2%40example.com", "%25", "é", "%F4%8F%BF%BF"])
            .to_owned(),
        "bucket" => generator.pick(&["minute", "hour", "day"]).to_owned(),
        "status" => generator.pick(&["success", "failed", "running"]).to_owned(),
        _ => generator.pick(&["true", "false", "1", "0"]).to_owned(),
    }
}
