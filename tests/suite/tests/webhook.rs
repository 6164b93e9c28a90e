//! POST /webhooks/clerk: signatures, mappings and the way of an event from Clerk to the list of users.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails by panicking")]

use clerk_webhook::{MAX_BODY, TIMEOUT, Webhook};
use lambda_http::http::Request;
use lambda_http::{Body, Response};
use serde_json::{Value, json};
use torale_platform::store::Store;
use torale_tests::faults::Faults;
use torale_tests::generate::{self, event};
use torale_tests::rights::Rights;
use torale_tests::sqs::{MessageFate, Sqs, URL};
use torale_tests::stack::{self, NOW, Stack};
use torale_tests::svix::{KEY, SECRET, request, signature, signed};

const OLD_KEY: &[u8] = b"nmlkjihgfedcba9876543210";
const SECRETS: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u,whsec_bm1sa2ppaGdmZWRjYmE5ODc2NTQzMjEw";
const ANN: &str = "660e8400-e29b-41d4-a716-446655440000";
/// UUID v5 of the DNS namespace and `clerk:user_bob`.
const BOB: &str = "b568ca2f-1f13-5f10-9b26-530af959a2f4";

fn webhook(secrets: &str, store: Store, sqs: &Sqs) -> Webhook {
    Webhook::new(secrets, store, sqs.queue(None), || NOW)
}

fn payload(kind: &str, data: Value) -> Value {
    json!({ "data": data, "object": "event", "type": kind, "timestamp": 1_774_950_000_000_i64, "instance_id": "ins_1" })
}

fn user(clerk: &str, external_id: Option<&str>) -> Value {
    json!({ "id": clerk, "object": "user", "external_id": external_id, "public_metadata": {},
            "primary_email_address_id": "idn_1", "created_at": 1_774_940_000_000_i64, "updated_at": 1_774_945_000_000_i64,
            "email_addresses": [{ "id": "idn_1", "email_address": format!("{clerk}@example.com") }] })
}

fn created() -> Value {
    payload("user.created", user("user_ann", Some(ANN)))
}

fn session(clerk: &str) -> Value {
    let data =
        json!({ "id": "sess_1", "object": "session", "user_id": clerk, "created_at": 1_774_946_000_000_i64 });
    payload("session.created", data)
}

fn detail(response: Response<Body>) -> (u16, String) {
    let status = response.status().as_u16();
    (status, stack::json(response)["detail"].as_str().unwrap().to_owned())
}

/// What a stack's webhook says of a request, and what was sent.
async fn ask(secrets: &str, request: Request<Body>) -> ((u16, String), Vec<Value>) {
    let (stack, sqs) = (Stack::start().await, Sqs::default());
    let response = webhook(secrets, stack.store(), &sqs).handle(&request).await;
    (detail(response), sqs.taken().iter().map(|body| serde_json::from_str(body).unwrap()).collect())
}

fn answer(status: u16, detail: &str) -> (u16, String) {
    (status, detail.to_owned())
}

#[tokio::test]
async fn what_svix_has_signed_is_accepted_and_sent() {
    let (said, sent) = ask(SECRET, signed("msg_1", &created())).await;
    assert_eq!(said, answer(200, "Accepted"));
    let expected = json!({
        "specversion": "1.0", "id": "msg_1", "source": "/clerk", "type": "ai.torale.user.created", "subject": ANN,
        "time": "2026-03-31T06:53:20Z", "datacontenttype": "application/json",
        "data": { "user_id": ANN, "clerk_user_id": "user_ann", "email": "user_ann@example.com" },
    });
    assert_eq!(sent, [expected]);
}

#[tokio::test]
async fn its_event_carries_the_requests_trace() {
    let mut request = signed("msg_1", &created());
    let trace = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
    request.headers_mut().insert("traceparent", trace.parse().unwrap());
    let (_, sent) = ask(SECRET, request).await;
    assert_eq!(sent[0]["traceparent"], trace);
}

