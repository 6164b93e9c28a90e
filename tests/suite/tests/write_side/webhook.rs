//! POST /webhooks/clerk: signatures, mappings, and an event's way from Clerk to the list of users.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clerk_webhook::{MAX_BODY, TIMEOUT, Webhook};
use serde_json::{Value, json};
use stats::Stats;
use tokio::time::Instant;
use torale_testkit::events::{api_key, user as user_events};
use torale_testkit::fake_aws::CallFate;
use torale_testkit::request::{ApiAnswer, get, read};
use torale_testkit::scenario::{Scenario, given, given_an_admin, given_only};
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{ADMIN_KEY, NOW, Stack};
use torale_testkit::svix::{KEY, SECRET, request, signature, signed};
use users::Users;

const OLD_KEY: &[u8] = b"nmlkjihgfedcba9876543210";
const SECRETS: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u,whsec_bm1sa2ppaGdmZWRjYmE5ODc2NTQzMjEw";
const ANN: &str = "660e8400-e29b-41d4-a716-446655440000";
/// UUID v5 of the DNS namespace and `clerk:user_bob`.
const BOB: &str = "b568ca2f-1f13-5f10-9b26-530af959a2f4";

fn webhook(secrets: &str, sqs: &FakeSqs) -> Webhook {
    Webhook::new(secrets, sqs.queue(None), || NOW)
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

/// The answer of a webhook, and the events that it sent.
async fn send(secrets: &str, request: Value) -> ((u16, String), Vec<Value>) {
    let sqs = FakeSqs::default();
    let answer = handle(&webhook(secrets, &sqs), &request).await;
    (status_and_detail(&answer), sqs.taken().iter().map(|body| serde_json::from_str(body).unwrap()).collect())
}

async fn handle(webhook: &Webhook, request: &Value) -> ApiAnswer {
    ApiAnswer::of(webhook.handle(&read(request)).await)
}

/// Status and detail.
fn status_and_detail(answer: &ApiAnswer) -> (u16, String) {
    (answer.status, answer.detail().as_str().unwrap().to_owned())
}

fn expected(status: u16, detail: &str) -> (u16, String) {
    (status, detail.to_owned())
}

#[tokio::test]
async fn webhook_with_a_good_signature_is_accepted_and_sent_as_an_event() {
    let (found, sent) = send(SECRET, signed("msg_1", &created())).await;

    assert_eq!(found, expected(200, "Accepted"));

    let expected = json!({
        "specversion": "1.0", "id": "msg_1", "source": "/clerk", "type": "ai.torale.identity.created", "subject": "user_ann",
        "time": "2026-03-31T06:53:20Z", "datacontenttype": "application/json",
        "data": { "clerk_user_id": "user_ann", "email": "user_ann@example.com", "external_id": ANN },
    });
    assert_eq!(sent, [expected]);
}

#[tokio::test]
async fn webhook_passes_the_requests_trace_on_to_its_event() {
    let mut request = signed("msg_1", &created());
    let trace = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
    request["headers"]["traceparent"] = json!(trace);
    let (_, sent) = send(SECRET, request).await;

    assert_eq!(sent[0]["traceparent"], trace);
}

#[tokio::test]
async fn webhook_maps_each_type_to_its_event() {
    let mut admin = user("user_bob", None);
    admin["public_metadata"] = json!({ "role": "admin" });
    let deleted = json!({ "id": "user_bob", "object": "user", "deleted": true });
    let email = "user_bob@example.com";

    for (payload, kind, time, data) in [
        (
            payload("user.created", admin.clone()),
            "identity.created",
            "2026-03-31T06:53:20Z",
            json!({ "clerk_user_id": "user_bob", "email": email, "role": "admin" }),
        ),
        (
            payload("user.updated", admin),
            "identity.updated",
            "2026-03-31T08:16:40Z",
            json!({ "clerk_user_id": "user_bob", "email": email, "role": "admin", "external_id": null }),
        ),
        (
            payload("user.updated", user("user_bob", Some("crm-7"))),
            "identity.updated",
            "2026-03-31T08:16:40Z",
            json!({ "clerk_user_id": "user_bob", "email": email, "role": null, "external_id": "crm-7" }),
        ),
        (
            payload("user.deleted", deleted),
            "identity.deleted",
            "2026-03-31T09:40:00Z",
            json!({ "clerk_user_id": "user_bob" }),
        ),
        (
            session("user_bob"),
            "identity.logged_in",
            "2026-03-31T08:33:20Z",
            json!({ "clerk_user_id": "user_bob" }),
        ),
    ] {
        let (found, sent) = send(SECRET, signed("msg_2", &payload)).await;
        assert_eq!(found, expected(200, "Accepted"), "{kind}");
        let [event] = sent.as_slice() else { panic!("{sent:?}") };
        let found = [&event["id"], &event["type"], &event["time"], &event["data"]];
        assert_eq!(found, [&json!("msg_2"), &json!(format!("ai.torale.{kind}")), &json!(time), &data]);
    }
}

#[tokio::test]
async fn webhook_with_a_wrong_signature_is_refused_and_sends_nothing() {
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
        assert_eq!(send(SECRET, request).await, (expected(400, "Invalid webhook signature"), vec![]));
    }
}

