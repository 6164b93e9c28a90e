//! What every endpoint owes: refusals in their order, headers, and a route of its own.

use lambda_http::http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use torale_domain::access::rate_limits::RateLimits;
use torale_domain::audit::Link;
use torale_domain::values::time::DAY;
use torale_platform::consume::Consumer;
use torale_platform::routes;
use torale_platform::serve::{App, Endpoint};
use torale_tests::faults::Faults;
use torale_tests::generate::{self, event};
use torale_tests::stack::{self, ADMIN_KEY, NOW, Stack};

async fn stack_with_admin() -> Stack {
    let stack = Stack::start().await;
    let other = json!({ "user_id": OTHER, "clerk_user_id": "user_other", "email": "other@example.com" });
    let other = event("other", NOW.plus(-DAY), "user.created", other);
    stack.consume(&[generate::admin(), vec![other]].concat()).await;
    stack
}

/// Someone whom endpoints may deactivate.
const OTHER: &str = "00000000-0000-0000-0000-0000000000b0";

const USER: &str = "00000000-0000-0000-0000-0000000000ad";

#[tokio::test]
async fn every_endpoint_refuses_strangers_and_answers_the_admin_with_all_headers() {
    let stack = stack_with_admin().await;
    for endpoint in stack::endpoints() {
        for (authorization, detail) in [
            (None, "Authorization header missing"),
            (Some("Basic abc"), "Authorization header missing"),
            (Some("Bearer sk_unknown_0123456789abcdefghij"), "Invalid API key"),
            (Some("Bearer sk_short"), "Invalid API key"),
            (Some("Bearer not.a.token"), "Could not validate credentials"),
        ] {
            // Even with a malformed parameter: without credentials that is no one's business.
            let path = endpoint.path.replace("{id}", "x");
            let request = stack::request(endpoint.method.clone(), &path, "limit=x&hours=x", authorization);
            let response = stack::answer(&stack.app(), request).await;
            assert_eq!(response.status(), 401, "{} {authorization:?}", endpoint.path);
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            assert_eq!(stack::json(response), json!({ "detail": detail }));
        }
        let response = stack::answer(&stack.app(), stack::good_request(&endpoint, OTHER)).await;
        assert_eq!(response.status(), 200, "{}", endpoint.path);
        for (name, value) in [
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(response.headers()[name], value, "{}", endpoint.path);
        }
        assert!(!response.headers()["x-request-id"].is_empty());
    }
}

/// Whoever is known is recorded, however it ends; headers tell everyone who is let in how it stands with its limits.
#[tokio::test]
async fn every_endpoint_keeps_to_limits_and_leaves_a_record() {
    let stack = stack_with_admin().await;
    let request = |endpoint: &Endpoint| stack::good_request(endpoint, OTHER);
    let recorded = async |action: &str, status: u16| {
        let records = stack.records().await;
        let fits = |link: &&Link| link.record.entry.action == action && link.record.entry.status == status;
        records.iter().filter(fits).count()
    };
    let limited = |limit| {
        let limits = RateLimits::new(limit, 100_000);
        App::new(stack.store(), stack::keys_only(), limits, stack::temporal_ui(), || NOW)
    };
    let (open, full) = (stack.app(), limited(0));
    for endpoint in stack::endpoints() {
        for (app, status) in [(&open, 200), (&full, 429)] {
            let before = recorded(endpoint.action, status).await;
            let response = stack::answer(app, request(&endpoint)).await;
            assert_eq!(response.status(), status, "{}", endpoint.path);
            for header in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
                assert!(response.headers()[header].to_str().unwrap().parse::<i64>().is_ok());
            }
            assert_eq!(response.headers().contains_key("retry-after"), status == 429);
            assert_eq!(recorded(endpoint.action, status).await, before + 1, "{}", endpoint.path);
        }
    }
    stack.consume(&[event("e1", NOW, "user.updated", json!({ "user_id": USER, "role": "user" }))]).await;
    for endpoint in stack::endpoints() {
        let response = stack::answer(&open, request(&endpoint)).await;
        assert_eq!(response.status(), 403, "{}", endpoint.path);
        assert!(response.headers().contains_key("x-ratelimit-limit"));
        assert_eq!(stack::json(response), json!({ "detail": "Admin access required" }));
        assert_eq!(recorded(endpoint.action, 403).await, 1, "{}", endpoint.path);
    }
}

