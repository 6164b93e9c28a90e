//! The late rule (`docs/contract/events.md`, "Commands"): a task or schedule that becomes active, or an API key that is
//! created, after its user was deactivated by a cause that sends commands is stopped by a command. This writes the
//! outbox entry for it.
//!
//! It runs after the commit and the links, and for events without effect too. So of two concurrent writers one always
//! finds the other's: either the outbox relay finds the resource, which was written before the relay read it, or this
//! finds the deactivation, which was written before the resource was.

use super::received::EntityBatch;
use crate::clock;
use crate::store::{GenerationPointer, Generations, Store, StoreError, TableReader, TransactError, Usage};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet};
use torale_domain::deactivation::causes::{self, OriginWrites, StandingCause};
use torale_domain::deactivation::commands::Cause;
use torale_domain::deactivation::outbox::{OutboxAction, OutboxEntry, Stoppable};
use torale_domain::entities::readings::{ApiKey, Schedule, Task};
use torale_domain::events::EventType;
use torale_domain::events::types::TaskState;
use torale_domain::projections::entity::Entity;
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::storage::read::{Corrupt, ReadPlan, Reader};
use torale_domain::storage::write::{Action, Write};
use torale_domain::values::ids::{EntityKey, UserId};
use torale_domain::values::time::Timestamp;
use torale_domain::values::trace::TraceParent;

/// The most outbox entries that are written at once.
const PARALLEL: usize = 16;

/// A task, schedule or API key that may have become active, and the positions of the messages that say so.
#[derive(Debug, Clone)]
pub(super) struct ResumedResource {
    entity: EntityKey,
    pub(super) messages: Vec<usize>,
    trace: Option<TraceParent>,
}

/// The entities with an event that can make a resource active.
pub(super) fn resumed(
    entities: &[EntityBatch],
    traces: &BTreeMap<usize, TraceParent>,
) -> Vec<ResumedResource> {
    let activates = |kind| {
        let resource =
            matches!(kind, EventType::TaskCreated | EventType::TaskResumed | EventType::ApiKeyCreated);
        resource || matches!(kind, EventType::ScheduleCreated | EventType::ScheduleUnpaused)
    };
    let resumed =
        entities.iter().filter(|batch| batch.events.iter().any(|event| activates(event.event_type())));
    resumed
        .map(|batch| ResumedResource {
            entity: batch.entity.clone(),
            messages: batch.messages.clone(),
            trace: batch.messages.iter().find_map(|message| traces.get(message)).cloned(),
        })
        .collect()
}

/// Writes an outbox entry for every resumed resource of a deactivated user, and returns how many there are.
///
/// # Errors
/// If the store fails, or other generations are written than those of `pointer`, which the events were folded into:
/// another generation may contain deactivations that these don't, so the messages must come again.
pub(super) async fn stop(
    store: &Store,
    generations: &Generations,
    pointer: &GenerationPointer,
    resumed: &[ResumedResource],
    now: Timestamp,
    usage: &Usage,
) -> Result<u64, StoreError> {
    if resumed.is_empty() {
        return Ok(0);
    }
    if generations.pointer(store, usage).await? != *pointer {
        return Err(StoreError::Unavailable("other generations are written by now".to_owned()));
    }
    let reader = TableReader::of(store, &pointer.live, usage);
    let active = active_resources(&reader, resumed).await?;
    let owners: BTreeMap<Key, UserId> =
        active.iter().map(|resource| (keys::user(resource.user), resource.user)).collect();
    let found = reader.read(ReadPlan::gets(owners.keys().cloned()).consistent()).await?.items;
    let loaded = owners.into_iter().map(|(key, id)| Ok((id, Entity::load(found.get(&key))?)));
    let users = loaded.collect::<Result<BTreeMap<UserId, Entity>, Corrupt>>()?;
    let of = users.iter().map(|(id, user)| (*id, user));
    let records = store.cause_records(&pointer.live, of, usage).await?;
    let mut entries = Vec::new();
    for ResourceToStop { user: id, resource, since, trace } in active {
        let cause = users.get(&id).and_then(|user| causes::standing_cause(id, user, &records));
        let Some(StandingCause { cause, origin }) = cause else { continue };
        let action = OutboxAction::StopResumed { command: resource.command(id), since };
        let generation = pointer.live.name.clone();
        let cause = Cause { trace, ..cause };
        let entry = OutboxEntry { cause, at: now, generation, action, request: String::new() };
        let of_origin = records.origin_writes(origin, clock::unique());
        entries.push((entry, of_origin.map_err(|error| StoreError::Refused(error.to_string()))?));
    }
    let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    let (of_origins, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(_, of)| of.is_some());
    let inserts: Vec<_> = others.iter().map(|(entry, _)| store.insert_outbox_entry(entry, usage)).collect();
    stream::iter(inserts).buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await?;
    // One after another, since those of one origin write its one note.
    for (entry, of_origin) in of_origins {
        put(store, pointer, &entry, of_origin, usage).await?;
    }
    Ok(count)
}

