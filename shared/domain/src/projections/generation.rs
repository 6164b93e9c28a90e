//! Generations: complete sets of projections, each in a table of its own, and the pointer
//! to the live one.
//!
//! A rebuild makes a new generation (docs/adr/0011-replay.md). Before it is promoted, and after
//! another one has been, it is a *shadow generation*: it is written with every event but not read.
//! So promoting it and rolling back are one write of the pointer.

use crate::storage::item::{Attributes, Item, Value};
use crate::storage::keys::{self, FIRST_GENERATION, Lanes};
use crate::storage::read::Corrupt;
use crate::storage::write::{Action, Condition, Write};
use crate::values::time::Timestamp;

/// A generation of projections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its name, such as `g1`; the name of its table ends with it.
    pub name: String,
    /// The number of lanes over which its hot items are spread (docs/adr/0006-two-lanes.md).
    pub lanes: Lanes,
}

impl Generation {
    /// The generation with which a new installation begins, before any pointer is stored.
    pub fn first() -> Self {
        Self { name: FIRST_GENERATION.to_owned(), lanes: Lanes::DEFAULT }
    }

    /// The name of its table.
    pub fn table(&self) -> String {
        keys::projections_table(&self.name)
    }
}

/// A generation that is written with every event, as the live one is, but answers no request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowGeneration {
    /// The generation.
    pub generation: Generation,
    /// Since when every event is written to it.
    pub since: Timestamp,
    /// True once it holds everything that the live generation holds, so that it may be promoted.
    pub complete: bool,
}

/// Which generations are in use: one item of `torale-control`, read with every request
/// and every batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationPointer {
    /// The generation that answers requests. It is written with every event.
    pub live: Generation,
    /// The generation that is written as well: before it is promoted, or to roll back to.
    pub shadow: Option<ShadowGeneration>,
}

// Attributes of the pointer's item. A shadow generation is called `beside` there.
const LIVE: &str = "generation";
const LIVE_LANES: &str = "lanes";
const SHADOW: &str = "beside";
const SHADOW_LANES: &str = "beside_lanes";
const SHADOW_SINCE: &str = "beside_since";
const SHADOW_COMPLETE: &str = "beside_complete";

impl GenerationPointer {
    /// Reads the pointer's item. Without an item the first generation is live.
    ///
    /// # Errors
    /// If the item names no generation, or one without a valid number of lanes.
    pub fn load(item: Option<&Item>) -> Result<Self, Corrupt> {
        let Some(item) = item else { return Ok(Self { live: Generation::first(), shadow: None }) };
        let named = |name: &str, lanes: &str| {
            let lanes = u32::try_from(item.number(lanes)).ok().and_then(Lanes::new);
            let generation = item.text(name).zip(lanes);
            generation.map(|(name, lanes)| Generation { name: name.to_owned(), lanes })
        };
        let corrupt = || Corrupt::new(&item.key, "not a generation");
        let shadow = match item.text(SHADOW) {
            None => None,
            Some(_) => Some(ShadowGeneration {
                generation: named(SHADOW, SHADOW_LANES).ok_or_else(corrupt)?,
                since: Timestamp::from_millis(
                    i64::try_from(item.number(SHADOW_SINCE)).map_err(|_| corrupt())?,
                ),
                complete: item.number(SHADOW_COMPLETE) == 1,
            }),
        };
        Ok(Self { live: named(LIVE, LIVE_LANES).ok_or_else(corrupt)?, shadow })
    }

    /// Its attributes.
    pub(crate) fn store(&self) -> Attributes {
        let named = |name: &str, lanes: &str, generation: &Generation| {
            let count = Value::Number(generation.lanes.count().into());
            [(name.to_owned(), Value::Text(generation.name.clone())), (lanes.to_owned(), count)]
        };
        let mut attributes = Attributes::from(named(LIVE, LIVE_LANES, &self.live));
        if let Some(ShadowGeneration { generation, since, complete }) = &self.shadow {
            attributes.extend(named(SHADOW, SHADOW_LANES, generation));
            attributes.insert(SHADOW_SINCE.to_owned(), Value::from(*since));
            if *complete {
                attributes.insert(SHADOW_COMPLETE.to_owned(), Value::Number(1));
            }
        }
        attributes
    }

    /// Every generation to which events are written; the live one first.
    pub fn written_generations(&self) -> impl Iterator<Item = &Generation> {
        std::iter::once(&self.live).chain(self.shadow.iter().map(|shadow| &shadow.generation))
    }

    /// A write that changes nothing and fails if other generations are in use than
    /// this pointer says.
    pub fn unchanged(&self) -> Write {
        Write { key: keys::live_generation(), action: Action::Check, conditions: self.conditions(None) }
    }

