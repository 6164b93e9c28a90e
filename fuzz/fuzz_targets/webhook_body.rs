//! Clerk's webhooks: whatever `identity.*` event is made of a payload, the event intake takes it, now and ever after.
#![no_main]

use libfuzzer_sys::fuzz_target;
use torale_domain::events::clerk::{Notice, Payload, SOURCE, WebhookFault};
use torale_domain::events::{Event, EventType, QuarantineReason, ReceivedMessage, parse};
use torale_domain::values::time::{DAY, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let payload = Payload::parse(&text);
    assert_eq!(payload, Payload::parse(&text));
    match payload {
        Ok(Payload { kind, notice: Some(notice) }) => sent(&kind, &notice),
        Ok(Payload { kind, notice: None }) => assert_eq!(mapped(&kind), None),
        Err(fault) => assert!(matches!(fault, WebhookFault::NotJson | WebhookFault::Needed(_)), "{fault}"),
    }
});

fn mapped(kind: &str) -> Option<EventType> {
    match kind {
        "user.created" => Some(EventType::IdentityCreated),
        "user.updated" => Some(EventType::IdentityUpdated),
        "user.deleted" => Some(EventType::IdentityDeleted),
        "session.created" => Some(EventType::IdentityLoggedIn),
        _ => None,
    }
}

/// Under a short id and under the longest; a longer one is refused.
fn sent(kind: &str, notice: &Notice) {
    for id in ["msg_1", &"é".repeat(128)] {
        match notice.event(id, None, NOW) {
            Ok(message) => {
                let event = taken(&message);
                assert_eq!(Some(event.event_type()), mapped(kind));
                assert_eq!((event.id.as_str(), event.source.as_str()), (id, SOURCE));
                assert!((Timestamp::EARLIEST..=NOW.plus(DAY)).contains(&event.time));
            }
            Err(fault) => refused(&fault),
        }
    }
    assert!(notice.event(&"m".repeat(129), None, NOW).is_err());
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
        WebhookFault::Refused(
            QuarantineReason::Data { .. } | QuarantineReason::NotJson(_) | QuarantineReason::Unwritable(_),
        )
        | WebhookFault::NotJson
        | WebhookFault::Needed(_) => false,
    };
    assert!(expected, "{fault}");
}
