//! The event intake: what it takes is in order, can be written and read again, and means the same ever after.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use torale_domain::calendar;
use torale_domain::entities::fold::State;
use torale_domain::events::intake::{MAX_MESSAGE_BYTES, MAX_REASON_CHARS};
use torale_domain::events::{
    Body, Event, EventType, MAX_KEPT_DATA, QuarantineReason, ReceivedMessage, TYPE_PREFIX, parse,
};
use torale_domain::values::json;
use torale_domain::values::text::without_mark;
use torale_domain::values::time::{DAY, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let (received, replayed) = (parse(&text, Some(NOW)), parse(&text, None));
    same(&received, &parse(&text, Some(NOW)));
    match &received {
        Ok(_) => same(&received, &replayed),
        Err(refusal) => refused(refusal, &text, replayed.is_ok()),
    }
    match &received {
        Ok(ReceivedMessage::Known(event)) => known(event),
        Ok(ReceivedMessage::Unknown { event_type }) => unknown(event_type, &text),
        Err(_) => {}
    }
});

type Read = Result<ReceivedMessage, QuarantineReason>;

/// Equal in everything, where events compare by what orders them.
#[track_caller]
fn same(one: &Read, other: &Read) {
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
}

/// A refusal has a reason; a replay is laxer in nothing but how far ahead times and how long texts of schedules may be.
fn refused(refusal: &QuarantineReason, text: &str, replayed: bool) {
    assert!(!refusal.code().is_empty() && !refusal.to_string().is_empty());
    assert!(refusal.to_string().chars().count() <= MAX_REASON_CHARS, "{refusal}");
    assert_eq!(*refusal == QuarantineReason::TooLarge, text.len() > MAX_MESSAGE_BYTES);
    let judged_once =
        refusal.code() == "time_out_of_range" || refusal.to_string().contains(": not a text of ");
    assert!(!replayed || judged_once, "{refusal}");
}

/// Only a type or a version that is not listed is unknown.
fn unknown(event_type: &str, text: &str) {
    let listed = event_type.strip_prefix(TYPE_PREFIX).and_then(EventType::from_name).is_some();
    let message = json::parse(without_mark(text)).expect("it was read");
    let version = message["dataschema"].as_str().and_then(|schema| schema.rsplit(':').next());
    assert!(!listed || version.is_some_and(|version| version.trim_start_matches('0') != "1"), "{event_type}");
}

fn known(event: &Event) {
    assert!((1..=128).contains(&event.id.chars().count()));
    assert!((1..=256).contains(&event.source.chars().count()));
    assert!((Timestamp::EARLIEST..=NOW.plus(DAY)).contains(&event.time));
    assert!(event.data.text.len() <= MAX_KEPT_DATA);
    stored(event);
    if event.data.digest.is_none() {
        let data = json::parse(&event.data.text).expect("data that is kept whole is JSON");
        spelled_anew(event, &data);
        within_bounds(event, &data);
        cut(event, data);
    }
    if let Body::ScheduleCreated(schedule) = &event.body {
        fires_later(schedule.cron.as_str(), schedule.timezone.as_str());
    }
}

/// What was understood, as a message.
fn message(event: &Event, data: &Value) -> String {
    let (kind, version) = (event.event_type().name(), event.version);
    json!({ "specversion": "1.0", "id": event.id, "source": event.source, "type": format!("{TYPE_PREFIX}{kind}"),
            "time": event.time, "dataschema": format!("v:{version}"), "data": data })
    .to_string()
}

fn spelled_anew(event: &Event, data: &Value) {
    let again = parse(&message(event, data), Some(NOW));
    same(&again, &Ok(ReceivedMessage::Known(Box::new(event.clone()))));
}

/// Ids and sources of any characters, up to so many of them.
fn within_bounds(event: &Event, data: &Value) {
    let many = |n| "é".repeat(n);
    for (id, source, taken) in
        [(128, 256, true), (129, 1, false), (1, 257, false), (0, 1, false), (1, 0, false)]
    {
        let event = Event { id: many(id), source: many(source), ..event.clone() };
        assert_eq!(parse(&message(&event, data), Some(NOW)).is_ok(), taken, "{id} {source}");
    }
}

/// A field that is not listed changes nothing, even if only the beginning of the data is kept for it.
fn cut(event: &Event, mut data: Value) {
    data["~"] = json!("é".repeat(MAX_KEPT_DATA));
    let Ok(ReceivedMessage::Known(long)) = parse(&message(event, &data), Some(NOW)) else { panic!("{data}") };
    assert_eq!(format!("{:?}", long.body), format!("{:?}", event.body));
    assert!(long.data.digest.is_some() && long.data.text.len() <= MAX_KEPT_DATA);
    stored(&long);
}

/// An entity remembers the event, unless it says nothing, and remembers it once.
fn stored(event: &Event) {
    let mut state = State::default();
    assert_ne!(state.fold(event.clone()), state.is_empty());
    assert!(!state.fold(event.clone()));
    let text = state.store().expect("what was read can be stored");
    assert_eq!(State::load(&text).expect("what was stored can be read"), state);
}

/// Any text is a schedule's expression and zone; one that can be read fires in the future.
fn fires_later(expression: &str, zone: &str) {
    assert!(
        calendar::next_run(expression, zone, NOW).is_none_or(|next| next > NOW),
        "{expression} in {zone}"
    );
}
