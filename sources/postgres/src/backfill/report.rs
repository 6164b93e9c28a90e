//! What a backfill has read of a table.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Ids of rows that are named for each reason.
const EXAMPLES: usize = 5;

/// What was read of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableReport {
    /// Rows that were read.
    pub rows: u64,
    /// Events that they became.
    pub events: u64,
    /// Rows of which no event can say something, by reason.
    pub problems: BTreeMap<String, Examples>,
    /// Rows whose events say something in part only, by reason.
    pub notes: BTreeMap<String, Examples>,
    /// The id of the last row that was read.
    pub after: Option<String>,
    /// Whether all rows were read.
    pub finished: bool,
}

/// Some rows that have something in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examples {
    /// How many there are.
    pub count: u64,
    /// The ids of the first of them.
    pub ids: Vec<String>,
}

impl Examples {
    pub(super) fn add(&mut self, id: &str) {
        self.count += 1;
        if self.ids.len() < EXAMPLES {
            self.ids.push(id.to_owned());
        }
    }
}
