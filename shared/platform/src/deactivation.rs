//! Deactivates and reactivates users. One transaction holds the event in the log, the user's new state with its diff of
//! the projections, the entry of the outbox and the audit record
//! (`docs/adr/0010-a-deactivation-is-one-transaction.md`).
//!
//! | module | what it does |
//! |---|---|
//! | `context` | who makes the change, and where it is written |
//! | `writer` | deactivates and reactivates: reads, decides, writes, and again after a lost race |
//! | `snapshot` | what a decision is based on |
//! | `event` | the event that is written |
//! | `transaction` | the transaction, which also checks that the snapshot still holds |
//! | `error` | why an attempt failed |

mod context;
mod error;
mod event;
mod snapshot;
mod transaction;
mod writer;

<<<<<<< HEAD
pub(crate) use context::UserStatusWriter;
pub(crate) use writer::DeactivationResult;
=======
/// How long lost races are tried again.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is needed to change users.
pub(crate) struct UserStatusWriter<'a> {
    pub(crate) store: &'a Store,
    pub(crate) generations: &'a Generations,
    pub(crate) trail: &'a AuditTrail,
    pub(crate) usage: &'a Usage,
    pub(crate) now: Timestamp,
    /// The admin who asks: must still be active when the change takes place.
    pub(crate) caller: UserId,
    /// How it is refused if it is not.
    pub(crate) refusal: AccessRefusal,
    /// The trace of the request.
    pub(crate) trace: Option<TraceParent>,
    /// Whether its role is the one in the projections: then it must still be an admin's, too.
    pub(crate) by_projected_role: bool,
}

/// What became of a deactivation.
#[derive(Debug)]
pub(crate) enum Deactivating {
    /// It took effect; this order is in the outbox.
    Done { tasks: i128, pending: Box<StoredOutboxEntry> },
    /// An earlier one still holds.
    Already { tasks: i128 },
}

/// Why a try did not succeed.
#[derive(Debug)]
enum StatusChangeError {
    /// Someone else wrote first: read and plan again.
    Race,
    /// For good.
    For(AdminError),
}

/// Lost races so far, and until when there may be more.
struct RetryBudget {
    lost: u32,
    until: Instant,
}

impl RetryBudget {
    /// Waits for another try; an error if there is none.
    async fn after(&mut self, failed: StatusChangeError) -> Result<(), AdminError> {
        match failed {
            StatusChangeError::For(error) => return Err(error),
            StatusChangeError::Race if Instant::now() >= self.until => {
                let reason = "the user is being changed all the time".to_owned();
                return Err(StoreError::Unavailable(reason).into());
            }
            StatusChangeError::Race => tokio::time::sleep(clock::backoff(self.lost)).await,
        }
        self.lost += 1;
        Ok(())
    }
}

impl From<AdminError> for StatusChangeError {
    fn from(error: AdminError) -> Self {
        Self::For(error)
    }
}

impl From<StoreError> for StatusChangeError {
    fn from(error: StoreError) -> Self {
        Self::For(error.into())
    }
}

impl From<TransactError> for StatusChangeError {
    fn from(lost: TransactError) -> Self {
        match lost {
            TransactError::Race => Self::Race,
            TransactError::Failed(error) => error.into(),
        }
    }
}

impl From<PlanFailure> for StatusChangeError {
    fn from(failure: PlanFailure) -> Self {
        match failure {
            PlanFailure::Store(error) => error.into(),
            PlanFailure::UnreadableEvent(error) => unwritable(&error).into(),
        }
    }
}

fn unwritable(fault: &dyn std::fmt::Display) -> AdminError {
    AdminError::Internal(fault.to_string())
}

/// What a try is based on: all of it is guarded by the transaction.
struct UserSnapshot {
    pointer: GenerationPointer,
    target: UserId,
    entities: Entities,
    /// The item with the user's numbers of tasks.
    totals: Option<Item>,
    /// The item of its last deactivation.
    deactivation: Option<Item>,
}

impl UserSnapshot {
    fn entity(&self, user: UserId) -> Entity {
        self.entities.get(&EntityKey::User(user)).cloned().unwrap_or_default()
    }
}

/// An event of ours, and its message for the log.
struct OutgoingEvent {
    event: Event,
    message: String,
}

impl OutgoingEvent {
    /// Dated now, or 1 ms after whatever says whether the user is active, if that is later.
    fn new(
        kind: EventType,
        target: UserId,
        user: &User<'_>,
        changes: &UserStatusWriter<'_>,
    ) -> Result<Self, AdminError> {
        let at = user.state_at.map_or(changes.now, |at| changes.now.max(at.plus(1)));
        let message = json!({
            "specversion": "1.0", "id": clock::unique(), "source": SOURCE,
            "type": format!("{TYPE_PREFIX}{}", kind.name()), "subject": target, "time": at,
            "datacontenttype": "application/json",
            "data": { "user_id": target, "by": changes.caller.to_string() },
        });
        let message = commands::with_trace(message, changes.trace.as_ref()).to_string();
        match events::parse(&message, None) {
            Ok(ReceivedMessage::Known(event)) => Ok(Self { event: *event, message }),
            Ok(ReceivedMessage::Unknown { .. }) => Err(unwritable(&"an event of ours is unknown")),
            Err(reason) => Err(unwritable(&reason)),
        }
    }
}

