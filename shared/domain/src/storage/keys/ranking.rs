//! Keys of the ranking of queries, among the projections.

use super::{Digits, Key, KeySegment, Short, fixed, key, sk};

/// The partition with the rows of the ranking of queries.
pub const RANKING_ROWS: &str = "r#queries";
/// The partition with the nodes of the ranking of queries.
pub const RANKING_NODES: &str = "c#queries";
/// How many counts one block of the ranking holds.
pub const RANKING_BLOCK: u32 = 60;

/// The row of a query in the ranking: most tasks first, ties by hash.
pub fn ranking_row(tasks: u32, query_hash: &str) -> Key {
    key(fixed!(RANKING_ROWS), ranking_part(tasks, query_hash))
}

/// The least sort key of the ranking's rows with this count and these first digits of the hash.
pub fn ranking_from(tasks: u32, digits: &str) -> String {
    sk(ranking_part(tasks, digits))
}

/// The query that a row of the ranking stands for.
pub fn ranking_query(key: &Key) -> Option<&str> {
    key.sk.get(INVERTED_DIGITS..)
}

/// The number of tasks of a row of the ranking.
pub fn ranking_tasks(key: &Key) -> Option<u32> {
    let inverted: u32 = key.sk.get(..INVERTED_DIGITS)?.parse().ok()?;
    Some(u32::MAX - inverted)
}

/// The node that counts queries by number of tasks, for a block of numbers.
pub fn ranking_block(tasks: u32) -> Key {
    key(fixed!(RANKING_NODES), (fixed!("b#"), inverted(tasks / RANKING_BLOCK)))
}

/// The node that counts the queries with one number of tasks by the first two digits of their
/// hashes.
pub fn ranking_digits(tasks: u32) -> Key {
    key(fixed!(RANKING_NODES), (fixed!("k#"), inverted(tasks)))
}

/// The least and greatest sort keys of the ranking's blocks.
pub const RANKING_BLOCKS: (&str, &str) = ("b#", "b~");

/// The first number of tasks in a block's node.
pub fn parse_ranking_block(key: &Key) -> Option<u32> {
    let inverted: u32 = key.sk.strip_prefix("b#")?.parse().ok()?;
    (u32::MAX - inverted).checked_mul(RANKING_BLOCK)
}

const INVERTED_DIGITS: usize = 10;

/// Ten digits that sort the greater number first.
fn inverted(number: u32) -> Digits<INVERTED_DIGITS> {
    Digits((u32::MAX - number).into())
}

fn ranking_part(tasks: u32, query_hash: &str) -> impl KeySegment {
    (inverted(tasks), Short::<64>(query_hash))
}