    /// The write that replaces this pointer, as it was read, with another one. It fails if the
    /// stored pointer is no longer this one.
    pub fn replace(&self, replacement: &Self) -> Write {
        let complete = self.shadow.as_ref().map(|shadow| shadow.complete);
        let (key, action) = (keys::live_generation(), Action::Put(replacement.store()));
        Write { key, action, conditions: self.conditions(complete) }
    }

    /// The conditions that the stored pointer names these generations, and that its shadow
    /// generation is complete or not, if that is given.
    fn conditions(&self, complete: Option<bool>) -> Vec<Condition> {
        let text = |text: &str| Value::Text(text.to_owned());
        let live = text(&self.live.name);
        let live = if self.live == Generation::first() {
            Condition::EqualsOrAbsent(LIVE.to_owned(), live)
        } else {
            Condition::Equals(LIVE.to_owned(), live)
        };
        let shadow = match &self.shadow {
            Some(shadow) => vec![
                Condition::Equals(SHADOW.to_owned(), text(&shadow.generation.name)),
                Condition::Equals(SHADOW_SINCE.to_owned(), Value::from(shadow.since)),
            ],
            None => vec![Condition::Absent(SHADOW.to_owned())],
        };
        let complete = complete.map(|complete| match complete {
            true => Condition::Present(SHADOW_COMPLETE.to_owned()),
            false => Condition::Absent(SHADOW_COMPLETE.to_owned()),
        });
        std::iter::once(live).chain(shadow).chain(complete).collect()
    }

    /// The pointer with this generation as its shadow, not complete yet.
    pub fn with_shadow(&self, generation: Generation, since: Timestamp) -> Self {
        Self {
            live: self.live.clone(),
            shadow: Some(ShadowGeneration { generation, since, complete: false }),
        }
    }

    /// The pointer with its shadow generation marked as complete.
    pub fn with_complete_shadow(&self) -> Self {
        let shadow = self.shadow.clone().map(|shadow| ShadowGeneration { complete: true, ..shadow });
        Self { live: self.live.clone(), shadow }
    }

    /// The pointer with live and shadow generation exchanged: the step that promotes a
    /// generation, and the one that rolls back. `None` if there is no shadow generation, or it
    /// is not complete.
    pub fn promoted(&self) -> Option<Self> {
        let ShadowGeneration { generation, since, complete } = self.shadow.clone()?;
        let shadow = ShadowGeneration { generation: self.live.clone(), since, complete };
        complete.then_some(Self { live: generation, shadow: Some(shadow) })
    }

    /// The pointer without a shadow generation.
    pub fn without_shadow(&self) -> Self {
        Self { live: self.live.clone(), shadow: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second() -> Generation {
        Generation { name: "g2".to_owned(), lanes: Lanes::new(4).unwrap() }
    }

    fn item(pointer: &GenerationPointer) -> Item {
        Item { key: keys::live_generation(), attributes: pointer.store() }
    }

    #[test]
    fn without_an_item_the_first_generation_is_live() {
        let pointer = GenerationPointer::load(None).unwrap();
        assert_eq!((pointer.live.name.as_str(), pointer.shadow.is_none()), ("g1", true));
    }

    #[test]
    fn a_stored_pointer_reads_back_as_it_was_written() {
        let live_only = GenerationPointer::load(None).unwrap();
        let with_shadow = live_only.with_shadow(second(), Timestamp::from_millis(5));

        for pointer in [live_only, with_shadow.clone(), with_shadow.with_complete_shadow()] {
            assert_eq!(GenerationPointer::load(Some(&item(&pointer))), Ok(pointer));
        }
    }

    #[test]
    fn a_pointer_to_a_generation_without_lanes_is_corrupt() {
        let with_shadow =
            GenerationPointer::load(None).unwrap().with_shadow(second(), Timestamp::from_millis(5));
        let mut broken = item(&with_shadow);
        broken.attributes.remove(SHADOW_LANES);

        assert!(GenerationPointer::load(Some(&broken)).is_err());
    }

    #[test]
    fn only_a_complete_shadow_generation_is_promoted_and_the_same_step_rolls_back() {
        let incomplete =
            GenerationPointer::load(None).unwrap().with_shadow(second(), Timestamp::from_millis(5));
        let complete = incomplete.with_complete_shadow();

        let promoted = complete.promoted().unwrap();

        assert_eq!(incomplete.promoted(), None);
        assert_eq!(promoted.live, second());
        assert_eq!(promoted.promoted(), Some(complete));
        assert_eq!(promoted.without_shadow().promoted(), None);
        let written: Vec<_> = promoted.written_generations().map(|written| written.name.as_str()).collect();
        assert_eq!(written, ["g2", "g1"]);
    }
}