#[tokio::test]
async fn a_wrong_method_is_refused_before_anything_else() {
    let stack = stack_with_admin().await;
    for endpoint in stack::endpoints() {
        let response =
            stack::answer(&stack.app(), stack::request(Method::DELETE, endpoint.path, "", None)).await;
        assert_eq!(response.status(), 405, "{}", endpoint.path);
        assert_eq!(response.headers()["allow"], endpoint.method.as_str());
        assert_eq!(stack::json(response), json!({ "detail": "Method Not Allowed" }));
    }
}

async fn status(stack: &Stack) -> (u16, Value) {
    let response = stack.ask("/admin/stats", "", Some(&format!("bearer {ADMIN_KEY}"))).await;
    (response.status().as_u16(), stack::json(response)["detail"].clone())
}

/// P8: what an event takes away is refused on the very next request, by an instance that has just admitted it.
#[tokio::test]
async fn revocation_is_immediate() {
    let taken_away = [
        ("user.deactivated", json!({ "user_id": USER }), (401, json!("Invalid API key"))),
        ("user.updated", json!({ "user_id": USER, "role": null }), (403, json!("Admin access required"))),
        ("user.updated", json!({ "user_id": USER, "role": "Admin" }), (403, json!("Admin access required"))),
        (
            "api_key.revoked",
            json!({ "key_id": "key_admin", "user_id": USER }),
            (401, json!("Invalid API key")),
        ),
    ];
    for (kind, data, refusal) in taken_away {
        let stack = stack_with_admin().await;
        let app = stack.app();
        let ask = || stack::request(Method::GET, "/admin/stats", "", Some(&format!("Bearer {ADMIN_KEY}")));
        assert_eq!(stack::answer(&app, ask()).await.status(), 200);
        stack.consume(&[event("e1", NOW, kind, data)]).await;
        let response = stack::answer(&app, ask()).await;
        assert_eq!((response.status().as_u16(), stack::json(response)["detail"].clone()), refusal, "{kind}");
    }
}

#[tokio::test]
async fn a_key_whose_user_no_event_has_created_yet_is_forbidden() {
    let stack = Stack::start().await;
    stack.consume(&generate::admin()[1..]).await;
    assert_eq!(status(&stack).await, (403, json!("Admin access required")));
    stack.consume(&[event("r", NOW, "user.updated", json!({ "user_id": USER, "role": "admin" }))]).await;
    assert_eq!(status(&stack).await.0, 403, "a role alone creates no user");
    stack.consume(&generate::admin()[..1]).await;
    assert_eq!(status(&stack).await.0, 200);
}

#[tokio::test]
async fn a_key_that_was_revoked_before_it_was_created_never_lives() {
    let stack = Stack::start().await;
    let revoked = json!({ "key_id": "key_admin", "user_id": USER });
    stack.consume(&[event("r", NOW.plus(-401 * DAY), "api_key.revoked", revoked)]).await;
    stack.consume(&generate::admin()).await;
    assert_eq!(status(&stack).await, (401, json!("Invalid API key")));
}

#[tokio::test]
async fn every_fault_of_a_request_is_listed() {
    let stack = stack_with_admin().await;
    let (status, body) =
        stack.get("/admin/executions", "hours=0&hours=1&limit=101&status=done&page=one").await;
    assert_eq!(status, 422);
    let body: Value = serde_json::from_str(&body).unwrap();
    let faults = json!([
        { "loc": ["query", "status"], "msg": "Input should be 'success', 'failed', 'running'", "type": "enum" },
        { "loc": ["query", "hours"], "msg": "The parameter may be given only once", "type": "repeated" },
        { "loc": ["query", "page"], "msg": "Input should be a valid integer", "type": "int_parsing" },
        { "loc": ["query", "limit"], "msg": "Input should be less than or equal to 100", "type": "less_than_equal" },
    ]);
    assert_eq!(body, json!({ "detail": faults }));
}

#[tokio::test]
async fn a_store_out_of_reach_is_a_503_that_says_when_to_come_again() {
    let stack = stack_with_admin().await;
    for at in 0..4 {
        let store = stack.faulty_store(Faults::new(at, false, true));
        let app = App::new(store, stack::keys_only(), stack::LIMITS, stack::temporal_ui(), || NOW);
        let request = stack::request(Method::GET, "/admin/stats", "", Some(&format!("Bearer {ADMIN_KEY}")));
        let response = stack::answer(&app, request).await;
        assert_eq!(response.status(), 503, "call {at}");
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(stack::json(response), json!({ "detail": "Service temporarily unavailable" }));
    }
}

