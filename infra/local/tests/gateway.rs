//! The gateway over real connections: its clients on one side, the functions' processes on the other.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use torale_domain::requests::payload::{HttpRequest, InvocationContext};
use torale_local::console::Console;
use torale_local::functions::runtime::Runtimes;
use torale_local::gateway::Gateway;
use torale_local::http_client;
use torale_local::project::Route;

const TIMEOUT: Duration = Duration::from_secs(60);

struct RunningGateway {
    port: u16,
    runtimes: Runtimes,
}

/// A gateway with some routes whose requests may take `timeout`.
async fn gateway(timeout: Duration) -> RunningGateway {
    gateway_with(timeout, |gateway| gateway).await
}

/// The same, after a change of its settings.
async fn gateway_with(timeout: Duration, set: impl FnOnce(Gateway) -> Gateway) -> RunningGateway {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let runtimes = Runtimes::default();
    let gateway = set(Gateway::new(runtimes.clone(), timeout, Console::default()));
    gateway.set_routes(vec![
        Route::new("GET", "/admin/stats", "stats"),
        Route::new("GET", "/admin/users/{id}", "user"),
        Route::new("DELETE", "/admin/users/{id}", "user"),
        Route::new("GET", "/admin/users/me", "stats"),
    ]);
    tokio::spawn(gateway.serve(listener));
    RunningGateway { port, runtimes }
}

impl RunningGateway {
    async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        http_client::send(self.port, request, TIMEOUT).await.unwrap()
    }

    async fn call(&self, method: &str, path: &str) -> Response<Bytes> {
        self.send(Request::builder().method(method).uri(path).body(Bytes::new()).unwrap()).await
    }

    /// Does what a Lambda runtime does once: polls for an invocation and answers it with `respond`.
    async fn handle_one(
        &self,
        name: &str,
        respond: impl FnOnce(Value, &Response<Bytes>) -> (&'static str, String),
    ) {
        let next = self.call("GET", &format!("/.rt/{name}/2018-06-01/runtime/invocation/next")).await;
        assert_eq!(next.status(), 200);
        let id = next.headers()["lambda-runtime-aws-request-id"].to_str().unwrap().to_owned();
        let (kind, body) = respond(serde_json::from_slice(next.body()).unwrap(), &next);
        let path = format!("/.rt/{name}/2018-06-01/runtime/invocation/{id}/{kind}");
        self.send(Request::post(path).body(Bytes::from(body)).unwrap()).await;
    }
}

fn ok(body: &Value) -> (&'static str, String) {
    ("response", json!({ "statusCode": 200, "body": body.to_string() }).to_string())
}

fn body(answer: &Response<Bytes>) -> Value {
    serde_json::from_slice(answer.body()).unwrap()
}

#[tokio::test]
async fn request_reaches_its_function_and_the_response_its_client() {
    let gateway = gateway(TIMEOUT).await;
    let worker = gateway.handle_one("stats", |event, next| {
        assert!(next.headers()["lambda-runtime-invoked-function-arn"].to_str().unwrap().ends_with(":stats"));
        assert_eq!(event["version"], "2.0");
        assert_eq!(event["routeKey"], "GET /admin/stats");
        ok(&event["rawQueryString"])
    });
    let (answer, ()) = tokio::join!(gateway.call("GET", "/admin/stats?a=1&a=2"), worker);
    assert_eq!((answer.status().as_u16(), body(&answer)), (200, json!("a=1&a=2")));
    assert!(answer.headers().contains_key("apigw-requestid"));
}

#[tokio::test]
async fn path_parameters_are_decoded_and_literal_paths_precede_templates() {
    let gateway = gateway(TIMEOUT).await;
    let worker = gateway.handle_one("user", |event, _| ok(&event["pathParameters"]));
    let (answer, ()) = tokio::join!(gateway.call("GET", "/admin/users/a%2Fb%20c"), worker);
    assert_eq!(body(&answer), json!({ "id": "a/b c" }));
    let worker = gateway.handle_one("stats", |event, _| ok(&event["routeKey"]));
    let (answer, ()) = tokio::join!(gateway.call("GET", "/admin/users/me"), worker);
    assert_eq!(body(&answer), "GET /admin/users/me");
}

#[tokio::test]
async fn unknown_path_is_404_and_wrong_method_405_in_the_form_of_the_contract() {
    let gateway = gateway(TIMEOUT).await;
    for path in ["/", "/admin", "/admin/stats/", "/admin/users/", "/admin/users/1/2", "/.rt/x"] {
        let answer = gateway.call("GET", path).await;
        assert_eq!(
            (answer.status().as_u16(), body(&answer)),
            (404, json!({ "detail": "Not Found" })),
            "{path}"
        );
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert!(answer.headers().contains_key("x-request-id"));
    }
    for (method, path, allow) in [
        ("POST", "/admin/stats", "GET"),
        ("OPTIONS", "/admin/stats", "GET"),
        ("PUT", "/admin/users/1", "DELETE, GET"),
    ] {
        let answer = gateway.call(method, path).await;
        assert_eq!(answer.status(), 405);
        assert_eq!(body(&answer), json!({ "detail": "Method Not Allowed" }));
        assert_eq!(answer.headers()["allow"], allow);
    }
}

