//! Subtotals as text, one a line, in pieces that each fit into one item of the store.

use super::{Slice, Stage};
use crate::entities::fold::State;
use crate::entities::linkage;
use crate::events::UnreadableEvent;
use crate::projections::build::{Amounts, Subtotals};
use crate::projections::people::{JoinInput, LinkCondition};
use crate::projections::views::{QueryTotals, TaskTotals};
use crate::storage::item::Key;
use crate::storage::keys;
use crate::values::ids::EntityKey;
use crate::values::ids::{ClerkUserId, TaskId, UserId};
use serde::{Deserialize, Serialize};

/// Most bytes of a piece: below an item's 400 KB even if nothing of it could be compressed.
const PIECE_BYTES: usize = 384 * 1024;

/// One subtotal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubtotalLine {
    /// Of a counter.
    #[serde(rename = "c")]
    Counter(String, String, Amounts),
    /// Of a task's executions, as [`TaskTotals::store`] writes it.
    #[serde(rename = "t")]
    Task(TaskId, String),
    /// A task that waits for its executions' totals, as [`State::store`] writes it.
    #[serde(rename = "w")]
    Waiting(TaskId, String),
    /// Of a query.
    #[serde(rename = "q")]
    Query(String, QueryTotals),
    /// An identity's own events, as [`State::store`] writes them.
    #[serde(rename = "i")]
    Identity(ClerkUserId, String),
    /// A user that names an identity.
    #[serde(rename = "n")]
    Named(ClerkUserId, UserId),
    /// Events of a user that may be an identity's.
    #[serde(rename = "d")]
    OfDerived(UserId, String),
    /// A user's own events.
    #[serde(rename = "u")]
    User(UserId, String),
    /// What an identity says of a user, and when it holds.
    #[serde(rename = "l")]
    Link(UserId, ClerkUserId, String, LinkCondition),
}

impl SubtotalLine {
    /// Whether a unit of this stage and slice is to read it.
    pub fn is_for(&self, stage: Stage, slice: Slice) -> bool {
        match (self, stage) {
            (Self::Task(id, _) | Self::Waiting(id, _), Stage::Tasks) => {
                slice.holds_entity(&EntityKey::Task(*id))
            }
            (Self::Query(query, _), Stage::Queries) => {
                slice.holds_key(&keys::query(&keys::query_hash(query)))
            }
            (Self::Counter(pk, sk, _), Stage::Counters) => slice.holds(keys::spread_hash(pk, sk)),
            (Self::Identity(clerk, _) | Self::Named(clerk, _), Stage::Identities) => {
                slice.holds_entity(&EntityKey::User(linkage::derived(clerk)))
            }
            (Self::OfDerived(user, _), Stage::Identities)
            | (Self::User(user, _) | Self::Link(user, ..), Stage::People) => {
                slice.holds_entity(&EntityKey::User(*user))
            }
            (Self::Task(..) | Self::Waiting(..) | Self::Query(..) | Self::Counter(..), _)
            | (Self::Identity(..) | Self::Named(..) | Self::OfDerived(..), _)
            | (Self::User(..) | Self::Link(..), _) => false,
        }
    }

    /// Adds it to others.
    pub fn add_to(self, subtotals: &mut Subtotals) -> Result<(), UnreadableEvent> {
        match self {
            Self::Counter(pk, sk, amounts) => subtotals.count(Key::stored(pk, sk), amounts),
            Self::Task(id, text) => {
                subtotals.add_task(id, &TaskTotals::load(&text).map_err(|e| UnreadableEvent::new(&e))?);
            }
            Self::Waiting(id, text) => subtotals.wait(id, State::load(&text)?),
            Self::Query(query, totals) => subtotals.add_query(query, &totals),
            Self::Identity(..) | Self::Named(..) | Self::OfDerived(..) | Self::User(..) | Self::Link(..) => {
                if let Some(part) = self.into_part()? {
                    subtotals.add_person(part);
                }
            }
        }
        Ok(())
    }

    /// The part of a user or of an identity that it is; `None` for amounts.
    pub fn into_part(self) -> Result<Option<JoinInput>, UnreadableEvent> {
        Ok(Some(match self {
            Self::Identity(clerk, text) => JoinInput::Identity(clerk, State::load(&text)?),
            Self::Named(clerk, user) => JoinInput::Named(clerk, user),
            Self::OfDerived(user, text) => JoinInput::OfDerived(user, State::load(&text)?),
            Self::User(user, text) => JoinInput::User(user, State::load(&text)?),
            Self::Link(user, clerk, text, holds) => JoinInput::Link(user, clerk, State::load(&text)?, holds),
            Self::Counter(..) | Self::Task(..) | Self::Waiting(..) | Self::Query(..) => return Ok(None),
        }))
    }
}