#[tokio::test]
async fn webhook_without_a_signature_header_is_refused_and_sends_nothing() {
    let body = created().to_string();
    let right = signature(KEY, "msg_1", NOW, &body);

    for header in ["svix-id", "svix-timestamp", "svix-signature"] {
        let mut request = request("msg_1", NOW, &right, &body);
        request["headers"].as_object_mut().unwrap().remove(header);
        assert_eq!(send(SECRET, request).await, (expected(400, "Missing webhook signature headers"), vec![]));
    }
}

#[tokio::test]
async fn webhook_signature_counts_for_five_minutes_before_and_after() {
    let body = created().to_string();

    for (seconds, status) in [(-300, 200), (-301, 400), (300, 200), (301, 400)] {
        let at = NOW.plus(seconds * 1000);
        let (found, sent) =
            send(SECRET, request("msg_1", at, &signature(KEY, "msg_1", at, &body), &body)).await;
        let text = if status == 200 { "Accepted" } else { "Webhook timestamp outside of 5 minutes" };
        assert_eq!((found, sent.len()), (expected(status, text), usize::from(status == 200)), "{seconds}");
    }
}

#[tokio::test]
async fn webhook_needs_one_good_signature_by_one_of_its_secrets() {
    let body = created().to_string();
    let wrong = signature(b"another key of 24 bytes!", "msg_1", NOW, &body);

    for key in [KEY, OLD_KEY] {
        let several = format!("{wrong} v1a,xyz {} {wrong}", signature(key, "msg_1", NOW, &body));
        let (found, sent) = send(SECRETS, request("msg_1", NOW, &several, &body)).await;
        assert_eq!((found, sent.len()), (expected(200, "Accepted"), 1));
    }

    let (found, sent) = send(SECRETS, request("msg_1", NOW, &format!("{wrong} {wrong}"), &body)).await;
    assert_eq!((found, sent.len()), (expected(400, "Invalid webhook signature"), 0));
}

#[tokio::test]
async fn webhook_body_in_bytes_is_the_same_body() {
    let mut request = signed("msg_1", &created());
    request["body"] = json!(STANDARD.encode(created().to_string()));
    request["isBase64Encoded"] = json!(true);

    assert_eq!(send(SECRET, request).await.0, expected(200, "Accepted"));
}

#[tokio::test]
async fn webhook_of_another_type_is_accepted_and_ignored() {
    for kind in ["session.ended", "organization.created", "email.created"] {
        let request = signed("msg_1", &payload(kind, json!({ "id": "x" })));
        assert_eq!(send(SECRET, request).await, (expected(200, "Ignored"), vec![]), "{kind}");
    }
}