#[test]
fn router_and_fallback_know_the_declared_endpoints() {
    let manifest =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].as_table().unwrap();
    let routes = router.iter().flat_map(|(path, routes)| {
        routes
            .as_array()
            .unwrap()
            .iter()
            .map(move |route| (path.clone(), route["method"].as_str().unwrap().to_owned()))
    });
    let declared = stack::endpoints().into_iter().map(|e| (e.path.to_owned(), e.method.to_string()));
    let others = stack::OTHERS.map(|(method, path)| (path.to_owned(), method.to_owned()));
    let declared: BTreeSet<_> = declared.chain(others).collect();
    assert_eq!(routes.collect::<BTreeSet<_>>(), declared);
    let known = routes::ROUTES.iter().map(|(method, path)| ((*path).to_owned(), (*method).to_owned()));
    assert_eq!(known.collect::<BTreeSet<_>>(), declared);
}

#[tokio::test]
async fn poison_is_set_aside_once_and_blocks_nobody() {
    let stack = Stack::start().await;
    let poison = "{\"specversion\":\"1.0\"".to_owned();
    let large = format!("\"{}\"", "é".repeat(400_000));
    let good = generate::admin();
    let batch =
        [&good[..1], std::slice::from_ref(&poison), std::slice::from_ref(&large), &good[1..]].concat();
    for _ in 0..2 {
        let outcome = stack.consume(&batch).await;
        assert_eq!(outcome.quarantined.values().sum::<u64>(), 2);
    }
    assert_eq!(status(&stack).await.0, 200);
    let mut kept: Vec<(String, String)> = Vec::new();
    for item in stack.scan("torale-quarantine").await {
        let text = |name: &str| item[name].as_s().unwrap().clone();
        kept.push((text("sk"), text("body")));
    }
    kept.sort();
    let bodies: BTreeSet<String> =
        kept.iter().fold(Default::default(), |mut bodies: BTreeSet<String>, (sk, body)| {
            let whole: String =
                kept.iter().filter(|(other, _)| other[..64] == sk[..64]).map(|(_, b)| b.as_str()).collect();
            assert!(whole.contains(body.as_str()));
            bodies.insert(whole);
            bodies
        });
    assert_eq!(bodies, BTreeSet::from([poison, large]));
}

#[tokio::test]
async fn a_duplicate_writes_nothing_but_the_log() {
    let stack = Stack::start().await;
    let batch = generate::Generator::new(5).messages(60);
    stack.consume(&batch).await;
    let (before, logged) = (stack.projections().await, stack.scan("torale-events").await.len());
    let outcome = stack.consume(&batch).await;
    assert_eq!(outcome.transactions, 0);
    assert_eq!(stack.projections().await, before);
    assert!(stack.scan("torale-events").await.len() > logged);
}

#[tokio::test]
async fn a_batch_without_time_is_handed_back_whole_and_in_the_log() {
    let stack = Stack::start().await;
    let batch = generate::admin();
    let outcome =
        stack::consume_within(&stack.consumer(), &stack::messages(&batch), std::time::Duration::ZERO).await;
    assert_eq!(outcome.failed, ["0", "1"]);
    assert!(stack.projections().await.is_empty());
    stack.consume(&batch).await;
    assert_eq!(status(&stack).await.0, 200);
}

#[tokio::test]
async fn a_store_that_is_down_hands_everything_back() {
    let stack = Stack::start().await;
    let consumer = Consumer::new(stack.faulty_store(Faults::new(0, false, true)), || NOW);
    let batch = [generate::admin(), vec!["poison".to_owned()]].concat();
    let outcome = stack::consume_within(&consumer, &stack::messages(&batch), stack::SHORT).await;
    assert_eq!(outcome.failed, ["0", "1", "2"]);
}

#[test]
fn what_is_no_route_is_a_404_and_a_wrong_method_a_405() {
    for (method, path, status, detail) in [
        (Method::GET, "/admin/nothing", 404, "Not Found"),
        (Method::POST, "/admin/stats", 405, "Method Not Allowed"),
        (Method::GET, "/webhooks/clerk", 405, "Method Not Allowed"),
        (Method::POST, "/admin/openapi.json", 405, "Method Not Allowed"),
    ] {
        let response = fallback::answer(&stack::request(method, path, "", None));
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers().contains_key("allow"), status == 405);
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(stack::json(response), json!({ "detail": detail }));
    }
}
