//! What a function is invoked with: whatever it is, the answer has the contract's form and comes from the payload's own
//! fields, whoever sends it and however odd it is (`docs/adr/0018-raw-payloads.md`).

use deactivate_user::DeactivateUser;
use deactivate_users::DeactivateUsers;
use executions::Executions;
use http::Method;
use serde_json::{Value, json};
use stats::Stats;
use torale_domain::values::time::DAY;
use torale_testkit::events::{ADMIN, user};
use torale_testkit::request::{ApiAnswer, TestedEndpoint, get, patch, payload, post, read};
use torale_testkit::scenario::{Scenario, given};
use torale_testkit::stack::{NOW, Stack};
use torale_testkit::svix;
use torale_tests::endpoints::{self, good_request};

const ANN: &str = "00000000-0000-0000-0000-0000000000a0";
const BOB: &str = "00000000-0000-0000-0000-0000000000b0";

async fn scenario() -> Scenario {
    given([ANN, BOB].map(|id| user(id).created().at(NOW.plus(-DAY)))).start().await
}

/// Hosts that some URL parsers read as more than a host, or refuse.
const HOSTS: [&str; 14] = [
    "",
    " ",
    "a b",
    "[::1",
    "x:99999999",
    "x?limit=7&y=",
    "x/admin/users/00000000-0000-0000-0000-0000000000b0/deactivate?",
    "x#",
    "@",
    "\u{fc}",
    "\u{0}",
    "\"",
    "x\r\ny",
    "http://x",
];

/// The answer has the headers that all answers have, and JSON; returns it.
#[track_caller]
fn in_the_contracts_form(answer: ApiAnswer) -> ApiAnswer {
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
    assert!(!answer.header("x-request-id").unwrap().is_empty());
    assert!(answer.json().is_object(), "{answer:?}");
    answer
}

/// Actions, targets and statuses that were recorded, in any order.
async fn recorded(stack: &Stack) -> Vec<(String, Option<String>, u16)> {
    let records = stack.records().await;
    let entries = records.into_iter().map(|link| link.record.entry);
    let mut found: Vec<_> = entries.map(|entry| (entry.action, entry.target, entry.status)).collect();
    found.sort();
    found
}

#[tokio::test]
async fn host_header_does_not_decide_whom_a_change_hits() {
    for host in HOSTS {
        let scenario = scenario().await;
        let request = patch::<DeactivateUser>(ANN);
        let mut payload = request.payload();
        payload["headers"]["host"] = json!(host);
        payload["requestContext"]["domainName"] = json!(host);

        let answer = in_the_contracts_form(request.send_payload(&scenario.app(), &payload).await);

        assert_eq!((answer.status, &answer.json()["user_id"]), (200, &json!(ANN)), "{host:?}");
        let expected = [("users.deactivate".to_owned(), Some(ANN.to_owned()), 200)];
        assert_eq!(recorded(&scenario).await, expected, "{host:?}");
        let events = scenario.logged_events("user.deactivated").await;
        assert_eq!(
            events.iter().map(|event| &event["data"]["user_id"]).collect::<Vec<_>>(),
            [ANN],
            "{host:?}"
        );
    }
}

#[tokio::test]
async fn host_header_does_not_change_a_parameter() {
    let scenario = scenario().await;
    let app = scenario.app();

    for host in HOSTS {
        let request = get::<Executions>("limit=3");
        let mut payload = request.payload();
        payload["headers"]["host"] = json!(host);

        let answer = in_the_contracts_form(request.send_payload(&app, &payload).await);

        assert_eq!((answer.status, &answer.json()["limit"]), (200, &json!(3)), "{host:?}");
    }
}

#[tokio::test]
async fn query_of_any_characters_is_answered_and_recorded() {
    let scenario = scenario().await;
    let app = scenario.app();
    let odd =
        ["x=a b", "x=\"a\"", "x=<a>", "x=\u{0}", "x=\u{fc}", "%", "%zz=%", "x=%00", "\\", "{}", "x=\r\ny: z"];

    for query in odd {
        let answer = in_the_contracts_form(get::<Stats>(query).send(&app).await);
        assert_eq!(answer.status, 200, "{query:?}");
    }
    let strange = get::<Executions>("limit=\u{0}").send(&app).await;

    assert_eq!(in_the_contracts_form(strange).status, 422);
    let records = recorded(&scenario).await;
    assert_eq!(records.iter().filter(|(action, ..)| action == "stats.read").count(), odd.len());
    assert!(records.contains(&("executions.list".to_owned(), None, 422)), "{records:?}");
}

/// A stage, the base path of a custom domain, another encoding: who is meant stands in the path parameters.
#[tokio::test]
async fn user_id_comes_from_the_path_parameters_whatever_stands_before_and_in_the_path() {
    let encoded = ANN.replace('-', "%2D");
    for path in [
        format!("/prod/admin/users/{ANN}/deactivate"),
        format!("/v1/platform/admin/users/{ANN}/deactivate"),
        format!("/admin/users/{BOB}/deactivate"),
        format!("/admin/users/{encoded}/deactivate"),
        String::new(),
    ] {
        let scenario = scenario().await;
        let request = patch::<DeactivateUser>(ANN);
        let mut payload = request.payload();
        payload["rawPath"] = json!(path);
        payload["requestContext"]["http"]["path"] = json!(path);

        let answer = in_the_contracts_form(request.send_payload(&scenario.app(), &payload).await);

        assert_eq!((answer.status, &answer.json()["user_id"]), (200, &json!(ANN)), "{path}");
    }
}

