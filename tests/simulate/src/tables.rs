//! Tables in memory, by DynamoDB's rules: what one call does at the moment at which it takes effect.
//!
//! Everything is immediate and exact here. What goes wrong on the way to a table, and between calls, is up to
//! [`network`](crate::network).

mod conditions;
mod partition;
mod spoil;

use crate::defects::{self, Defect};
use conditions::{apply, holds, passes, updated};
use partition::Partition;
use spoil::spoiled;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::time::Instant;
use torale_domain::storage::item::{Attributes, Item, Key};
use torale_domain::storage::keys::{MAX_PK_BYTES, MAX_SK_BYTES, OUTBOX, PK, SK, TableSpec};
use torale_domain::storage::limits::{ItemLimits, MAX_ITEM_BYTES, item_bytes};
use torale_domain::storage::read::{Range, SelectedAttributes};
use torale_domain::storage::write::{Action, Write};
use torale_platform::store::calls::{
    BatchWrite, IfExists, ReadPage, TableDescription, TableSize, TableState, Update, UpdateResult,
};
use torale_platform::store::{StoreError, TransactError};

/// The most bytes of a page.
const PAGE_BYTES: usize = 1024 * 1024;
/// The most items of a transaction, and its bytes.
const TRANSACTION: usize = 100;
const TRANSACTION_BYTES: usize = 4 * 1024 * 1024;
/// The most keys of a batch of reads, and writes of a batch.
const KEYS: usize = 100;
const WRITES: usize = 25;

/// How the refusal of a call begins that names a table which does not exist.
pub const NO_TABLE: &str = "there is no table";

/// All tables of an account.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    tables: BTreeMap<String, Table>,
    /// Transactions by the tokens of their requests: one that is repeated changes nothing.
    tokens: BTreeSet<u128>,
    /// The items of transactions that are being written.
    locked: BTreeSet<(String, Key)>,
    /// Notified of every change of the outbox.
    stream: Arc<Notify>,
    /// Whether every read sees the state of now, so that what items were need not be remembered.
    is_always_read_now: bool,
}

type Table = BTreeMap<String, Partition>;

/// An item that a transaction changes: its table, its key, and what it becomes; `None` if it is deleted.
pub type ItemChange = (String, Key, Option<Attributes>);

/// How old the state is that a read sees, at most.
#[derive(Debug, Clone, Copy)]
pub struct AsOf(pub Option<Instant>);

impl AsOf {
    /// The state of now.
    pub const NOW: Self = Self(None);
}

fn refused<T>(why: impl Into<String>) -> Result<T, StoreError> {
    Err(StoreError::Refused(why.into()))
}

impl Tables {
    /// The tables of a new installation.
    pub fn of(specs: &[TableSpec]) -> Self {
        let mut tables = Self::default();
        specs.iter().for_each(|spec| tables.create(spec));
        tables
    }

    /// The same, which notifies this of every change of the outbox.
    #[must_use]
    pub fn with_stream(self, stream: Arc<Notify>) -> Self {
        Self { stream, ..self }
    }

    /// The same, as if all had been written long ago.
    #[must_use]
    pub fn settled(mut self) -> Self {
        self.tokens.clear();
        self.tables.values_mut().flat_map(Table::values_mut).for_each(Partition::settle);
        self
    }

    /// The same, of which every read sees the state of now: long runs take less memory.
    #[must_use]
    pub fn always_read_now(self) -> Self {
        Self { is_always_read_now: true, ..self.settled() }
    }

    fn table(&self, name: &str) -> Result<&Table, StoreError> {
        self.tables.get(name).ok_or_else(|| StoreError::Refused(format!("{NO_TABLE} {name}")))
    }

    fn table_mut(&mut self, name: &str) -> Result<&mut Table, StoreError> {
        self.tables.get_mut(name).ok_or_else(|| StoreError::Refused(format!("{NO_TABLE} {name}")))
    }

