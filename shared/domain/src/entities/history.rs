//! History: the events that hold the registers of an entity. The state is the set of these events, so
//! it says who set each fact, and when, without a look into the log.

use crate::entities::fold::{Register, State};
use crate::events::types::Text;
use crate::events::{Body, Event};
use crate::values::time::Timestamp;
use std::collections::BTreeMap;

/// The events that hold some registers, the greatest first, each with the names of what it decides.
/// `decides` has the names for each register; one that no event has written is left out.
pub fn holders<'a>(
    state: &'a State,
    decides: &[(Register, &[&'static str])],
) -> Vec<(&'a Event, Vec<&'static str>)> {
    let mut events: BTreeMap<&Event, Vec<&'static str>> = BTreeMap::new();
    for (register, names) in decides {
        if let Some(event) = state.winner(*register) {
            events.entry(event).or_default().extend(*names);
        }
    }
    events.into_iter().rev().collect()
}

/// What the event that holds a deactivated user's state says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeactivatedBy<'a> {
    /// The id of the event. Commands of the deactivation name it as their cause.
    pub event: &'a str,
    /// The time of the event.
    pub at: Timestamp,
    /// Who deactivated the user; `None` if the event does not say.
    pub by: Option<&'a str>,
}

/// The event that has deactivated a user; `None` while the user is active.
pub fn deactivated_by(state: &State) -> Option<DeactivatedBy<'_>> {
    match state.winner(Register::State) {
        Some(Event { body: Body::UserDeactivated(data), id, time, .. }) => {
            Some(DeactivatedBy { event: id, at: *time, by: data.by.as_ref().map(Text::as_str) })
        }
        _active => None,
    }
}
