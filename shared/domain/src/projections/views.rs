//! Views: what an entity contributes to the projections. Nobody adds or subtracts by hand: the difference
//! between an entity's contributions after and before an event is what gets written.

mod api_key;
pub(crate) use api_key::OWNER;
mod execution;
mod identity;
mod notification;
mod run;
mod schedule;
pub(crate) use schedule::TASK;
pub mod task;
pub(crate) use task::SINCE;
mod user;

use crate::entities::fold::State;
use crate::entities::linkage::Linkage;
use crate::projections::index;
use crate::projections::index::Measure;
use crate::storage::item::{Attributes, Key, Value};
use crate::storage::keys::{Index, Lane, Lanes};
use crate::values::ids::EntityKey;
use crate::values::ids::{ClerkUserId, TaskId};
use crate::values::time::Timestamp;
use std::collections::BTreeMap;
pub use task::{QueryTotals, TaskTotals};

/// The attribute of a row that names its entity's partition.
pub(crate) const OF: &str = "of";

/// A set of rows and amounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contributions {
    /// Rows by key.
    pub rows: BTreeMap<Key, Attributes>,
    /// Amounts by counter and attribute.
    pub sums: BTreeMap<(Key, String), i128>,
    /// What an execution adds to its task.
    pub task: BTreeMap<TaskId, TaskTotals>,
    /// What a task adds to its query.
    pub queries: BTreeMap<String, QueryTotals>,
    /// The identity that a user names as its own.
    pub names: Option<ClerkUserId>,
}

impl Contributions {
    fn row(mut self, key: Key) -> Self {
        self.rows.insert(key, Attributes::new());
        self
    }

    fn row_with(mut self, key: Key, attribute: &str, value: impl Into<Value>) -> Self {
        self.rows.insert(key, Attributes::from([(attribute.to_owned(), value.into())]));
        self
    }

    fn sum(mut self, counter: Key, attribute: impl Into<String>, amount: i128) -> Self {
        *self.sums.entry((counter, attribute.into())).or_default() += amount;
        self
    }

    /// Adds to the hour and the month of a time.
    fn counted(
        mut self,
        (index, lane): (Index, Lane),
        at: Timestamp,
        tag: Option<&str>,
        measures: &[(Measure, i128)],
    ) -> Self {
        for (key, attribute, amount) in index::contributions(index, lane, at, tag, measures) {
            self = self.sum(key, attribute, amount);
        }
        self
    }
}

/// What an entity contributes. `totals` are a task's own, `linkage` a user's or an identity's; both are empty for every
/// other entity.
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