    /// An item as it was at a moment.
    pub fn get(&self, table: &str, key: &Key, as_of: AsOf) -> Result<Option<Item>, StoreError> {
        Ok(self.get_selected(table, key, None, as_of)?.map(|(item, _bytes)| item))
    }

    /// Some attributes of an item as it was at a moment, and the size of the whole item in bytes.
    pub fn get_selected(
        &self,
        table: &str,
        key: &Key,
        selected: SelectedAttributes,
        as_of: AsOf,
    ) -> Result<Option<(Item, usize)>, StoreError> {
        check_key(key)?;
        let found = self.find(table, key, as_of)?;
        Ok(found.map(|attributes| {
            let item = Item { key: key.clone(), attributes: select(attributes, selected) };
            (item, bytes(&key.pk, &key.sk, attributes))
        }))
    }

    fn find(&self, table: &str, key: &Key, as_of: AsOf) -> Result<Option<&Attributes>, StoreError> {
        let partition = self.table(table)?.get(&key.pk);
        Ok(partition.and_then(|partition| partition.get(&key.sk, as_of)))
    }

    /// Whether a batch of reads is one that DynamoDB takes.
    pub fn check_batch(keys: &[Key]) -> Result<(), StoreError> {
        if keys.is_empty() || keys.len() > KEYS || keys.iter().collect::<BTreeSet<_>>().len() < keys.len() {
            return refused(format!("a batch of {} keys, or one with duplicates", keys.len()));
        }
        keys.iter().try_for_each(check_key)
    }

    /// A page of a range.
    pub fn query(
        &self,
        table: &str,
        range: &Range,
        after: Option<&Key>,
        as_of: AsOf,
    ) -> Result<ReadPage, StoreError> {
        let bounds = [range.from.as_ref(), range.to.as_ref()];
        if bounds.into_iter().flatten().any(String::is_empty) || range.pk.is_empty() || range.limit == Some(0)
        {
            return refused("an empty text in a key condition, or a limit of 0");
        }
        if range.from.as_ref().zip(range.to.as_ref()).is_some_and(|(from, to)| from > to) {
            return refused("the bounds of a range in the wrong order");
        }
        let Some(partition) = self.table(table)?.get(&range.pk) else { return Ok(ReadPage::default()) };
        let mut low = range.from.as_deref().map_or(Bound::Unbounded, Bound::Included);
        let mut high = range.to.as_deref().map_or(Bound::Unbounded, Bound::Included);
        match after {
            Some(key) if range.descending => high = Bound::Excluded(key.sk.as_str()),
            Some(key) => low = Bound::Excluded(key.sk.as_str()),
            None => {}
        }
        let items = partition.range(low, high, range.descending, as_of);
        let items = items.map(|(sk, attributes)| (range.pk.as_str(), sk, attributes));
        Ok(page(items, range.limit, range.attributes))
    }

    /// A page of a whole table, or of a segment, in the order of its keys.
    pub fn scan(
        &self,
        table: &str,
        segment: Option<(i32, i32)>,
        after: Option<&Key>,
        limit: Option<usize>,
    ) -> Result<ReadPage, StoreError> {
        let after = after.map(|key| (key.pk.as_str(), key.sk.as_str()));
        let in_segment = |pk: &str| match segment {
            Some((segment, segments)) => {
                pk.bytes().fold(0, |sum, byte| (sum * 31 + i32::from(byte)) % segments) == segment
            }
            None => true,
        };
        let first = after.map_or(Bound::Unbounded, |(pk, _)| Bound::Included(pk));
        let partitions = self.table(table)?.range::<str, _>((first, Bound::Unbounded));
        let partitions = partitions.filter(|(pk, _)| in_segment(pk));
        let items = partitions.flat_map(|(pk, partition)| {
            let all = partition.range(Bound::Unbounded, Bound::Unbounded, false, AsOf::NOW);
            all.map(move |(sk, attributes)| (pk.as_str(), sk, attributes))
        });
        let left = items.filter(|(pk, sk, _)| after.is_none_or(|after| (*pk, *sk) > after));
        Ok(page(left, limit, None))
    }

