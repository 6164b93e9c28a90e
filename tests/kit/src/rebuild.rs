//! All items of the projections at once, from messages: what a rebuild makes of a log.

use crate::parts;
use std::collections::BTreeMap;
use torale_domain::entities::fold::State;
use torale_domain::events::{self, ReceivedMessage};
use torale_domain::projections::build::Build;
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::Lanes;
use torale_domain::values::ids::EntityKey;
use torale_domain::values::time::Timestamp;

/// The items by key, printed as `Stack::projections` does.
pub fn items(messages: &[String], received_at: Option<Timestamp>) -> BTreeMap<String, String> {
    built(messages, received_at).iter().map(parts::print_item).collect()
}

/// The items.
pub fn built(messages: &[String], received_at: Option<Timestamp>) -> Vec<Item> {
    folded(messages.iter().filter_map(|body| events::parse(body, received_at).ok()))
}

/// The items of these events.
pub fn folded(events: impl IntoIterator<Item = ReceivedMessage>) -> Vec<Item> {
    let mut states: BTreeMap<EntityKey, State> = BTreeMap::new();
    for message in events {
        if let ReceivedMessage::Known(event) = message {
            states.entry(event.entity()).or_default().fold(*event);
        }
    }
    states.retain(|_, state| !state.is_empty());
    let mut build = Build::new(Lanes::DEFAULT);
    let mut items: Vec<Item> =
        states.into_iter().flat_map(|(key, state)| build.entity(&key, state).unwrap()).collect();
    items.extend(build.finish().unwrap());
    items
}
