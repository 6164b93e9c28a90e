//! Folding the entities of one work unit in memory.

use super::Slice;
use crate::entities::fold::State;
use crate::events::Event;
use crate::values::ids::EntityKey;
use std::collections::HashMap;

/// Entities being folded, with an estimate of the memory they take.
#[derive(Debug)]
pub struct EntityFold {
    slice: Slice,
    states: HashMap<EntityKey, State>,
    weight: usize,
    events: u64,
}

/// Bytes that an entity takes apart from its events.
const ENTITY: usize = 150;

impl EntityFold {
    /// The entities that lie in a slice.
    pub fn new(slice: Slice) -> Self {
        Self { slice, states: HashMap::new(), weight: 0, events: 0 }
    }

    /// Folds an event, if its entity is one of these.
    pub fn add(&mut self, event: Event) {
        let entity = event.entity();
        if !self.slice.holds_entity(&entity) {
            return;
        }
        self.events += 1;
        let state = self.states.entry(entity).or_insert_with(|| {
            self.weight += ENTITY;
            State::default()
        });
        let before = state.weight();
        state.fold(event);
        self.weight = (self.weight + state.weight()).saturating_sub(before);
    }

    /// About how many bytes they take.
    pub const fn weight(&self) -> usize {
        self.weight
    }

    /// How many events belonged to these entities.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The entities, in an order that depends on them alone.
    pub fn into_sorted(self) -> Vec<(EntityKey, State)> {
        let mut states: Vec<_> = self.states.into_iter().collect();
        states.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        states
    }
}