#[tokio::test]
async fn webhook_that_cannot_be_mapped_is_refused_with_the_reason() {
    let mut nameless = user("user_ann", None);
    nameless["id"] = json!(null);
    let mut ancient = user("user_ann", None);
    ancient["created_at"] = json!(1_000_000_000_000_i64);

    for (body, fault) in [
        (payload("user.created", nameless), "the user's id is needed"),
        (payload("user.created", ancient), "a time is before 2015 or more than 24 hours ahead"),
        (json!([]), "type is needed"),
    ] {
        let (found, sent) = send(SECRET, signed("msg_1", &body)).await;
        assert_eq!((found, sent.len()), (expected(400, &format!("Not a usable payload: {fault}")), 0));
    }

    let text = "no JSON";
    let request = request("msg_1", NOW, &signature(KEY, "msg_1", NOW, text), text);

    assert_eq!(
        send(SECRET, request).await,
        (expected(400, "Not a usable payload: the payload is not JSON"), vec![])
    );
}

#[tokio::test]
async fn webhook_takes_only_post() {
    for method in ["GET", "PUT", "OPTIONS"] {
        let mut request = signed("msg_1", &created());
        request["requestContext"]["http"]["method"] = json!(method);
        let refused = handle(&webhook(SECRET, &FakeSqs::default()), &request).await;
        assert_eq!(refused.header("allow"), Some("POST"));
        assert_eq!(status_and_detail(&refused), expected(405, "Method Not Allowed"));
    }
}

#[tokio::test]
async fn webhook_over_256_kib_is_refused() {
    let mut large = payload("session.ended", json!({}));
    large["x"] = json!("");
    large["x"] = json!("x".repeat(MAX_BODY - large.to_string().len()));

    assert_eq!(send(SECRET, signed("msg_1", &large)).await.0, expected(200, "Ignored"));

    let larger = format!("{large} ");
    let request = request("msg_1", NOW, &signature(KEY, "msg_1", NOW, &larger), &larger);

    assert_eq!(send(SECRET, request).await.0, expected(413, "Payload too large"));
}

#[tokio::test]
async fn webhook_answers_have_the_headers_of_all_answers() {
    let sqs = FakeSqs::default();

    for (secrets, request) in [
        (SECRET, signed("msg_1", &created())),
        (SECRET, request("msg_1", NOW, "v1,x", "{}")),
        ("", signed("msg_1", &created())),
    ] {
        let answer = handle(&webhook(secrets, &sqs), &request).await;
        for (name, value) in [
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), Some(value));
        }
        assert_ne!(answer.header("x-request-id").unwrap(), "");
    }
}

#[tokio::test]
async fn webhook_without_a_good_secret_answers_503_so_that_svix_tries_again() {
    for secrets in ["", "whsec_", "whsec_MDEy", &format!("{SECRET},oops")] {
        let (found, sent) = send(secrets, signed("msg_1", &created())).await;
        assert_eq!((found, sent.len()), (expected(503, "Service temporarily unavailable"), 0), "{secrets}");
    }
}

