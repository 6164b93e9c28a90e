//! The API's document: complete, committed, and true of the parsers and of real answers.

mod answers;
mod judge;
mod parameters;
mod queues;

use http::Method;
use judge::Document;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use torale_platform::routes::ROUTES;
use torale_testkit::request::{ApiAnswer, payload, read};

fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events")
}

#[test]
fn api_document_that_is_committed_is_the_one_that_is_answered() {
    let committed = std::fs::read_to_string(events().join("openapi.json")).unwrap();

    assert!(committed == openapi::text(), "it has changed: cargo openapi >events/openapi.json");
}

#[test]
fn api_document_is_read_without_credentials_and_by_get_only() {
    let (method, path) = openapi::ROUTE;
    let answer = |method: Method| {
        let request = read(&payload(method.as_str(), path, ""));
        ApiAnswer::of(openapi::answer(&openapi::text(), &request))
    };

    let document = answer(Method::GET);

    assert_eq!(document.status, 200);

    Document::new().judge(method, path, &document);

    let refused = answer(Method::POST);
    refused.then(405, &json!({ "detail": "Method Not Allowed" }));

    assert_eq!(refused.header("allow"), Some("GET"));
}

#[test]
fn api_document_describes_exactly_the_routes() {
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
fn api_document_demands_an_admin_for_every_operation_but_two() {
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
fn api_document_examples_are_what_their_schemas_say() {
    let document = Document::new();
    let seen: usize = ROUTES.iter().map(|(method, path)| document.judge_examples(method, path)).sum();

    assert!(seen > 80, "{seen}");
}

#[test]
fn api_document_references_lead_somewhere() {
    let document = Document::new();
    let text = document.open.to_string();
    let references = text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap());
    let missing: Vec<&str> = references.filter(|pointer| document.open.pointer(pointer).is_none()).collect();

    assert_eq!(missing, Vec::<&str>::new());
}
