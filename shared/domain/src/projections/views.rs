//! Views: what an entity contributes to the projections.
//!
//! One file for each kind of entity says which rows, amounts and totals follow from an entity's
//! state. Nobody adds or subtracts by hand: the [diff](super::diff) writes the difference between
//! an entity's contributions after and before an event, and a rebuild adds up the contributions of
//! all entities. How to change a view: docs/changing-a-projection.md.

mod api_key;
pub(crate) use api_key::OWNER;
mod execution;
pub(crate) use execution::task_of;
mod identity;
mod notification;
mod run;
mod schedule;
pub(crate) use schedule::{CRON, TASK, ZONE};
pub mod task;
pub(crate) use task::SINCE;
mod user;
pub(crate) use user::{EMAIL, named_by};

use crate::entities::fold::State;
use crate::entities::linkage::Linkage;
use crate::projections::index::{self, Sums};
use crate::projections::summary::Summary;
use crate::projections::user_day::{self, UserActivity};
use crate::storage::item::{Attributes, Key, Value};
use crate::storage::keys::{FilteredIndex, Lane, Lanes};
use crate::values::ids::{ClerkUserId, EntityKey, TaskId, UserId};
use crate::values::time::Timestamp;
use std::collections::BTreeMap;
pub use task::{QueryTotals, TaskTotals};

/// The attribute of a row with the partition key of its entity, where the sort key
/// does not tell it.
pub(crate) const OF: &str = "of";

/// The rows, amounts and totals that follow from the state of an entity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contributions {
    /// The attributes of its rows, by key.
    pub rows: BTreeMap<Key, Attributes>,
    /// The amounts that it adds to counters, by counter and attribute.
    pub sums: BTreeMap<(Key, String), i128>,
    /// The totals that an execution adds to its task.
    pub task: BTreeMap<TaskId, TaskTotals>,
    /// The totals that a task adds to its query.
    pub queries: BTreeMap<String, QueryTotals>,
    /// The identity that a user names as its own.
    pub names: Option<ClerkUserId>,
}

impl Contributions {
    /// With a row without attributes.
    fn row(mut self, key: Key) -> Self {
        self.rows.insert(key, Attributes::new());
        self
    }

    /// With a row that has one attribute.
    fn row_with(mut self, key: Key, attribute: &str, value: impl Into<Value>) -> Self {
        self.rows.insert(key, Attributes::from([(attribute.to_owned(), value.into())]));
        self
    }

    /// With a row that carries a summary.
    fn row_carrying(mut self, key: Key, summary: Option<impl Summary>) -> Self {
        self.rows.insert(key, summary.map(|summary| summary.attributes()).unwrap_or_default());
        self
    }

    /// With an amount added to a counter.
    fn sum(mut self, counter: Key, attribute: impl Into<String>, amount: i128) -> Self {
        *self.sums.entry((counter, attribute.into())).or_default() += amount;
        self
    }

    /// With amounts added to the nodes of an index that count the hour and the month of a time.
    /// `tag` is the error type, of an error.
    fn counted<'a>(
        self,
        (list, lane): (impl Into<FilteredIndex<'a>>, Lane),
        at: Timestamp,
        tag: Option<&str>,
        sums: &Sums,
    ) -> Self {
        self.sums(index::node_amounts(list, lane, at, tag, sums))
    }

    /// With an activity counted in a user's day.
    fn counted_for_user(self, user: UserId, at: Timestamp, activity: UserActivity) -> Self {
        self.sums(user_day::amounts(user, at, activity))
    }

    fn sums(self, amounts: impl IntoIterator<Item = (Key, String, i128)>) -> Self {
        let add = |all: Self, (counter, attribute, amount)| all.sum(counter, attribute, amount);
        amounts.into_iter().fold(self, add)
    }
}

/// What an entity in this state contributes. `totals` are those of a task, `linkage` that of a user or an identity;
/// both are empty for any other entity. Nothing, as long as the state lacks what the view needs
/// (docs/contract/events.md, "How events merge").
pub fn contributions(
    entity: &EntityKey,
    state: &State,
    totals: &TaskTotals,
    linkage: &Linkage,
    lanes: Lanes,
) -> Contributions {
    match entity {
        EntityKey::User(id) => user::contributions(*id, state, &linkage.linked, lanes),
        EntityKey::Identity(clerk) => identity::contributions(clerk, state, linkage.users),
        EntityKey::ApiKey(id) => api_key::contributions(id, state),
        EntityKey::Task(id) => task::contributions(*id, state, totals, lanes),
        EntityKey::Execution(id) => execution::contributions(*id, state, lanes),
        EntityKey::Notification(_) => notification::contributions(state, lanes),
        EntityKey::Run(..) => run::contributions(entity, state, lanes),
        EntityKey::Schedule(id) => schedule::contributions(id, entity, state, lanes),
    }
}
