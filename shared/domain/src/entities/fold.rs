//! Fold: an entity's state is the set of its events that still matter.
//!
//! Every event writes some of its entity's registers, and a register holds the greatest event that wrote it
//! (the order is [`Event`]'s). So the state *is* the set of winning events: folding is the union of two sets
//! without the events that win nothing, which makes it commutative, associative and idempotent by construction.
//! API keys have claims as well ([`ApiKeyClaims`]), which are sets, so that their fold is a union too.

mod claims;

use crate::events::{Body, Event, SOURCE, StoredEvent, UnreadableEvent};
use crate::values::ids::{EntityKey, TaskId, UserId};
pub use claims::{ApiKeyClaims, MAX_KEY_CLAIMS};
use serde_json::value::RawValue;

/// One fact of an entity that merges by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Register {
    /// The facts of the `created` event: the entity exists.
    Created,
    /// It is gone, for ever.
    Deleted,
    /// Active, paused, deactivated, running, failed ...
    State,
    /// The email of a user or of an identity.
    Email,
    /// The role of a user or of an identity.
    Role,
    /// A user's email as `user.updated` says: kept apart from [`Register::Email`], because such an event may be one of
    /// an identity (docs/contract/events.md, "Which users an identity belongs to").
    UpdatedEmail,
    /// A user's role as `user.updated` says.
    UpdatedRole,
    /// What an identity says of whose it is.
    ExternalId,
    /// A user's last reactivation, whatever became of its state since.
    Reactivated,
    /// A user's last deactivation by an administrator of this system, whatever became of its state since.
    AdminDeactivated,
    /// A user's last login.
    LastLogin,
    /// A task's search query.
    Query,
    /// A task's name.
    Name,
    /// A task's own schedule, a text that nobody reads.
    Schedule,
    /// A schedule's cron expression.
    Cron,
    /// A schedule's time zone.
    Timezone,
}

/// A set of registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Registers(u16);

impl Registers {
    const fn with(self, register: Register) -> Self {
        Self(self.0 | Self::bit(register))
    }

    const fn and_if(self, present: bool, register: Register) -> Self {
        if present { self.with(register) } else { self }
    }

    const fn holds(self, register: Register) -> bool {
        self.0 & Self::bit(register) != 0
    }

    #[allow(clippy::as_conversions, reason = "a discriminant of a fieldless enum; `From` is not const")]
    const fn bit(register: Register) -> u16 {
        1 << register as u16
    }
}

impl Event {
    /// The entity this event is about.
    pub fn entity(&self) -> EntityKey {
        match &self.body {
            Body::UserCreated(data) => EntityKey::User(data.user_id),
            Body::UserUpdated(data) => EntityKey::User(data.user_id),
            Body::UserLoggedIn(data) => EntityKey::User(data.user_id),
            Body::UserDeactivated(data) => EntityKey::User(data.user_id),
            Body::UserReactivated(data) => EntityKey::User(data.user_id),
            Body::IdentityCreated(data) => EntityKey::Identity(data.clerk_user_id.clone()),
            Body::IdentityUpdated(data) => EntityKey::Identity(data.clerk_user_id.clone()),
            Body::IdentityDeleted(data) => EntityKey::Identity(data.clerk_user_id.clone()),
            Body::IdentityLoggedIn(data) => EntityKey::Identity(data.clerk_user_id.clone()),
            Body::ApiKeyCreated(data) => EntityKey::ApiKey(data.key_id.clone()),
            Body::ApiKeyRevoked(data) => EntityKey::ApiKey(data.key_id.clone()),
            Body::TaskCreated(data) => EntityKey::Task(data.task_id),
            Body::TaskUpdated(data) => EntityKey::Task(data.task_id),
            Body::TaskPaused(data) => EntityKey::Task(data.task_id),
            Body::TaskResumed(data) => EntityKey::Task(data.task_id),
            Body::TaskCompleted(data) => EntityKey::Task(data.task_id),
            Body::TaskDeleted(data) => EntityKey::Task(data.task_id),
            Body::ExecutionStarted(data) => EntityKey::Execution(data.execution_id),
            Body::ExecutionFailed(data) => EntityKey::Execution(data.execution_id),
            Body::ExecutionSucceeded(data) => EntityKey::Execution(data.execution_id),
            Body::NotificationSent(data) => EntityKey::Notification(data.notification_id.clone()),
            Body::WorkflowStarted(data) => EntityKey::Run(data.workflow_id.clone(), data.run_id.clone()),
            Body::WorkflowClosed(data) => EntityKey::Run(data.workflow_id.clone(), data.run_id.clone()),
            Body::ScheduleCreated(data) => EntityKey::Schedule(data.schedule_id.clone()),
            Body::ScheduleUpdated(data) => EntityKey::Schedule(data.schedule_id.clone()),
            Body::SchedulePaused(data) => EntityKey::Schedule(data.schedule_id.clone()),
            Body::ScheduleUnpaused(data) => EntityKey::Schedule(data.schedule_id.clone()),
            Body::ScheduleDeleted(data) => EntityKey::Schedule(data.schedule_id.clone()),
        }
    }

