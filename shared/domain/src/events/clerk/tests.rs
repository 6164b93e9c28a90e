//! Each mapping by a literal example in Clerk's own shapes.

use super::*;
use crate::events::ReceivedMessage;

const CLERK: &str = "user_29w83sxmDNGwOuEthce5gg56FcC";
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

/// The event of a payload, after our own intake has taken it.
fn event(payload: &Value) -> Value {
    let message = notice(payload).event("msg_1", None, NOW).unwrap();
    assert!(matches!(events::parse(&message, Some(NOW)), Ok(ReceivedMessage::Known(_))), "{message}");
    serde_json::from_str(&message).unwrap()
}

fn expected(kind: &str, time: &str, data: Value) -> Value {
    json!({ "specversion": "1.0", "id": "msg_1", "source": "/clerk", "type": format!("ai.torale.{kind}"), "time": time,
            "subject": CLERK, "datacontenttype": "application/json", "data": data })
}

#[test]
fn a_created_user_becomes_an_identity_with_its_primary_email_and_role() {
    let data = json!({ "clerk_user_id": CLERK, "email": "ann@example.com", "role": "admin" });
    let found = event(&payload("user.created", user()));
    assert_eq!(found, expected("identity.created", "2022-05-31T15:56:31.514Z", data));
}

#[test]
fn a_created_user_without_email_and_role_becomes_an_identity_all_the_same() {
    for (id, metadata) in
        [(json!(null), json!({})), (json!("idn_3"), json!({ "role": 7 })), (json!(2), json!(null))]
    {
        let mut user = user();
        user["primary_email_address_id"] = id;
        user["public_metadata"] = metadata;
        let found = event(&payload("user.created", user));
        assert_eq!(found["data"], json!({ "clerk_user_id": CLERK }));
    }
}

#[test]
fn an_updated_user_updates_email_role_and_external_id() {
    let mut user = user();
    user["external_id"] = json!(OURS);
    let data =
        json!({ "clerk_user_id": CLERK, "email": "ann@example.com", "role": "admin", "external_id": OURS });
    let found = event(&payload("user.updated", user));
    assert_eq!(found, expected("identity.updated", "2022-05-31T15:56:31.835Z", data));
}

#[test]
fn what_an_update_lacks_is_removed_but_a_missing_email_is_left_alone() {
    for metadata in [json!({}), json!({ "role": null }), json!({ "role": ["admin"] }), json!(null)] {
        let mut user = user();
        user["email_addresses"] = json!([]);
        user["public_metadata"] = metadata;
        let found = event(&payload("user.updated", user));
        assert_eq!(found["data"], json!({ "clerk_user_id": CLERK, "role": null, "external_id": null }));
    }
}

#[test]
fn a_deleted_user_deletes_the_identity_at_the_payloads_time() {
    let found = event(&payload("user.deleted", deleted()));
    assert_eq!(
        found,
        expected("identity.deleted", "2022-05-31T15:56:32Z", json!({ "clerk_user_id": CLERK }))
    );
}

#[test]
fn a_session_is_a_login_of_the_identity() {
    let found = event(&payload("session.created", session()));
    let data = json!({ "clerk_user_id": CLERK });
    assert_eq!(found, expected("identity.logged_in", "2022-05-31T15:56:31.514Z", data));
}

#[test]
fn session_of_somebody_who_acts_as_the_user_is_no_login() {
    let mut session = session();
    session["actor"] = json!({ "sub": "user_support" });
    let read = Payload::parse(&payload("session.created", session).to_string()).unwrap();
    assert_eq!(read, Payload { kind: "session.created".to_owned(), notice: None });
}

#[test]
fn an_external_id_is_passed_on_as_it_is_unless_it_can_be_none() {
    let created = |id: Value| {
        let mut user = user();
        user["external_id"] = id;
        event(&payload("user.created", user))["data"]["external_id"].clone()
    };
    assert_eq!(created(json!("567772")), "567772");
    assert_eq!(created(json!(OURS.to_uppercase())), OURS.to_uppercase());
    for none in [json!(null), json!(""), json!("x".repeat(257)), json!(7)] {
        assert_eq!(created(none), Value::Null);
    }
}

#[test]
fn the_payloads_time_stands_in_and_may_be_in_seconds() {
    let mut user = user();
    user["updated_at"] = json!(null);
    assert_eq!(event(&payload("user.updated", user.clone()))["time"], "2022-05-31T15:56:32Z");
    let mut seconds = payload("user.updated", user);
    seconds["timestamp"] = json!(1_654_012_592);
    assert_eq!(event(&seconds)["time"], "2022-05-31T15:56:32Z");
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
fn what_our_intake_would_quarantine_is_refused() {
    let refused = |created_at: i64, id: &str| {
        let mut user = user();
        user["created_at"] = json!(created_at);
        notice(&payload("user.created", user)).event(id, None, NOW).unwrap_err()
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
