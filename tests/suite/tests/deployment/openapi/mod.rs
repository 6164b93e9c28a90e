//! The API's document: complete, committed, and true of the parsers and of real answers.

mod answers;
mod judge;
mod parameters;
mod queues;

use judge::Document;
use lambda_http::http::Method;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use torale_platform::routes::ROUTES;
use torale_tests::stack;

fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events")
}

#[test]
fn the_committed_document_is_the_one_that_is_answered() {
    let committed = std::fs::read_to_string(events().join("openapi.json")).unwrap();
    assert!(committed == openapi::text(), "it has changed: cargo openapi >events/openapi.json");
}

#[test]
fn anyone_may_read_it_and_nothing_else() {
    let ask = |method| openapi::answer(&openapi::text(), &stack::request(method, openapi::ROUTE.1, "", None));
    let response = ask(Method::GET);
    assert_eq!(response.status(), 200);
    Document::new().judge(openapi::ROUTE.0, openapi::ROUTE.1, response);
    let refused = ask(Method::POST);
    assert_eq!(refused.status(), 405);
    assert_eq!(refused.headers()["allow"], "GET");
    assert_eq!(stack::json(refused), json!({ "detail": "Method Not Allowed" }));
}

#[test]
fn routes_and_document_agree() {
    let document = Document::new();
    let mut described = BTreeSet::new();
    for (path, operations) in document.open["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let routes = ROUTES.map(|(method, path)| (method.to_owned(), path.to_owned()));
    assert_eq!(described, BTreeSet::from(routes));
}

#[test]
fn every_operation_but_these_two_wants_an_admin() {
    let document = Document::new();
    for (method, path) in ROUTES {
        let security = match (method, path) {
            // The document is for anyone; webhooks are signed.
            ("GET", "/admin/openapi.json") | ("POST", "/webhooks/clerk") => json!([]),
            _ => json!([{ "apiKey": [] }, { "session": [] }]),
        };
        assert_eq!(document.operation(method, path)["security"], security, "{method} {path}");
    }
    let schemes = &document.open["components"]["securitySchemes"];
    assert_eq!(schemes.as_object().unwrap().keys().collect::<Vec<_>>(), ["apiKey", "session"]);
}

#[test]
fn examples_are_what_their_schemas_say() {
    let document = Document::new();
    let seen: usize = ROUTES.iter().map(|(method, path)| document.judge_examples(method, path)).sum();
    assert!(seen > 80, "{seen}");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = Document::new();
    let text = document.open.to_string();
    let references = text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap());
    let missing: Vec<&str> = references.filter(|pointer| document.open.pointer(pointer).is_none()).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