    /// The task that an execution's event names: its totals may change with it.
    pub fn task(&self) -> Option<TaskId> {
        match Some(&self.body) {
            Some(Body::ExecutionStarted(data)) => Some(data.task_id),
            Some(Body::ExecutionFailed(data)) => Some(data.task_id),
            Some(Body::ExecutionSucceeded(data)) => Some(data.task_id),
            _other_entities => None,
        }
    }

    /// The user that a notification's event names.
    pub fn user(&self) -> Option<UserId> {
        match Some(&self.body) {
            Some(Body::NotificationSent(data)) => Some(data.user_id),
            _other_entities => None,
        }
    }

    /// The registers this event writes.
    fn writes(&self) -> Registers {
        use Register::{
            AdminDeactivated, Created, Cron, Deleted, Email, ExternalId, LastLogin, Name, Query, Reactivated,
            Role, Schedule, State, Timezone, UpdatedEmail, UpdatedRole,
        };
        let none = Registers::default();
        match &self.body {
            Body::UserCreated(data) => none.with(Created).with(Email).and_if(data.role.is_some(), Role),
            Body::UserUpdated(data) => {
                let none = none.and_if(data.email.is_some(), Email).and_if(data.role.is_some(), Role);
                none.and_if(data.email.is_some(), UpdatedEmail).and_if(data.role.is_some(), UpdatedRole)
            }
            Body::IdentityCreated(data) => none
                .with(Created)
                .and_if(data.email.is_some(), Email)
                .and_if(data.role.is_some(), Role)
                .and_if(data.external_id.is_some(), ExternalId),
            Body::IdentityUpdated(data) => none
                .and_if(data.email.is_some(), Email)
                .and_if(data.role.is_some(), Role)
                .and_if(data.external_id.is_some(), ExternalId),
            Body::IdentityDeleted(_) => none.with(State).with(Deleted),
            Body::UserLoggedIn(_) | Body::IdentityLoggedIn(_) => none.with(LastLogin),
            Body::UserDeactivated(_) => none.with(State).and_if(self.source == SOURCE, AdminDeactivated),
            Body::UserReactivated(_) => none.with(State).with(Reactivated),
            Body::ApiKeyCreated(_) => none.with(Created),
            Body::ApiKeyRevoked(_) => none.with(Deleted),
            Body::TaskCreated(data) => {
                let always = none.with(Created).with(Query).with(State);
                always.and_if(data.name.is_some(), Name).and_if(data.schedule.is_some(), Schedule)
            }
            Body::TaskUpdated(data) => none
                .and_if(data.search_query.is_some(), Query)
                .and_if(data.name.is_some(), Name)
                .and_if(data.schedule.is_some(), Schedule),
            Body::TaskPaused(_) | Body::TaskResumed(_) | Body::TaskCompleted(_) => none.with(State),
            Body::TaskDeleted(_) => none.with(Deleted),
            Body::ExecutionStarted(_) | Body::ExecutionFailed(_) | Body::ExecutionSucceeded(_) => {
                none.with(State)
            }
            Body::NotificationSent(_) => none.with(Created),
            Body::WorkflowStarted(_) | Body::WorkflowClosed(_) => none.with(State),
            Body::ScheduleCreated(_) => none.with(Created).with(Cron).with(Timezone).with(State),
            Body::ScheduleUpdated(data) => {
                none.and_if(data.cron.is_some(), Cron).and_if(data.timezone.is_some(), Timezone)
            }
            Body::SchedulePaused(_) | Body::ScheduleUnpaused(_) => none.with(State),
            Body::ScheduleDeleted(_) => none.with(Deleted),
        }
    }
}

