//! The ranking of queries: most tasks first, ties by the hash of the query.
//!
//! It is counted as the index over time is, so that a deep page costs what the first one costs. A
//! *block* counts the queries by their number of tasks, 60 numbers to an item. For each number of
//! tasks another item counts its queries by the first two digits of their hashes. A page at an
//! offset descends from the blocks to the digits, and then reads the rows from there.

use crate::projections::counter::{self, POPULATION};
use crate::projections::descent::{self, Descent};
use crate::projections::index::Measure;
use crate::projections::slot;
use crate::projections::views::QueryTotals;
use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys;
use crate::storage::read::Range;
use crate::storage::write::{Action, Condition, Write};

/// The items that place one query in the ranking.
pub(crate) struct RankingEntry {
    /// Its row.
    pub(crate) row: Key,
    /// What the row carries: the query, if it is not so long that the row would be over 1 KB, which is one
    /// write unit.
    pub(crate) carried: Attributes,
    /// The counters and attributes that count it, by 1 each.
    pub(crate) counted: Vec<(Key, String)>,
}

/// The attribute of a query's text, in its item and in its row.
const QUERY: &str = "query";
/// The most bytes of a query that a row carries.
const MAX_CARRIED: usize = 512;

/// The entry of a query with this number of tasks; a query without tasks has none.
pub(crate) fn entry(tasks: i128, query: &str) -> Option<RankingEntry> {
    let hash = keys::query_hash(query);
    let tasks = u32::try_from(tasks).ok().filter(|tasks| *tasks > 0)?;
    let tasks_slot = slot::attribute(i64::from(tasks % keys::RANKING_BLOCK), Measure::Rows.letter());
    let digits = hash.get(..2)?.to_owned();
    let (block, by_digits) = (keys::ranking_block(tasks), keys::ranking_digits(tasks));
    let counted = vec![
        (block.clone(), tasks_slot),
        (block, POPULATION.to_owned()),
        (by_digits.clone(), digits),
        (by_digits, POPULATION.to_owned()),
    ];
    let text = (query.len() <= MAX_CARRIED).then(|| (QUERY.to_owned(), Value::Text(query.to_owned())));
    Some(RankingEntry { row: keys::ranking_row(tasks, &hash), carried: text.into_iter().collect(), counted })
}

/// The query of a row and its number of tasks; `None` if the query is too long for a row, or an earlier
/// release has written it.
pub(crate) fn carried(row: &Item) -> Option<(String, u32)> {
    row.text(QUERY).map(str::to_owned).zip(keys::ranking_tasks(&row.key))
}

/// The write that adds to a query's totals. If its number of tasks changes, the write is
/// conditional on the number that was read, because the query's entry in the ranking was made
/// from that number.
pub(crate) fn write(key: Key, query: String, totals: &QueryTotals, stored: Option<&Item>) -> Write {
    let stored_amount = |name: &str| stored.map_or(0, |item| item.number(name));
    let unchanged = match stored.map(|_| stored_amount("tasks")) {
        // Zeros are not stored. An item without tasks is one whose counts are damaged.
        Some(0) => Condition::Absent("tasks".to_owned()),
        Some(tasks) => Condition::Equals("tasks".to_owned(), Value::Number(tasks)),
        None => Condition::Absent(keys::PK.to_owned()),
    };
    if totals.tasks != 0 && stored_amount("tasks") + totals.tasks == 0 {
        return Write { key, action: Action::Delete, conditions: vec![unchanged] };
    }
    let (mut action, mut conditions) = counter::update(totals.attributes().into_iter(), stored_amount);
    if totals.tasks != 0 {
        // The exact number implies the condition that only keeps it from becoming 0.
        conditions.retain(|condition| !matches!(condition, Condition::Differs(name, _) if name == "tasks"));
        conditions.push(unchanged);
        if let (Action::Update { set, .. }, None, true) = (&mut action, stored, totals.tasks > 0) {
            set.push((QUERY.to_owned(), Value::Text(query)));
        }
    }
    Write { key, action, conditions }
}

/// All blocks of the ranking: one item for every 60 numbers of tasks.
pub(crate) fn blocks() -> Range {
    Range {
        pk: keys::RANKING_NODES.to_owned(),
        from: Some(keys::RANKING_BLOCKS.0.to_owned()),
        to: Some(keys::RANKING_BLOCKS.1.to_owned()),
        ..Range::default()
    }
}

/// At most `limit` rows of the ranking, from the sort key `from` on; from the first
/// row without it.
pub(crate) fn rows(from: Option<String>, limit: usize) -> Range {
    Range { pk: keys::RANKING_ROWS.to_owned(), from, limit: Some(limit), ..Range::default() }
}

/// How many queries some blocks count.
pub(crate) fn population(blocks: &[Item]) -> i128 {
    blocks.iter().map(|block| block.number(POPULATION)).sum()
}

/// The number of tasks that the query at `offset` has.
pub(crate) fn tasks_at(blocks: &[Item], offset: usize) -> Option<Descent<u32>> {
    let mut counts: Vec<(u32, i128)> = blocks.iter().flat_map(queries_by_tasks).collect();
    counts.sort_by_key(|(tasks, _)| std::cmp::Reverse(*tasks));
    descent::descend(counts, offset)
}

/// How many queries have each number of tasks, in one block.
fn queries_by_tasks(block: &Item) -> impl Iterator<Item = (u32, i128)> {
    let first = keys::parse_ranking_block(&block.key).unwrap_or(0);
    block.attributes.keys().filter_map(move |attribute| {
        let (slot, _) = slot::parse(attribute)?;
        Some((first + u32::try_from(slot).ok()?, block.number(attribute)))
    })
}

/// The first two digits of the hash of the query at `offset`, among those with one
/// number of tasks.
pub(crate) fn digits_at(by_digits: Option<&Item>, offset: usize) -> Option<Descent<String>> {
    let item = by_digits?;
    let digits = item.attributes.keys().filter(|attribute| *attribute != POPULATION);
    descent::descend(digits.map(|digits| (digits.clone(), item.number(digits))), offset)
}
