use serde_json::{Value, json};

use super::{E1, E2, E3, T1, U1, U2, answer, event, failed, get, started, succeeded, user};

const PATH: &str = "/admin/stats/series";

/// The points in which something is counted: their starts and counts.
fn counted(body: &Value) -> Vec<(String, u64)> {
    let points = body["points"].as_array().unwrap().iter();
    let points = points.map(|point| (point["start"].as_str().unwrap().to_owned(), &point["count"]));
    points.map(|(start, count)| (start, count.as_u64().unwrap())).filter(|(_, count)| *count > 0).collect()
}

#[test]
fn executions_by_hour_with_failures_and_mean_duration() {
    // now is 10:30:42.500; the last two hours begin at 08:30:00
    let events = [
        succeeded(E1, T1, "2024-01-15T08:30:00Z", "2024-01-15T08:30:02Z"),
        failed(E2, T1, "2024-01-15T08:59:59.999Z", "2024-01-15T09:00:04.998Z", "E"),
        started(E3, T1, "2024-01-15T12:00:00Z"),
    ];
    let body = get(&events, PATH, "metric=executions&bucket=hour&hours=2");
    let expected = json!({"metric": "executions", "bucket": "hour", "points": [
        {"start": "2024-01-15T08:30:00Z", "count": 2, "failed": 1, "avg_duration_ms": 3500},
        {"start": "2024-01-15T09:00:00Z", "count": 0, "failed": 0, "avg_duration_ms": 0},
        {"start": "2024-01-15T10:00:00Z", "count": 1, "failed": 0, "avg_duration_ms": 0},
    ]});
    assert_eq!(body, expected);
}

#[test]
fn errors_count_where_they_failed_and_have_no_other_fields() {
    let events = [
        failed(E1, T1, "2024-01-14T00:00:00Z", "2024-01-15T10:29:59.999Z", "a"),
        failed(E2, T1, "2024-01-15T09:00:00Z", "2024-01-15T10:30:00Z", "b"),
    ];
    let body = get(&events, PATH, "metric=errors&bucket=minute&hours=1");
    assert_eq!(body["points"].as_array().unwrap().len(), 61);
    assert_eq!(body["points"][60], json!({"start": "2024-01-15T10:30:00Z", "count": 1}));
    let expected = [("2024-01-15T10:29:00Z".to_owned(), 1), ("2024-01-15T10:30:00Z".to_owned(), 1)];
    assert_eq!(counted(&body), expected);
}

#[test]
fn days_of_users_and_logins() {
    let login = |id: &str, time: &str| event("user.logged_in", time, json!({"user_id": id}));
    let events = [
        user(U1, "2024-01-08T10:30:00Z"),
        user(U2, "2024-01-08T10:29:59.999Z"),
        login(U1, "2024-01-14T10:00:00Z"),
        login(U2, "2024-01-14T09:59:59.999Z"),
    ];
    let new = get(&events, PATH, "metric=new_users&bucket=day&hours=168");
    assert_eq!(new["points"].as_array().unwrap().len(), 8);
    assert_eq!(counted(&new), [("2024-01-08T10:30:00Z".to_owned(), 1)]);
    // Cut at the hour.
    let logins = get(&events, PATH, "metric=last_logins&bucket=day");
    assert_eq!(counted(&logins), [("2024-01-14T10:00:00Z".to_owned(), 1)]);
    let deactivated = event("user.deactivated", "2024-01-14T12:00:00Z", json!({"user_id": U1}));
    let logins = get(&[events.to_vec(), vec![deactivated]].concat(), PATH, "metric=last_logins&bucket=day");
    assert_eq!(counted(&logins), []);
}

#[test]
fn metric_and_bucket_are_needed_and_the_bucket_bounds_the_hours() {
    for (query, faults) in [
        ("", &["bucket", "metric"] as &[&str]),
        ("metric=executions&bucket=week", &["bucket"]),
        ("metric=x&bucket=hour&hours=745", &["hours", "metric"]),
        ("metric=errors&bucket=minute&hours=25", &["hours"]),
        ("metric=errors&bucket=day&hours=8761", &["hours"]),
        ("metric=errors&hours=8761", &["bucket", "hours"]),
    ] {
        let detail: Vec<Value> = faults.iter().map(|name| json!({"loc": ["query", name]})).collect();
        assert_eq!(answer(&[], PATH, query), (422, json!({"detail": detail})), "{query}");
    }
    for query in ["metric=workflows&bucket=hour&hours=744", "metric=notifications&bucket=day&hours=8760"] {
        assert_eq!(answer(&[], PATH, query).0, 200, "{query}");
    }
}
