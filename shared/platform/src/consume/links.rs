//! Brings the links between users and identities up to date, after their events are committed
//! (`domain/projections/links.rs`). Also for events without effect: whoever committed them may have died before the
//! links.
//!
//! Who is deactivated by an identity (its deletion, or an administrator's deactivation of the user id derived from it)
//! gets what a deactivation by an administrator causes: an outbox entry in the transaction that deactivates. A note
//! with it says for which cause and which logins commands were requested, so that they are not for every event, or
//! generation.

mod pages;

use super::received::EntityBatch;
use crate::clock;
use crate::retry::Retries;
use crate::store::{Generation, GenerationPointer, Store, StoreError, TableReader, TransactError, Usage};
use futures::stream::{self, StreamExt};
use pages::FurtherUsers;
pub use pages::USERS_PAGE;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::time::{Instant, timeout_at};
use torale_domain::deactivation::causes::{
    self, CauseRecords, CommandRequestNote, EffectiveCause, LoginsDigest,
};
use torale_domain::deactivation::commands::Cause;
use torale_domain::deactivation::outbox::{OutboxAction, OutboxEntry};
use torale_domain::entities::readings::User;
use torale_domain::events::{Body, Event, Excerpt, UnreadableEvent};
use torale_domain::projections::entity::Entity;
use torale_domain::projections::links::{self, LinkDiff, LinkReads, UserIdentities, progress};
use torale_domain::projections::plan::PlanError;
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::storage::limits::DoesNotFit;
use torale_domain::storage::read::{ReadPlan, Reader};
use torale_domain::storage::write::{Action, Write};
use torale_domain::values::ids::{ClerkUserId, EntityKey, UserId};
use torale_domain::values::time::Timestamp;

/// Users and identities whose links are brought up to date at once.
const PARALLEL: usize = 8;
/// Links of different users that are brought up to date at once.
const LINKS: usize = 4;
/// So many identities, or links, are read at once: of more than [`LINKS`] links, to find those that are not up to date.
const CHECKED: usize = 100;

/// Brings links of one generation up to date.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinkWriter<'a> {
    pub(super) store: &'a Store,
    pub(super) generation: &'a Generation,
    /// The pointer under which commands are requested; `None` where none may be: in the shadow generation, and in a
    /// replay.
    pub(super) commands: Option<&'a GenerationPointer>,
    pub(super) now: Timestamp,
    pub(super) deadline: Instant,
    /// The users of one identity that are read at once.
    pub(super) page: usize,
    pub(super) usage: &'a Usage,
}

/// A user or an identity of a batch.
#[derive(Debug, Clone)]
pub(super) struct LinkCandidate {
    entity: EntityKey,
    /// The identities that its events name, also those events that another has overtaken.
    named: BTreeSet<ClerkUserId>,
    /// The positions of its messages.
    messages: Vec<usize>,
}

/// The users and identities of a batch.
pub(super) fn people(entities: &[EntityBatch]) -> Vec<LinkCandidate> {
    let people =
        entities.iter().filter(|batch| matches!(batch.entity, EntityKey::User(_) | EntityKey::Identity(_)));
    let named = |event: &Event| match Some(&event.body) {
        Some(Body::UserCreated(data)) => Some(data.clerk_user_id.clone()),
        _other_types => None,
    };
    people
        .map(|batch| LinkCandidate {
            entity: batch.entity.clone(),
            named: batch.events.iter().filter_map(named).collect(),
            messages: batch.messages.clone(),
        })
        .collect()
}

/// What came of bringing links up to date.
#[derive(Debug, Default)]
pub(super) struct LinkReport {
    /// The positions of the messages that must come again.
    pub(super) failed: Vec<usize>,
    /// The users and identities with a link that can never be written, the positions of their messages, and the reason.
    pub(super) unwritable: Vec<(EntityKey, Vec<usize>, Excerpt)>,
}

#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("lost a race")]
    Race,
    /// What a user and their identities say is too large for one item.
    #[error(transparent)]
    DoesNotFit(#[from] DoesNotFit),
}

impl LinkError {
    /// Whether it says nothing about other links: what is damaged or too large stays so, whenever it is tried.
    const fn is_of_one_link(&self) -> bool {
        match self {
            Self::Store(error) => !error.is_transient(),
            Self::Race => false,
            Self::DoesNotFit(_) => true,
        }
    }
}