    /// Puts an item.
    pub fn put(&mut self, table: &str, item: Item, existing: IfExists) -> Result<bool, StoreError> {
        check_key(&item.key)?;
        fits(&item.key, &item.attributes)?;
        self.check_unlocked(table, &item.key)?;
        let exists = self.find(table, &item.key, AsOf::NOW)?.is_some();
        if existing == IfExists::Keep && exists {
            return Ok(false);
        }
        self.store(table, item.key, Some(item.attributes))?;
        Ok(true)
    }

    /// Changes an item.
    pub fn update(&mut self, table: &str, update: &Update<'_>) -> Result<UpdateResult, StoreError> {
        check_key(update.key)?;
        self.check_unlocked(table, update.key)?;
        let old = self.find(table, update.key, AsOf::NOW)?.cloned().unwrap_or_default();
        let answer = |attributes: Attributes| if update.answer { attributes } else { Attributes::new() };
        if !update.conditions.iter().all(|test| passes(test, &old)) {
            return Ok(UpdateResult { held: false, attributes: answer(old) });
        }
        let new = updated(&old, update)?;
        fits(update.key, &new)?;
        self.store(table, update.key.clone(), Some(new.clone()))?;
        Ok(UpdateResult { held: true, attributes: answer(new) })
    }

    /// Puts or deletes some items.
    pub fn write_batch(&mut self, table: &str, writes: Vec<BatchWrite>) -> Result<(), StoreError> {
        let keys: BTreeSet<&Key> = writes.iter().map(BatchWrite::key).collect();
        if writes.is_empty() || writes.len() > WRITES || keys.len() < writes.len() {
            return refused(format!("a batch of {} writes, or one with duplicates", writes.len()));
        }
        for write in &writes {
            check_key(write.key())?;
            if let BatchWrite::Put(item) = write {
                fits(&item.key, &item.attributes)?;
            }
        }
        for write in writes {
            match write {
                BatchWrite::Put(item) => self.store(table, item.key, Some(item.attributes))?,
                BatchWrite::Delete(key) => self.store(table, key, None)?,
            }
        }
        Ok(())
    }

    /// Begins a transaction: its items are locked until it is [committed](Self::commit) or
    /// [abandoned](Self::unlock).
    ///
    /// # Errors
    /// If it is none that DynamoDB takes, or an item is locked by another.
    pub fn lock(&mut self, writes: &[(String, Write)]) -> Result<(), TransactError> {
        self.check_transaction(writes)?;
        self.locked.extend(writes.iter().map(|(table, write)| (table.clone(), write.key.clone())));
        Ok(())
    }

    /// Whether a transaction may begin: what [`Self::lock`] checks.
    ///
    /// # Errors
    /// If it is none that DynamoDB takes, or an item is locked by another.
    pub fn check_transaction(&self, writes: &[(String, Write)]) -> Result<(), TransactError> {
        let size: usize = writes.iter().map(|(_, write)| write.size()).sum();
        let items: BTreeSet<(&String, &Key)> =
            writes.iter().map(|(table, write)| (table, &write.key)).collect();
        if items.len() < writes.len() || writes.is_empty() || writes.len() > TRANSACTION {
            let why = format!("a transaction of {} writes, or with an item twice", writes.len());
            return Err(TransactError::Failed(StoreError::Refused(why)));
        }
        if size > TRANSACTION_BYTES {
            return Err(TransactError::Failed(StoreError::Refused("a transaction over 4 MB".to_owned())));
        }
        writes.iter().try_for_each(|(_, write)| check_write(write)).map_err(TransactError::Failed)?;
        let owned = |(table, key): (&String, &Key)| (table.clone(), key.clone());
        if !self.locked.is_empty() && items.iter().any(|item| self.locked.contains(&owned(*item))) {
            return Err(TransactError::Race);
        }
        Ok(())
    }

