//! The late rule (`docs/contract/events.md`, "The late rule"): a task or schedule that becomes active, or an API key
//! that is created, after its user was deactivated by a cause that sends commands is stopped by a command. This writes
//! the outbox entry for it.
//!
//! It runs after the commit, and for events without effect too. So of two concurrent writers one always finds the
//! other's: either the outbox relay finds the resource, which was written before the relay read it, or this finds the
//! deactivation, which was written before the resource was. That holds for a deactivation by a link as well, whose own
//! transaction puts the outbox entry. The links of the batch come first all the same, as far as half of the time
//! allows: one may make the user active again.
//!
//! The entry is written under the condition that the user is as they were read, and with a mark in a note that whoever
//! reactivates the user compares. So of an entry and a reactivation at the same moment one always notices the other.
//! The mark itself has no condition, so consumers with tasks of the same user make each other start again only if their
//! transactions overlap.

use super::in_time;
use super::received::EntityBatch;
use crate::clock;
use crate::retry::Retries;
use crate::store::{GenerationPointer, Generations, Store, StoreError, TableReader, TransactError, Usage};
use futures::stream::{self, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::{Instant, timeout_at};
use torale_domain::deactivation::causes::{self, CauseRecords, EffectiveCause};
use torale_domain::deactivation::commands::Cause;
use torale_domain::deactivation::outbox::{OutboxAction, OutboxEntry, Stoppable};
use torale_domain::entities::readings::{ApiKey, Schedule, Task};
use torale_domain::events::EventType;
use torale_domain::events::types::TaskState;
use torale_domain::projections::entity::{self, Entity};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::storage::read::{ReadPlan, Reader};
use torale_domain::storage::write::{Action, Write};
use torale_domain::values::ids::{EntityKey, UserId};
use torale_domain::values::time::Timestamp;
use torale_domain::values::trace::TraceParent;

/// The most transactions that are written at once.
const PARALLEL: usize = 16;
/// The most outbox entries that one transaction writes.
const TOGETHER: usize = 50;

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

/// What came of the late rule.
#[derive(Debug, Default)]
pub(super) struct LateReport {
    /// Outbox entries that were written.
    pub(super) entries: u64,
    /// The positions of the messages that must come again.
    pub(super) failed: BTreeSet<usize>,
}

impl LateReport {
    fn fail(&mut self, candidate: &ActivationCandidate, error: &StoreError) {
        tracing::error!(%error, "the late rule could not be applied");
        self.failed.extend(&candidate.messages);
    }

    fn fail_all(&mut self, candidates: &[&ActivationCandidate], error: &StoreError) {
        candidates.iter().for_each(|candidate| self.fail(candidate, error));
    }
}

/// The late rule in the live generation.
#[derive(Debug, Clone, Copy)]
pub(super) struct LateRule<'a> {
    pub(super) store: &'a Store,
    /// The generations that the events were folded into.
    pub(super) pointer: &'a GenerationPointer,
    pub(super) now: Timestamp,
    pub(super) deadline: Instant,
    pub(super) usage: &'a Usage,
}

/// A resource that is active.
struct ActiveResource<'c> {
    user: UserId,
    resource: Stoppable,
    /// The time of the event that made it active, of a task or schedule.
    since: Timestamp,
    candidate: &'c ActivationCandidate,
}

/// Users of active resources, and what decides whether a cause of commands is in effect for them.
#[derive(Default)]
struct ResourceOwners {
    /// Those of whom everything can be read.
    users: BTreeMap<UserId, Entity>,
    records: CauseRecords,
}

/// Some outbox entries for resources of one user: those of one transaction.
struct StopRequest<'o, 'c> {
    user: UserId,
    owners: &'o ResourceOwners,
    /// The check that the user is as they were read.
    unchanged: Write,
    /// The other user whose reactivation takes the cause back, and the event of the cause.
    origin: Option<(UserId, String)>,
    entries: Vec<Write>,
    candidates: Vec<&'c ActivationCandidate>,
}

