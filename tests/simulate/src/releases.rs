//! Two versions of the consumer at once: this one, and one of before rows carried their page: those of executions,
//! errors and schedules carry nothing (docs/adr/0025-rows-carry-their-page.md). What else changed since (where the
//! executions of queries are summed up, nodes of minutes) it writes as this one does.
//!
//! What that release wrote differently is made of what this one writes: a row that is new carries nothing, and a row
//! that only changes what it carries is not written, since for that release it did not change.

use crate::tables::{AsOf, Tables};
use torale_domain::storage::item::{Attributes, Key};
use torale_domain::storage::keys::PROJECTIONS_TABLE_PREFIX;
use torale_domain::storage::write::{Action, Write};

/// How the partitions of rows begin that carry nothing in the release before.
const ROWS: [&str; 3] = ["r#executions", "r#errors", "r#schedules"];
/// What the rows of schedules said in the release before: what they stand for.
const OF: &str = "of";

/// Whether an item is a row that carries nothing in the release before.
pub fn is_row(key: &Key) -> bool {
    ROWS.iter().any(|rows| key.pk.starts_with(rows))
}

/// What a row carried in the release before.
pub fn earlier(attributes: &Attributes) -> Attributes {
    attributes.get_key_value(OF).map(|(name, value)| (name.clone(), value.clone())).into_iter().collect()
}

/// A transaction as the release before would have written it.
pub fn as_before(tables: &Tables, writes: &[(String, Write)]) -> Vec<(String, Write)> {
    let as_before = |(table, write): &(String, Write)| {
        let mut write = write.clone();
        if table.starts_with(PROJECTIONS_TABLE_PREFIX)
            && is_row(&write.key)
            && let Action::Put(attributes) = &write.action
        {
            if matches!(tables.get(table, &write.key, AsOf::NOW), Ok(Some(_))) {
                return None;
            }
            write.action = Action::Put(earlier(attributes));
        }
        Some((table.clone(), write))
    };
    writes.iter().filter_map(as_before).collect()
}
