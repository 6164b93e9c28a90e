//! The entities behind the rows of a list, and the names that they show.

use crate::entities::readings::{Task, User};
use crate::projections::entity::Entity;
use crate::storage::item::Key;
use crate::storage::keys;
use crate::storage::read::{Corrupt, ReadPlan, Reader};
use crate::values::ids::{EntityKey, TaskId, UserId};
use std::collections::{BTreeSet, HashMap};

/// The emails and queries of today, for the rows of a list.
pub(super) struct DisplayNames {
    entities: HashMap<Key, Entity>,
}

impl DisplayNames {
    /// Reads the tasks and users of a list: one round trip, none if there are none.
    pub(super) async fn read<R: Reader>(
        reader: &R,
        of: impl IntoIterator<Item = (TaskId, UserId)>,
    ) -> Result<Self, R::Error> {
        let keys: BTreeSet<Key> = of
            .into_iter()
            .flat_map(|(task, user)| [EntityKey::Task(task), EntityKey::User(user)])
            .map(|entity| keys::entity(&entity))
            .collect();
        if keys.is_empty() {
            return Ok(Self { entities: HashMap::new() });
        }
        let found = reader.read(ReadPlan::gets(keys)).await?;
        let entities = found.items.iter().map(|(key, item)| Ok((key.clone(), Entity::load(Some(item))?)));
        Ok(Self { entities: entities.collect::<Result<_, Corrupt>>()? })
    }

    pub(super) fn entity(&self, key: &EntityKey) -> Option<&Entity> {
        self.entities.get(&keys::entity(key))
    }

    pub(super) fn email(&self, user: UserId) -> Option<String> {
        let user = self.entity(&EntityKey::User(user))?;
        User::of(&user.state, &user.linkage.linked).email.map(str::to_owned)
    }

    pub(super) fn query(&self, task: TaskId) -> Option<String> {
        let task = self.entity(&EntityKey::Task(task))?;
        Task::of(&task.state).query.map(str::to_owned)
    }
}

/// The entities that rows stand for, in their order: one round trip, none without rows. One that a lagging replica
/// does not have yet is read again, strongly consistent; one that is not there even then is left out.
pub(super) async fn read_entities<R: Reader>(
    reader: &R,
    keys: &[Key],
) -> Result<Vec<(Key, Entity)>, R::Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut items = reader.read(ReadPlan::gets(keys.iter().cloned())).await?.items;
    let missing: Vec<Key> = keys.iter().filter(|key| !items.contains_key(key)).cloned().collect();
    if !missing.is_empty() {
        items.extend(reader.read(ReadPlan::gets(missing).consistent()).await?.items);
    }
    let found = keys.iter().filter_map(|key| items.get(key));
    let entities = found.map(|item| Ok((item.key.clone(), Entity::load(Some(item))?)));
    Ok(entities.collect::<Result<_, Corrupt>>()?)
}
