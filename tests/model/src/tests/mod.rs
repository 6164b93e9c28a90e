//! Expected values here are worked out by hand from the contract.

mod cron;
mod data_fields;
mod details;
mod envelope;
mod errors;
mod executions;
mod identities;
mod merge;
mod queries;
mod requests;
mod schedules;
mod search;
mod series;
mod stats;
mod tasks;
mod times;
mod users;
mod workflows;

use serde_json::{Value, json};

use crate::{Message, ModelTemporalUi, World, time};

/// 2024-01-15T10:30:42.500Z
const NOW: &str = "2024-01-15T10:30:42.500Z";

const U1: &str = "660e8400-e29b-41d4-a716-446655440001";
const U2: &str = "660e8400-e29b-41d4-a716-446655440002";
const T1: &str = "550e8400-e29b-41d4-a716-446655440001";
const T2: &str = "550e8400-e29b-41d4-a716-446655440002";
const T3: &str = "550e8400-e29b-41d4-a716-446655440003";
const E1: &str = "770e8400-e29b-41d4-a716-446655440001";
const E2: &str = "770e8400-e29b-41d4-a716-446655440002";
const E3: &str = "770e8400-e29b-41d4-a716-446655440003";

fn ms(text: &str) -> i64 {
    time::parse(text).unwrap()
}

fn received(body: &Value) -> Message {
    Message { body: body.to_string(), received_at_ms: ms(NOW) }
}

fn envelope(kind: &str, time: &str, data: &Value) -> Value {
    json!({"specversion": "1.0", "id": "01", "source": "/s", "type": format!("ai.torale.{kind}"), "time": time, "data": data})
}

fn event(kind: &str, time: &str, data: Value) -> Message {
    received(&envelope(kind, time, &data))
}

fn user(id: &str, time: &str) -> Message {
    event(
        "user.created",
        time,
        json!({"user_id": id, "clerk_user_id": format!("c{id}"), "email": format!("{id}@x.y")}),
    )
}

fn task(id: &str, time: &str, query: &str) -> Message {
    event("task.created", time, json!({"task_id": id, "user_id": U1, "search_query": query}))
}

fn started(id: &str, task: &str, time: &str) -> Message {
    event("execution.started", time, json!({"execution_id": id, "task_id": task, "user_id": U1}))
}

fn succeeded(id: &str, task: &str, from: &str, to: &str) -> Message {
    let data = json!({"execution_id": id, "task_id": task, "user_id": U1, "started_at": from, "condition_met": true});
    event("execution.succeeded", to, data)
}

fn failed(id: &str, task: &str, from: &str, to: &str, kind: &str) -> Message {
    let data = json!({"execution_id": id, "task_id": task, "user_id": U1, "started_at": from, "error_type": kind,
        "error_message": "broken"});
    event("execution.failed", to, data)
}

fn answer(messages: &[Message], path: &str, query: &str) -> (u16, Value) {
    let ui = ModelTemporalUi { url: "https://t.io".to_owned(), namespace: "a/b".to_owned() };
    World::of(messages).get(path, query, ms(NOW), &ui)
}

/// The answer of a request that must succeed; it must not depend on the order or the number of
/// deliveries.
fn get(messages: &[Message], path: &str, query: &str) -> Value {
    let (status, body) = answer(messages, path, query);
    assert_eq!(status, 200, "{body}");
    let mut turned: Vec<Message> = messages.iter().rev().cloned().collect();
    turned.extend_from_slice(messages);
    assert_eq!(answer(&turned, path, query).1, body, "the order of delivery must not matter");
    body
}

/// All bytes percent-encoded, as the value of a parameter.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn column<'a>(rows: &'a Value, name: &str) -> Vec<&'a Value> {
    rows.as_array().unwrap().iter().map(|row| &row[name]).collect()
}
