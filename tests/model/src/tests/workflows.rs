use serde_json::{Value, json};

use super::{column, event, get};
use crate::Message;

const PATH: &str = "/admin/temporal/workflows";

fn run_started(workflow: &str, run: &str, time: &str) -> Message {
    let data = json!({"workflow_id": workflow, "run_id": run, "workflow_type": "m"});
    event("temporal.workflow.started", time, data)
}

fn run_closed(workflow: &str, run: &str, from: &str, time: &str) -> Message {
    let data = json!({"workflow_id": workflow, "run_id": run, "workflow_type": "m", "status": "TIMED_OUT", "start_time": from});
    event("temporal.workflow.closed", time, data)
}

#[test]
fn running_and_closed() {
    let events = [
        run_started("w/1", "r 1", "2024-01-15T09:00:00Z"),
        run_closed("w/1", "r 2", "2024-01-15T08:00:00Z", "2024-01-15T08:00:05.250Z"),
    ];
    let url = "https://t.io/namespaces/a%2Fb/workflows/w%2F1";
    let expected = json!({"workflows": [
        {"workflow_id": "w/1", "workflow_type": "m", "status": "RUNNING", "start_time": "2024-01-15T09:00:00Z",
         "close_time": null, "execution_duration_ms": null, "temporal_ui_url": format!("{url}/r%201/history")},
        {"workflow_id": "w/1", "workflow_type": "m", "status": "TIMED_OUT", "start_time": "2024-01-15T08:00:00Z",
         "close_time": "2024-01-15T08:00:05.250Z", "execution_duration_ms": 5250,
         "temporal_ui_url": format!("{url}/r%202/history")}], "total": 2});
    assert_eq!(get(&events, PATH, ""), expected);
}

#[test]
fn one_register_a_run() {
    let closed = run_closed("w", "r", "2024-01-15T09:00:00Z", "2024-01-15T09:05:00Z");
    let body = get(&[run_started("w", "r", "2024-01-15T09:05:00Z"), closed.clone()], PATH, "");
    assert_eq!(body["total"], 1);
    assert_eq!(body["workflows"][0]["status"], "TIMED_OUT", "closed ranks after started");
    let body = get(&[closed, run_started("w", "r", "2024-01-15T09:05:00.001Z")], PATH, "");
    assert_eq!(body["workflows"][0]["status"], "RUNNING");
    assert_eq!(body["workflows"][0]["close_time"], Value::Null);
}

#[test]
fn a_duration_is_never_below_0() {
    let body = get(&[run_closed("w", "r", "2024-01-15T09:00:00Z", "2024-01-15T08:59:00Z")], PATH, "");
    assert_eq!(body["workflows"][0]["execution_duration_ms"], 0);
}

#[test]
fn window_order_and_paging() {
    let events = [
        run_started("a", "1", "2024-01-14T10:30:00Z"),
        run_started("a", "2", "2024-01-14T10:30:00Z"),
        run_started("b", "0", "2024-01-14T10:30:00Z"),
        run_started("c", "0", "2024-01-14T10:29:59.999Z"),
        run_started("A", "0", "2024-01-14T10:30:00.001Z"),
    ];
    let body = get(&events, PATH, "");
    assert_eq!(column(&body["workflows"], "workflow_id"), ["A", "b", "a", "a"]);
    assert!(body["workflows"][2]["temporal_ui_url"].as_str().unwrap().ends_with("/a/2/history"));
    assert_eq!(body["total"], 4);
    let body = get(&events, PATH, "limit=3&page=2");
    assert_eq!(column(&body["workflows"], "workflow_id"), ["a"]);
    assert_eq!(body.as_object().unwrap().len(), 2, "`page` and `limit` are not echoed");
}
