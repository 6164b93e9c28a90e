//! Deactivates and reactivates users.

use super::context::UserStatusWriter;
use super::error::{StatusChangeError, internal};
use super::event::OutgoingEvent;
use super::snapshot::UserSnapshot;
use super::transaction::{self, Transaction};
use crate::error::{AdminError, Conflict};
use crate::retry::Retries;
use crate::store::{Generation, StoreError, TableReader};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::audit::AuditedRequest;
use torale_domain::deactivation::causes::{
    self, CauseRecords, CommandRequestNote, PendingCause, RequestedDeactivation, RequestedDeactivations,
};
use torale_domain::deactivation::commands::Cause;
use torale_domain::deactivation::outbox::{OutboxAction, OutboxEntry, StoredOutboxEntry};
use torale_domain::entities::linkage;
use torale_domain::entities::readings::User;
use torale_domain::events::EventType;
use torale_domain::projections::entity::Entity;
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::storage::read::{Range, ReadPlan, Reader};
use torale_domain::values::ids::{ClerkUserId, UserId};

/// How long attempts that lose races are repeated.
const RETRY_TIME: Duration = Duration::from_secs(10);

/// The result of deactivating a user. `tasks` is the number of the user's active tasks at the deactivation.
#[derive(Debug)]
pub(crate) enum DeactivationResult {
    /// The user was deactivated, and this entry is in the outbox.
    Deactivated { tasks: i128, entry: Box<StoredOutboxEntry> },
    /// An earlier deactivation still holds. If `is_own`, it is this one: an attempt that took effect although the store
    /// said that it was in conflict.
    AlreadyDeactivated { tasks: i128, is_own: bool },
}

