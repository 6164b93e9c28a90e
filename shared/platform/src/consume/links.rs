//! After users and identities are stored, the links between them are brought up to date
//! (`domain/projections/links.rs`), also for events without effect: whoever stored them may have died before the links.
//!
//! An identity whose deletion deactivates a user causes what an administrator's deactivation causes: an outbox entry in
//! the transaction that deactivates. What has been asked for is noted beside it, so that it is asked for once, whichever
//! generation was written first.

use crate::clock;
use crate::store::{Generation, GenerationPointer, Store, StoreError, TableReader, TransactError, Usage};
use futures::stream::{self, StreamExt};
use std::collections::BTreeSet;
use tokio::time::Instant;
use torale_domain::deactivation::outbox::{
    OutboxAction, OutboxEntry, RequestedDeletion, deletion_cause,
};
use torale_domain::events::Event;
use torale_domain::projections::links::{self, LinkReads};
use torale_domain::projections::plan::PlanError;
use torale_domain::storage::keys::CONTROL_TABLE;
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
    /// The pointer under which commands are asked for; `None` where none may be: beside the live generation, in a replay.
    pub(super) commands: Option<&'a GenerationPointer>,
    pub(super) now: Timestamp,
    pub(super) deadline: Instant,
    pub(super) usage: &'a Usage,
}

impl LinkWriter<'_> {
    /// The links that events of these entities can concern; returns the entities for which that failed.
    pub(super) async fn write(&self, entities: impl IntoIterator<Item = &EntityKey>) -> BTreeSet<EntityKey> {
        let people = entities
            .into_iter()
            .filter(|entity| matches!(entity, EntityKey::User(_) | EntityKey::Identity(_)));
        let each: Vec<_> = people
            .map(|entity| async move {
                let written = tokio::time::timeout_at(self.deadline, Box::pin(self.links_of(entity))).await;
                let written =
                    written.unwrap_or_else(|_elapsed| Err(StoreError::Unavailable("no time left".to_owned())));
                written.err().map(|error| (entity.clone(), error))
            })
            .collect();
        let failed = stream::iter(each).buffer_unordered(PARALLEL).filter_map(std::future::ready);
        let failed = failed.map(|(entity, error)| {
            tracing::warn!(%error, "the links of a user or an identity are not up to date");
            entity
        });
        failed.collect().await
    }

    async fn links_of(&self, entity: &EntityKey) -> Result<(), StoreError> {
        match Some(entity) {
            Some(EntityKey::Identity(clerk)) => {
                for user in self.users_of(clerk).await? {
                    self.link(user, clerk).await?;
                }
            }
            Some(EntityKey::User(user)) => {
                let reader = TableReader::of(self.store, self.generation, self.usage);
                let found = reader.read(links::user_reads(*user)).await?;
                let clerks = links::identities_of(*user, &found)?;
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

    async fn users_of(&self, clerk: &ClerkUserId) -> Result<BTreeSet<UserId>, StoreError> {
        let reader = TableReader::of(self.store, self.generation, self.usage);
        let reads = ReadPlan::ranges(vec![links::identity_reads(clerk)]).consistent();
        let partition = reader.read(reads).await?.take_ranges(1).into_iter().flatten().collect::<Vec<_>>();
        Ok(links::users_of(clerk, &partition)?)
    }

    /// Brings one link up to date; a lost race is tried again until the deadline.
    async fn link(&self, user: UserId, clerk: &ClerkUserId) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            match self.try_link(user, clerk).await {
                Ok(()) => return Ok(()),
                Err(TransactError::Failed(error)) => return Err(error),
                Err(TransactError::Race) => tokio::time::sleep(clock::backoff(tries)).await,
            }
            tries = tries.saturating_add(1);
        }
    }

    async fn try_link(&self, user: UserId, clerk: &ClerkUserId) -> Result<(), TransactError> {
        let reader = TableReader::of(self.store, self.generation, self.usage);
        let link = LinkReads::new(user, clerk.clone());
        let found = reader.read(link.reads()).await?;
        let diff = link.diff(&found, self.generation.lanes).map_err(unplannable)?;
        let wanted = diff.keys();
        let found = if wanted.is_empty() {
            std::collections::HashMap::new()
        } else {
            reader.read(ReadPlan::gets(wanted).consistent()).await?.items
        };
        let deleted = diff.deactivated_by.clone();
        let table = self.generation.table();
        let mut writes: Vec<(String, Write)> =
            diff.writes(&found).into_iter().map(|write| (table.clone(), write)).collect();
        if let (Some(pointer), Some(deleted)) = (self.commands, deleted) {
            let commands = self.commands(pointer, user, clerk, &deleted).await?;
            writes.extend(commands.into_iter().map(|write| (CONTROL_TABLE.to_owned(), write)));
        }
        if writes.is_empty() {
            return Ok(());
        }
        self.store.transact_across(writes, self.usage).await
    }

    /// The outbox entry of a deletion, unless it has been made before; with the check that the generation is live.
    async fn commands(
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
        let what = OutboxAction::Everything { user_id: user, clerk_user_id: clerk.clone() };
        let generation = pointer.live.name.clone();
        let entry = OutboxEntry { cause: deletion_cause(user, deleted), at: self.now, generation, what };
        let entry = entry.item().map_err(|error| StoreError::Refused(error.to_string()))?;
        Ok(vec![insert(entry), requested.note(noted.as_ref()), pointer.unchanged()])
    }
}

fn unplannable(error: PlanError) -> StoreError {
    match error {
        PlanError::Corrupt(corrupt) => corrupt.into(),
        PlanError::UnreadableEvent(error) => StoreError::Refused(error.to_string()),
    }
}

