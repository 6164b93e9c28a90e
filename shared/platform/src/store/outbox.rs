//! The outbox and the users' last deactivations, both in the control table.

use super::client::Store;
use super::error::{StoreError, TransactError};
use super::generation::Generation;
use super::reader::TableReader;
use super::usage::Usage;
use std::collections::BTreeMap;
use torale_domain::deactivation::causes::{
    self, CauseRecords, RequestedDeactivation, RequestedDeactivations,
};
use torale_domain::deactivation::outbox::{CURSOR, StoredOutboxEntry};
use torale_domain::projections::entity::Entity;
use torale_domain::storage::item::{Key, Value};
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::storage::read::{Corrupt, Range, ReadPlan, Reader};
use torale_domain::storage::write::{Action, Write};
use torale_domain::values::ids::UserId;

impl Store {
    /// At most `limit` outbox entries after a key, in the order of their keys. An unreadable entry does not hide the
    /// others.
    pub async fn outbox_entries(
        &self,
        after: Option<&Key>,
        limit: usize,
        usage: &Usage,
    ) -> Result<Vec<Result<StoredOutboxEntry, Corrupt>>, StoreError> {
        let from = after.map(|key| keys::next(&key.sk));
        let range = Range { pk: keys::OUTBOX.to_owned(), from, limit: Some(limit), ..Range::default() };
        let reads = ReadPlan::ranges(vec![range]).consistent();
        let mut found = TableReader::new(self, CONTROL_TABLE, usage).read(reads).await?;
        let items = found.take_ranges(1).into_iter().flatten();
        Ok(items.map(|item| StoredOutboxEntry::load(&item)).collect())
    }

    /// Moves an entry's cursor, or deletes the entry if there is no further cursor. It is a lost race if another relay
    /// has done either since the entry was read, or if the entry was put again for another login.
    pub(crate) async fn advance_outbox_entry(
        &self,
        entry: &StoredOutboxEntry,
        cursor: Option<&str>,
        usage: &Usage,
    ) -> Result<(), TransactError> {
        let action = match cursor {
            Some(cursor) => Action::Update {
                add: Vec::new(),
                set: vec![(CURSOR.to_owned(), Value::Text(cursor.to_owned()))],
                remove: Vec::new(),
            },
            None => Action::Delete,
        };
        let write = Write { key: entry.key.clone(), action, conditions: entry.unchanged() };
        self.transact(CONTROL_TABLE, vec![write], usage).await
    }

    /// The last deactivations of some users, read strongly consistent. Users without one are left out.
    async fn deactivations(
        &self,
        users: impl IntoIterator<Item = UserId>,
        usage: &Usage,
    ) -> Result<RequestedDeactivations, StoreError> {
        let keys: BTreeMap<_, _> = users.into_iter().map(|user| (keys::deactivation(user), user)).collect();
        let reads = ReadPlan::gets(keys.keys().cloned()).consistent();
        let found = TableReader::new(self, CONTROL_TABLE, usage).read(reads).await?;
        let known = found.items.values().filter_map(|item| Some((*keys.get(&item.key)?, item)));
        known.map(|(user, item)| Ok((user, RequestedDeactivation::load(item)?))).collect()
    }

    /// What decides which cause of commands stands for some users of a generation, read strongly consistent.
    pub(crate) async fn cause_records<'e>(
        &self,
        generation: &Generation,
        users: impl IntoIterator<Item = (UserId, &'e Entity)>,
        usage: &Usage,
    ) -> Result<CauseRecords, StoreError> {
        let (mut deactivated, mut origins) = (Vec::new(), Vec::new());
        for (id, entity) in users {
            deactivated.extend(causes::deactivations_of(id, entity));
            origins.extend(causes::origins_of(id, entity));
        }
        let deactivations = self.deactivations(deactivated, usage);
        let origins = self.origins(generation, origins, usage);
        let (deactivations, origins) = futures::try_join!(deactivations, origins)?;
        Ok(CauseRecords { deactivations, origins })
    }

    /// The users of a generation whose reactivation takes causes back, read strongly consistent.
    pub(crate) async fn origins(
        &self,
        generation: &Generation,
        users: impl IntoIterator<Item = UserId>,
        usage: &Usage,
    ) -> Result<BTreeMap<UserId, Entity>, StoreError> {
        let keys: BTreeMap<_, _> = users.into_iter().map(|user| (keys::user(user), user)).collect();
        let reads = ReadPlan::gets(keys.keys().cloned()).consistent();
        let found = TableReader::of(self, generation, usage).read(reads).await?.items;
        let loaded = keys.into_iter().map(|(key, user)| Ok((user, Entity::load(found.get(&key))?)));
        Ok(loaded.collect::<Result<_, Corrupt>>()?)
    }
}