impl UserStatusWriter<'_> {
    /// Deactivates a user, unless an earlier deactivation of an admin's still holds. `entry` makes the audit record.
    pub(crate) async fn deactivate(
        &self,
        target: UserId,
        entry: impl Fn() -> AuditEntry + Sync,
    ) -> Result<Deactivating, AdminError> {
        if target == self.caller {
            return Err(AdminError::Conflict(Conflict::OwnId));
        }
        let mut tries = RetryBudget { lost: 0, until: Instant::now() + PATIENCE };
        loop {
            match self.try_to_deactivate(target, &entry).await {
                Ok(done) => return Ok(done),
                Err(failed) => tries.after(failed).await?,
            }
        }
    }

    async fn try_to_deactivate(
        &self,
        target: UserId,
        entry: &(impl Fn() -> AuditEntry + Sync),
    ) -> Result<Deactivating, StatusChangeError> {
        let found = self.find(target).await?;
        let entity = found.entity(target);
        let user = User::of(&entity.state);
        let created = user.created.ok_or(AdminError::UserNotFound)?;
        let last = found.deactivation.as_ref().map(Deactivation::load).transpose();
        let last = last.map_err(StoreError::from)?;
        if let Some(last) = last.filter(|last| last.is_in_effect(&user)) {
            return Ok(Deactivating::Already { tasks: last.tasks });
        }
        let own = OutgoingEvent::new(EventType::UserDeactivated, target, &user, self)?;
        let tasks = found.totals.as_ref().map_or(0, |totals| totals.number("active"));
        let (event, at) = (own.event.id.clone(), own.event.time);
        let deactivation = Deactivation { event, at, tasks, requested_by: self.caller };
        let order = self.order(&found, &created.clerk_user_id, &deactivation)?;
        let mut writes = outbox_writes(target, &order.0, &deactivation, found.deactivation.as_ref());
        writes.push((found.pointer.live.table(), totals_unchanged(target, found.totals.as_ref())));
        self.commit(&found, own, writes, entry()).await?;
        Ok(Deactivating::Done { tasks, pending: Box::new(order.1) })
    }

    /// Makes a user active again; true if it was not.
    pub(crate) async fn reactivate(
        &self,
        target: UserId,
        entry: impl Fn() -> AuditEntry + Sync,
    ) -> Result<bool, AdminError> {
        let mut tries = RetryBudget { lost: 0, until: Instant::now() + PATIENCE };
        loop {
            match self.try_to_reactivate(target, &entry).await {
                Ok(done) => return Ok(done),
                Err(failed) => tries.after(failed).await?,
            }
        }
    }

    async fn try_to_reactivate(
        &self,
        target: UserId,
        entry: &(impl Fn() -> AuditEntry + Sync),
    ) -> Result<bool, StatusChangeError> {
        let found = self.find(target).await?;
        let entity = found.entity(target);
        let user = User::of(&entity.state);
        user.created.ok_or(AdminError::UserNotFound)?;
        if user.active {
            return Ok(false);
        }
        self.is_carried_out(&found, &user).await?;
        let own = OutgoingEvent::new(EventType::UserReactivated, target, &user, self)?;
        self.commit(&found, own, Vec::new(), entry()).await?;
        Ok(true)
    }

    /// A deactivation of an admin's is carried out before it can be taken back: its commands are on the queue and its
    /// keys are dead, so that neither reaches what the user gets afterwards.
    async fn is_carried_out(&self, found: &UserSnapshot, user: &User<'_>) -> Result<(), AdminError> {
        let last = found.deactivation.as_ref().map(Deactivation::load).transpose();
        let last = last.map_err(StoreError::from)?.filter(|last| last.is_in_effect(user));
        let Some(last) = last else { return Ok(()) };
        let order = keys::outbox(&last.event, "");
        let live_keys = Range {
            pk: keys::owned(found.target),
            from: Some(keys::LIVE_KEYS.to_owned()),
            to: Some(keys::after(keys::LIVE_KEYS)),
            limit: Some(1),
            ..Range::default()
        };
        let reader = TableReader::of(self.store, &found.pointer.live, self.usage);
        let keys = reader.read(ReadPlan::ranges(vec![live_keys]).consistent());
        let (order, keys) = futures::try_join!(self.store.control(&order, self.usage), keys)?;
        if order.is_some() || keys.ranges.iter().any(|rows| !rows.is_empty()) {
            return Err(AdminError::Conflict(Conflict::StillCarriedOut));
        }
        Ok(())
    }

    /// Reads what a try is based on: one round trip, while the generation is the one that was live last.
    async fn find(&self, target: UserId) -> Result<UserSnapshot, AdminError> {
        let key = keys::deactivation(target);
        let deactivation = self.store.control(&key, self.usage);
        let items =
            self.generations.read_live(self.store, self.usage, |generation| self.items(generation, target));
        let (deactivation, (pointer, items)) = futures::try_join!(deactivation, items)?;
        self.found(pointer, target, deactivation, items)
    }

    /// The user that changes with its numbers of tasks, and the one who asks.
    async fn items(&self, generation: Generation, target: UserId) -> Result<HashMap<Key, Item>, StoreError> {
        let keys = [keys::user(target), keys::user(self.caller), keys::user_totals(target)];
        let reader = TableReader::of(self.store, &generation, self.usage);
        Ok(reader.read(ReadPlan::gets(keys).consistent()).await?.items)
    }

    /// Who asks must still be active.
    fn found(
        &self,
        pointer: GenerationPointer,
        target: UserId,
        deactivation: Option<Item>,
        mut items: HashMap<Key, Item>,
    ) -> Result<UserSnapshot, AdminError> {
        let mut entities = Entities::new();
        for user in [target, self.caller] {
            let entity = Entity::load(items.get(&keys::user(user))).map_err(StoreError::from)?;
            let known = User::of(&entity.state);
            if user == self.caller && !known.active {
                return Err(AdminError::Refused(self.refusal));
            }
            if user == self.caller && self.by_projected_role {
                credentials::require_admin(known.role).map_err(AdminError::Refused)?;
            }
            entities.insert(EntityKey::User(user), entity);
        }
        let totals = items.remove(&keys::user_totals(target));
        Ok(UserSnapshot { pointer, target, entities, totals, deactivation })
    }

    /// The order of a deactivation, as its item and as it will be found there.
    fn order(
        &self,
        found: &UserSnapshot,
        clerk_user_id: &ClerkUserId,
        deactivation: &Deactivation,
    ) -> Result<(Item, StoredOutboxEntry), AdminError> {
        let what = OutboxAction::StopUser { user_id: found.target, clerk_user_id: clerk_user_id.clone() };
        let generation = found.pointer.live.name.clone();
        let cause = Cause { trace: self.trace.clone(), ..deactivation.cause() };
        let order = OutboxEntry { cause, at: self.now, generation, action: what };
        let item = order.item().map_err(|e| unwritable(&e))?;
        let pending = StoredOutboxEntry { key: item.key.clone(), entry: order, cursor: None };
        Ok((item, pending))
    }

    /// One transaction: the event in the log, the user's state with its diff, the audit record, and `more`; while who
    /// asks is as it was read and the same generations are written.
    async fn commit(
        &self,
        found: &UserSnapshot,
        own: OutgoingEvent,
        more: Vec<(String, Write)>,
        entry: AuditEntry,
    ) -> Result<(), StatusChangeError> {
        let UserSnapshot { pointer, target, entities, .. } = found;
        let mut writes = more;
        for generation in pointer.written_generations() {
            // What was read is the live generation's.
            let known = if *generation == pointer.live { entities.clone() } else { Entities::new() };
            let reader = TableReader::of(self.store, generation, self.usage);
            let planned = plan::plan(&reader, known, Vec::new(), vec![own.event.clone()]).await?;
            writes.extend(planned.writes.into_iter().map(|write| (generation.table(), write)));
        }
        let caller = EntityKey::User(self.caller);
        let asking = entity::untouched(&caller, &found.entity(self.caller)).map_err(|e| unwritable(&e))?;
        let lane = keys::log_lane(&EntityKey::User(*target));
        let logged = log::item(keys::log(self.now, lane, &clock::unique(), 0), &[&own.message])?;
        // Who reactivates itself is the user that changes, and guarded by that.
        if self.caller != *target {
            writes.push((pointer.live.table(), asking));
        }
        writes.push((EVENTS_TABLE.to_owned(), new(logged)));
        writes.push((CONTROL_TABLE.to_owned(), pointer.unchanged()));
        let (store, usage) = (self.store, self.usage);
        self.trail
            .append(entry, |link| async move {
                writes.push((AUDIT_TABLE.to_owned(), new(link.item())));
                store.transact_across(writes, usage).await.map_err(StatusChangeError::from)
            })
            .await
    }
}

/// Puts an item that must not be there yet.
fn new(item: Item) -> Write {
    let conditions = vec![Condition::Absent(PK.to_owned())];
    Write { key: item.key, action: Action::Put(item.attributes), conditions }
}

/// As many tasks of the user are active as were read.
fn totals_unchanged(user: UserId, totals: Option<&Item>) -> Write {
    let attributes = totals.map(|item| item.attributes.clone()).unwrap_or_default();
    let conditions = unchanged(&attributes, &["active"]);
    Write { key: keys::user_totals(user), action: Action::Check, conditions }
}

/// The order into the outbox; the deactivation over the one that was read.
fn outbox_writes(
    user: UserId,
    order: &Item,
    deactivation: &Deactivation,
    last: Option<&Item>,
) -> Vec<(String, Write)> {
    let last = last.map(|item| item.attributes.clone()).unwrap_or_default();
    let conditions = unchanged(&last, &["event"]);
    let deactivation =
        Write { key: keys::deactivation(user), action: Action::Put(deactivation.store()), conditions };
    [new(order.clone()), deactivation].map(|write| (CONTROL_TABLE.to_owned(), write)).into()
}
>>>>>>> domain
