//! The outbox and the deactivations, in the control table.

use super::{CAPACITY, Store, StoreError, TableReader, TransactError, Usage, convert};
use std::collections::BTreeMap;
use torale_domain::deactivation::outbox::{CURSOR, Deactivation, OutboxEntry, StoredOutboxEntry};
use torale_domain::storage::item::{Item, Key, Value};
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::storage::read::{Corrupt, Range, ReadPlan, Reader};
use torale_domain::storage::write::{Action, Condition, Write};
use torale_domain::values::ids::UserId;

impl Store {
    /// Orders of the outbox after one of them, at most so many; each by itself, should one be unreadable.
    pub async fn pending_orders(
        &self,
        after: Option<&Key>,
        most: usize,
        usage: &Usage,
    ) -> Result<Vec<Result<StoredOutboxEntry, Corrupt>>, StoreError> {
        let from = after.map(|key| keys::next(&key.sk));
        let range = Range { pk: keys::OUTBOX.to_owned(), from, limit: Some(most), ..Range::default() };
        let reads = ReadPlan::ranges(vec![range]).consistent();
        let mut found = TableReader::new(self, CONTROL_TABLE, usage).read(reads).await?;
        let items = found.take_ranges(1).into_iter().flatten();
        Ok(items.map(|item| StoredOutboxEntry::load(&item)).collect())
    }

    /// Puts an order into the outbox; one that is there already stays as it is.
    pub(crate) async fn put_order(&self, order: &OutboxEntry, usage: &Usage) -> Result<(), StoreError> {
        let item = order.item().map_err(|e| StoreError::Refused(e.to_string()))?;
        self.insert(CONTROL_TABLE, item, usage).await.map(drop)
    }

    /// Moves an order's cursor on, or takes the order out of the outbox; a lost race if another has done so.
    pub(crate) async fn settle_order(
        &self,
        pending: &StoredOutboxEntry,
        cursor: Option<&str>,
        usage: &Usage,
    ) -> Result<(), TransactError> {
        let unmoved = match &pending.cursor {
            Some(cursor) => Condition::Equals(CURSOR.to_owned(), Value::Text(cursor.clone())),
            None => Condition::Absent(CURSOR.to_owned()),
        };
        let there = Condition::Present(keys::PK.to_owned());
        let action = match cursor {
            Some(cursor) => Action::Update {
                add: Vec::new(),
                set: vec![(CURSOR.to_owned(), Value::Text(cursor.to_owned()))],
                remove: Vec::new(),
            },
            None => Action::Delete,
        };
        let write = Write { key: pending.key.clone(), action, conditions: vec![there, unmoved] };
        self.transact(CONTROL_TABLE, vec![write], usage).await
    }

    /// An item of the control table, strongly consistent.
    pub async fn control(&self, key: &Key, usage: &Usage) -> Result<Option<Item>, StoreError> {
        let call = self.client.get_item().table_name(CONTROL_TABLE).consistent_read(true);
        let call = call.set_key(Some(convert::key(key)));
        let answer = call.return_consumed_capacity(CAPACITY).send().await.map_err(StoreError::from_sdk)?;
        usage.read(answer.consumed_capacity());
        Ok(answer.item.map(convert::item).transpose()?)
    }

    /// The last deactivations of some users, strongly consistent.
    pub(crate) async fn deactivations(
        &self,
        users: impl IntoIterator<Item = UserId>,
        usage: &Usage,
    ) -> Result<BTreeMap<UserId, Deactivation>, StoreError> {
        let keys: BTreeMap<_, _> = users.into_iter().map(|user| (keys::deactivation(user), user)).collect();
        let reads = ReadPlan::gets(keys.keys().cloned()).consistent();
        let found = TableReader::new(self, CONTROL_TABLE, usage).read(reads).await?;
        let known = found.items.values().filter_map(|item| Some((*keys.get(&item.key)?, item)));
        known.map(|(user, item)| Ok((user, Deactivation::load(item)?))).collect()
    }
}