#[tokio::test]
async fn failed_function_is_an_internal_server_error() {
    let gateway = gateway(TIMEOUT).await;
    let answers: [(&str, &str); 2] = [("error", r#"{"errorMessage":"secret"}"#), ("response", "no json")];
    for (kind, text) in answers {
        let worker = gateway.handle_one("stats", |_, _| (kind, text.to_owned()));
        let (answer, ()) = tokio::join!(gateway.call("GET", "/admin/stats"), worker);
        assert_eq!(answer.status(), 500);
        assert_eq!(body(&answer), json!({ "message": "Internal Server Error" }));
    }
}

#[tokio::test]
async fn process_that_ends_fails_its_request() {
    let gateway = gateway(TIMEOUT).await;
    drop(gateway.runtimes.register("stats", "7"));
    let crash = async {
        gateway.call("GET", "/.rt/stats:7/2018-06-01/runtime/invocation/next").await;
        gateway.runtimes.ended("stats", "7");
    };
    let (answer, ()) = tokio::join!(gateway.call("GET", "/admin/stats"), crash);
    assert_eq!(
        (answer.status().as_u16(), body(&answer)),
        (500, json!({ "message": "Internal Server Error" }))
    );
}

#[tokio::test]
async fn process_that_never_polled_fails_queued_requests() {
    let gateway = gateway(TIMEOUT).await;
    // The request may come before or after any single crash, so there is a series of them.
    let crashes = async {
        loop {
            drop(gateway.runtimes.register("stats", "7"));
            tokio::time::sleep(Duration::from_millis(1)).await;
            gateway.runtimes.ended("stats", "7");
        }
    };
    let answer: Response<Bytes> = tokio::select! {
        answer = gateway.call("GET", "/admin/stats") => answer,
        never = crashes => never,
    };
    assert_eq!(
        (answer.status().as_u16(), body(&answer)),
        (500, json!({ "message": "Internal Server Error" }))
    );
}

#[tokio::test]
async fn request_that_times_out_is_503_and_its_process_is_replaced() {
    let gateway = gateway(Duration::from_millis(200)).await;
    let instance = gateway.runtimes.register("stats", "7");
    let hang = gateway.call("GET", "/.rt/stats:7/2018-06-01/runtime/invocation/next");
    let (answer, next) = tokio::join!(gateway.call("GET", "/admin/stats"), hang);
    assert_eq!((answer.status().as_u16(), body(&answer)), (503, json!({ "message": "Service Unavailable" })));
    tokio::time::timeout(TIMEOUT, instance.timed_out()).await.unwrap();
    // Its late answer is refused.
    let id = next.headers()["lambda-runtime-aws-request-id"].to_str().unwrap();
    let late = format!("/.rt/stats:7/2018-06-01/runtime/invocation/{id}/response");
    assert_eq!(gateway.call("POST", &late).await.status(), 400);
}

#[tokio::test]
async fn deadline_is_the_timeout_of_the_request() {
    let gateway = gateway(TIMEOUT).await;
    let before = torale_local::clock::now_ms();
    let worker = gateway.handle_one("stats", |_, next| {
        let deadline: i64 = next.headers()["lambda-runtime-deadline-ms"].to_str().unwrap().parse().unwrap();
        let timeout = i64::try_from(TIMEOUT.as_millis()).unwrap();
        assert!((before + timeout..=torale_local::clock::now_ms() + timeout).contains(&deadline));
        ok(&Value::Null)
    });
    let (answer, ()) = tokio::join!(gateway.call("GET", "/admin/stats"), worker);
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn retired_process_receives_no_more_invocations() {
    let gateway = gateway(TIMEOUT).await;
    drop(gateway.runtimes.register("stats", "old"));
    let mut old = std::pin::pin!(gateway.call("GET", "/.rt/stats:old/2018-06-01/runtime/invocation/next"));
    let retire = gateway.runtimes.retire("stats", "old", TIMEOUT);
    tokio::select! { biased; _ = &mut old => unreachable!("there is no invocation yet"), () = retire => {} }
    let worker = gateway.handle_one("stats", |_, _| ok(&json!("new")));
    tokio::select! {
        _ = &mut old => unreachable!("the old process received an invocation"),
        (answer, ()) = async { tokio::join!(gateway.call("GET", "/admin/stats"), worker) } => {
            assert_eq!(body(&answer), "new");
        }
    }
}

#[tokio::test]
async fn too_large_requests_and_results_are_refused() {
    let gateway = gateway(TIMEOUT).await;
    // More than a function is invoked with, and more than API Gateway takes.
    for megabytes in [7, 11] {
        let request = Request::delete("/admin/users/1").header("content-type", "text/plain");
        let long = Bytes::from("x".repeat(megabytes * 1024 * 1024));
        let answer = gateway.send(request.body(long).unwrap()).await;
        let refusal = json!({ "message": "Request Entity Too Large" });
        assert_eq!((answer.status().as_u16(), body(&answer)), (413, refusal));
    }
    let large = json!({ "statusCode": 200, "body": "x".repeat(6 * 1024 * 1024 + 200 * 1024) }).to_string();
    let worker = gateway.handle_one("stats", |_, _| ("response", large));
    let (answer, ()) = tokio::join!(gateway.call("GET", "/admin/stats"), worker);
    assert_eq!(answer.status(), 500);
}

#[tokio::test]
async fn malformed_body_is_a_bad_request() {
    let gateway = gateway(TIMEOUT).await;
    let mut connection = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    let request =
        "DELETE /admin/users/1 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nno number\r\n";
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    connection.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), "HTTP/1.1 400");
}

#[tokio::test]
async fn function_is_invoked_directly() {
    let gateway = gateway(TIMEOUT).await;
    let path = "/2015-03-31/functions/stats/invocations";
    let invoke = gateway.send(Request::post(path).body(Bytes::from("[1]")).unwrap());
    let (answer, ()) =
        tokio::join!(invoke, gateway.handle_one("stats", |event, _| ("response", event.to_string())));
    assert_eq!(body(&answer), json!([1]));
    let failed = r#"{"errorMessage":"no"}"#;
    let work = gateway.handle_one("stats", |_, _| ("error", failed.to_owned()));
    let (answer, ()) = tokio::join!(gateway.call("POST", path), work);
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["x-amz-function-error"].clone()),
        (200, "Unhandled".parse().unwrap())
    );
    assert_eq!(gateway.call("POST", "/2015-03-31/functions/nobody/invocations").await.status(), 404);
}

