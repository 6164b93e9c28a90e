//! Generations of projections, and the pointer that everyone follows: which one is live, and which is written beside it.

use crate::storage::item::{Attributes, Item, Value};
use crate::storage::keys::{self, FIRST_GENERATION, Lanes};
use crate::storage::read::Corrupt;
use crate::storage::write::{Action, Condition, Write};
use crate::values::time::Timestamp;

/// A generation of projections: its name, which names its table, and its number of lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its name, such as `g1`.
    pub name: String,
    /// How many lanes its hot items are spread over.
    pub lanes: Lanes,
}

impl Generation {
    /// The one that a new installation starts with, until a pointer says otherwise.
    pub fn first() -> Self {
        Self { name: FIRST_GENERATION.to_owned(), lanes: Lanes::DEFAULT }
    }

    /// Its table.
    pub fn table(&self) -> String {
        keys::projections_table(&self.name)
    }
}

/// A generation that is written with every event, as the live one is, but not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowGeneration {
    /// Which.
    pub generation: Generation,
    /// Since when.
    pub since: Timestamp,
    /// True once it holds all that the live one holds: then either may be live.
    pub complete: bool,
}

/// What the pointer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationPointer {
    /// The generation that is read and written.
    pub live: Generation,
    /// One that is written as well: before it becomes live, or to go back to.
    pub beside: Option<ShadowGeneration>,
}

const GENERATION: &str = "generation";
const LANES: &str = "lanes";
const BESIDE: &str = "beside";
const BESIDE_LANES: &str = "beside_lanes";
const BESIDE_SINCE: &str = "beside_since";
const BESIDE_COMPLETE: &str = "beside_complete";

impl GenerationPointer {
    /// Reads its item; without one the first generation is live.
    pub fn load(item: Option<&Item>) -> Result<Self, Corrupt> {
        let Some(item) = item else { return Ok(Self { live: Generation::first(), beside: None }) };
        let named = |name: &str, lanes: &str| {
            let lanes = u32::try_from(item.number(lanes)).ok().and_then(Lanes::new);
            let generation = item.text(name).zip(lanes);
            generation.map(|(name, lanes)| Generation { name: name.to_owned(), lanes })
        };
        let corrupt = || Corrupt::new(&item.key, "not a generation");
        let beside = match item.text(BESIDE) {
            None => None,
            Some(_) => Some(ShadowGeneration {
                generation: named(BESIDE, BESIDE_LANES).ok_or_else(corrupt)?,
                since: Timestamp::from_millis(
                    i64::try_from(item.number(BESIDE_SINCE)).map_err(|_| corrupt())?,
                ),
                complete: item.number(BESIDE_COMPLETE) == 1,
            }),
        };
        Ok(Self { live: named(GENERATION, LANES).ok_or_else(corrupt)?, beside })
    }

    fn store(&self) -> Attributes {
        let named = |name: &str, lanes: &str, generation: &Generation| {
            let count = Value::Number(generation.lanes.count().into());
            [(name.to_owned(), Value::Text(generation.name.clone())), (lanes.to_owned(), count)]
        };
        let mut attributes = Attributes::from(named(GENERATION, LANES, &self.live));
        if let Some(ShadowGeneration { generation, since, complete }) = &self.beside {
            attributes.extend(named(BESIDE, BESIDE_LANES, generation));
            attributes.insert(BESIDE_SINCE.to_owned(), Value::from(*since));
            if *complete {
                attributes.insert(BESIDE_COMPLETE.to_owned(), Value::Number(1));
            }
        }
        attributes
    }

    /// Every generation that events must be written to; the live one first.
    pub fn written(&self) -> impl Iterator<Item = &Generation> {
        std::iter::once(&self.live).chain(self.beside.iter().map(|beside| &beside.generation))
    }

    /// The check that the same generations are written as when this was read.
    pub fn unchanged(&self) -> Write {
        Write { key: keys::live_generation(), action: Action::Check, conditions: self.conditions(None) }
    }

    /// Replaces what was read with this.
    pub fn replace(&self, by: &Self) -> Write {
        let complete = self.beside.as_ref().map(|beside| beside.complete);
        let (key, action) = (keys::live_generation(), Action::Put(by.store()));
        Write { key, action, conditions: self.conditions(complete) }
    }

    fn conditions(&self, complete: Option<bool>) -> Vec<Condition> {
        let text = |text: &str| Value::Text(text.to_owned());
        let live = text(&self.live.name);
        let live = if self.live == Generation::first() {
            Condition::EqualsOrAbsent(GENERATION.to_owned(), live)
        } else {
            Condition::Equals(GENERATION.to_owned(), live)
        };
        let beside = match &self.beside {
            Some(beside) => vec![
                Condition::Equals(BESIDE.to_owned(), text(&beside.generation.name)),
                Condition::Equals(BESIDE_SINCE.to_owned(), Value::from(beside.since)),
            ],
            None => vec![Condition::Absent(BESIDE.to_owned())],
        };
        let complete = complete.map(|complete| match complete {
            true => Condition::Present(BESIDE_COMPLETE.to_owned()),
            false => Condition::Absent(BESIDE_COMPLETE.to_owned()),
        });
        std::iter::once(live).chain(beside).chain(complete).collect()
    }

    /// With another generation written beside the live one.
    pub fn with(&self, generation: Generation, since: Timestamp) -> Self {
        Self {
            live: self.live.clone(),
            beside: Some(ShadowGeneration { generation, since, complete: false }),
        }
    }

    /// With the one beside known to hold all that the live one holds.
    pub fn completed(&self) -> Self {
        let beside = self.beside.clone().map(|beside| ShadowGeneration { complete: true, ..beside });
        Self { live: self.live.clone(), beside }
    }

    /// With the one beside live, and the live one beside it: there and back by the same step. `None` while there is none
    /// that holds everything.
    pub fn flipped(&self) -> Option<Self> {
        let ShadowGeneration { generation, since, complete } = self.beside.clone()?;
        let beside = ShadowGeneration { generation: self.live.clone(), since, complete };
        complete.then_some(Self { live: generation, beside: Some(beside) })
    }

    /// With nothing written beside the live one.
    pub fn alone(&self) -> Self {
        Self { live: self.live.clone(), beside: None }
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
        assert_eq!((pointer.live.name.as_str(), pointer.beside.is_none()), ("g1", true));
    }

    #[test]
    fn it_reads_back_as_it_was_written() {
        let alone = GenerationPointer::load(None).unwrap();
        let beside = alone.with(second(), Timestamp::from_millis(5));
        for pointer in [alone, beside.clone(), beside.completed()] {
            assert_eq!(GenerationPointer::load(Some(&item(&pointer))), Ok(pointer));
        }
        let mut broken = item(&beside);
        broken.attributes.remove(BESIDE_LANES);
        assert!(GenerationPointer::load(Some(&broken)).is_err());
    }

    #[test]
    fn only_what_is_complete_becomes_live_and_the_way_back_is_the_same_step() {
        let beside = GenerationPointer::load(None).unwrap().with(second(), Timestamp::from_millis(5));
        assert_eq!(beside.flipped(), None);
        let there = beside.completed().flipped().unwrap();
        assert_eq!(there.live, second());
        assert_eq!(there.flipped(), Some(beside.completed()));
        assert_eq!(there.alone().flipped(), None);
        let written: Vec<_> = there.written().map(|generation| generation.name.as_str()).collect();
        assert_eq!(written, ["g2", "g1"]);
    }
}