impl UserStatusWriter<'_> {
    /// Deactivates a user, unless an earlier deactivation by an administrator still holds. `entry` creates the audit
    /// entry.
    ///
    /// # Errors
    /// If there is no such user, the user is the caller, the store fails, or the caller is no active administrator any
    /// more; but if an attempt had taken effect by then, that is what is returned.
    pub(crate) async fn deactivate(
        &self,
        target: UserId,
        entry: impl Fn() -> AuditedRequest + Sync,
    ) -> Result<DeactivationResult, AdminError> {
        if target == self.caller {
            return Err(AdminError::Conflict(Conflict::OwnId));
        }
        let mut retries = Retries::until(Instant::now() + RETRY_TIME);
        let mut attempted = Vec::new();
        loop {
            match self.try_to_deactivate(target, &mut attempted, &entry).await {
                Ok(result) => return Ok(result),
                Err(StatusChangeError::Final(refused @ AdminError::Refused(_))) => {
                    return self.own_deactivation(target, &attempted).await?.ok_or(refused);
                }
                Err(StatusChangeError::Final(error)) => return Err(error),
                Err(StatusChangeError::Race) => pause_after_race(&mut retries).await?,
            }
        }
    }

    /// The deactivation of a user, if it is one of these, of which the store said that they were in conflict.
    async fn own_deactivation(
        &self,
        target: UserId,
        attempted: &[String],
    ) -> Result<Option<DeactivationResult>, StoreError> {
        if attempted.is_empty() {
            return Ok(None);
        }
        let item = self.store.control(&keys::deactivation(target), self.usage).await?;
        let last = item.as_ref().map(RequestedDeactivation::load).transpose()?;
        let own = last.filter(|last| attempted.contains(&last.event));
        Ok(own.map(|own| DeactivationResult::AlreadyDeactivated { tasks: own.tasks, is_own: true }))
    }

    async fn try_to_deactivate(
        &self,
        target: UserId,
        attempted: &mut Vec<String>,
        entry: &(impl Fn() -> AuditedRequest + Sync),
    ) -> Result<DeactivationResult, StatusChangeError> {
        let snapshot = UserSnapshot::read(self, target).await?;
        let entity = snapshot.entity(target);
        let user = User::of(&entity.state, &entity.linkage.linked);
        let clerk_user_id = user.clerk_user_id.ok_or(AdminError::UserNotFound)?;
        if let Some(current) = snapshot.current_deactivation(&user)? {
            let is_own = attempted.contains(&current.event);
            return Ok(DeactivationResult::AlreadyDeactivated { tasks: current.tasks, is_own });
        }
        if snapshot.is_own_id(self).await? {
            return Err(AdminError::Conflict(Conflict::OwnId).into());
        }
        let outgoing = self.event(EventType::UserDeactivated, target, &user)?;
        let tasks = snapshot.active_tasks();
        let (event, at) = (outgoing.event.id.clone(), outgoing.event.time);
        let deactivation = RequestedDeactivation { event, at, tasks, requested_by: self.caller };
        let logins = snapshot.logins(clerk_user_id)?;
        let (item, outbox) = self.outbox_entry(&snapshot, clerk_user_id, &deactivation)?;
        let mut writes = transaction::deactivation_writes(&snapshot, &item, &deactivation);
        let requested = CommandRequestNote::new(target, &outbox.entry.cause, logins.as_ref()).put();
        writes.push((CONTROL_TABLE.to_owned(), requested));
        attempted.push(deactivation.event);
        Transaction { snapshot, outgoing, writes }.commit(self, entry()).await?;
        Ok(DeactivationResult::Deactivated { tasks, entry: Box::new(outbox) })
    }

    /// Reactivates a user. Returns whether the user was deactivated. `entry` creates the audit entry.
    pub(crate) async fn reactivate(
        &self,
        target: UserId,
        entry: impl Fn() -> AuditedRequest + Sync,
    ) -> Result<bool, AdminError> {
        let mut retries = Retries::until(Instant::now() + RETRY_TIME);
        loop {
            match self.try_to_reactivate(target, &entry).await {
                Ok(was_deactivated) => return Ok(was_deactivated),
                Err(StatusChangeError::Final(error)) => return Err(error),
                Err(StatusChangeError::Race) => pause_after_race(&mut retries).await?,
            }
        }
    }

    async fn try_to_reactivate(
        &self,
        target: UserId,
        entry: &(impl Fn() -> AuditedRequest + Sync),
    ) -> Result<bool, StatusChangeError> {
        let snapshot = UserSnapshot::read(self, target).await?;
        let entity = snapshot.entity(target);
        let user = User::of(&entity.state, &entity.linkage.linked);
        if !user.exists() {
            return Err(AdminError::UserNotFound.into());
        }
        if user.active {
            return Ok(false);
        }
        // Whatever is requested after this look would be sent for active users.
        let mut unchanged = vec![causes::nothing_more_requested(target, snapshot.requested.as_ref())];
        let mut for_others = None;
        if linkage::may_be_derived(target) {
            for_others = self.store.control(&keys::requested_for_others(target), self.usage).await?;
            unchanged.push(causes::nothing_more_requested_for_others(target, for_others.as_ref()));
        }
        let for_others = causes::last_requested_for_others(for_others.as_ref());
        self.check_carried_out(&snapshot, &entity, for_others).await?;
        let outgoing = self.event(EventType::UserReactivated, target, &user)?;
        let writes = unchanged.into_iter().map(|write| (CONTROL_TABLE.to_owned(), write)).collect();
        Transaction { snapshot, outgoing, writes }.commit(self, entry()).await?;
        Ok(true)
    }

    /// What has deactivated a user must be carried out before the user can be reactivated: its commands are on the
    /// queue and the user's API keys are revoked, so that neither affects what the user creates afterwards.
    async fn check_carried_out(
        &self,
        snapshot: &UserSnapshot,
        entity: &Entity,
        for_others: Option<&str>,
    ) -> Result<(), AdminError> {
        let target = snapshot.target;
        let (live, patch) = (&snapshot.pointer.live, snapshot.last_deactivation()?);
        let records = self.cause_records(live, target, entity, patch.as_ref());
        let pending = causes::pending_causes(target, entity, patch.as_ref());
        let entries = self.outbox_waits(&pending, for_others);
        let live_keys = Range {
            pk: keys::stoppable_of(target),
            from: Some(keys::LIVE_KEYS.to_owned()),
            to: Some(keys::after_live_keys()),
            limit: Some(1),
            ..Range::default()
        };
        let reader = TableReader::of(self.store, live, self.usage);
        let keys = reader.read(ReadPlan::ranges(vec![live_keys]).consistent());
        let (records, waits, keys) = futures::try_join!(records, entries, keys)?;
        // A deactivation that sends no commands revokes no keys either.
        let revokes_keys = causes::effective_cause(target, entity, &records).is_some();
        if waits || (revokes_keys && keys.ranges.iter().any(|rows| !rows.is_empty())) {
            return Err(AdminError::Conflict(Conflict::StillCarriedOut));
        }
        Ok(())
    }

    /// What decides which cause is in effect for a user whose last deactivation this is.
    async fn cause_records(
        &self,
        live: &Generation,
        target: UserId,
        entity: &Entity,
        patch: Option<&RequestedDeactivation>,
    ) -> Result<CauseRecords, StoreError> {
        let origins = self.store.origins(live, causes::origins_of(target, entity), self.usage).await?;
        let mut deactivations: RequestedDeactivations =
            patch.map(|patch| (target, patch.clone())).into_iter().collect();
        for other in causes::deactivations_of(target, entity).into_iter().filter(|id| *id != target) {
            let deactivation = self.store.control(&keys::deactivation(other), self.usage).await?;
            let deactivation = deactivation.as_ref().map(RequestedDeactivation::load).transpose()?;
            deactivations.extend(deactivation.map(|found| (other, found)));
        }
        Ok(CauseRecords { deactivations, origins })
    }

    /// Whether something still waits in the outbox for one of these causes: its commands, those for tasks and schedules
    /// that came later or, if the user's id may be derived from an identity, the event for the consumer, and the
    /// commands for whom else it has deactivated.
    async fn outbox_waits(
        &self,
        causes: &BTreeSet<PendingCause>,
        for_others: Option<&str>,
    ) -> Result<bool, StoreError> {
        let own = causes.iter().map(|cause| keys::outbox_of(&cause.id));
        let others: BTreeSet<&str> =
            causes.iter().filter_map(|cause| cause.of_others.as_deref()).chain(for_others).collect();
        let others = others.into_iter().map(keys::outbox_of_others);
        let any = |range: keys::KeyRange| Range { limit: Some(1), ..range.into() };
        let ranges = own.chain(others).map(any).collect();
        let reader = TableReader::new(self.store, CONTROL_TABLE, self.usage);
        let found = reader.read(ReadPlan::ranges(ranges).consistent()).await?;
        Ok(found.ranges.iter().any(|rows| !rows.is_empty()))
    }

    fn event(&self, kind: EventType, target: UserId, user: &User<'_>) -> Result<OutgoingEvent, AdminError> {
        OutgoingEvent::new(kind, (target, user), self.caller, self.now, self.trace.as_ref())
    }

    /// The outbox entry of a deactivation: the item to write, and the entry as it is read from that item.
    fn outbox_entry(
        &self,
        snapshot: &UserSnapshot,
        clerk_user_id: &ClerkUserId,
        deactivation: &RequestedDeactivation,
    ) -> Result<(Item, StoredOutboxEntry), AdminError> {
        let (user_id, clerk_user_id) = (snapshot.target, clerk_user_id.clone());
        let entry = OutboxEntry {
            cause: Cause { trace: self.trace.clone(), ..deactivation.cause() },
            at: self.now,
            generation: snapshot.pointer.live.name.clone(),
            action: OutboxAction::StopUser { user_id, clerk_user_id },
            request: String::new(),
        };
        let item = entry.item().map_err(|e| internal(&e))?;
        let stored = StoredOutboxEntry::load(&item).map_err(|e| internal(&e))?;
        Ok((item, stored))
    }
}

/// Pauses before another attempt; an error if the time for attempts is over.
async fn pause_after_race(retries: &mut Retries) -> Result<(), AdminError> {
    if retries.pause().await {
        return Ok(());
    }
    Err(StoreError::Unavailable("the user is being changed all the time".to_owned()).into())
}
