//! The filters of `/admin/errors`.

use serde_json::{Value, json};

use super::{T1, T2, T3, column, failed, get, succeeded};
use crate::Message;

const PATH: &str = "/admin/errors";

/// The last hour begins at 09:30.
const BEFORE: &str = "2024-01-15T09:29:59.999Z";
const FIRST: &str = "2024-01-15T09:30:00Z";
const LAST: &str = "2024-01-15T10:00:00Z";

fn id(n: usize) -> String {
    format!("770e8400-e29b-41d4-a716-4466554400{n:02}")
}

/// Of the last hour: two timeouts and an `E` of the first task, a timeout of the second, a
/// `timeout`. Before it, a timeout. One that succeeded on a retry is no error.
fn events() -> Vec<Message> {
    vec![
        failed(&id(1), T1, BEFORE, FIRST, "Timeout"),
        failed(&id(2), T1, BEFORE, LAST, "Timeout"),
        failed(&id(3), T1, BEFORE, LAST, "E"),
        failed(&id(4), T2, BEFORE, LAST, "Timeout"),
        failed(&id(5), T2, BEFORE, FIRST, "timeout"),
        failed(&id(6), T1, BEFORE, BEFORE, "Timeout"),
        failed(&id(7), T1, BEFORE, FIRST, "Timeout"),
        succeeded(&id(7), T1, BEFORE, LAST),
    ]
}

fn filtered(query: &str) -> (Vec<String>, Value) {
    let body = get(&events(), PATH, &format!("hours=1&{query}"));
    // "`error_types` the whole window as without filters"
    assert_eq!(body["error_types"], json!([["Timeout", 3], ["E", 1], ["timeout", 1]]), "{query}");
    assert_eq!(body.as_object().unwrap().len(), 3, "`page` and `limit` are not echoed");
    let ids = column(&body["errors"], "execution_id");
    (ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect(), body["total"].clone())
}

#[test]
fn errors_by_type_are_exact_and_total_counts_them() {
    assert_eq!(filtered("error_type=Timeout"), (vec![id(4), id(2), id(1)], json!(3)));
    assert_eq!(filtered("error_type=timeout"), (vec![id(5)], json!(1)));
    // The beginning of a type is another type, and `.` is a full stop.
    for none in ["Time", "Timeout.", "T......", "Timeout-", "unknown"] {
        assert_eq!(filtered(&format!("error_type={none}")), (vec![], json!(0)), "{none}");
    }
}

#[test]
fn errors_by_task_in_any_case_of_its_id() {
    assert_eq!(filtered(&format!("task_id={T1}")), (vec![id(3), id(2), id(1)], json!(3)));
    assert_eq!(filtered(&format!("task_id={}", T2.to_uppercase())), (vec![id(4), id(5)], json!(2)));
    assert_eq!(filtered(&format!("task_id={T3}")), (vec![], json!(0)), "unknown");
}

#[test]
fn errors_by_type_and_task_together_page_by_page() {
    let query = format!("error_type=Timeout&task_id={T1}");
    assert_eq!(filtered(&query), (vec![id(2), id(1)], json!(2)));
    assert_eq!(filtered(&format!("{query}&limit=1&page=2")), (vec![id(1)], json!(2)));
    assert_eq!(filtered(&format!("{query}&limit=1&page=3")), (vec![], json!(2)));
    assert_eq!(filtered(&format!("error_type=E&task_id={T2}")), (vec![], json!(0)));
}
