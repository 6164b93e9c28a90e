//! What a decision about a user is based on. The transaction checks that all of it still holds.

use super::context::UserStatusWriter;
use crate::error::AdminError;
use crate::store::{Generation, GenerationPointer, StoreError, TableReader};
use torale_domain::access::credentials;
use torale_domain::deactivation::causes::{CommandRequestNote, LoginsDigest, RequestedDeactivation};
use torale_domain::deactivation::own_ids::{self, LinkedUser, OwnId};
use torale_domain::entities::readings::User;
use torale_domain::projections::entity::{Entities, Entity};
use torale_domain::projections::links;
use torale_domain::storage::item::Item;
use torale_domain::storage::keys;
use torale_domain::storage::read::{Range, ReadPlan, ReadResult, Reader};
use torale_domain::values::ids::{ClerkUserId, EntityKey, UserId};

/// A user, the caller and the generations of projections, as they were read.
pub(super) struct UserSnapshot {
    /// The generations that are written.
    pub(super) pointer: GenerationPointer,
    /// The user to change.
    pub(super) target: UserId,
    /// The user to change, and the caller.
    pub(super) entities: Entities,
    /// The item with the user's numbers of tasks.
    pub(super) totals: Option<Item>,
    /// The item of the user's last deactivation.
    pub(super) deactivation: Option<Item>,
    /// The note of the commands that were requested for the user last.
    pub(super) requested: Option<Item>,
    /// The links of the caller and of the user, if they are two.
    links: [Vec<Item>; 2],
}

impl UserSnapshot {
    /// Reads what a decision about a user is based on: one round trip, while the live generation is the one that was
    /// read last, and one more if the links of one of the two change meanwhile, or are damaged.
    ///
    /// # Errors
    /// If the caller is not active any more (or no administrator, where roles are the projections'), or the store
    /// fails.
    pub(super) async fn read(writer: &UserStatusWriter<'_>, target: UserId) -> Result<Self, AdminError> {
        let key = keys::deactivation(target);
        let deactivation = writer.store.control(&key, writer.usage);
        let items = |generation| read_items(writer, generation, target);
        let items = writer.generations.read_live(writer.store, writer.usage, items);
        let requested = CommandRequestNote::key(target);
        let requested = writer.store.control(&requested, writer.usage);
        let (deactivation, requested, (pointer, found)) = futures::try_join!(deactivation, requested, items)?;
        let ReadResult { mut items, ranges } = found;
        let mut links = links_of(ranges);
        let mut entities = Entities::new();
        for user in [target, writer.caller] {
            let entity = Entity::load(items.get(&keys::user(user))).map_err(StoreError::from)?;
            entities.insert(EntityKey::User(user), entity);
        }
        let are_of_now = |user: UserId, rows: &[Item]| {
            let user = entities.get(&EntityKey::User(user)).cloned().unwrap_or_default();
            rows.len() >= own_ids::MAX_LINKS || links::are_of(rows, &user).unwrap_or(false)
        };
        if ![writer.caller, target].into_iter().zip(&links).all(|(user, rows)| are_of_now(user, rows)) {
            // They were read at another moment than the users. What is read now belongs to the users unless these
            // change, which the transaction checks; that they change and change back in between is not seen.
            let reader = TableReader::of(writer.store, &pointer.live, writer.usage);
            let ranges = link_ranges(writer.caller, target);
            links = links_of(reader.read(ReadPlan::ranges(ranges).consistent()).await?.ranges);
        }
        let totals = items.remove(&keys::user_totals(target));
        let snapshot = Self { pointer, target, entities, totals, deactivation, requested, links };
        snapshot.check_caller(writer)?;
        Ok(snapshot)
    }

    fn check_caller(&self, writer: &UserStatusWriter<'_>) -> Result<(), AdminError> {
        let caller = self.entity(writer.caller);
        let caller = User::of(&caller.state, &caller.linkage.linked);
        if !caller.active {
            return Err(AdminError::Refused(writer.refusal));
        }
        if writer.uses_projected_roles {
            credentials::require_admin(caller.role).map_err(AdminError::Refused)?;
        }
        Ok(())
    }

    /// Whether the user is the caller by another id, so that the caller would be deactivated or lose a login.
    pub(super) async fn is_own_id(&self, writer: &UserStatusWriter<'_>) -> Result<bool, StoreError> {
        let [own, others] = &self.links;
        let (caller, target) = (self.entity(writer.caller), self.entity(self.target));
        let caller = LinkedUser { id: writer.caller, entity: &caller, links: own };
        let target = LinkedUser { id: self.target, entity: &target, links: others };
        Ok(match own_ids::is_own_id(&caller, &target)? {
            OwnId::Yes => true,
            OwnId::No => false,
            OwnId::IfAnyExists(reads) => {
                let reader = TableReader::of(writer.store, &self.pointer.live, writer.usage);
                !reader.read(reads).await?.items.is_empty()
            }
        })
    }

    /// The logins of the user to change, who names this one; `None` if there are more than were read, or they were read
    /// at another moment than the user.
    pub(super) fn logins(&self, named: &ClerkUserId) -> Result<Option<LoginsDigest>, StoreError> {
        let [.., rows] = &self.links;
        let linked = links::identities_of(rows)?;
        let are_of_now = links::are_of(rows, &self.entity(self.target)).unwrap_or(false);
        let are_all = rows.len() < own_ids::MAX_LINKS && are_of_now;
        Ok(are_all.then(|| LoginsDigest::of(named, &linked)))
    }

    /// A user's entity; a new one if nothing is stored of it.
    pub(super) fn entity(&self, user: UserId) -> Entity {
        self.entities.get(&EntityKey::User(user)).cloned().unwrap_or_default()
    }

    /// The user's last deactivation, if no event has reactivated the user since.
    pub(super) fn current_deactivation(
        &self,
        user: &User<'_>,
    ) -> Result<Option<RequestedDeactivation>, StoreError> {
        Ok(self.last_deactivation()?.filter(|last| last.is_in_effect(user)))
    }

    /// The user's last deactivation by an administrator.
    pub(super) fn last_deactivation(&self) -> Result<Option<RequestedDeactivation>, StoreError> {
        Ok(self.deactivation.as_ref().map(RequestedDeactivation::load).transpose()?)
    }

    /// The number of the user's active tasks.
    pub(super) fn active_tasks(&self) -> i128 {
        self.totals.as_ref().map_or(0, |totals| totals.number("active"))
    }
}

/// The items of the user to change, of their numbers of tasks, and of the caller, and the links of both.
async fn read_items(
    writer: &UserStatusWriter<'_>,
    generation: Generation,
    target: UserId,
) -> Result<ReadResult, StoreError> {
    let gets = vec![keys::user(target), keys::user(writer.caller), keys::user_totals(target)];
    let ranges = link_ranges(writer.caller, target);
    let reader = TableReader::of(writer.store, &generation, writer.usage);
    reader.read(ReadPlan { gets, ranges, consistent: true, ..ReadPlan::default() }).await
}

/// Where the links of the caller and of the user to change stand.
fn link_ranges(caller: UserId, target: UserId) -> Vec<Range> {
    vec![own_ids::reads(caller), own_ids::reads(target)]
}

/// The links of the two.
fn links_of(ranges: Vec<Vec<Item>>) -> [Vec<Item>; 2] {
    let mut ranges = ranges.into_iter();
    [ranges.next().unwrap_or_default(), ranges.next().unwrap_or_default()]
}
