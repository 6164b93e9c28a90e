//! Each mapping by a literal example in Clerk's own shapes.

use super::*;
use crate::events::ReceivedMessage;

const CLERK: &str = "user_29w83sxmDNGwOuEthce5gg56FcC";
/// UUID v5 of the DNS namespace and `clerk:user_29w83sxmDNGwOuEthce5gg56FcC`, computed with Python's `uuid`.
const DERIVED: &str = "1755f533-3a14-549c-ac73-367d41f40ce8";
const OURS: &str = "660e8400-e29b-41d4-a716-446655440000";
const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);

fn user() -> Value {
    json!({
        "id": CLERK, "object": "user", "external_id": null, "username": null, "first_name": "Ann",
        "created_at": 1_654_012_591_514_i64, "updated_at": 1_654_012_591_835_i64,
        "last_sign_in_at": 1_654_012_591_514_i64, "primary_email_address_id": "idn_2",
        "email_addresses": [
            { "id": "idn_1", "object": "email_address", "email_address": "old@example.com" },
            { "id": "idn_2", "object": "email_address", "email_address": "ann@example.com" },
        ],
        "public_metadata": { "role": "admin", "plan": 3 }, "private_metadata": {}, "unsafe_metadata": { "role": "root" },
    })
}

fn session() -> Value {
    json!({ "id": "sess_1", "object": "session", "user_id": CLERK, "status": "active", "actor": null,
            "created_at": 1_654_012_591_514_i64, "updated_at": 1_654_012_591_999_i64 })
}

fn deleted() -> Value {
    json!({ "id": CLERK, "object": "user", "deleted": true })
}

fn payload(kind: &str, data: Value) -> Value {
    json!({ "data": data, "object": "event", "type": kind, "timestamp": 1_654_012_592_000_i64,
            "instance_id": "ins_1", "event_attributes": { "http_request": { "client_ip": "0.0.0.0" } } })
}

fn notice(payload: &Value) -> Notice {
    Payload::parse(&payload.to_string()).unwrap().notice.unwrap()
}

/// The one event of a payload, after our own intake has taken it.
fn event(payload: &Value, known: &[UserId]) -> Value {
    let events = notice(payload).events("msg_1", None, known, NOW).unwrap();
    let [message] = events.as_slice() else { panic!("{events:?}") };
    assert!(matches!(events::parse(message, Some(NOW)), Ok(ReceivedMessage::Known(_))), "{message}");
    serde_json::from_str(message).unwrap()
}

fn expected(kind: &str, time: &str, data: Value) -> Value {
    json!({ "specversion": "1.0", "id": "msg_1", "source": "/clerk", "type": format!("ai.torale.{kind}"), "time": time,
            "subject": data["user_id"], "datacontenttype": "application/json", "data": data })
}

#[test]
fn a_created_user_has_its_primary_email_and_its_role() {
    let data =
        json!({ "user_id": DERIVED, "clerk_user_id": CLERK, "email": "ann@example.com", "role": "admin" });
    let found = event(&payload("user.created", user()), &[]);
    assert_eq!(found, expected("user.created", "2022-05-31T15:56:31.514Z", data));
}

#[test]
fn a_created_user_without_email_and_role_exists_all_the_same() {
    for (id, metadata) in
        [(json!(null), json!({})), (json!("idn_3"), json!({ "role": 7 })), (json!(2), json!(null))]
    {
        let mut user = user();
        user["primary_email_address_id"] = id;
        user["public_metadata"] = metadata;
        let found = event(&payload("user.created", user), &[]);
        assert_eq!(found["data"], json!({ "user_id": DERIVED, "clerk_user_id": CLERK, "email": "" }));
    }
}

#[test]
fn an_updated_user_tells_email_and_role() {
    let data = json!({ "user_id": DERIVED, "email": "ann@example.com", "role": "admin" });
    let found = event(&payload("user.updated", user()), &[]);
    assert_eq!(found, expected("user.updated", "2022-05-31T15:56:31.835Z", data));
}

#[test]
fn a_role_that_is_gone_is_removed_and_a_missing_email_is_left_alone() {
    for metadata in [json!({}), json!({ "role": null }), json!({ "role": ["admin"] }), json!(null)] {
        let mut user = user();
        user["email_addresses"] = json!([]);
        user["public_metadata"] = metadata;
        let found = event(&payload("user.updated", user), &[]);
        assert_eq!(found["data"], json!({ "user_id": DERIVED, "role": null }));
    }
}

#[test]
fn a_deleted_user_is_deactivated_at_the_payloads_time() {
    let found = event(&payload("user.deleted", deleted()), &[]);
    assert_eq!(found, expected("user.deactivated", "2022-05-31T15:56:32Z", json!({ "user_id": DERIVED })));
}

#[test]
fn a_session_is_a_login() {
    let found = event(&payload("session.created", session()), &[]);
    assert_eq!(found, expected("user.logged_in", "2022-05-31T15:56:31.514Z", json!({ "user_id": DERIVED })));
}