/// What came of some links and of others. Of two errors that say nothing about other links, what is damaged lets the
/// message come again, whatever else does not fit.
fn joined(some: Result<(), LinkError>, others: Result<(), LinkError>) -> Result<(), LinkError> {
    match others {
        Err(failed @ LinkError::DoesNotFit(_)) => some.and(Err(failed)),
        Err(failed) => Err(failed),
        Ok(()) => some,
    }
}

/// Whether an attempt ends with this result. What is wrong with one link does not keep the others from being written.
fn ends_with(result: &Result<(), LinkError>) -> bool {
    result.as_ref().is_err_and(|error| !error.is_of_one_link())
}

impl LinkWriter<'_> {
    /// Brings all links up to date that events of these users and identities can concern.
    pub(super) async fn write(&self, people: &[LinkCandidate]) -> LinkReport {
        let each: Vec<_> = people
            .iter()
            .map(|one| async move {
                let linked = timeout_at(self.deadline, Box::pin(self.links_of(one))).await;
                let linked = linked.unwrap_or_else(|_elapsed| Err(StoreError::no_time_left().into()));
                (one, linked.inspect_err(|error| tracing::warn!(%error, "links are not up to date")))
            })
            .collect();
        let mut report = LinkReport::default();
        for (one, result) in stream::iter(each).buffer_unordered(PARALLEL).collect::<Vec<_>>().await {
            match result {
                Ok(()) => {}
                Err(LinkError::DoesNotFit(fault)) => {
                    let reason = Excerpt::new(&fault);
                    report.unwritable.push((one.entity.clone(), one.messages.clone(), reason));
                }
                Err(LinkError::Store(_) | LinkError::Race) => report.failed.extend(&one.messages),
            }
        }
        report
    }

    async fn links_of(&self, one: &LinkCandidate) -> Result<(), LinkError> {
        match Some(&one.entity) {
            Some(EntityKey::Identity(clerk)) => {
                let (users, further) = self.users_of(&[clerk], &one.entity).await?;
                let first = self.link_all(users, LINKS).await;
                self.link_further(first, &further, None).await
            }
            Some(EntityKey::User(user)) => self.links_of_user(*user, one).await,
            _other_entities => Ok(()),
        }
    }

    /// Brings the links of a user's identities up to date, until the user names no other identity than when this began.
    ///
    /// Another consumer may store another `user.created` of the user while this one works. It does not know of the
    /// identity that the user has named before, if this one has not written that link yet; but this one does.
    async fn links_of_user(&self, user: UserId, one: &LinkCandidate) -> Result<(), LinkError> {
        let mut clerks = one.named.clone();
        let mut found = self.identities_of(user).await?;
        let mut result = Ok(());
        loop {
            clerks.extend(found.all);
            let identities: Vec<_> = clerks.iter().collect();
            let (mut others, mut further) = (Vec::new(), Vec::new());
            for some in identities.chunks(CHECKED) {
                let users = self.users_of(some, &one.entity).await?;
                others.extend(users.0);
                further.extend(users.1);
            }
            others.retain(|(other, _)| *other != user);
            // The user's own links come last: an identity that is no longer the user's is found by them until then.
            let others = self.link_all(others, LINKS).await;
            let others = self.link_further(others, &further, Some(user)).await;
            // They all change the user's item, so two at once would be in each other's way.
            let own = self.link_all(clerks.iter().map(|clerk| (user, clerk)).collect(), 1).await;
            result = joined(joined(result, others), own);
            if ends_with(&result) {
                return result;
            }
            let Some(named) = found.named else { return result };
            found = self.identities_of(user).await?;
            if found.named.as_ref() == Some(&named) {
                return result;
            }
        }
    }

    /// Brings some links up to date, so many at once. One that does not fit, or is damaged, does not keep the others
    /// from being written.
    ///
    /// Of many links, those that are up to date cost a part of a batch of reads each. So a message that comes again,
    /// because its time ran out, soon goes on where it ended, however many users share an identity.
    async fn link_all(&self, links: Vec<(UserId, &ClerkUserId)>, at_once: usize) -> Result<(), LinkError> {
        let mut result = Ok(());
        for some in links.chunks(CHECKED) {
            let stale = if links.len() > LINKS { self.stale(some).await? } else { some.to_vec() };
            let each: Vec<_> =
                stale.into_iter().map(|(user, clerk)| Box::pin(self.link(user, clerk))).collect();
            let mut linked = stream::iter(each).buffer_unordered(at_once);
            while let Some(one) = linked.next().await {
                result = joined(result, one);
                if ends_with(&result) {
                    return result;
                }
            }
        }
        result
    }

    /// Those of some links that are not up to date, and those for whose users commands are due.
    async fn stale<'c>(
        &self,
        links: &[(UserId, &'c ClerkUserId)],
    ) -> Result<Vec<(UserId, &'c ClerkUserId)>, LinkError> {
        let reads = links.iter().map(|(user, clerk)| LinkReads::new(*user, (*clerk).clone()));
        let reads: Vec<LinkReads> = reads.collect();
        let keys: BTreeSet<Key> = reads.iter().flat_map(LinkReads::own_reads).collect();
        let found = self.reader().read(ReadPlan::gets(keys).consistent()).await?.items;
        let (mut stale, mut up_to_date) = (Vec::new(), BTreeMap::new());
        for ((user, clerk), reads) in links.iter().zip(&reads) {
            // One that can't be read fails when it is its turn.
            if reads.is_up_to_date(&found).unwrap_or(false) {
                up_to_date.insert(*user, *clerk);
            } else {
                stale.push((*user, *clerk));
            }
        }
        if self.commands.is_some() && !up_to_date.is_empty() {
            stale.extend(self.with_due_commands(up_to_date).await?);
        }
        Ok(stale)
    }

    /// Those of some links, which are up to date, for whose users commands are still to be requested. What is due is
    /// due for a user, so one link of each is enough.
    ///
    /// The users are read after the rows of the links, so that each says at least what its rows did.
    async fn with_due_commands<'c>(
        &self,
        links: BTreeMap<UserId, &'c ClerkUserId>,
    ) -> Result<Vec<(UserId, &'c ClerkUserId)>, LinkError> {
        let reader = self.reader();
        let users = ReadPlan::gets(links.keys().map(|user| keys::user(*user))).consistent();
        let found = reader.read(users).await?.items;
        let (mut due, mut deactivated) = (Vec::new(), Vec::new());
        for (user, clerk) in links {
            // One that can't be read fails when it is its turn.
            match Entity::load(found.get(&keys::user(user))) {
                Err(_) => due.push((user, clerk)),
                Ok(entity) if causes::deactivations_of(user, &entity).is_empty() => {}
                Ok(entity) => deactivated.push((user, clerk, entity)),
            }
        }
        if deactivated.is_empty() {
            return Ok(due);
        }
        match self.which_are_due(&deactivated).await {
            Ok(some) => due.extend(some),
            // Something of one of them can't be read, which fails when it is that one's turn.
            Err(StoreError::Corrupt(_)) => {
                due.extend(deactivated.iter().map(|(user, clerk, _)| (*user, *clerk)))
            }
            Err(error) => return Err(error.into()),
        }
        Ok(due)
    }

    /// Those of some deactivated users whose commands are still to be requested.
    async fn which_are_due<'c>(
        &self,
        users: &[(UserId, &'c ClerkUserId, Entity)],
    ) -> Result<Vec<(UserId, &'c ClerkUserId)>, StoreError> {
        let (control, projections) = (TableReader::new(self.store, CONTROL_TABLE, self.usage), self.reader());
        let notes: BTreeSet<Key> = users.iter().map(|(user, ..)| CommandRequestNote::key(*user)).collect();
        let noted = control.read(ReadPlan::gets(notes).consistent());
        let of = users.iter().map(|(user, _, entity)| (*user, entity));
        let records = self.store.cause_records(self.generation, of, self.usage);
        let linked = users.iter().map(|(user, ..)| links::links_of(*user)).collect();
        let linked = projections.read(ReadPlan::ranges(linked).consistent());
        let (noted, records, linked) = futures::try_join!(noted, records, linked)?;
        let mut due = Vec::new();
        for ((user, clerk, entity), rows) in users.iter().zip(&linked.ranges) {
            let noted = noted.items.get(&CommandRequestNote::key(*user));
            let commands = StopCommands::of(*user, entity, &records, &links::identities_of(rows)?);
            if commands.is_some_and(|commands| !commands.is_noted(noted)) {
                due.push((*user, *clerk));
            }
        }
        Ok(due)
    }

    fn reader(&self) -> TableReader<'_> {
        TableReader::of(self.store, self.generation, self.usage)
    }

    async fn identities_of(&self, user: UserId) -> Result<UserIdentities, StoreError> {
        let found = self.reader().read(links::user_reads(user)).await?;
        Ok(UserIdentities::load(user, &found)?)
    }

    /// The links of some identities that an event of an entity can concern: of each the first page, and whether there
    /// are more.
    async fn users_of<'c>(
        &self,
        clerks: &[&'c ClerkUserId],
        event_of: &EntityKey,
    ) -> Result<(Vec<(UserId, &'c ClerkUserId)>, Vec<FurtherUsers<'c>>), StoreError> {
        let found = self.reader().read(links::users_reads(clerks, event_of, self.page)).await?;
        let (mut concerned, mut further) = (Vec::new(), Vec::new());
        for clerk in clerks {
            concerned.extend(links::users_of(clerk, &found)?.into_iter().map(|user| (user, *clerk)));
            let after = progress::last_of_full_page(clerk, &found, self.page);
            further.extend(after.map(|after| FurtherUsers { clerk, after }));
        }
        Ok((concerned, further))
    }

    /// Brings one link up to date. A lost race is tried again until the deadline.
    async fn link(&self, user: UserId, clerk: &ClerkUserId) -> Result<(), LinkError> {
        let mut retries = Retries::until(self.deadline);
        loop {
            match self.try_to_link(user, clerk).await {
                Err(LinkError::Race) if retries.pause().await => {}
                finished => return finished,
            }
        }
    }

    /// What is to change in a link, by a reading of one moment.
    ///
    /// Items and rows are read in parallel, so they may be of different moments. A link changes the user's item in the
    /// transaction that changes its rows: what was read between two equal readings of the item is of one moment. If it
    /// still disagrees, a row is lost or damaged, and is written anew.
    async fn diff(&self, link: &LinkReads) -> Result<LinkDiff, LinkError> {
        let reader = self.reader();
        let found = reader.read(link.reads()).await?;
        let diff = link.diff(&found, self.generation.lanes).map_err(unplannable)?;
        if !diff.torn {
            return Ok(diff);
        }
        let before = reader.read(link.user_reads()).await?.items;
        let found = reader.read(link.reads()).await?;
        let after = reader.read(link.user_reads()).await?.items;
        let diff = link.diff(&found, self.generation.lanes).map_err(unplannable)?;
        if diff.torn && before != after { Err(LinkError::Race) } else { Ok(diff) }
    }

    async fn try_to_link(&self, user: UserId, clerk: &ClerkUserId) -> Result<(), LinkError> {
        let reader = self.reader();
        let diff = self.diff(&LinkReads::new(user, clerk.clone())).await?;
        let requests = match self.commands {
            Some(pointer) => self.requests(pointer, user, &diff).await?,
            None => RequestWrites::default(),
        };
        if diff.is_empty() && requests.control.is_empty() {
            return Ok(());
        }
        // If the stand-in's link can never be written, this one still goes.
        let first = match diff.first {
            Some(stand_in) => match Box::pin(self.link(stand_in, clerk)).await {
                Err(LinkError::DoesNotFit(fault)) => Some(fault),
                linked => linked.map(|()| None)?,
            },
            None => None,
        };
        let shrinking = diff.keys();
        let found = match shrinking.is_empty() {
            true => HashMap::new(),
            false => reader.read(ReadPlan::gets(shrinking).consistent()).await?.items,
        };
        let table = self.generation.table();
        let mut writes = diff.writes(&found);
        // What the link itself changes or checks is in the transaction already.
        let origin =
            requests.origin.into_iter().filter(|check| writes.iter().all(|one| one.key != check.key));
        writes.extend(origin.collect::<Vec<_>>());
        writes.iter().try_for_each(|write| self.store.limits().check_write(write))?;
        let writes = writes.into_iter().map(|write| (table.clone(), write));
        let requests = requests.control.into_iter().map(|write| (CONTROL_TABLE.to_owned(), write));
        match self.store.transact_across(writes.chain(requests).collect(), self.usage).await {
            Ok(()) => first.map_or(Ok(()), |fault| Err(fault.into())),
            Err(TransactError::Race) => Err(LinkError::Race),
            Err(TransactError::Failed(error)) => Err(error.into()),
        }
    }

    /// The outbox entry for what deactivates a user by their identities with the note that it was requested, and the
    /// check that the generation is live; nothing if it was requested before. The same event may deactivate a user once
    /// more: so the note is taken back where it does not any more. A replay takes no note back, so whoever becomes
    /// inactive with this link is stopped whatever is noted.
    async fn requests(
        &self,
        pointer: &GenerationPointer,
        id: UserId,
        diff: &LinkDiff,
    ) -> Result<RequestWrites, StoreError> {
        let note = CommandRequestNote::key(id);
        let entity = &diff.user;
        // Of an active user nothing is read, unless the user has just become active.
        if causes::deactivations_of(id, entity).is_empty() && !diff.reactivates {
            return Ok(RequestWrites::default());
        }
        let noted = self.store.control(&note, self.usage);
        let records = self.store.cause_records(self.generation, [(id, entity)], self.usage);
        let (noted, records) = futures::try_join!(noted, records)?;
        let Some(due) = StopCommands::of(id, entity, &records, &diff.linked) else {
            let taken_back = causes::nothing_requested(id, noted.as_ref());
            let control = taken_back.into_iter().flat_map(|write| [write, pointer.unchanged()]).collect();
            return Ok(RequestWrites { control, origin: None });
        };
        if !diff.deactivates && due.is_noted(noted.as_ref()) {
            return Ok(RequestWrites::default());
        }
        let event = causes::event_of(&due.cause);
        let of_origin = due.origin.map(|origin| records.origin_writes(origin, event, clock::unique()));
        let of_origin = of_origin.transpose().map_err(unreadable)?;
        let note = due.requested().put_over(noted.as_ref());
        let action = OutboxAction::StopUser { user_id: id, clerk_user_id: due.clerk_user_id.clone() };
        let generation = pointer.live.name.clone();
        let (cause, request) = (due.cause, clock::unique());
        let entry = OutboxEntry { cause, at: self.now, generation, action, request };
        let entry = entry.item().map_err(|error| StoreError::Refused(error.to_string()))?;
        // An entry of the same cause may still wait: it is begun again, and its commands have the same ids.
        let entry = Write { key: entry.key, action: Action::Put(entry.attributes), conditions: Vec::new() };
        let (for_others, origin) = of_origin.map(|writes| (writes.note, writes.check)).unzip();
        let control = [entry, note, pointer.unchanged()].into_iter().chain(for_others).collect();
        Ok(RequestWrites { control, origin })
    }
}

