//! Who says so: which event decided each field of an answer, by brute force. Each event overwrites
//! itself into the fields that it writes; what is left in the end decided them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::event::ModelEvent;
use crate::time::show;

/// Fields of an answer, each with the place in the merge order of the event that wrote it last.
pub(crate) type Writers = BTreeMap<&'static str, usize>;

/// An event as a history shows it.
pub(crate) struct EventOrigin {
    name: &'static str,
    id: String,
    source: String,
    time: i64,
}

impl EventOrigin {
    pub(crate) fn of(event: &ModelEvent) -> EventOrigin {
        let key = &event.key;
        let (id, source) = (key.id.clone(), key.source.clone());
        EventOrigin { name: event.name(), id, source, time: key.time }
    }
}

/// "the events that hold a register of what the answer shows, greatest first by the register rule"
pub(crate) fn history(stamps: &[EventOrigin], writers: &Writers) -> Value {
    let mut fields_of: BTreeMap<Reverse<usize>, Vec<&str>> = BTreeMap::new();
    for (field, place) in writers {
        fields_of.entry(Reverse(*place)).or_default().push(field);
    }
    let entry = |(Reverse(place), fields): (&Reverse<usize>, &Vec<&str>)| {
        let EventOrigin { name, id, source, time } = &stamps[*place];
        // "`fields`, the names of the answer's fields that it decides, sorted": the map's own order.
        json!({"type": format!("ai.torale.{name}"), "id": id, "source": source, "time": show(*time), "fields": fields})
    };
    Value::Array(fields_of.iter().map(entry).collect())
}
