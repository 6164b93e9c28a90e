//! What an upgrade finds once a consumer of the release before has run beside the new ones, and the rebuild that it
//! ends with.

use crate::damage::{by_key, differing};
use crate::installation::Installation;
use crate::releases::{earlier, is_row};
use crate::{clocks, faults, operator};
use torale_domain::projections::generation::Generation;
use torale_domain::storage::item::Item;

/// What the release before has left in a generation.
#[derive(Debug, PartialEq, Eq)]
pub enum Leftover {
    /// Nothing, or rows that carry nothing.
    EmptyRows,
    /// Also rows that carry what this release has written and the other one has changed since.
    StaleRows,
}

/// Whether what differs from a fresh fold is rows alone, and `verify` names exactly these.
///
/// # Errors
/// If not.
pub async fn verify(
    world: &Installation,
    generation: &Generation,
    expected: &[Item],
) -> Result<Leftover, String> {
    let found = world.tables.lock().items(&generation.table());
    let (found, expected) = (by_key(found), by_key(expected.iter().cloned()));
    let differ = differing(&found, &expected);
    let mut leftover = Leftover::EmptyRows;
    for key in &differ {
        let (Some(found), Some(expected)) = (found.get(key), expected.get(key)) else {
            return Err(format!("{key:?} is not in both of a generation and a fresh fold of the log"));
        };
        if !is_row(key) {
            return Err(format!("{key:?} differs by more than what the release before left out"));
        }
        faults::count("row of before", None);
        if *found != earlier(expected) {
            faults::count("stale row of before", None);
            leftover = Leftover::StaleRows;
        }
    }
    let verifier = operator::verifier(&world.tables, clocks::OPERATORS[0]);
    let verified = operator::verify(&verifier, generation).await?;
    operator::check_named(&verified, &differ)?;
    Ok(leftover)
}

/// Builds the projections again, as an upgrade does, makes them live, and drops the former ones.
///
/// # Errors
/// If that fails, though nothing goes wrong meanwhile.
pub async fn rebuild(world: &Installation) -> Result<(), String> {
    operator::rebuild(&operator::replay(&world.tables, clocks::OPERATORS[0]))
        .await
        .map_err(|error| error.to_string())
}