/// What a link writes in addition, to request commands.
#[derive(Default)]
struct RequestWrites {
    /// In the control table.
    control: Vec<Write>,
    /// The check that nobody has taken back what is requested.
    origin: Option<Write>,
}

/// The commands of what deactivates a user, requested before or not. Those that are requested again, for a login that
/// came later, have the same ids.
struct StopCommands<'a> {
    user: UserId,
    cause: Cause,
    /// Who takes the cause back for this user too.
    origin: Option<UserId>,
    /// The login that the user names.
    clerk_user_id: &'a ClerkUserId,
    /// All logins that the commands block.
    logins: LoginsDigest,
}

impl<'a> StopCommands<'a> {
    /// For a user with these identities; `None` if nothing deactivates the user.
    fn of(user: UserId, entity: &'a Entity, records: &CauseRecords, linked: &[ClerkUserId]) -> Option<Self> {
        let clerk_user_id = User::of(&entity.state, &entity.linkage.linked).clerk_user_id?;
        let EffectiveCause { cause, origin } = causes::effective_cause(user, entity, records)?;
        let logins = LoginsDigest::of(clerk_user_id, linked);
        Some(Self { user, cause, origin, clerk_user_id, logins })
    }

    const fn requested(&self) -> CommandRequestNote<'_> {
        CommandRequestNote::new(self.user, &self.cause, Some(&self.logins))
    }

    fn is_noted(&self, noted: Option<&Item>) -> bool {
        self.requested().is_noted(noted)
    }
}

fn unplannable(error: PlanError) -> StoreError {
    match error {
        PlanError::Corrupt(corrupt) => corrupt.into(),
        PlanError::UnreadableEvent(error) => unreadable(error),
    }
}

fn unreadable(error: UnreadableEvent) -> StoreError {
    StoreError::Refused(error.to_string())
}