#[tokio::test]
async fn each_type_becomes_its_event() {
    let mut admin = user("user_bob", None);
    admin["public_metadata"] = json!({ "role": "admin" });
    let deleted = json!({ "id": "user_bob", "object": "user", "deleted": true });
    let email = "user_bob@example.com";
    for (payload, kind, time, data) in [
        (
            payload("user.created", admin.clone()),
            "user.created",
            "2026-03-31T06:53:20Z",
            json!({ "user_id": BOB, "clerk_user_id": "user_bob", "email": email, "role": "admin" }),
        ),
        (
            payload("user.updated", admin),
            "user.updated",
            "2026-03-31T08:16:40Z",
            json!({ "user_id": BOB, "email": email, "role": "admin" }),
        ),
        (
            payload("user.updated", user("user_bob", None)),
            "user.updated",
            "2026-03-31T08:16:40Z",
            json!({ "user_id": BOB, "email": email, "role": null }),
        ),
        (
            payload("user.deleted", deleted),
            "user.deactivated",
            "2026-03-31T09:40:00Z",
            json!({ "user_id": BOB }),
        ),
        (session("user_bob"), "user.logged_in", "2026-03-31T08:33:20Z", json!({ "user_id": BOB })),
    ] {
        let (said, sent) = ask(SECRET, signed("msg_2", &payload)).await;
        assert_eq!(said, answer(200, "Accepted"), "{kind}");
        let [event] = sent.as_slice() else { panic!("{sent:?}") };
        let found = [&event["id"], &event["type"], &event["time"], &event["data"]];
        assert_eq!(found, [&json!("msg_2"), &json!(format!("ai.torale.{kind}")), &json!(time), &data]);
    }
}

#[tokio::test]
async fn a_wrong_signature_is_refused_and_nothing_is_sent() {
    let body = created().to_string();
    let right = signature(KEY, "msg_1", NOW, &body);
    let tampered = body.replace("user_ann@", "user_eve@");
    for request in [
        request("msg_1", NOW, &signature(OLD_KEY, "msg_1", NOW, &body), &body),
        request("msg_1", NOW, &right, &tampered),
        request("msg_1", NOW, &right, &format!("{body} ")),
        request("msg_2", NOW, &right, &body),
        request("msg_1", NOW.plus(1000), &right, &body),
        request("msg_1", NOW, &right.replace("v1,", "v2,"), &body),
        request("msg_1", NOW, "v1,", &body),
    ] {
        assert_eq!(ask(SECRET, request).await, (answer(400, "Invalid webhook signature"), vec![]));
    }
    for header in ["svix-id", "svix-timestamp", "svix-signature"] {
        let mut request = request("msg_1", NOW, &right, &body);
        request.headers_mut().remove(header);
        assert_eq!(ask(SECRET, request).await, (answer(400, "Missing webhook signature headers"), vec![]));
    }
}

#[tokio::test]
async fn a_signature_counts_for_five_minutes_before_and_after() {
    let body = created().to_string();
    for (seconds, status) in [(-300, 200), (-301, 400), (300, 200), (301, 400)] {
        let at = NOW.plus(seconds * 1000);
        let (said, sent) =
            ask(SECRET, request("msg_1", at, &signature(KEY, "msg_1", at, &body), &body)).await;
        let text = if status == 200 { "Accepted" } else { "Webhook timestamp outside of 5 minutes" };
        assert_eq!((said, sent.len()), (answer(status, text), usize::from(status == 200)), "{seconds}");
    }
}

#[tokio::test]
async fn any_of_several_signatures_by_any_of_several_secrets_counts() {
    let body = created().to_string();
    let wrong = signature(b"another key of 24 bytes!", "msg_1", NOW, &body);
    for key in [KEY, OLD_KEY] {
        let several = format!("{wrong} v1a,xyz {} {wrong}", signature(key, "msg_1", NOW, &body));
        let (said, sent) = ask(SECRETS, request("msg_1", NOW, &several, &body)).await;
        assert_eq!((said, sent.len()), (answer(200, "Accepted"), 1));
    }
    let (said, sent) = ask(SECRETS, request("msg_1", NOW, &format!("{wrong} {wrong}"), &body)).await;
    assert_eq!((said, sent.len()), (answer(400, "Invalid webhook signature"), 0));
}

#[tokio::test]
async fn a_body_in_bytes_is_the_same_body() {
    let mut request = signed("msg_1", &created());
    *request.body_mut() = Body::Binary(created().to_string().into_bytes());
    assert_eq!(ask(SECRET, request).await.0, answer(200, "Accepted"));
}

#[tokio::test]
async fn other_types_are_accepted_and_ignored() {
    for kind in ["session.ended", "organization.created", "email.created"] {
        let request = signed("msg_1", &payload(kind, json!({ "id": "x" })));
        assert_eq!(ask(SECRET, request).await, (answer(200, "Ignored"), vec![]), "{kind}");
    }
}

#[tokio::test]
async fn what_cannot_be_mapped_is_refused() {
    let mut nameless = user("user_ann", None);
    nameless["id"] = json!(null);
    let mut ancient = user("user_ann", None);
    ancient["created_at"] = json!(1_000_000_000_000_i64);
    for (body, fault) in [
        (payload("user.created", nameless), "the user's id is needed"),
        (payload("user.created", ancient), "a time is before 2015 or more than 24 hours ahead"),
        (json!([]), "type is needed"),
    ] {
        let (said, sent) = ask(SECRET, signed("msg_1", &body)).await;
        assert_eq!((said, sent.len()), (answer(400, &format!("Not a usable payload: {fault}")), 0));
    }
    let text = "no JSON";
    let request = request("msg_1", NOW, &signature(KEY, "msg_1", NOW, text), text);
    assert_eq!(
        ask(SECRET, request).await,
        (answer(400, "Not a usable payload: the payload is not JSON"), vec![])
    );
}