    /// Ends the locks of a transaction.
    pub fn unlock(&mut self, writes: &[(String, Write)]) {
        for (table, write) in writes {
            self.locked.remove(&(table.clone(), write.key.clone()));
        }
    }

    /// Writes all of a transaction or nothing. `token` is that of its request.
    pub fn commit(&mut self, writes: &[(String, Write)], token: u128) -> Result<(), TransactError> {
        if self.tokens.contains(&token) {
            return Ok(());
        }
        let changes = self.plan(writes)?;
        self.write(changes, token)
    }

    /// What a transaction changes, if its conditions hold.
    ///
    /// # Errors
    /// If they do not, or something can never be written.
    pub fn plan(&self, writes: &[(String, Write)]) -> Result<Vec<ItemChange>, TransactError> {
        // Every item is looked at: one that can never be written is reported even if others lost a race.
        let (mut changes, mut race) = (Vec::new(), false);
        for (table, write) in writes {
            check_key(&write.key).map_err(TransactError::Failed)?;
            let found = self.find(table, &write.key, AsOf::NOW).map_err(TransactError::Failed)?;
            let ignored = defects::is(Defect::ChecksAreIgnored) && write.action == Action::Check;
            if !ignored && !write.conditions.iter().all(|condition| holds(condition, found)) {
                race = true;
            } else if write.action != Action::Check {
                let new = apply(found, &write.action).map_err(TransactError::Failed)?;
                if let Some(new) = &new {
                    fits(&write.key, new).map_err(TransactError::Failed)?;
                }
                changes.push((table.clone(), write.key.clone(), new));
            }
        }
        if race { Err(TransactError::Race) } else { Ok(changes) }
    }

    /// Writes what a transaction changes.
    ///
    /// # Errors
    /// If there is no such table.
    pub fn write(&mut self, mut changes: Vec<ItemChange>, token: u128) -> Result<(), TransactError> {
        if changes.len() > 1 && defects::shows(Defect::TransactionsTear, 20) {
            changes.pop();
        }
        for (table, key, new) in changes {
            self.store(&table, key, new).map_err(TransactError::Failed)?;
        }
        self.tokens.insert(token);
        Ok(())
    }

    /// Puts or deletes an item, whatever it was.
    ///
    /// # Errors
    /// If there is no such table.
    pub fn store(&mut self, table: &str, key: Key, attributes: Option<Attributes>) -> Result<(), StoreError> {
        if key.pk == OUTBOX {
            self.stream.notify_waiters();
        }
        let Some(attributes) = spoiled(table, &key, attributes) else { return Ok(()) };
        let remembers = !self.is_always_read_now;
        self.table_mut(table)?.entry(key.pk).or_default().set(key.sk, attributes, remembers);
        Ok(())
    }

    fn check_unlocked(&self, table: &str, key: &Key) -> Result<(), StoreError> {
        if !self.locked.is_empty() && self.locked.contains(&(table.to_owned(), key.clone())) {
            return Err(StoreError::Unavailable("a transaction is writing the item".to_owned()));
        }
        Ok(())
    }

    /// Creates a table, unless it exists.
    pub fn create(&mut self, table: &TableSpec) {
        self.tables.entry(table.name.clone()).or_default();
    }

    /// What is known of a table.
    pub fn describe(&self, table: &str) -> Option<TableDescription> {
        let size = TableSize::default();
        self.tables.get(table).map(|_| TableDescription { state: TableState::Active, size })
    }

    /// Drops a table.
    pub fn drop_table(&mut self, table: &str) -> bool {
        self.tables.remove(table).is_some()
    }

    /// The names of all tables.
    pub fn names(&self) -> Vec<String> {
        self.tables.keys().cloned().collect()
    }

    /// Whether a partition has items.
    pub fn has_items(&self, table: &str, pk: &str) -> bool {
        let partition = self.tables.get(table).and_then(|table| table.get(pk));
        partition.is_some_and(|partition| !partition.is_empty())
    }