impl LateRule<'_> {
    fn reader(&self) -> TableReader<'_> {
        TableReader::of(self.store, &self.pointer.live, self.usage)
    }

    /// Writes an outbox entry for every resource of a deactivated user. What can't be read or written fails the
    /// messages of the resources that it is about, and no others. What other writers or the store keep from being
    /// written is tried again until the deadline.
    pub(super) async fn stop(
        &self,
        generations: &Generations,
        candidates: &[ActivationCandidate],
    ) -> LateReport {
        let mut report = LateReport::default();
        let mut waiting: Vec<&ActivationCandidate> = candidates.iter().collect();
        let mut retries = Retries::until(self.deadline);
        while !waiting.is_empty() {
            match self.attempt(generations, &waiting, &mut report).await {
                Ok(left) => waiting = left,
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "the late rule could not be applied yet");
                }
                Err(error) => {
                    report.fail_all(&waiting, &error);
                    return report;
                }
            }
            if !waiting.is_empty() && !retries.pause().await {
                report.fail_all(&waiting, &StoreError::no_time_left());
                return report;
            }
        }
        report
    }

    /// Applies the rule to some resources. Returns those that must be looked at again: something has changed while they
    /// were, such as that their user was reactivated, or the store was unavailable.
    async fn attempt<'c>(
        &self,
        generations: &Generations,
        candidates: &[&'c ActivationCandidate],
        report: &mut LateReport,
    ) -> Result<Vec<&'c ActivationCandidate>, StoreError> {
        if in_time(self.deadline, generations.pointer(self.store, self.usage)).await? != *self.pointer {
            // Another generation may contain deactivations that these don't.
            let error = StoreError::Unavailable("other generations are written by now".to_owned());
            report.fail_all(candidates, &error);
            return Ok(Vec::new());
        }
        let active = in_time(self.deadline, self.active_resources(candidates, report)).await?;
        let users = active.iter().map(|resource| resource.user);
        let owners = in_time(self.deadline, self.owners(users)).await?;
        let requests = self.requests(&owners, active, report);
        Ok(self.put_all(requests, report).await)
    }

    /// Those of some resources that are active by now, one for each of their users.
    async fn active_resources<'c>(
        &self,
        candidates: &[&'c ActivationCandidate],
        report: &mut LateReport,
    ) -> Result<Vec<ActiveResource<'c>>, StoreError> {
        let keys: BTreeMap<Key, &ActivationCandidate> =
            candidates.iter().map(|candidate| (keys::entity(&candidate.entity), *candidate)).collect();
        let found = self.reader().read(ReadPlan::gets(keys.keys().cloned()).consistent()).await?.items;
        let mut active = Vec::new();
        for (key, candidate) in keys {
            match Entity::load(found.get(&key)) {
                Ok(entity) => active.extend(active_resource(candidate, &entity)),
                Err(corrupt) => report.fail(candidate, &corrupt.into()),
            }
        }
        Ok(active)
    }

    /// Some users. Those of whom something can't be read are left out.
    async fn owners(&self, users: impl Iterator<Item = UserId>) -> Result<ResourceOwners, StoreError> {
        let keys: BTreeMap<Key, UserId> = users.map(|user| (keys::user(user), user)).collect();
        let found = self.reader().read(ReadPlan::gets(keys.keys().cloned()).consistent()).await?.items;
        let loaded = keys.into_iter().filter_map(|(key, user)| {
            let entity = Entity::load(found.get(&key));
            Some((user, entity.inspect_err(|error| tracing::warn!(%error, "a user can't be read")).ok()?))
        });
        let (users, records) = self.with_records(loaded.collect()).await?;
        Ok(ResourceOwners { users, records })
    }

    /// Those of some users of whom it can be read what decides about their causes, with it.
    async fn with_records(
        &self,
        mut users: BTreeMap<UserId, Entity>,
    ) -> Result<(BTreeMap<UserId, Entity>, CauseRecords), StoreError> {
        let (store, live) = (self.store, &self.pointer.live);
        match store.cause_records(live, users.iter().map(|(id, user)| (*id, user)), self.usage).await {
            // Something of one of them can't be read. Whose it is shows when each of them is read alone.
            Err(StoreError::Corrupt(_)) => {}
            all => return Ok((users, all?)),
        }
        let (mut all, mut unreadable) = (CauseRecords::default(), Vec::new());
        for (id, user) in &users {
            match store.cause_records(live, [(*id, user)], self.usage).await {
                Ok(CauseRecords { deactivations, origins }) => {
                    all.deactivations.extend(deactivations);
                    all.origins.extend(origins);
                }
                Err(StoreError::Corrupt(error)) => {
                    tracing::warn!(%error, "a user's deactivation can't be read");
                    unreadable.push(*id);
                }
                Err(error) => return Err(error),
            }
        }
        users.retain(|id, _| !unreadable.contains(id));
        Ok((users, all))
    }

    /// The requests for resources whose users are deactivated by a cause of commands.
    fn requests<'o, 'c>(
        &self,
        owners: &'o ResourceOwners,
        active: Vec<ActiveResource<'c>>,
        report: &mut LateReport,
    ) -> Vec<StopRequest<'o, 'c>> {
        let mut requests = BTreeMap::<UserId, Vec<StopRequest<'o, 'c>>>::new();
        for resource in active {
            let (user, candidate) = (resource.user, resource.candidate);
            match self.request(owners, resource) {
                Ok(None) => {}
                Ok(Some(request)) => {
                    let of_user = requests.entry(user).or_default();
                    match of_user.last_mut().filter(|last| last.entries.len() < TOGETHER) {
                        Some(last) => {
                            last.entries.extend(request.entries);
                            last.candidates.extend(request.candidates);
                        }
                        None => of_user.push(request),
                    }
                }
                Err(error) => report.fail(candidate, &error),
            }
        }
        requests.into_values().flatten().collect()
    }

    /// The request for one resource, if its user is deactivated by a cause of commands.
    fn request<'o, 'c>(
        &self,
        owners: &'o ResourceOwners,
        ActiveResource { user: id, resource, since, candidate }: ActiveResource<'c>,
    ) -> Result<Option<StopRequest<'o, 'c>>, StoreError> {
        let user = owners.users.get(&id);
        let user =
            user.ok_or_else(|| StoreError::Refused("the user of a resource can't be read".to_owned()))?;
        let Some(EffectiveCause { cause, origin }) = causes::effective_cause(id, user, &owners.records)
        else {
            return Ok(None);
        };
        let origin = origin.map(|origin| (origin, causes::event_of(&cause).to_owned()));
        let action = OutboxAction::StopResumed { command: resource.command(id), since };
        let (cause, generation) =
            (Cause { trace: candidate.trace.clone(), ..cause }, self.pointer.live.name.clone());
        let entry = OutboxEntry { cause, at: self.now, generation, action, request: String::new() };
        let Item { key, attributes } =
            entry.item().map_err(|error| StoreError::Refused(error.to_string()))?;
        let unchanged = entity::untouched(&EntityKey::User(id), user);
        Ok(Some(StopRequest {
            user: id,
            owners,
            unchanged: unchanged.map_err(|error| StoreError::Refused(error.to_string()))?,
            origin,
            // One that waits there is begun again, and its commands have the same ids.
            entries: vec![Write { key, action: Action::Put(attributes), conditions: Vec::new() }],
            candidates: vec![candidate],
        }))
    }

    /// Puts entries into the outbox. Returns the resources that must be looked at again.
    async fn put_all<'c>(
        &self,
        requests: Vec<StopRequest<'_, 'c>>,
        report: &mut LateReport,
    ) -> Vec<&'c ActivationCandidate> {
        // Those of one origin write the same note, so they would be in each other's way.
        let mut in_turn = BTreeMap::<UserId, Vec<StopRequest<'_, 'c>>>::new();
        for request in requests {
            let of = request.origin.as_ref().map_or(request.user, |(origin, _)| *origin);
            in_turn.entry(of).or_default().push(request);
        }
        let each = in_turn.into_values().map(|requests| async move {
            let mut results = Vec::new();
            for request in requests {
                let result = timeout_at(self.deadline, self.put(&request)).await;
                let no_time_left = |_elapsed| Err(TransactError::Failed(StoreError::no_time_left()));
                results.push((request, result.unwrap_or_else(no_time_left)));
            }
            results
        });
        let each: Vec<_> = each.collect();
        let results = stream::iter(each).buffer_unordered(PARALLEL).collect::<Vec<_>>().await;
        let mut waiting = Vec::new();
        for (request, result) in results.into_iter().flatten() {
            match result {
                Ok(()) => report.entries += u64::try_from(request.entries.len()).unwrap_or(u64::MAX),
                Err(TransactError::Race) => waiting.extend(request.candidates),
                Err(TransactError::Failed(error)) if error.is_transient() => {
                    tracing::warn!(%error, "late commands are not requested yet");
                    waiting.extend(request.candidates);
                }
                Err(TransactError::Failed(error)) => report.fail_all(&request.candidates, &error),
            }
        }
        waiting
    }

    /// Puts the entries of a request into the outbox, unless the user has changed or what they are for is taken back.
    async fn put(&self, request: &StopRequest<'_, '_>) -> Result<(), TransactError> {
        let StopRequest { user, owners, unchanged, origin, entries, .. } = request;
        let mut control = vec![self.pointer.unchanged(), causes::more_requested(*user, clock::unique())];
        let mut checks = vec![unchanged.clone()];
        if let Some((origin, event)) = origin {
            let of_origin = owners.records.origin_writes(*origin, event, clock::unique());
            let of_origin =
                of_origin.map_err(|error| TransactError::Failed(StoreError::Refused(error.to_string())))?;
            control.push(of_origin.note);
            checks.push(of_origin.check);
        }
        let control = control.into_iter().chain(entries.iter().cloned());
        let control = control.map(|write| (CONTROL_TABLE.to_owned(), write));
        let checks = checks.into_iter().map(|check| (self.pointer.live.table(), check));
        self.store.transact_across(control.chain(checks).collect(), self.usage).await
    }
}