#[tokio::test]
async fn only_post_and_only_256_kib() {
    for method in ["GET", "PUT", "OPTIONS"] {
        let mut request = signed("msg_1", &created());
        *request.method_mut() = method.parse().unwrap();
        let (stack, sqs) = (Stack::start().await, Sqs::default());
        let response = webhook(SECRET, stack.store(), &sqs).handle(&request).await;
        assert_eq!(response.headers()["allow"], "POST");
        assert_eq!(detail(response), answer(405, "Method Not Allowed"));
    }
    let mut large = payload("session.ended", json!({}));
    large["x"] = json!("");
    large["x"] = json!("x".repeat(MAX_BODY - large.to_string().len()));
    assert_eq!(ask(SECRET, signed("msg_1", &large)).await.0, answer(200, "Ignored"));
    let larger = format!("{large} ");
    let request = request("msg_1", NOW, &signature(KEY, "msg_1", NOW, &larger), &larger);
    assert_eq!(ask(SECRET, request).await.0, answer(413, "Payload too large"));
}

#[tokio::test]
async fn every_answer_has_the_headers_of_all_answers() {
    let (stack, sqs) = (Stack::start().await, Sqs::default());
    for (secrets, request) in [
        (SECRET, signed("msg_1", &created())),
        (SECRET, request("msg_1", NOW, "v1,x", "{}")),
        ("", signed("msg_1", &created())),
    ] {
        let response = webhook(secrets, stack.store(), &sqs).handle(&request).await;
        for (name, value) in [
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
        assert!(!response.headers()["x-request-id"].is_empty());
    }
}

#[tokio::test]
async fn without_a_good_secret_everything_is_refused() {
    for secrets in ["", "whsec_", "whsec_MDEy", &format!("{SECRET},oops")] {
        let (said, sent) = ask(secrets, signed("msg_1", &created())).await;
        assert_eq!((said, sent.len()), (answer(500, "Internal server error"), 0), "{secrets}");
    }
}

/// Nothing is acknowledged that SQS has not taken. Time is virtual: the store is not asked for a user that is named.
#[tokio::test(start_paused = true)]
async fn a_queue_that_takes_nothing_is_a_503_and_svix_comes_again() {
    let stack = Stack::start().await;
    for fate in [
        MessageFate::Unreachable,
        MessageFate::Hangs,
        MessageFate::Silent,
        MessageFate::Fails(500, "InternalError"),
        MessageFate::Fails(403, "AccessDenied"),
        MessageFate::Fails(400, "QueueDoesNotExist"),
    ] {
        let (sqs, started) = (Sqs::always(fate), tokio::time::Instant::now());
        let response = webhook(SECRET, stack.store(), &sqs).handle(&signed("msg_1", &created())).await;
        assert_eq!(response.headers()["retry-after"], "2", "{fate:?}");
        assert_eq!(detail(response), answer(503, "Service temporarily unavailable"), "{fate:?}");
        assert!(started.elapsed() <= TIMEOUT, "{fate:?}");
        assert_eq!(sqs.taken(), [""; 0]);
    }
    let sqs = Sqs::with([MessageFate::Fails(400, "QueueDoesNotExist")]);
    let webhook = webhook(SECRET, stack.store(), &sqs);
    let asked = [
        webhook.handle(&signed("msg_1", &created())).await,
        webhook.handle(&signed("msg_1", &created())).await,
    ];
    assert_eq!(asked.map(|response| response.status().as_u16()), [503, 200]);
    assert_eq!(sqs.taken().len(), 1);
}

#[tokio::test]
async fn a_store_that_cannot_say_who_it_is_is_a_503_too() {
    let (stack, sqs) = (Stack::start().await, Sqs::default());
    for at in 0..2 {
        let store = stack.faulty_store(Faults::new(at, false, true));
        let response = webhook(SECRET, store, &sqs).handle(&signed("msg_1", &session("user_bob"))).await;
        assert_eq!(detail(response), answer(503, "Service temporarily unavailable"));
    }
    assert_eq!(sqs.calls(), [""; 0]);
}

/// Everybody can reach this function.
#[tokio::test]
async fn only_logins_are_looked_up_as_the_template_has_it() {
    let (stack, rights) = (Stack::start().await, Rights::of("ClerkWebhook"));
    let webhook = webhook(SECRET, stack.store_with(rights.clone()), &Sqs::default());
    webhook.handle(&signed("msg_1", &session("user_bob"))).await;
    rights.assert_fit(&[]);
}

/// Sends payloads through the webhook, and what it sent through the consumer.
async fn deliver(stack: &Stack, payloads: &[Value]) {
    let sqs = Sqs::default();
    let webhook = Webhook::new(SECRET, stack.store(), sqs.queue(Some(URL)), || NOW);
    for payload in payloads {
        let id = format!("msg_{}", stack.scan("torale-events").await.len() + sqs.taken().len());
        assert_eq!(detail(webhook.handle(&signed(&id, payload)).await), answer(200, "Accepted"));
    }
    assert_eq!(sqs.taken().len(), payloads.len());
    let outcome = stack.consume(&sqs.taken()).await;
    assert!(outcome.quarantined.is_empty());
}

async fn users(stack: &Stack) -> Vec<Value> {
    let (status, body) = stack.get("/admin/users", "").await;
    assert_eq!(status, 200, "{body}");
    let mut body: Value = serde_json::from_str(&body).unwrap();
    body["users"]
        .as_array_mut()
        .unwrap()
        .drain(..)
        .filter(|user| user["clerk_user_id"] != "user_admin")
        .collect()
}

#[tokio::test]
async fn a_users_life_at_clerk_shows_in_the_list_of_users() {
    let stack = Stack::start().await;
    stack.consume(&generate::admin()).await;
    let ann = payload("user.created", user("user_ann", Some(ANN)));
    deliver(&stack, &[ann, payload("user.created", user("user_bob", None))]).await;
    let shown = |id: &str, clerk: &str| {
        json!({ "id": id, "email": format!("{clerk}@example.com"), "clerk_user_id": clerk, "state": "active",
                "tasks_count": 0, "active_tasks_count": 0, "executions_24h": 0, "notifications_7d": 0,
                "created_at": "2026-03-31T06:53:20Z", "last_login": null })
    };
    let (mut bob, mut ann) = (shown(BOB, "user_bob"), shown(ANN, "user_ann"));
    assert_eq!(users(&stack).await, [bob.clone(), ann.clone()]);

    // Neither session nor deletion names our id; what `user.created` brought does.
    let mut renamed = user("user_bob", None);
    renamed["email_addresses"][0]["email_address"] = json!("bob@new.example");
    let gone = payload("user.deleted", json!({ "id": "user_ann", "object": "user", "deleted": true }));
    deliver(&stack, &[session("user_ann"), session("user_bob"), payload("user.updated", renamed), gone])
        .await;
    for user in [&mut bob, &mut ann] {
        user["last_login"] = json!("2026-03-31T08:33:20Z");
    }
    bob["email"] = json!("bob@new.example");
    ann["state"] = json!("deactivated");
    assert_eq!(users(&stack).await, [bob, ann]);
}

#[tokio::test]
async fn a_role_comes_and_goes_with_the_metadata() {
    let stack = Stack::start().await;
    let carl = "11111111-0000-4000-8000-000000000003";
    let hash = torale_domain::values::digest::sha256_hex(&[stack::ADMIN_KEY.as_bytes()]);
    let key = json!({ "key_id": "k", "user_id": carl, "key_hash": hash, "key_prefix": "sk_test" });
    stack.consume(&[event("key", NOW, "api_key.created", key)]).await;
    let with = |role: Value, kind: &str, at: i64| {
        let mut user = user("user_carl", Some(carl));
        user["public_metadata"] = role;
        user["updated_at"] = json!(1_774_945_000_000_i64 + at);
        payload(kind, user)
    };
    let admin = || json!({ "role": "admin" });
    for (payload, status) in [
        (with(json!({}), "user.created", 0), 403),
        (with(admin(), "user.updated", 1), 200),
        (with(json!({}), "user.updated", 2), 403),
        (with(admin(), "user.updated", 1), 403),
        (with(admin(), "user.updated", 3), 200),
    ] {
        deliver(&stack, &[payload]).await;
        assert_eq!(stack.get("/admin/stats", "").await.0, status);
    }
}

#[tokio::test]
async fn a_user_that_the_platform_has_brought_is_found_by_its_clerk_id() {
    let stack = Stack::start().await;
    let known = json!({ "user_id": ANN, "clerk_user_id": "user_bob", "email": "bob@example.com" });
    stack.consume(&[generate::admin(), vec![event("e1", NOW, "user.created", known)]].concat()).await;
    deliver(&stack, &[session("user_bob")]).await;
    let found = users(&stack).await;
    assert_eq!(
        (found[0]["id"].as_str(), found[0]["last_login"].as_str()),
        (Some(ANN), Some("2026-03-31T08:33:20Z"))
    );
}
