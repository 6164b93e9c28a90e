//! Whatever a function is invoked with is a request, whose fields are those of the payload and of nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use torale_domain::access::credentials::Credentials;
use torale_domain::pages::{executions, task, tasks, users};
use torale_domain::requests::parameters::QueryParameters;
use torale_domain::requests::payload::{HttpRequest, InvocationContext};
use torale_domain::values::json;

const ROUTE: &str = "/admin/users/{id}/deactivate";
const RUNTIME: InvocationContext<'static> = InvocationContext { request_id: "runtime", xray: None };

fn read(payload: &str) -> HttpRequest {
    HttpRequest::read(payload, RUNTIME, || panic!("the runtime has an id"))
}

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let request = read(&text);
    fits_into_headers(&request);
    follows_the_fields(&text, &request);
    headers_have_no_say(&text, &request);
    // What comes next takes any text.
    let _ = Credentials::read(request.header("authorization").map(str::as_bytes));
    let segment = request.path_parameter(ROUTE);
    let _ = task::TaskParameters::parse_at(&segment, request.query());
    let _ = tasks::TasksParameters::parse(request.query());
    let _ = users::UsersParameters::parse(request.query());
    let _ = executions::ExecutionsParameters::parse(request.query());
});

fn fits_into_headers(request: &HttpRequest) {
    assert!((1..=128).contains(&request.request_id().len()));
    assert!(request.request_id().bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(request.source_address().is_none_or(|address| address.parse::<std::net::IpAddr>().is_ok()));
}

/// A text of the payload, where it is a text.
fn text<'a>(payload: &'a Value, path: &str) -> &'a str {
    payload.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// As another parser reads the payload, if it reads it at all.
fn follows_the_fields(payload: &str, request: &HttpRequest) {
    let Ok(payload) = json::parse(payload) else { return };
    assert_eq!(request.query(), text(&payload, "/rawQueryString"));
    assert_eq!(request.method(), text(&payload, "/requestContext/http/method"));
    assert!(text(&payload, "/rawPath").ends_with(request.path()));
    if let Some(id) = payload.pointer("/pathParameters/id").and_then(Value::as_str) {
        assert_eq!(request.path_parameter(ROUTE), id);
    }
    let plain = payload.get("isBase64Encoded") != Some(&Value::Bool(true));
    assert!(!plain || request.body() == text(&payload, "/body").as_bytes());
}

/// Issue 16, number 11: a header decided whom a change hits.
fn headers_have_no_say(payload: &str, request: &HttpRequest) {
    let Ok(Value::Object(mut members)) = json::parse(payload) else { return };
    let host = "x/admin/users/B/deactivate?limit=7";
    members.insert("headers".to_owned(), serde_json::json!({ "host": host, "x-forwarded-host": host }));
    let other = read(&Value::Object(members).to_string());
    let about = |request: &HttpRequest| {
        let [method, path, query] = [request.method(), request.path(), request.query()].map(str::to_owned);
        (method, path, query, request.path_parameter(ROUTE), request.body().to_vec())
    };
    assert_eq!(about(&other), about(request));
}