/// A resource if it is active, one for each of its users.
fn active_resource<'c>(
    candidate: &'c ActivationCandidate,
    Entity { state, .. }: &Entity,
) -> Vec<ActiveResource<'c>> {
    let (users, resource, since) = match Some(&candidate.entity) {
        Some(EntityKey::Task(id)) => {
            let task = Task::of(state);
            let is_active = !task.deleted && task.state == TaskState::Active;
            let user = task.user_id.filter(|_| is_active);
            (BTreeSet::from_iter(user), Stoppable::Task(*id), task.state_at)
        }
        Some(EntityKey::Schedule(id)) => {
            let schedule = Schedule::of(state);
            let is_active = !schedule.deleted && !schedule.paused;
            let Some((created, _)) = schedule.created.filter(|_| is_active) else { return Vec::new() };
            let resource = Stoppable::Schedule(id.clone(), created.task_id);
            (BTreeSet::from([created.user_id]), resource, schedule.state_at)
        }
        Some(EntityKey::ApiKey(id)) => {
            let key = ApiKey::of(state);
            let users = if key.revoked { BTreeSet::new() } else { key.claims.users.clone() };
            (users, Stoppable::Key(id.clone()), None)
        }
        _other_entities => return Vec::new(),
    };
    let since = since.unwrap_or(Timestamp::EARLIEST);
    users
        .into_iter()
        .map(|user| ActiveResource { user, resource: resource.clone(), since, candidate })
        .collect()
}
