use serde_json::{Value, json};

use super::{E1, T1, U1, answer, encoded, event, started};

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
    // "A known one whose bytes are no UTF-8 is a 422"
    for query in ["q=%ff", "q=a%C3", "q=%ed%a0%80"] {
        assert_eq!(faults("/admin/users", query), ["q"], "{query}");
    }
    for query in ["x=%ff", "%ff=1", "q=%c3%a9", "q=%f0%9f%98%80"] {
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

#[test]
fn error_types_have_their_form() {
    let path = "/admin/errors";
    let longest = "e".repeat(64);
    for good in ["E", "a_b.c-9", "_", "-", "...", longest.as_str()] {
        assert!(faults(path, &format!("error_type={good}")).is_empty(), "{good}");
    }
    let longer = "e".repeat(65);
    for bad in ["", "a b", "*", "%25", "a/b", "E\0", "\u{e9}", "\u{661}", "E\n", longer.as_str()] {
        assert_eq!(faults(path, &format!("error_type={}", encoded(bad))), ["error_type"], "{bad:?}");
    }
    assert_eq!(faults(path, "task_id=x&error_type=&hours=0&page=0&limit=0&error_type=E").len(), 5);
    assert_eq!(faults(path, &format!("task_id={}", &T1[1..])), ["task_id"]);
}

#[test]
fn filters_of_tasks_have_their_forms() {
    let path = "/admin/tasks";
    for good in ["active", "paused", "completed"] {
        assert!(faults(path, &format!("state={good}")).is_empty(), "{good}");
    }
    for bad in ["", "Active", "deleted", "active%20"] {
        assert_eq!(faults(path, &format!("state={bad}")), ["state"], "{bad}");
    }
    assert_eq!(faults(path, "user_id=x"), ["user_id"]);
    assert_eq!(faults(path, &format!("user_id={}", U1.replace('-', ""))), ["user_id"]);
    // Characters are code points: 500 of four bytes each are fine, so are blanks and control
    // characters.
    for good in ["\u{1f600}".repeat(500), " ".to_owned(), "\0".to_owned()] {
        assert!(faults(path, &format!("search_query={}", encoded(&good))).is_empty());
    }
    for bad in [String::new(), "a".repeat(501)] {
        assert_eq!(faults(path, &format!("search_query={bad}")), ["search_query"]);
    }
    assert_eq!(faults(path, "limit=101&page=0&state=x"), ["limit", "page", "state"]);
}

#[test]
fn two_or_three_filters_of_tasks_are_an_entry_for_each_given() {
    let path = "/admin/tasks";
    let user = format!("user_id={U1}");
    assert_eq!(faults(path, &format!("state=active&{user}")), ["state", "user_id"]);
    assert_eq!(faults(path, &format!("{user}&search_query=q")), ["search_query", "user_id"]);
    assert_eq!(faults(path, "search_query=q&state=paused"), ["search_query", "state"]);
    assert_eq!(
        faults(path, &format!("search_query=q&{user}&state=active&limit=0")),
        ["limit", "search_query", "state", "user_id"]
    );
    // One that is malformed or repeated was given too, and is listed once.
    assert_eq!(faults(path, "state=&user_id=x"), ["state", "user_id"]);
    assert_eq!(faults(path, "state=active&state=active&search_query=q"), ["search_query", "state"]);
    // One alone, repeated, is no two filters; elsewhere the names mean nothing.
    assert_eq!(faults(path, "state=active&state=paused"), ["state"]);
    assert!(faults("/admin/users", "state=x&user_id=x&search_query=").is_empty());
}

#[test]
fn a_search_is_1_to_320_characters() {
    let path = "/admin/users";
    let four_bytes = "\u{1f600}".repeat(320);
    for good in ["a", "%", "*", "\0", " ", four_bytes.as_str()] {
        assert!(faults(path, &format!("q={}", encoded(good))).is_empty(), "{good:?}");
    }
    for bad in [String::new(), "a".repeat(321), format!("{four_bytes}a")] {
        assert_eq!(faults(path, &format!("q={}", encoded(&bad))), ["q"]);
    }
    assert_eq!(faults(path, "q=a&q=a"), ["q"]);
    assert_eq!(faults(path, "q"), ["q"]);
    assert_eq!(faults(path, "q=&active_only=x&page=0"), ["active_only", "page", "q"]);
}
