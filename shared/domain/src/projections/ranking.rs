//! Queries: their totals, and their places in the ranking by number of tasks.

use crate::projections::counter;
use crate::projections::index::{self, Measure, POPULATION};
use crate::projections::views::QueryTotals;
use crate::storage::item::{Item, Key, Value};
use crate::storage::keys;
use crate::storage::write::{Action, Condition, Write};

/// Where a query with some number of tasks stands.
pub(crate) struct RankingEntry {
    /// Its row.
    pub(crate) row: Key,
    /// The counters and attributes that count it, by 1 each.
    pub(crate) counted: Vec<(Key, String)>,
}

/// The place of a query; one without tasks has none.
pub(crate) fn place(tasks: i128, hash: &str) -> Option<RankingEntry> {
    let tasks = u32::try_from(tasks).ok().filter(|tasks| *tasks > 0)?;
    let slot = index::slot_attribute(i64::from(tasks % keys::RANKING_BLOCK), Measure::All);
    let digits = hash.get(..2)?.to_owned();
    let (block, by_hash) = (keys::ranking_block(tasks), keys::ranking_digits(tasks));
    let population = || POPULATION.to_owned();
    let counted = vec![
        (block.clone(), slot),
        (block, population()),
        (by_hash.clone(), digits),
        (by_hash, population()),
    ];
    Some(RankingEntry { row: keys::ranking_row(tasks, hash), counted })
}

/// Adds to a query's totals. Where its number of tasks changes, the write is bound to the number that was
/// read, because the query's row is made from it.
pub(crate) fn write(key: Key, query: String, totals: &QueryTotals, current: Option<&Item>) -> Write {
    let now = |name: &str| current.map_or(0, |item| item.number(name));
    let unchanged = match current {
        Some(_) => Condition::Equals("tasks".to_owned(), Value::Number(now("tasks"))),
        None => Condition::Absent(keys::PK.to_owned()),
    };
    if totals.tasks != 0 && now("tasks") + totals.tasks == 0 {
        return Write { key, action: Action::Delete, conditions: vec![unchanged] };
    }
    let (mut action, mut conditions) = counter::changes(totals.attributes().into_iter(), now);
    if totals.tasks != 0 {
        // It says more than a condition on the same attribute that only guards against 0.
        conditions.retain(|condition| !matches!(condition, Condition::Differs(name, _) if name == "tasks"));
        conditions.push(unchanged);
        if let (Action::Update { set, .. }, None, true) = (&mut action, current, totals.tasks > 0) {
            set.push(("query".to_owned(), Value::Text(query)));
        }
    }
    Write { key, action, conditions }
}