/// The request that a function reads from an event.
fn as_function_sees_it(event: &Value) -> HttpRequest {
    HttpRequest::read(&event.to_string(), InvocationContext::default(), || "made".to_owned())
}

#[tokio::test]
async fn host_header_has_no_effect_on_path_and_query() {
    let gateway = gateway(TIMEOUT).await;
    let hosts =
        ["", " ", "a b", "[::1", "x:99999999", "x?limit=7&y=", "x/admin/users/other?", "\u{fc}", "x#", "@"];
    for host in hosts {
        let request = Request::get("/admin/users/me?limit=1").header("host", host.as_bytes());
        let answer = gateway.send(request.body(Bytes::new()).unwrap());

        let worker = gateway.handle_one("stats", |event, _| {
            assert_eq!(event["headers"]["host"], event["requestContext"]["domainName"], "{host:?}");
            let seen = as_function_sees_it(&event);
            ok(&json!([seen.path(), seen.query()]))
        });
        let (answer, ()) = tokio::join!(answer, worker);

        assert_eq!(
            (answer.status().as_u16(), body(&answer)),
            (200, json!(["/admin/users/me", "limit=1"])),
            "{host:?}"
        );
    }
}

#[tokio::test]
async fn percent_encoded_user_id_reaches_the_function_decoded() {
    let gateway = gateway(TIMEOUT).await;
    let path = "/admin/users/22222222%2D0000-4000-8000%2d000000000001";

    let worker =
        gateway.handle_one("user", |event, _| ok(&json!([event["pathParameters"], event["rawPath"]])));
    let (answer, ()) = tokio::join!(gateway.call("GET", path), worker);

    let id = "22222222-0000-4000-8000-000000000001";
    assert_eq!(body(&answer), json!([{ "id": id }, format!("/admin/users/{id}")]));
}

#[tokio::test]
async fn stage_is_part_of_the_path_but_not_of_the_route() {
    let gateway = gateway_with(TIMEOUT, |gateway| gateway.with_stage("prod")).await;

    let worker = gateway.handle_one("user", |event, _| {
        let context = &event["requestContext"];
        ok(&json!([event["routeKey"], event["pathParameters"], event["rawPath"], context["stage"]]))
    });
    let (answer, ()) = tokio::join!(gateway.call("GET", "/prod/admin/users/1"), worker);

    let expected = json!(["GET /admin/users/{id}", { "id": "1" }, "/prod/admin/users/1", "prod"]);
    assert_eq!(body(&answer), expected);
    for path in ["/admin/users/1", "/prod", "/production/admin/users/1", "/test/admin/users/1"] {
        assert_eq!(gateway.call("GET", path).await.status(), 404, "{path}");
    }
}