#[test]
fn an_external_id_that_is_a_uuid_is_our_users_id() {
    let with = |mut data: Value, id: &str| {
        data["external_id"] = json!(id);
        data
    };
    let mut session = session();
    session["user"] = with(user(), OURS);
    let payloads = [
        payload("user.created", with(user(), OURS)),
        payload("user.updated", with(user(), &OURS.to_uppercase())),
        payload("user.deleted", with(deleted(), OURS)),
        payload("session.created", session),
    ];
    let known = [UserId(Uuid::nil())];
    for payload in payloads {
        assert_eq!(notice(&payload).unnamed(), None);
        assert_eq!(event(&payload, &known)["data"]["user_id"], OURS);
    }
    for no_uuid in ["567772", "660e8400e29b41d4a716446655440000", ""] {
        let found = event(&payload("user.updated", with(user(), no_uuid)), &[]);
        assert_eq!(found["data"]["user_id"], DERIVED, "{no_uuid:?}");
    }
}

#[test]
fn a_user_without_an_external_id_is_looked_up_unless_it_is_new() {
    let ours = UserId::parse(OURS).unwrap();
    for (kind, data) in
        [("user.updated", user()), ("user.deleted", deleted()), ("session.created", session())]
    {
        let payload = payload(kind, data);
        assert_eq!(notice(&payload).unnamed(), ClerkUserId::parse(CLERK).as_ref(), "{kind}");
        assert_eq!(event(&payload, &[ours])["data"]["user_id"], OURS, "{kind}");
    }
    assert_eq!(notice(&payload("user.created", user())).unnamed(), None);
}

#[test]
fn several_users_with_one_clerk_id_all_go() {
    let known = [UserId(Uuid::nil()), UserId::parse(OURS).unwrap()];
    let events = notice(&payload("user.deleted", deleted())).events("msg_1", None, &known, NOW).unwrap();
    let told: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let told: Vec<_> = told.iter().map(|event| (&event["id"], &event["data"]["user_id"])).collect();
    let expected = [(json!("msg_1"), json!(Uuid::nil())), (json!("msg_1.1"), json!(OURS))];
    assert_eq!(told, expected.iter().map(|(id, user)| (id, user)).collect::<Vec<_>>());
}

#[test]
fn the_payloads_time_stands_in_and_may_be_in_seconds() {
    let mut user = user();
    user["updated_at"] = json!(null);
    assert_eq!(event(&payload("user.updated", user.clone()), &[])["time"], "2022-05-31T15:56:32Z");
    let mut seconds = payload("user.updated", user);
    seconds["timestamp"] = json!(1_654_012_592);
    assert_eq!(event(&seconds, &[])["time"], "2022-05-31T15:56:32Z");
}

#[test]
fn other_types_tell_nothing() {
    for kind in ["session.ended", "organization.created", "user.created2", ""] {
        let read = Payload::parse(&json!({ "type": kind }).to_string()).unwrap();
        assert_eq!(read, Payload { kind: kind.to_owned(), notice: None });
    }
}

#[test]
fn what_cannot_be_mapped_is_refused_by_name_without_its_values() {
    let parse = |payload: &Value| Payload::parse(&payload.to_string()).unwrap_err().to_string();
    let without = |field: &str| {
        let mut payload = payload("session.created", session());
        payload["data"].as_object_mut().unwrap().remove(field);
        payload.as_object_mut().unwrap().remove(field);
        payload
    };
    assert_eq!(Payload::parse("{").unwrap_err(), WebhookFault::NotJson);
    assert_eq!(parse(&json!([1])), "type is needed");
    assert_eq!(parse(&json!({ "type": 5 })), "type is needed");
    assert_eq!(parse(&without("user_id")), "the user's id is needed");
    let mut untimed = without("created_at");
    untimed["timestamp"] = json!("2022-05-31T15:56:32Z");
    assert_eq!(parse(&untimed), "a time is needed");
}

#[test]
fn what_our_intake_would_set_aside_is_refused() {
    let refused = |created_at: i64, id: &str| {
        let mut user = user();
        user["created_at"] = json!(created_at);
        notice(&payload("user.created", user)).events(id, None, &[], NOW).unwrap_err()
    };
    assert_eq!(refused(1_420_070_399_999, "msg_1"), WebhookFault::Refused(QuarantineReason::TimeOutOfRange));
    assert_eq!(
        refused(NOW.millis() + 86_400_001, "msg_1"),
        WebhookFault::Refused(QuarantineReason::TimeOutOfRange)
    );
    assert_eq!(refused(i64::MAX, "msg_1"), WebhookFault::Refused(QuarantineReason::TimeOutOfRange));
    let long = refused(1_654_012_591_514, &"m".repeat(129));
    assert_eq!(long.to_string(), "envelope: id: 1 to 128 characters are needed");
}