    /// Every item of a table, in the order of its keys.
    ///
    /// # Panics
    /// If there is no such table.
    pub fn items(&self, table: &str) -> Vec<Item> {
        let owned = |(pk, sk, attributes): (&str, &str, &Attributes)| Item {
            key: Key::stored(pk.to_owned(), sk.to_owned()),
            attributes: attributes.clone(),
        };
        self.all(table).map(owned).collect()
    }

    /// Whether a table has exactly these items, which are in the order of their keys.
    ///
    /// # Panics
    /// If there is no such table.
    pub fn has_exactly(&self, table: &str, items: &[Item]) -> bool {
        let items = items.iter().map(|item| (item.key.pk.as_str(), item.key.sk.as_str(), &item.attributes));
        self.all(table).eq(items)
    }

    fn all(&self, table: &str) -> impl Iterator<Item = (&str, &str, &Attributes)> {
        self.table(table).expect("the table").iter().flat_map(|(pk, partition)| {
            let items = partition.range(Bound::Unbounded, Bound::Unbounded, false, AsOf::NOW);
            items.map(move |(sk, attributes)| (pk.as_str(), sk, attributes))
        })
    }
}

/// The items up to a limit, or up to 1 MB, but one at least. Like DynamoDB, a page is cut by the sizes of whole items.
fn page<'a>(
    items: impl Iterator<Item = (&'a str, &'a str, &'a Attributes)>,
    limit: Option<usize>,
    selected: SelectedAttributes,
) -> ReadPage {
    let (mut page, mut read) = (ReadPage::default(), 0);
    for (pk, sk, attributes) in items {
        read += bytes(pk, sk, attributes);
        if read > PAGE_BYTES && !page.items.is_empty() {
            page.last = page.items.last().map(|item| item.key.clone());
            break;
        }
        let key = Key::stored(pk.to_owned(), sk.to_owned());
        let is_last = Some(page.items.len() + 1) == limit;
        page.last = is_last.then(|| key.clone());
        page.items.push(Item { key, attributes: select(attributes, selected) });
        if is_last {
            break;
        }
    }
    page
}

/// The size of an item, which decides where pages and batches of reads end.
fn bytes(pk: &str, sk: &str, attributes: &Attributes) -> usize {
    let sizes = attributes.iter().map(|(name, value)| name.len() + value.size());
    PK.len() + pk.len() + SK.len() + sk.len() + sizes.sum::<usize>()
}

/// The attributes that a read returns.
pub fn select(attributes: &Attributes, selected: SelectedAttributes) -> Attributes {
    match selected {
        None => attributes.clone(),
        Some(names) => {
            let found = names.iter().filter_map(|name| attributes.get_key_value(*name));
            found.map(|(name, value)| (name.clone(), value.clone())).collect()
        }
    }
}

fn check_key(key: &Key) -> Result<(), StoreError> {
    if key.pk.is_empty() || key.sk.is_empty() {
        return refused("an empty key");
    }
    fits(key, &Attributes::new())
}

/// What is checked before any item is looked at.
fn check_write(write: &Write) -> Result<(), StoreError> {
    check_key(&write.key)?;
    match &write.action {
        Action::Put(attributes) => fits(&write.key, attributes),
        Action::Delete | Action::Check | Action::Update { .. } => Ok(()),
    }
}

fn fits(key: &Key, attributes: &Attributes) -> Result<(), StoreError> {
    let has_long_key = key.pk.len() > MAX_PK_BYTES || key.sk.len() > MAX_SK_BYTES;
    if !has_long_key && item_bytes(key, attributes) <= MAX_ITEM_BYTES {
        return Ok(());
    }
    let item = Item { key: key.clone(), attributes: attributes.clone() };
    ItemLimits::STORE.check(&item).map_err(|fault| StoreError::Refused(fault.to_string()))
}
