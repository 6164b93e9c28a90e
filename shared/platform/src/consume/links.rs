//! Brings the links between users and identities up to date, after their events are committed
//! (`domain/projections/links.rs`). Also for events without effect: whoever committed them may have died before the links.
//!
//! An identity whose deletion deactivates a user causes what a deactivation by an administrator causes: an outbox entry
//! in the transaction that deactivates. A note with it says which deletion was handled, so that its commands are
//! requested once, whichever generation was written first.

use super::batch::EntityBatch;
use crate::retry::Retries;
use crate::store::{Generation, GenerationPointer, Store, StoreError, TableReader, TransactError, Usage};
use futures::stream::{self, StreamExt};
use std::collections::{BTreeSet, HashMap};
use tokio::time::{Instant, timeout_at};
use torale_domain::deactivation::causes::{RequestedDeletion, deletion_cause};
use torale_domain::deactivation::outbox::{OutboxAction, OutboxEntry};
use torale_domain::events::{Bounded, Event};
use torale_domain::projections::links::{self, LinkReads};
use torale_domain::projections::plan::PlanError;
use torale_domain::storage::keys::CONTROL_TABLE;
use torale_domain::storage::limits::{DoesNotFit, ItemLimits};
use torale_domain::storage::read::{ReadPlan, Reader};
use torale_domain::storage::write::{Write, insert};
use torale_domain::values::ids::{ClerkUserId, EntityKey, UserId};
use torale_domain::values::time::Timestamp;

/// Users and identities whose links are brought up to date at once.
const PARALLEL: usize = 8;

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
    pub(super) usage: &'a Usage,
}

/// The users and identities of a batch, each with the positions of its messages.
pub(super) fn people(entities: &[EntityBatch]) -> Vec<(EntityKey, Vec<usize>)> {
    let people =
        entities.iter().filter(|batch| matches!(batch.entity, EntityKey::User(_) | EntityKey::Identity(_)));
    people.map(|batch| (batch.entity.clone(), batch.messages.clone())).collect()
}

/// What came of bringing links up to date.
#[derive(Debug, Default)]
pub(super) struct LinkReport {
    /// The positions of the messages that must come again.
    pub(super) failed: Vec<usize>,
    /// The positions of messages with a link that can never be written, with the reason.
    pub(super) unwritable: Vec<(Vec<usize>, Bounded)>,
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

impl LinkWriter<'_> {
    /// Brings all links up to date that events of these users and identities can concern.
    pub(super) async fn write(&self, people: &[(EntityKey, Vec<usize>)]) -> LinkReport {
        let each: Vec<_> = people
            .iter()
            .map(|(entity, messages)| async move {
                let linked = timeout_at(self.deadline, Box::pin(self.links_of(entity))).await;
                let linked = linked.unwrap_or_else(|_elapsed| Err(no_time_left().into()));
                (messages, linked.inspect_err(|error| tracing::warn!(%error, "links are not up to date")))
            })
            .collect();
        let mut report = LinkReport::default();
        for (messages, result) in stream::iter(each).buffer_unordered(PARALLEL).collect::<Vec<_>>().await {
            match result {
                Ok(()) => {}
                Err(LinkError::DoesNotFit(fault)) => {
                    report.unwritable.push((messages.clone(), Bounded::new(&fault)));
                }
                Err(LinkError::Store(_) | LinkError::Race) => report.failed.extend(messages),
            }
        }
        report
    }

    async fn links_of(&self, entity: &EntityKey) -> Result<(), LinkError> {
        match Some(entity) {
            Some(EntityKey::Identity(clerk)) => {
                for user in self.users_of(clerk).await? {
                    self.link(user, clerk).await?;
                }
            }
            Some(EntityKey::User(user)) => {
                let found = self.reader().read(links::user_reads(*user)).await?;
                let clerks = links::identities_of(*user, &found).map_err(StoreError::from)?;
                // The user's own links come last: an identity that is no longer the user's is found by them until then.
                for clerk in &clerks {
                    for other in self.users_of(clerk).await?.into_iter().filter(|other| other != user) {
                        self.link(other, clerk).await?;
                    }
                }
                for clerk in &clerks {
                    self.link(*user, clerk).await?;
                }
            }
            _other_entities => {}
        }
        Ok(())
    }

    fn reader(&self) -> TableReader<'_> {
        TableReader::of(self.store, self.generation, self.usage)
    }

    async fn users_of(&self, clerk: &ClerkUserId) -> Result<BTreeSet<UserId>, StoreError> {
        let reads = ReadPlan::ranges(vec![links::identity_reads(clerk)]).consistent();
        let partition = self.reader().read(reads).await?.take_ranges(1).into_iter().flatten();
        Ok(links::users_of(clerk, &partition.collect::<Vec<_>>())?)
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

    async fn try_to_link(&self, user: UserId, clerk: &ClerkUserId) -> Result<(), LinkError> {
        let reader = self.reader();
        let link = LinkReads::new(user, clerk.clone());
        let found = reader.read(link.reads()).await?;
        let diff = link.diff(&found, self.generation.lanes).map_err(unplannable)?;
        let requests = match (self.commands, &diff.deactivated_by) {
            (Some(pointer), Some(deleted)) => self.requests(pointer, user, clerk, deleted).await?,
            _no_commands => Vec::new(),
        };
        if diff.is_empty() && requests.is_empty() {
            return Ok(());
        }
        let shrinking = diff.keys();
        let found = match shrinking.is_empty() {
            true => HashMap::new(),
            false => reader.read(ReadPlan::gets(shrinking).consistent()).await?.items,
        };
        let table = self.generation.table();
        let writes = diff.writes(&found);
        writes.iter().try_for_each(|write| ItemLimits::STORE.check_write(write))?;
        let writes = writes.into_iter().map(|write| (table.clone(), write));
        let requests = requests.into_iter().map(|write| (CONTROL_TABLE.to_owned(), write));
        match self.store.transact_across(writes.chain(requests).collect(), self.usage).await {
            Ok(()) => Ok(()),
            Err(TransactError::Race) => Err(LinkError::Race),
            Err(TransactError::Failed(error)) => Err(error.into()),
        }
    }

    /// The outbox entry for a deletion with the note that it was requested, and the check that the generation is live;
    /// nothing if it was requested before.
    async fn requests(
        &self,
        pointer: &GenerationPointer,
        user: UserId,
        clerk: &ClerkUserId,
        deleted: &Event,
    ) -> Result<Vec<Write>, StoreError> {
        let requested = RequestedDeletion::new(user, deleted);
        let noted = self.store.control(&requested.key(), self.usage).await?;
        if requested.is_noted(noted.as_ref()) {
            return Ok(Vec::new());
        }
        let entry = OutboxEntry {
            cause: deletion_cause(user, deleted),
            at: self.now,
            generation: pointer.live.name.clone(),
            action: OutboxAction::StopUser { user_id: user, clerk_user_id: clerk.clone() },
        };
        let entry = entry.item().map_err(|error| StoreError::Refused(error.to_string()))?;
        Ok(vec![insert(entry), requested.note(noted.as_ref()), pointer.unchanged()])
    }
}

fn no_time_left() -> StoreError {
    StoreError::Unavailable("no time left".to_owned())
}

fn unplannable(error: PlanError) -> StoreError {
    match error {
        PlanError::Corrupt(corrupt) => corrupt.into(),
        PlanError::UnreadableEvent(error) => StoreError::Refused(error.to_string()),
    }
}
