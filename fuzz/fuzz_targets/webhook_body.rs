//! Clerk's webhooks: whatever event is made of a payload, the event intake takes it, now and ever after.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use torale_domain::events::clerk::{WebhookFault, Notice, Payload, SOURCE};
use torale_domain::events::{Event, EventType, ReceivedMessage, QuarantineReason, parse};
use torale_domain::values::ids::UserId;
use torale_domain::values::time::{DAY, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);
const USERS: [&str; 3] = [
    "00000000-0000-0000-0000-000000000000",
    "660e8400-e29b-41d4-a716-446655440000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
];

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let payload = Payload::parse(&text);
    assert_eq!(payload, Payload::parse(&text));
    match payload {
        Ok(Payload { kind, notice: Some(notice) }) => told(&kind, &notice),
        Ok(Payload { kind, notice: None }) => assert_eq!(mapped(&kind), None),
        Err(fault) => assert!(matches!(fault, WebhookFault::NotJson | WebhookFault::Needed(_)), "{fault}"),
    }
});

fn mapped(kind: &str) -> Option<EventType> {
    match kind {
        "user.created" => Some(EventType::UserCreated),
        "user.updated" => Some(EventType::UserUpdated),
        "user.deleted" => Some(EventType::UserDeactivated),
        "session.created" => Some(EventType::UserLoggedIn),
        _ => None,
    }
}

/// Of no, one and several users, where they must be looked up; under a short id and under the longest that leaves
/// room for each user's number.
fn told(kind: &str, notice: &Notice) {
    let users: Vec<UserId> = USERS.into_iter().filter_map(UserId::parse).collect();
    assert!(notice.unnamed().is_none() || mapped(kind) != Some(EventType::UserCreated));
    let found: &[usize] = if notice.unnamed().is_some() { &[0, 1, users.len()] } else { &[0] };
    for known in found {
        let known = users.get(..*known).unwrap_or_default();
        for id in ["msg_1", &"é".repeat(126)] {
            match notice.events(id, None, known, NOW) {
                Ok(messages) => sent(kind, known, id, &messages),
                Err(fault) => refused(&fault),
            }
        }
        assert!(notice.events(&"m".repeat(129), None, known, NOW).is_err());
    }
}

fn sent(kind: &str, known: &[UserId], id: &str, messages: &[String]) {
    assert_eq!(messages.len(), known.len().max(1));
    let events: Vec<Event> = messages.iter().map(|message| taken(message)).collect();
    for event in &events {
        assert_eq!(Some(event.event_type()), mapped(kind));
        assert_eq!(event.source, SOURCE);
        assert!((Timestamp::EARLIEST..=NOW.plus(DAY)).contains(&event.time));
    }
    assert_eq!(events.first().map(|event| event.id.as_str()), Some(id));
    let ids: BTreeSet<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids.len(), events.len());
}

/// The event of a message, which a later intake and a replay take as the first one does.
fn taken(message: &str) -> Event {
    let [event, later, replayed] =
        [Some(NOW), Some(NOW.plus(DAY)), None].map(|received_at| match parse(message, received_at) {
            Ok(ReceivedMessage::Known(event)) => *event,
            other => panic!("{message}: {other:?}"),
        });
    assert!(event == later && event == replayed);
    event
}

/// Only times and sizes may stand in the way; every field has the right kind.
fn refused(fault: &WebhookFault) {
    let expected = match fault {
        WebhookFault::Refused(QuarantineReason::TimeOutOfRange | QuarantineReason::TooLarge) => true,
        // Years of more than four digits.
        WebhookFault::Refused(QuarantineReason::Envelope(rule)) => rule.starts_with("time:"),
        WebhookFault::Refused(QuarantineReason::Data { .. } | QuarantineReason::NotJson(_)) | WebhookFault::NotJson | WebhookFault::Needed(_) => {
            false
        }
    };
    assert!(expected, "{fault}");
}
