//! The entities that the rows of a list stand for, and the users and tasks that they name.

use crate::entities::readings::{Task, User};
use crate::projections::entity::{Entity, STATE_ATTRIBUTES, TOTALS_ATTRIBUTES};
use crate::projections::summary::Owners;
use crate::projections::views;
use crate::storage::item::{Item, Key};
use crate::storage::keys;
use crate::storage::read::{Corrupt, ReadPlan, Reader};
use crate::values::ids::{EntityKey, TaskId, UserId};
use std::collections::{BTreeSet, HashMap};

/// The entities that rows refer to, for what a list shows of them: today's emails and search queries.
pub(super) struct ReferencedEntities {
    entities: HashMap<Key, Entity>,
}

impl ReferencedEntities {
    /// Reads some tasks and users, without the totals of the tasks: one round trip; none if there are none.
    pub(super) async fn read<R: Reader>(
        reader: &R,
        owners: impl IntoIterator<Item = Owners>,
    ) -> Result<Self, R::Error> {
        Self::read_all(reader, named(owners)).await
    }

    /// Reads more tasks and users: one round trip; none if there are none.
    pub(super) async fn read_more<R: Reader>(
        &mut self,
        reader: &R,
        owners: impl IntoIterator<Item = Owners>,
    ) -> Result<(), R::Error> {
        self.entities.extend(Self::read(reader, owners).await?.entities);
        Ok(())
    }

    /// Reads some users, and of tasks their totals alone: one round trip; none if there are none.
    pub(super) async fn read_users_and_totals<R: Reader>(
        reader: &R,
        owners: impl IntoIterator<Item = Owners>,
    ) -> Result<Self, R::Error> {
        let (mut users, mut tasks) = (BTreeSet::new(), BTreeSet::new());
        for Owners { task_id, user_id } in owners {
            users.insert(keys::user(user_id));
            tasks.insert(keys::entity(&EntityKey::Task(task_id)));
        }
        if users.is_empty() {
            return Ok(Self { entities: HashMap::new() });
        }
        let plan = ReadPlan::gets(users).only(&STATE_ATTRIBUTES).and_only(tasks, &TOTALS_ATTRIBUTES);
        Ok(Self::load(&reader.read(plan).await?.items)?)
    }

    /// Reads some entities, without the totals of tasks: one round trip; none if there are none.
    pub(super) async fn read_all<R: Reader>(
        reader: &R,
        entities: impl IntoIterator<Item = EntityKey>,
    ) -> Result<Self, R::Error> {
        let keys: BTreeSet<Key> = entities.into_iter().map(|entity| keys::entity(&entity)).collect();
        if keys.is_empty() {
            return Ok(Self { entities: HashMap::new() });
        }
        Ok(Self::load(&reader.read(ReadPlan::gets(keys).only(&STATE_ATTRIBUTES)).await?.items)?)
    }

    /// Reads entities again that a lagging replica may not have as they are: one round trip, strongly consistent; none
    /// if there are none.
    pub(super) async fn read_again<R: Reader>(
        &mut self,
        reader: &R,
        entities: impl IntoIterator<Item = EntityKey>,
    ) -> Result<(), R::Error> {
        let keys: BTreeSet<Key> = entities.into_iter().map(|entity| keys::entity(&entity)).collect();
        if !keys.is_empty() {
            let plan = ReadPlan::gets(keys).only(&STATE_ATTRIBUTES).consistent();
            self.entities.extend(Self::load(&reader.read(plan).await?.items)?.entities);
        }
        Ok(())
    }

    fn load(items: &HashMap<Key, Item>) -> Result<Self, Corrupt> {
        let entities = items.iter().map(|(key, item)| Ok((key.clone(), Entity::load(Some(item))?)));
        Ok(Self { entities: entities.collect::<Result<_, Corrupt>>()? })
    }

    /// An entity that was read; `None` if it does not exist.
    pub(super) fn entity(&self, key: &EntityKey) -> Option<&Entity> {
        self.entities.get(&keys::entity(key))
    }

    /// The email of a user; `None` while no event has stated it.
    pub(super) fn email(&self, user: UserId) -> Option<String> {
        let user = self.entity(&EntityKey::User(user))?;
        User::of(&user.state, &user.linkage.linked).email.map(str::to_owned)
    }

    /// The search query of a task; `None` while no event has stated it.
    pub(super) fn search_query(&self, task: TaskId) -> Option<String> {
        let task = self.entity(&EntityKey::Task(task))?;
        Task::of(&task.state).query.map(str::to_owned)
    }
}

/// The tasks and users of some executions.
pub(super) fn named(owners: impl IntoIterator<Item = Owners>) -> Vec<EntityKey> {
    let both = |owners: Owners| [EntityKey::Task(owners.task_id), EntityKey::User(owners.user_id)];
    owners.into_iter().flat_map(both).collect()
}

/// What a list says of the entities with these keys, in their order: one round trip; none without keys. Where `of` says
/// nothing of what was found, a replica lags behind the list, or the row was removed between the two reads: that costs
/// another round trip, strongly consistent, and what `of` says nothing of even then is left out.
pub(super) async fn read_listed<R: Reader, T>(
    reader: &R,
    keys: &[Key],
    of: impl Fn(&Entity) -> Option<T>,
) -> Result<Vec<(Key, T)>, R::Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let of = |items: &HashMap<Key, Item>, key: &Key| match items.get(key) {
        Some(item) => Ok(of(&Entity::load(Some(item))?)),
        None => Ok(None),
    };
    let items = reader.read(ReadPlan::gets(keys.iter().cloned())).await?.items;
    let mut found: Vec<(Key, Option<T>)> = Vec::with_capacity(keys.len());
    for key in keys {
        found.push((key.clone(), of(&items, key)?));
    }
    let lagging = found.iter().filter(|(_, listed)| listed.is_none()).map(|(key, _)| key.clone());
    let plan = ReadPlan::gets(lagging).consistent();
    if !plan.is_empty() {
        let items = reader.read(plan).await?.items;
        for (key, listed) in found.iter_mut().filter(|(_, listed)| listed.is_none()) {
            *listed = of(&items, key)?;
        }
    }
    Ok(found.into_iter().filter_map(|(key, listed)| Some((key, listed?))).collect())
}

/// The keys of the entities that rows with an `of` attribute stand for.
pub(super) fn keys_of<'a>(rows: impl IntoIterator<Item = &'a Item>) -> Vec<Key> {
    rows.into_iter().filter_map(|row| row.text(views::OF)).map(keys::row_entity).collect()
}

/// The items with these keys: one round trip; none without keys. Those that a lagging replica does not have yet cost
/// another round trip, strongly consistent.
pub(super) async fn read_items<R: Reader>(reader: &R, keys: &[Key]) -> Result<HashMap<Key, Item>, R::Error> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let mut items = reader.read(ReadPlan::gets(keys.iter().cloned())).await?.items;
    let missing: Vec<Key> = keys.iter().filter(|key| !items.contains_key(key)).cloned().collect();
    if !missing.is_empty() {
        items.extend(reader.read(ReadPlan::gets(missing).consistent()).await?.items);
    }
    Ok(items)
}