/// What is known of one entity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The events that hold its registers, in ascending order.
    events: Vec<Event>,
    /// The claims of an API key.
    claims: ApiKeyClaims,
}

impl State {
    /// Adds an event; false if it changed nothing.
    pub fn fold(&mut self, event: Event) -> bool {
        let claimed = self.claims.add(&event);
        self.fold_registers(event) || claimed
    }

    fn fold_registers(&mut self, event: Event) -> bool {
        let Err(place) = self.events.binary_search(&event) else { return false };
        let later = self.events.iter().skip(place);
        let mut taken = Registers(later.fold(0, |taken, later| taken | later.writes().0));
        if event.writes().0 & !taken.0 == 0 {
            return false;
        }
        self.events.insert(place, event);
        // From the greatest down, an event stays if it holds a register that none above it has written.
        taken = Registers::default();
        let mut kept: Vec<Event> = Vec::with_capacity(self.events.len());
        while let Some(event) = self.events.pop() {
            let writes = event.writes();
            if writes.0 & !taken.0 != 0 {
                taken.0 |= writes.0;
                kept.push(event);
            }
        }
        kept.reverse();
        self.events = kept;
        true
    }

    /// The event that holds a register.
    pub fn winner(&self, register: Register) -> Option<&Event> {
        self.events.iter().rev().find(|event| event.writes().holds(register))
    }

    /// The events that hold some of its registers.
    pub fn only(&self, registers: &[Register]) -> Self {
        let mut only = Self::default();
        for event in registers.iter().filter_map(|register| self.winner(*register)) {
            only.fold(event.clone());
        }
        only
    }

    /// The claims of an API key; none of any other entity.
    pub const fn claims(&self) -> &ApiKeyClaims {
        &self.claims
    }

    /// Adds all that another state knows.
    pub fn merge(&mut self, other: Self) {
        for event in other.events {
            self.fold(event);
        }
        self.claims.merge(other.claims);
    }

    /// Whether it knows all that another state knows: merging that would change nothing.
    pub fn covers(&self, other: &Self) -> bool {
        let mut merged = self.clone();
        merged.merge(other.clone());
        // Hashes beyond the most that are kept are dropped again.
        merged.claims.dropped_hashes.clone_from(&self.claims.dropped_hashes);
        merged == *self
    }

    /// The events that hold its registers.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// About how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        self.events.iter().map(Event::weight).sum::<usize>() + self.claims.weight()
    }

    /// True while no event of the entity has arrived.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The claims that the kept events make.
    fn claims_of_events(&self) -> ApiKeyClaims {
        let mut claims = ApiKeyClaims::default();
        for event in &self.events {
            claims.add(event);
        }
        claims
    }

    /// The state as text for the store: a JSON array of its events, and of its claims where these events don't make all
    /// of them. The same set of events gives the same text.
    pub fn store(&self) -> Result<String, UnreadableEvent> {
        let events: Result<Vec<_>, _> = self.events.iter().map(Event::store).collect();
        let mut parts = events?;
        if self.claims != self.claims_of_events() {
            parts.push(self.claims.store()?);
        }
        Ok(format!("[{}]", parts.join(",")))
    }

    /// Reads what [`State::store`] wrote, in this release or in one without claims.
    pub fn load(text: &str) -> Result<Self, UnreadableEvent> {
        let unreadable = |e: serde_json::Error| UnreadableEvent::new(&e);
        let parts: Vec<&RawValue> = serde_json::from_str(text).map_err(unreadable)?;
        let mut state = Self::default();
        for part in parts {
            if let Some(claims) = ApiKeyClaims::load(part.get())? {
                state.claims = claims;
                continue;
            }
            let stored: StoredEvent<'_> = serde_json::from_str(part.get()).map_err(unreadable)?;
            state.events.push(Event::load(&stored)?);
        }
        let of_events = state.claims_of_events();
        state.claims.merge(of_events);
        // The hash of a stored event may have no row, if an earlier release has stored it: it is named when the event
        // comes again.
        state.claims.dropped_hashes.clear();
        Ok(state)
    }
}

#[cfg(test)]
mod tests;