/// Puts an entry into the outbox, unless what it is for is taken back. One that waits there is begun again, and its
/// commands have the same ids.
async fn put(
    store: &Store,
    pointer: &GenerationPointer,
    entry: &OutboxEntry,
    of_origin: Option<OriginWrites>,
    usage: &Usage,
) -> Result<(), StoreError> {
    let Item { key, attributes } = entry.item().map_err(|error| StoreError::Refused(error.to_string()))?;
    let entry = Write { key, action: Action::Put(attributes), conditions: Vec::new() };
    let (note, check) = of_origin.map(|OriginWrites { note, check }| (note, check)).unzip();
    let control = [entry].into_iter().chain(note).map(|write| (CONTROL_TABLE.to_owned(), write));
    let writes = control.chain(check.map(|check| (pointer.live.table(), check))).collect();
    match store.transact_across(writes, usage).await {
        Ok(()) => Ok(()),
        Err(TransactError::Race) => Err(StoreError::Unavailable("the cause is being taken back".to_owned())),
        Err(TransactError::Failed(error)) => Err(error),
    }
}

/// A resource that is active.
struct ResourceToStop {
    user: UserId,
    resource: Stoppable,
    /// The time of the event that made it active, of a task or schedule.
    since: Timestamp,
    trace: Option<TraceParent>,
}

/// Those of some resources that are active by now, one for each of their users.
async fn active_resources(
    reader: &TableReader<'_>,
    resumed: &[ResumedResource],
) -> Result<Vec<ResourceToStop>, StoreError> {
    let keys: BTreeMap<Key, &ResumedResource> =
        resumed.iter().map(|resource| (keys::entity(&resource.entity), resource)).collect();
    let found = reader.read(ReadPlan::gets(keys.keys().cloned()).consistent()).await?.items;
    let mut active = Vec::new();
    for (key, ResumedResource { entity, trace, .. }) in keys {
        let Entity { state, .. } = Entity::load(found.get(&key))?;
        let (users, resource, since) = match Some(entity) {
            Some(EntityKey::Task(id)) => {
                let task = Task::of(&state);
                let is_active = !task.deleted && task.state == TaskState::Active;
                let user = task.user_id.filter(|_| is_active);
                (BTreeSet::from_iter(user), Stoppable::Task(*id), task.state_at)
            }
            Some(EntityKey::Schedule(id)) => {
                let schedule = Schedule::of(&state);
                let is_active = !schedule.deleted && !schedule.paused;
                let Some((created, _)) = schedule.created.filter(|_| is_active) else { continue };
                let resource = Stoppable::Schedule(id.clone(), created.task_id);
                (BTreeSet::from([created.user_id]), resource, schedule.state_at)
            }
            Some(EntityKey::ApiKey(id)) => {
                let key = ApiKey::of(&state);
                let users = if key.revoked { BTreeSet::new() } else { key.claims.users.clone() };
                (users, Stoppable::Key(id.clone()), None)
            }
            _other_entities => continue,
        };
        let since = since.unwrap_or(Timestamp::EARLIEST);
        active.extend(users.into_iter().map(|user| ResourceToStop {
            user,
            resource: resource.clone(),
            since,
            trace: trace.clone(),
        }));
    }
    Ok(active)
}
