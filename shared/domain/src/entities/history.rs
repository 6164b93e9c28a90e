//! History: the events that hold the registers of an entity. The state is the set of these events, so
//! it says who set each fact, and when, without a look into the log.

use crate::entities::fold::Register;
use crate::events::Event;
use std::collections::BTreeMap;

/// The events that hold some registers, the greatest first, each with the names of what it decides.
/// `winner` finds the event that holds a register, and `decides` has the names for each; a register that
/// no event has written is left out.
pub fn holders<'a>(
    winner: impl Fn(Register) -> Option<&'a Event>,
    decides: &[(Register, &[&'static str])],
) -> Vec<(&'a Event, Vec<&'static str>)> {
    let mut events: BTreeMap<&Event, Vec<&'static str>> = BTreeMap::new();
    for (register, names) in decides {
        if let Some(event) = winner(*register) {
            events.entry(event).or_default().extend(*names);
        }
    }
    events.into_iter().rev().collect()
}
