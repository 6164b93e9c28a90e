use serde_json::{Value, json};

use super::{E1, T1, answer, event, started};

/// The names of the faults, or none.
fn faults(path: &str, query: &str) -> Vec<String> {
    let (status, body) = answer(&[], path, query);
    if status == 200 {
        return Vec::new();
    }
    assert_eq!(status, 422);
    let name = |entry: &Value| {
        assert_eq!(entry["loc"][0], "query");
        entry["loc"][1].as_str().unwrap().to_owned()
    };
    body["detail"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn unknown_paths() {
    for path in ["/admin", "/admin/", "/admin/stats/", "/stats", "/admin/Users", "/admin/temporal"] {
        assert_eq!(answer(&[], path, ""), (404, json!({"detail": "Not Found"})), "{path}");
    }
}

#[test]
fn each_fault_is_one_entry_sorted_by_place() {
    let body = answer(&[], "/admin/executions", "status=x&hours=0&page=0&limit=0").1;
    let expected = json!({"detail": [{"loc": ["query", "hours"]}, {"loc": ["query", "limit"]}, {"loc": ["query", "page"]},
        {"loc": ["query", "status"]}]});
    assert_eq!(body, expected);
    assert_eq!(
        faults("/admin/temporal/schedules", "include_paused=yes&limit=1001&page="),
        ["include_paused", "limit", "page"]
    );
}

#[test]
fn integers_are_plain_digits() {
    let path = "/admin/queries";
    for good in ["1", "01", "100", "0000000000000000000000000000007", "%31%30"] {
        assert!(faults(path, &format!("limit={good}")).is_empty(), "{good}");
    }
    for bad in [
        "",
        "0",
        "101",
        "-1",
        "+1",
        "%2B1",
        "1.0",
        "1e1",
        "%201",
        "1%20",
        "x",
        "%D9%A1",
        "%",
        "%3",
        "99999999999999999999",
    ] {
        assert_eq!(faults(path, &format!("limit={bad}")), ["limit"], "{bad}");
    }
    assert_eq!(faults(path, "limit"), ["limit"]);
    assert!(faults(path, "page=1000000000000000").is_empty());
    assert!(faults("/admin/temporal/schedules", "limit=1000").is_empty());
    assert!(faults("/admin/errors", "hours=8760").is_empty());
    assert_eq!(faults("/admin/errors", "hours=8761"), ["hours"]);
}

#[test]
fn booleans_and_statuses_are_exact() {
    for bad in ["", "True", "yes", "2", "00", "tru%20"] {
        assert_eq!(faults("/admin/users", &format!("active_only={bad}")), ["active_only"], "{bad}");
    }
    for bad in ["", "SUCCESS", "error", "success%20"] {
        assert_eq!(faults("/admin/executions", &format!("status={bad}")), ["status"], "{bad}");
    }
}

#[test]
fn repeated_and_unknown_parameters() {
    assert_eq!(faults("/admin/users", "page=1&page=1"), ["page"]);
    assert_eq!(faults("/admin/users", "page=x&page=0&limit=x"), ["limit", "page"]);
    assert_eq!(faults("/admin/users", "page=1&%70age=1"), ["page"]);
    for query in ["hours=x", "x&x&&", "Page=0&PAGE=0", "pag%zz=1", "&&", "=", "status=1&status=2"] {
        assert!(faults("/admin/users", query).is_empty(), "{query}");
    }
    assert!(faults("/admin/stats", "page=0&limit=x&hours=x&page=0").is_empty());
    assert!(faults("/admin/queries", "hours=0").is_empty());
    assert_eq!(faults("/admin/errors", "status=x&page=0"), ["page"]);
    assert_eq!(faults("/admin/temporal/workflows", "hours=x&page=0"), ["page"]);
}

#[test]
fn values_are_decoded() {
    let events = [started(E1, T1, "2024-01-15T10:00:00Z"), event("thing", "2024-01-15T10:00:00Z", json!({}))];
    let (status, body) = answer(&events, "/admin/executions", "stat%75s=runn%69ng&lim%69t=%37");
    assert_eq!((status, &body["total"], &body["limit"]), (200, &json!(1), &json!(7)));
}
