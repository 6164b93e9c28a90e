//! What comes to life after its user was deactivated is stopped by the same rule: a task or key that these messages
//! made active, of a user whose deactivation by an admin still holds, gets an order of its own in the outbox.
//!
//! Looked at after the commit, and for events without effect too: either the deactivation's own order finds the row,
//! which was written before it was read, or this finds the deactivation, which was written before the row was.

use super::Unit;
use crate::store::{Generation, Store, StoreError, TableReader, Usage};
use std::collections::BTreeMap;
use torale_domain::commit::Entity;
use torale_domain::entities::{ApiKey, Task, User};
use torale_domain::events::EventType;
use torale_domain::events::types::TaskState;
use torale_domain::fold::EntityKey;
use torale_domain::ids::UserId;
use torale_domain::item::Key;
use torale_domain::keys::{self, Owned};
use torale_domain::outbox::{Order, What, stopping};
use torale_domain::read::{Reader, Reads};
use torale_domain::time::Timestamp;

/// Something that may have come to life, with the messages that say so.
#[derive(Debug, Clone)]
pub(super) struct Awakened {
    entity: EntityKey,
    pub(super) messages: Vec<usize>,
}

/// Those of some units that hold an event which can bring something to life.
pub(super) fn awakened(units: &[Unit]) -> Vec<Awakened> {
    let wakes =
        |kind| matches!(kind, EventType::TaskCreated | EventType::TaskResumed | EventType::ApiKeyCreated);
    let woken = units.iter().filter(|unit| unit.events.iter().any(|event| wakes(event.event_type())));
    woken.map(|unit| Awakened { entity: unit.entity.clone(), messages: unit.messages.clone() }).collect()
}

/// Orders what must be stopped; how many orders were put into the outbox.
pub(super) async fn stop(
    store: &Store,
    generation: &Generation,
    awakened: &[Awakened],
    now: Timestamp,
    usage: &Usage,
) -> Result<u64, StoreError> {
    if awakened.is_empty() {
        return Ok(0);
    }
    let reader = TableReader::of(store, generation, usage);
    let owned = owned(&reader, awakened).await?;
    let deactivations = store.deactivations(owned.iter().map(|(user, _)| *user), usage).await?;
    if deactivations.is_empty() {
        return Ok(0);
    }
    let users: BTreeMap<Key, UserId> = deactivations.keys().map(|user| (keys::user(*user), *user)).collect();
    let found = reader.read(Reads::gets(users.keys().cloned()).consistent()).await?.items;
    let mut orders = 0;
    for (user, owned) in owned {
        let Some(deactivation) = deactivations.get(&user) else { continue };
        let entity = Entity::load(found.get(&keys::user(user)))?;
        if deactivation.holds(&User::of(&entity.state)) {
            let what = What::Late(stopping(owned, user));
            store.put_order(&Order { cause: deactivation.cause(), at: now, what }, usage).await?;
            orders += 1;
        }
    }
    Ok(orders)
}

/// What is alive by now, with its user.
async fn owned(reader: &TableReader<'_>, awakened: &[Awakened]) -> Result<Vec<(UserId, Owned)>, StoreError> {
    let keys: BTreeMap<Key, &EntityKey> =
        awakened.iter().map(|one| (keys::entity(&one.entity), &one.entity)).collect();
    let found = reader.read(Reads::gets(keys.keys().cloned()).consistent()).await?.items;
    let mut owned = Vec::new();
    for (key, entity) in keys {
        let Entity { state, .. } = Entity::load(found.get(&key))?;
        match Some(entity) {
            Some(EntityKey::Task(id)) => {
                let task = Task::of(&state);
                let active = !task.deleted && task.state == TaskState::Active;
                owned.extend(task.user_id.filter(|_| active).map(|user| (user, Owned::Task(*id))));
            }
            Some(EntityKey::ApiKey(id)) => {
                let key = ApiKey::of(&state);
                let live = key.created.filter(|_| !key.revoked);
                owned.extend(live.map(|created| (created.user_id, Owned::Key(id.clone()))));
            }
            _other_entities => {}
        }
    }
    Ok(owned)
}