#[tokio::test]
async fn user_id_without_path_parameters_is_the_decoded_segment_of_the_path() {
    for path in [
        format!("/admin/users/{}/deactivate", ANN.replace('-', "%2D")),
        format!("/v1/admin/users/{ANN}/deactivate"),
    ] {
        let scenario = scenario().await;
        let request = patch::<DeactivateUser>(ANN);
        let mut payload = request.payload();
        payload["rawPath"] = json!(path);
        payload.as_object_mut().unwrap().remove("pathParameters");

        let answer = in_the_contracts_form(request.send_payload(&scenario.app(), &payload).await);

        assert_eq!((answer.status, &answer.json()["user_id"]), (200, &json!(ANN)), "{path}");
    }
}

#[tokio::test]
async fn nul_in_the_authorization_header_is_a_401_in_the_contracts_form() {
    let scenario = scenario().await;
    let app = scenario.app();

    for (authorization, detail) in [
        ("\u{0}", "Authorization header missing"),
        ("Bearer \u{0}", "Could not validate credentials"),
        ("Bearer sk_someone_0123456789\u{0}abcdefghij", "Invalid API key"),
        ("Bearer a.b\u{0}.c", "Could not validate credentials"),
        ("Bearer \u{fffd}\u{fc}", "Could not validate credentials"),
    ] {
        for of in endpoints::all() {
            let request = good_request(&of, BOB).authorized(Some(authorization));
            let answer = in_the_contracts_form(request.send(&app).await);
            answer.then(401, &json!({ "detail": detail }));
        }
    }
    assert_eq!(recorded(&scenario).await, []);
}

#[tokio::test]
async fn byte_order_mark_before_a_body_is_skipped() {
    let scenario = scenario().await;
    let body = json!({ "user_ids": [ANN] });
    let request = post::<DeactivateUsers>(&body).body(format!("\u{feff}{body}"));

    let answer = in_the_contracts_form(scenario.when(request).await);

    assert_eq!((answer.status, &answer.json()["results"][0]["result"]), (200, &json!("deactivated")));
}

/// What no gateway sends: everything that a direct invocation can hold instead of a payload, or in a field of it.
fn odd_payloads(good: &Value) -> Vec<Value> {
    let odd = [json!(null), json!(7), json!([]), json!({}), json!("\u{0}"), json!({ "a": [null] })];
    let mut found = odd.to_vec();
    let fields = [
        "/version",
        "/rawPath",
        "/rawQueryString",
        "/headers",
        "/headers/authorization",
        "/requestContext",
        "/requestContext/http",
        "/requestContext/http/method",
        "/requestContext/stage",
        "/pathParameters",
        "/body",
        "/isBase64Encoded",
    ];
    for field in fields {
        for value in &odd {
            let mut payload = good.clone();
            if let Some(place) = payload.pointer_mut(field) {
                *place = value.clone();
                found.push(payload);
            }
        }
    }
    found
}

async fn answer(of: &TestedEndpoint, scenario: &Scenario, payload: &Value) -> ApiAnswer {
    let commands = scenario.commands.client();
    ApiAnswer::of(of.answer(&scenario.app(), &commands, &read(payload)).await)
}

#[tokio::test]
async fn invocation_with_anything_is_answered_in_the_contracts_form() {
    let scenario = scenario().await;

    for of in endpoints::all() {
        for payload in odd_payloads(&good_request(&of, BOB).payload()) {
            let answer = in_the_contracts_form(answer(&of, &scenario, &payload).await);
            assert!([200, 401, 405, 422].contains(&answer.status), "{payload} {answer:?}");
        }
    }
    for payload in odd_payloads(&svix::signed("msg_1", &json!({ "type": "email.created", "data": {} }))) {
        let webhook = clerk_webhook::Webhook::new(svix::SECRET, scenario.commands.client(), || NOW);
        let answer = in_the_contracts_form(ApiAnswer::of(webhook.handle(&read(&payload)).await));
        assert!([200, 400, 405].contains(&answer.status), "{payload} {answer:?}");
    }
    for payload in odd_payloads(&payload(Method::GET.as_str(), "/admin/openapi.json", "")) {
        let fallback = in_the_contracts_form(ApiAnswer::of(fallback::answer(&read(&payload))));
        assert!([404, 405].contains(&fallback.status), "{payload} {fallback:?}");
        let document = in_the_contracts_form(ApiAnswer::of(openapi::answer("{}", &read(&payload))));
        assert!([200, 405].contains(&document.status), "{payload} {document:?}");
    }
}

#[tokio::test]
async fn caller_who_is_known_is_recorded_however_odd_the_rest_is() {
    let scenario = scenario().await;
    let of = endpoints::at("/admin/users");
    let mut payload = of.request("limit=\u{0}").payload();
    payload["rawPath"] = json!({});
    payload["requestContext"]["http"]["sourceIp"] = json!("\u{0}");
    payload["headers"]["user-agent"] = json!("\u{1b}[2J");
    payload["requestContext"]["requestId"] = json!("a b\n");

    let answer = in_the_contracts_form(answer(&of, &scenario, &payload).await);

    assert_eq!(answer.status, 422);
    let records = scenario.records().await;
    let [link] = &records[..] else { panic!("{records:?}") };
    let entry = &link.record.entry;
    assert_eq!(entry.principal.user_id.unwrap().to_string(), ADMIN);
    assert_eq!((entry.source.as_deref(), entry.status), (None, 422));
    assert_eq!(Some(entry.request_id.as_str()), answer.header("x-request-id"));
}