/// A part of what is known of users and identities, as a line.
fn person(part: JoinInput) -> Result<SubtotalLine, UnreadableEvent> {
    Ok(match part {
        JoinInput::Identity(clerk, state) => SubtotalLine::Identity(clerk, state.store()?),
        JoinInput::Named(clerk, user) => SubtotalLine::Named(clerk, user),
        JoinInput::OfDerived(user, state) => SubtotalLine::OfDerived(user, state.store()?),
        JoinInput::User(user, state) => SubtotalLine::User(user, state.store()?),
        JoinInput::Link(user, clerk, says, holds) => SubtotalLine::Link(user, clerk, says.store()?, holds),
    })
}

/// Writes subtotals as pieces of text, in an order that depends on them alone.
pub fn write(subtotals: Subtotals) -> Result<Vec<String>, UnreadableEvent> {
    let Subtotals { counters, tasks, waiting, queries, people, .. } = subtotals;
    let counters = counters.into_iter().map(|(key, amounts)| SubtotalLine::Counter(key.pk, key.sk, amounts));
    let tasks = tasks.into_iter().map(|(id, totals)| SubtotalLine::Task(id, totals.store()));
    let queries = queries.into_iter().map(|(query, totals)| SubtotalLine::Query(query, totals));
    let waiting = waiting.into_iter().map(|(id, state)| Ok(SubtotalLine::Waiting(id, state.store()?)));
    let people = people.into_iter().map(person);
    let lines = counters.chain(tasks).chain(queries).map(Ok).chain(waiting).chain(people);
    let lines = lines.map(|line| serde_json::to_string(&line?).map_err(|e| UnreadableEvent::new(&e)));
    let mut lines = lines.collect::<Result<Vec<_>, _>>()?;
    lines.sort_unstable();
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for line in lines {
        if !piece.is_empty() && piece.len() + line.len() >= PIECE_BYTES {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.push_str(&line);
        piece.push('\n');
    }
    pieces.extend(Some(piece).filter(|piece| !piece.is_empty()));
    Ok(pieces)
}

/// Reads a piece.
pub fn read(piece: &str) -> impl Iterator<Item = Result<SubtotalLine, UnreadableEvent>> {
    piece.lines().map(|line| serde_json::from_str(line).map_err(|e| UnreadableEvent::new(&e)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::time::Day;
    use uuid::Uuid;

    fn some(n: u128) -> Subtotals {
        let mut subtotals = Subtotals::default();
        let key = Key::stored(format!("c#\u{1}{n}"), "h#\n".to_owned());
        subtotals.count(key, [("0n".to_owned(), 3), ("p".to_owned(), -1)]);
        subtotals.add_task(TaskId(Uuid::from_u128(n)), &TaskTotals::of(Day(20_000), 1, 0, 1_500));
        let totals = QueryTotals { tasks: 2, active: 1 };
        subtotals.add_query(format!("query {n} \"\u{2028}"), &totals);
        subtotals
    }

    #[test]
    fn subtotals_that_were_stored_are_read_back_and_add_up() {
        let mut all = Subtotals::default();
        for piece in (0..2).flat_map(|_again| write(some(7)).unwrap()) {
            read(&piece).for_each(|line| line.unwrap().add_to(&mut all).unwrap());
        }
        let mut twice = some(7);
        for line in read(&write(some(7)).unwrap().concat()) {
            line.unwrap().add_to(&mut twice).unwrap();
        }
        assert_eq!(all, twice);
        assert_eq!(all.queries.values().next().unwrap().tasks, 4);
    }

    #[test]
    fn a_piece_fits_into_an_item_and_the_order_is_always_the_same() {
        let many = || {
            let mut all = Subtotals::default();
            for subtotals in (0..9_000).map(some) {
                all.counters.extend(subtotals.counters);
                all.tasks.extend(subtotals.tasks);
                all.queries.extend(subtotals.queries);
            }
            write(all).unwrap()
        };
        let pieces = many();
        assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
        assert_eq!(pieces, many());
        assert_eq!(pieces.iter().map(|piece| piece.lines().count()).sum::<usize>(), 27_000);
    }
}
