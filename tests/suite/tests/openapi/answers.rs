//! Real answers, good ones and refusals, are what the document describes.

use crate::judge::Document;
use clerk_webhook::{MAX_BODY, ROUTE, Webhook};
use lambda_http::http::Method;
use lambda_http::{Body, Request};
use serde_json::json;
use std::collections::BTreeSet;
use torale_domain::access::rate_limits::RateLimits;
use torale_domain::values::time::DAY;
use torale_platform::routes;
use torale_platform::serve::{App, Endpoint};
use torale_tests::faults::Faults;
use torale_tests::generate::{self, Generator, event};
use torale_tests::sqs::Sqs;
use torale_tests::stack::{self, ADMIN_KEY, NOW, Stack};
use torale_tests::world;

const OTHER: &str = "00000000-0000-0000-0000-0000000000b0";
const ADMIN: &str = "00000000-0000-0000-0000-0000000000ad";

async fn stack_with_history() -> Stack {
    let stack = Stack::start().await;
    let other = json!({ "user_id": OTHER, "clerk_user_id": "user_other", "email": "other@example.com" });
    let other = event("other", NOW.plus(-DAY), "user.created", other);
    stack.consume(&[generate::admin(), vec![other]].concat()).await;
    stack.consume(&Generator::new(11).messages(400)).await;
    stack
}

/// The status of an answer that the document describes.
async fn judged(document: &Document, app: &App, request: Request) -> u16 {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let fits = |endpoint: &Endpoint| endpoint.method == method && routes::fits(endpoint.path, &path);
    let endpoint = stack::endpoints().into_iter().find(fits).unwrap();
    let response = stack::answer(app, request).await;
    let status = response.status().as_u16();
    document.judge(method.as_str(), endpoint.path, response);
    status
}

fn by_admin(method: Method, path: &str, query: &str) -> Request {
    stack::request(method, path, query, Some(&format!("Bearer {ADMIN_KEY}")))
}

#[tokio::test]
async fn lists_and_numbers_are_as_described() {
    let (document, stack) = (Document::new(), stack_with_history().await);
    let app = stack.app();
    let mut seen = BTreeSet::new();
    let mut generator = Generator::new(3);
    let random: Vec<_> = (0..150).map(|_| world::request(&mut generator)).collect();
    let plain = world::PLAIN.iter().map(|(path, query)| (*path, (*query).to_owned()));
    for (path, query) in plain.chain(random) {
        seen.insert((path, judged(&document, &app, by_admin(Method::GET, path, &query)).await));
    }
    stack.seal().await;
    for query in ["", "limit=1", "hours=0"] {
        let path = "/admin/audit";
        seen.insert((path, judged(&document, &app, by_admin(Method::GET, path, query)).await));
    }
    let statuses = |wanted| seen.iter().filter(move |(_, status)| *status == wanted).count();
    assert_eq!((statuses(200), statuses(422), seen.len()), (8, 7, 15), "{seen:?}");
}

#[tokio::test]
async fn refusals_are_as_described() {
    let (document, stack) = (Document::new(), stack_with_history().await);
    let limits = RateLimits::new(0, 100_000);
    let full = App::new(stack.store(), stack::keys_only(), limits, stack::temporal_ui(), || NOW);
    let faults = Faults::new(0, false, true);
    let down =
        App::new(stack.faulty_store(faults), stack::keys_only(), stack::LIMITS, stack::temporal_ui(), || NOW);
    assert_eq!(judged(&document, &stack.app(), by_admin(Method::GET, "/admin/stats", "")).await, 200);
    for endpoint in stack::endpoints() {
        let good = || stack::good_request(&endpoint, OTHER);
        for credentials in [None, Some("Bearer sk_unknown_0123456789abcdefghij"), Some("Bearer x")] {
            let path = endpoint.path.replace("{id}", OTHER);
            let stranger = stack::request(endpoint.method.clone(), &path, "", credentials);
            assert_eq!(judged(&document, &stack.app(), stranger).await, 401);
        }
        assert_eq!(judged(&document, &full, good()).await, 429);
        assert_eq!(judged(&document, &down, good()).await, 503);
        if endpoint.method != Method::GET {
            let mut large = good();
            *large.body_mut() = Body::Text(" ".repeat(20_000));
            assert_eq!(judged(&document, &stack.app(), large).await, 413);
        }
    }
    let demoted = json!({ "user_id": ADMIN, "role": "user" });
    stack.consume(&[event("demoted", NOW, "user.updated", demoted)]).await;
    for endpoint in stack::endpoints() {
        assert_eq!(judged(&document, &stack.app(), stack::good_request(&endpoint, OTHER)).await, 403);
    }
}

#[tokio::test]
async fn changes_are_as_described() {
    let (document, stack) = (Document::new(), stack_with_history().await);
    let app = stack.app();
    let unknown = "00000000-0000-0000-0000-00000000dead";
    for (id, action, status) in [
        (ADMIN, "deactivate", 409),
        (unknown, "deactivate", 404),
        (unknown, "reactivate", 404),
        ("x", "deactivate", 422),
        ("x", "reactivate", 422),
        (OTHER, "deactivate", 200),
        (OTHER, "deactivate", 200),
    ] {
        let path = format!("/admin/users/{id}/{action}");
        assert_eq!(judged(&document, &app, by_admin(Method::PATCH, &path, "")).await, status, "{path}");
    }
    for (body, status) in [
        (json!({ "user_ids": [OTHER, ADMIN, unknown, "x", 5] }), 200),
        (json!({ "user_ids": [] }), 422),
        (json!({}), 422),
    ] {
        let mut request = by_admin(Method::POST, "/admin/users/deactivate", "");
        *request.body_mut() = Body::Text(body.to_string());
        assert_eq!(judged(&document, &app, request).await, status, "{body}");
    }
}

/// Those that are accepted are tried by `tests/api/schemathesis`, which signs them.
#[tokio::test]
async fn refused_webhooks_are_as_described() {
    let (document, stack) = (Document::new(), Stack::start().await);
    for (secret, size, status) in [
        ("whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u", 2, 400),
        ("whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u", MAX_BODY + 1, 413),
        ("", 2, 500),
    ] {
        let webhook = Webhook::new(secret, stack.store(), Sqs::default().queue(None), || NOW);
        let mut request = stack::request(Method::POST, ROUTE.1, "", None);
        *request.body_mut() = Body::Text(" ".repeat(size));
        let response = webhook.handle(&request).await;
        assert_eq!(response.status(), status);
        document.judge(ROUTE.0, ROUTE.1, response);
    }
}