/// Nothing is acknowledged that SQS has not taken. Time is virtual.
#[tokio::test(start_paused = true)]
async fn webhook_answers_503_while_the_queue_takes_nothing() {
    for fate in [
        CallFate::Unreachable,
        CallFate::Hangs,
        CallFate::Silent,
        CallFate::Fails(500, "InternalError"),
        CallFate::Fails(403, "AccessDenied"),
        CallFate::Fails(400, "QueueDoesNotExist"),
    ] {
        let (sqs, started) = (FakeSqs::always(fate), Instant::now());
        let refused = handle(&webhook(SECRET, &sqs), &signed("msg_1", &created())).await;
        assert_eq!(refused.header("retry-after"), Some("2"), "{fate:?}");
        assert_eq!(status_and_detail(&refused), expected(503, "Service temporarily unavailable"), "{fate:?}");
        assert!(started.elapsed() <= TIMEOUT, "{fate:?}");
        assert_eq!(sqs.taken(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn webhook_that_is_delivered_again_is_accepted_once_the_queue_is_back() {
    let sqs = FakeSqs::with([CallFate::Fails(400, "QueueDoesNotExist")]);
    let webhook = webhook(SECRET, &sqs);

    let first = handle(&webhook, &signed("msg_1", &created())).await;
    let second = handle(&webhook, &signed("msg_1", &created())).await;

    assert_eq!((first.status, second.status), (503, 200));
    assert_eq!(sqs.taken().len(), 1);
}

/// Sends payloads through the webhook, and what it sent through the consumer.
async fn deliver(stack: &Stack, payloads: &[Value]) {
    let sqs = FakeSqs::default();
    let webhook = Webhook::new(SECRET, sqs.client(), || NOW);
    for payload in payloads {
        let id = format!("msg_{}", stack.scan("torale-events").await.len() + sqs.taken().len());
        assert_eq!(
            status_and_detail(&handle(&webhook, &signed(&id, payload)).await),
            expected(200, "Accepted")
        );
    }
    assert_eq!(sqs.taken().len(), payloads.len());
    let outcome = stack.consume(&sqs.taken()).await;
    assert!(outcome.quarantined.is_empty());
}

/// The users that are listed besides the admin.
async fn listed_users(scenario: &Scenario) -> Vec<Value> {
    let body = scenario.when(get::<Users>("")).await.with_status(200).json();
    let users = body["users"].as_array().unwrap().iter();
    users.filter(|user| user["clerk_user_id"] != "user_admin").cloned().collect()
}

#[tokio::test]
async fn users_list_shows_what_happens_to_a_user_at_clerk() {
    let scenario = given_an_admin().start().await;
    let ann = payload("user.created", user("user_ann", Some(ANN)));
    deliver(&scenario, &[ann, payload("user.created", user("user_bob", None))]).await;
    let shown = |id: &str, clerk: &str| {
        json!({ "id": id, "email": format!("{clerk}@example.com"), "clerk_user_id": clerk, "state": "active",
                "tasks_count": 0, "active_tasks_count": 0, "executions_24h": 0, "notifications_7d": 0,
                "created_at": "2026-03-31T06:53:20Z", "last_login": null })
    };
    let (mut bob, mut ann) = (shown(BOB, "user_bob"), shown(ANN, "user_ann"));

    assert_eq!(listed_users(&scenario).await, [bob.clone(), ann.clone()]);

    // Neither a session nor a deletion names our id: it is found by what `user.created` brought.
    let mut renamed = user("user_bob", None);
    renamed["email_addresses"][0]["email_address"] = json!("bob@new.example");
    let gone = payload("user.deleted", json!({ "id": "user_ann", "object": "user", "deleted": true }));
    let more = [session("user_ann"), session("user_bob"), payload("user.updated", renamed), gone];
    deliver(&scenario, &more).await;

    for user in [&mut bob, &mut ann] {
        user["last_login"] = json!("2026-03-31T08:33:20Z");
    }

    bob["email"] = json!("bob@new.example");
    ann["state"] = json!("deactivated");

    assert_eq!(listed_users(&scenario).await, [bob, ann]);
}

#[tokio::test]
async fn admin_role_comes_and_goes_with_the_metadata_at_clerk() {
    let carl = "11111111-0000-4000-8000-000000000003";
    let scenario = given_only(api_key("k").created(carl, ADMIN_KEY)).start().await;
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
        deliver(&scenario, &[payload]).await;
        assert_eq!(scenario.when(get::<Stats>("")).await.status, status);
    }
}

#[tokio::test]
async fn login_at_clerk_finds_a_user_that_the_platform_created_by_their_clerk_id() {
    let known = user_events(ANN).created().with("clerk_user_id", "user_bob").with("email", "bob@example.com");
    let scenario = given(known).start().await;

    deliver(&scenario, &[session("user_bob")]).await;

    let found = listed_users(&scenario).await;

    assert_eq!(
        (found[0]["id"].as_str(), found[0]["last_login"].as_str()),
        (Some(ANN), Some("2026-03-31T08:33:20Z"))
    );
}
