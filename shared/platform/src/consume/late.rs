//! What comes to life after its user was deactivated is stopped by the same rule: a task or key that these messages
//! made active, of a user whose deactivation by an admin still holds, gets an order of its own in the outbox.
//!
//! Looked at after the commit, and for events without effect too: either the deactivation's own order finds the row,
//! which was written before it was read, or this finds the deactivation, which was written before the row was.

use super::EntityBatch;
use crate::store::{GenerationPointer, Generations, Store, StoreError, TableReader, Usage};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use torale_domain::deactivation::commands::Cause;
use torale_domain::deactivation::outbox::{OutboxAction, OutboxEntry, stop_command};
use torale_domain::entities::readings::{ApiKey, Task, User};
use torale_domain::events::EventType;
use torale_domain::events::types::TaskState;
use torale_domain::projections::entity::Entity;
use torale_domain::storage::item::Key;
use torale_domain::storage::keys::{self, Owned};
use torale_domain::storage::read::{ReadPlan, Reader};
use torale_domain::values::ids::EntityKey;
use torale_domain::values::ids::UserId;
use torale_domain::values::time::Timestamp;
use torale_domain::values::trace::TraceParent;

/// Orders that are put at once.
const PARALLEL: usize = 16;

/// Something that may have come to life, with the messages that say so.
#[derive(Debug, Clone)]
pub(super) struct ResumedResource {
    entity: EntityKey,
    pub(super) messages: Vec<usize>,
    trace: Option<TraceParent>,
}

/// Those of some units that hold an event which can bring something to life.
pub(super) fn awakened(units: &[EntityBatch], traces: &BTreeMap<usize, TraceParent>) -> Vec<ResumedResource> {
    let wakes =
        |kind| matches!(kind, EventType::TaskCreated | EventType::TaskResumed | EventType::ApiKeyCreated);
    let woken = units.iter().filter(|unit| unit.events.iter().any(|event| wakes(event.event_type())));
    woken
        .map(|unit| ResumedResource {
            entity: unit.entity.clone(),
            messages: unit.messages.clone(),
            trace: unit.messages.iter().find_map(|message| traces.get(message)).cloned(),
        })
        .collect()
}

/// Orders what must be stopped, if the generations that were written still are the ones that must be: another may know of
/// deactivations that they don't, so the messages must come again. Returns how many orders there are.
pub(super) async fn stop(
    store: &Store,
    generations: &Generations,
    pointer: &GenerationPointer,
    awakened: &[ResumedResource],
    now: Timestamp,
    usage: &Usage,
) -> Result<u64, StoreError> {
    if awakened.is_empty() {
        return Ok(0);
    }
    if generations.pointer(store, usage).await? != *pointer {
        return Err(StoreError::Unavailable("other generations are written by now".to_owned()));
    }
    let reader = TableReader::of(store, &pointer.live, usage);
    let owned = owned(&reader, awakened).await?;
    let deactivations = store.deactivations(owned.iter().map(|alive| alive.user), usage).await?;
    if deactivations.is_empty() {
        return Ok(0);
    }
    let users: BTreeMap<Key, UserId> = deactivations.keys().map(|user| (keys::user(*user), *user)).collect();
    let found = reader.read(ReadPlan::gets(users.keys().cloned()).consistent()).await?.items;
    let mut orders = Vec::new();
    for ResourceToStop { user, owned, since, trace } in owned {
        let Some(deactivation) = deactivations.get(&user) else { continue };
        let entity = Entity::load(found.get(&keys::user(user)))?;
        if deactivation.is_in_effect(&User::of(&entity.state)) {
            let what = OutboxAction::StopResumed { command: stop_command(owned, user), since };
            let generation = pointer.live.name.clone();
            let cause = Cause { trace, ..deactivation.cause() };
            orders.push(OutboxEntry { cause, at: now, generation, action: what });
        }
    }
    let puts: Vec<_> = orders.iter().map(|order| store.put_order(order, usage)).collect();
    stream::iter(puts).buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await?;
    Ok(u64::try_from(orders.len()).unwrap_or(u64::MAX))
}

/// Something that is alive.
struct ResourceToStop {
    user: UserId,
    owned: Owned,
    since: Timestamp,
    trace: Option<TraceParent>,
}

/// What is alive by now, with its user.
async fn owned(
    reader: &TableReader<'_>,
    awakened: &[ResumedResource],
) -> Result<Vec<ResourceToStop>, StoreError> {
    let keys: BTreeMap<Key, &ResumedResource> =
        awakened.iter().map(|one| (keys::entity(&one.entity), one)).collect();
    let found = reader.read(ReadPlan::gets(keys.keys().cloned()).consistent()).await?.items;
    let mut owned = Vec::new();
    for (key, ResumedResource { entity, trace, .. }) in keys {
        let Entity { state, .. } = Entity::load(found.get(&key))?;
        match Some(entity) {
            Some(EntityKey::Task(id)) => {
                let task = Task::of(&state);
                let active = !task.deleted && task.state == TaskState::Active;
                let since = task.state_at.unwrap_or(Timestamp::EARLIEST);
                let alive =
                    |user| ResourceToStop { user, owned: Owned::Task(*id), since, trace: trace.clone() };
                owned.extend(task.user_id.filter(|_| active).map(alive));
            }
            Some(EntityKey::ApiKey(id)) => {
                let key = ApiKey::of(&state);
                let live = key.created.filter(|_| !key.revoked);
                let since = Timestamp::EARLIEST;
                let alive = |user| ResourceToStop {
                    user,
                    owned: Owned::Key(id.clone()),
                    since,
                    trace: trace.clone(),
                };
                owned.extend(live.map(|created| alive(created.user_id)));
            }
            _other_entities => {}
        }
    }
    Ok(owned)
}
