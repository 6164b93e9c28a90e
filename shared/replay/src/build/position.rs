//! How much of the log a generation holds, as the control table notes it.

use torale_domain::storage::item::{Attributes, Item, Value};
use torale_domain::storage::keys::Lanes;
use torale_domain::values::time::Timestamp;

/// How much of the log a generation holds. Noted once it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GenerationPosition {
    /// The time up to which it holds the log.
    pub(crate) through: Timestamp,
    /// Its lanes.
    pub(crate) lanes: Lanes,
    /// When it was built, until it has caught up for the first time. Batches that got no answer may still take effect
    /// for a while after that, and they have no conditions.
    pub(crate) built_at: Option<Timestamp>,
}

const THROUGH: &str = "through";
const LANES: &str = "lanes";
const BUILT_AT: &str = "built_at";

impl GenerationPosition {
    /// Its attributes.
    pub(crate) fn store(self) -> Attributes {
        let lanes = Value::Number(self.lanes.count().into());
        let attributes = [(THROUGH.to_owned(), Value::from(self.through)), (LANES.to_owned(), lanes)];
        attributes.into_iter().chain(self.built_at.map(|at| (BUILT_AT.to_owned(), Value::from(at)))).collect()
    }

    /// Reads it back; `None` for an item that holds none.
    pub(crate) fn load(item: &Item) -> Option<Self> {
        let time = |name: &str| i64::try_from(item.number(name)).ok().map(Timestamp::from_millis);
        let lanes = Lanes::new(u32::try_from(item.number(LANES)).ok()?)?;
        let built_at = item.attributes.contains_key(BUILT_AT).then(|| time(BUILT_AT)).flatten();
        Some(Self { through: time(THROUGH)?, lanes, built_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use torale_domain::storage::keys;

    #[test]
    fn what_is_stored_is_read_back() {
        for built_at in [None, Some(Timestamp::from_millis(7))] {
            let position =
                GenerationPosition { through: Timestamp::from_millis(5), lanes: Lanes::DEFAULT, built_at };
            let item = Item { key: keys::position("g2"), attributes: position.store() };
            assert_eq!(GenerationPosition::load(&item), Some(position));
        }
        let empty = Item { key: keys::position("g2"), attributes: Attributes::new() };
        assert_eq!(GenerationPosition::load(&empty), None);
    }
}
