//! The late rule (`docs/contract/events.md`, "The late rule"): a task or schedule that becomes active, or an API key
//! that is created, after its user was deactivated by a cause that sends commands is stopped by a command. This writes
//! the outbox entry for it.
//!
//! It runs after the commit and the links, and for events without effect too. So of two concurrent writers one always
//! finds the other's: either the outbox relay finds the resource, which was written before the relay read it, or this
//! finds the deactivation, which was written before the resource was.

use super::received::EntityBatch;
use crate::clock;
use crate::retry::Retries;
use crate::store::{GenerationPointer, Generations, Store, StoreError, TableReader, TransactError, Usage};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet};
use torale_domain::deactivation::causes::{self, EffectiveCause, OriginWrites};
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
/// The most that one transaction writes.
const TOGETHER: usize = 50;
/// How often a transaction is attempted that loses races.
const MAX_ATTEMPTS: u32 = 6;

/// A task, schedule or API key that may have become active, and the positions of the messages that say so.
#[derive(Debug, Clone)]
pub(super) struct ActivationCandidate {
    entity: EntityKey,
    pub(super) messages: Vec<usize>,
    trace: Option<TraceParent>,
}

/// The entities with an event that can make a resource active.
pub(super) fn candidates(
    entities: &[EntityBatch],
    traces: &BTreeMap<usize, TraceParent>,
) -> Vec<ActivationCandidate> {
    let activates = |kind| {
        let resource =
            matches!(kind, EventType::TaskCreated | EventType::TaskResumed | EventType::ApiKeyCreated);
        resource || matches!(kind, EventType::ScheduleCreated | EventType::ScheduleUnpaused)
    };
    let activated =
        entities.iter().filter(|batch| batch.events.iter().any(|event| activates(event.event_type())));
    activated
        .map(|batch| ActivationCandidate {
            entity: batch.entity.clone(),
            messages: batch.messages.clone(),
            trace: batch.messages.iter().find_map(|message| traces.get(message)).cloned(),
        })
        .collect()
}

/// Writes an outbox entry for every resource of a deactivated user, and returns how many there are.
///
/// # Errors
/// If the store fails, or other generations are written than those of `pointer`, which the events were folded into:
/// another generation may contain deactivations that these don't, so the messages must come again.
pub(super) async fn stop(
    store: &Store,
    generations: &Generations,
    pointer: &GenerationPointer,
    candidates: &[ActivationCandidate],
    now: Timestamp,
    usage: &Usage,
) -> Result<u64, StoreError> {
    if candidates.is_empty() {
        return Ok(0);
    }
    if generations.pointer(store, usage).await? != *pointer {
        return Err(StoreError::Unavailable("other generations are written by now".to_owned()));
    }
    let reader = TableReader::of(store, &pointer.live, usage);
    let active = active_resources(&reader, candidates).await?;
    let owners: BTreeMap<Key, UserId> =
        active.iter().map(|resource| (keys::user(resource.user), resource.user)).collect();
    let found = reader.read(ReadPlan::gets(owners.keys().cloned()).consistent()).await?.items;
    let loaded = owners.into_iter().map(|(key, id)| Ok((id, Entity::load(found.get(&key))?)));
    let users = loaded.collect::<Result<BTreeMap<UserId, Entity>, Corrupt>>()?;
    let of = users.iter().map(|(id, user)| (*id, user));
    let records = store.cause_records(&pointer.live, of, usage).await?;
    let (mut entries, mut of_origins) = (Vec::new(), BTreeMap::<_, Vec<OutboxEntry>>::new());
    for ActiveResource { user: id, resource, since, trace } in active {
        let cause = users.get(&id).and_then(|user| causes::effective_cause(id, user, &records));
        let Some(EffectiveCause { cause, origin }) = cause else { continue };
        let event = causes::event_of(&cause).to_owned();
        let action = OutboxAction::StopResumed { command: resource.command(id), since };
        let (cause, generation) = (Cause { trace, ..cause }, pointer.live.name.clone());
        let entry = OutboxEntry { cause, at: now, generation, action, request: String::new() };
        match origin {
            Some(origin) => of_origins.entry((origin, event)).or_default().push(entry),
            None => entries.push(entry),
        }
    }
    let count = entries.len() + of_origins.values().map(Vec::len).sum::<usize>();
    let inserts: Vec<_> = entries.iter().map(|entry| store.insert_outbox_entry(entry, usage)).collect();
    stream::iter(inserts).buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await?;
    for ((origin, event), entries) in of_origins {
        for some in entries.chunks(TOGETHER) {
            let of_origin = records.origin_writes(origin, &event, clock::unique());
            let of_origin = of_origin.map_err(|error| StoreError::Refused(error.to_string()))?;
            put(store, pointer, some, of_origin, usage).await?;
        }
    }
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

/// Puts entries into the outbox, unless what they are for is taken back. One that waits there is begun again, and its
/// commands have the same ids.
async fn put(
    store: &Store,
    pointer: &GenerationPointer,
    entries: &[OutboxEntry],
    OriginWrites { note, check }: OriginWrites,
    usage: &Usage,
) -> Result<(), StoreError> {
    let mut writes = vec![
        (CONTROL_TABLE.to_owned(), note),
        (CONTROL_TABLE.to_owned(), pointer.unchanged()),
        (pointer.live.table(), check),
    ];
    for entry in entries {
        let Item { key, attributes } =
            entry.item().map_err(|error| StoreError::Refused(error.to_string()))?;
        let write = Write { key, action: Action::Put(attributes), conditions: Vec::new() };
        writes.push((CONTROL_TABLE.to_owned(), write));
    }
    let mut retries = Retries::attempts(MAX_ATTEMPTS);
    loop {
        match store.transact_across(writes.clone(), usage).await {
            Ok(()) => return Ok(()),
            Err(TransactError::Failed(error)) => return Err(error),
            // Another consumer requests something by the same cause, or it has been taken back by now.
            Err(TransactError::Race) if retries.pause().await => {}
            Err(TransactError::Race) => {
                return Err(StoreError::Unavailable("lost races about a deactivation".to_owned()));
            }
        }
    }
}

/// A resource that is active.
struct ActiveResource {
    user: UserId,
    resource: Stoppable,
    /// The time of the event that made it active, of a task or schedule.
    since: Timestamp,
    trace: Option<TraceParent>,
}

/// Those of some resources that are active by now, one for each of their users.
async fn active_resources(
    reader: &TableReader<'_>,
    candidates: &[ActivationCandidate],
) -> Result<Vec<ActiveResource>, StoreError> {
    let keys: BTreeMap<Key, &ActivationCandidate> =
        candidates.iter().map(|resource| (keys::entity(&resource.entity), resource)).collect();
    let found = reader.read(ReadPlan::gets(keys.keys().cloned()).consistent()).await?.items;
    let mut active = Vec::new();
    for (key, ActivationCandidate { entity, trace, .. }) in keys {
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
        active.extend(users.into_iter().map(|user| ActiveResource {
            user,
            resource: resource.clone(),
            since,
            trace: trace.clone(),
        }));
    }
    Ok(active)
}
