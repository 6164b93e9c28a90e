//! The port below [`Store`](super::Store): the calls on tables that everything in this folder comes down to. DynamoDB
//! is one implementation; the simulator has another, in memory (docs/adr/0023-simulation.md).
//!
//! A call is one call of DynamoDB and has its semantics: a page may end early, keys and writes may stay unprocessed,
//! and who wants the rest calls again. Usage is counted by who implements a call.

use super::error::{StoreError, TransactError};
use super::usage::Usage;
use futures::future::BoxFuture;
use std::fmt::Debug;
use torale_domain::storage::item::{Attributes, Item, Key, Value};
use torale_domain::storage::keys::TableSpec;
use torale_domain::storage::read::{Range, SelectedAttributes};
use torale_domain::storage::write::Write;

/// The answer of a call.
pub type Call<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// The calls on tables.
pub trait TableCalls: Debug + Send + Sync {
    /// An item of a table that only this system writes, read strongly consistent.
    fn get<'a>(&'a self, table: &'a str, key: &'a Key, usage: &'a Usage) -> Call<'a, Option<Item>>;

    /// The items of at most 100 keys, none of which occurs twice, and the keys that stayed unprocessed.
    fn get_batch<'a>(&'a self, batch: BatchRead<'a>, usage: &'a Usage) -> Call<'a, (Vec<Item>, Vec<Key>)>;

    /// The items of a range after a key, in the order of their sort keys: at most 1 MB.
    fn query<'a>(&'a self, query: RangeQuery<'a>, usage: &'a Usage) -> Call<'a, ReadPage>;

    /// The number of items of a range, eventually consistent: up to its limit, or in 1 MB.
    fn count<'a>(&'a self, table: &'a str, range: &'a Range, usage: &'a Usage) -> Call<'a, CappedCount>;

    /// Items of a table after a key, in an order of the table's own, attributes of others shown: at most 1 MB.
    fn scan<'a>(&'a self, scan: Scan<'a>, usage: &'a Usage) -> Call<'a, ReadPage>;

    /// Puts an item. Returns whether it was put: one that exists is replaced, or stays.
    fn put<'a>(&'a self, table: &'a str, item: Item, existing: IfExists, usage: &'a Usage) -> Call<'a, bool>;

    /// Changes one item if its conditions hold.
    fn update<'a>(&'a self, table: &'a str, update: Update<'a>, usage: &'a Usage) -> Call<'a, UpdateResult>;

    /// Writes all or nothing: at most 100 items in 4 MB, each once, each write with its table.
    fn transact<'a>(
        &'a self,
        writes: Vec<(String, Write)>,
        usage: &'a Usage,
    ) -> BoxFuture<'a, Result<(), TransactError>>;

    /// Puts or deletes at most 25 items, each by itself and unconditionally, and returns what stayed unprocessed.
    fn write_batch<'a>(
        &'a self,
        table: &'a str,
        writes: Vec<BatchWrite>,
        usage: &'a Usage,
    ) -> Call<'a, Vec<BatchWrite>>;

    /// Begins to create a table with on-demand capacity. One that exists is no error.
    fn create_table<'a>(&'a self, table: &'a TableSpec) -> Call<'a, ()>;

    /// What is known of a table; `None` if there is none.
    fn describe_table<'a>(&'a self, table: &'a str) -> Call<'a, Option<TableDescription>>;

    /// Drops a table. Returns whether it existed.
    fn drop_table<'a>(&'a self, table: &'a str) -> Call<'a, bool>;

    /// The names of all tables, in their order.
    fn tables(&self) -> Call<'_, Vec<String>>;
}

/// How to treat attributes of kinds that this system never writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignAttributes {
    /// They are an error: nobody else writes to the table.
    Refuse,
    /// They are left out.
    Omit,
    /// They become texts that differ from every text that this system writes.
    Show,
}

/// A read of some keys.
#[derive(Debug, Clone)]
pub struct BatchRead<'a> {
    /// The table.
    pub table: &'a str,
    /// The keys, each once.
    pub keys: Vec<Key>,
    /// The attributes to return besides the keys; all of them without it.
    pub attributes: SelectedAttributes,
    /// Whether it sees every write acknowledged before.
    pub consistent: bool,
    /// How to treat others' attributes.
    pub foreign: ForeignAttributes,
}

/// A number of items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CappedCount {
    /// How many were counted.
    pub count: u64,
    /// Whether there may be more.
    pub capped: bool,
}

/// A read of a range.
#[derive(Debug, Clone)]
pub struct RangeQuery<'a> {
    /// The table.
    pub table: &'a str,
    /// The range; its limit is that of this call.
    pub range: Range,
    /// The key after which it continues.
    pub after: Option<Key>,
    /// Whether it sees every write acknowledged before.
    pub consistent: bool,
    /// How to treat others' attributes.
    pub foreign: ForeignAttributes,
}

/// A read of a table, or of one of the segments into which it is divided.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// The table.
    pub table: &'a str,
    /// The segment, and how many there are.
    pub segment: Option<(i32, i32)>,
    /// The key after which it continues.
    pub after: Option<&'a Key>,
    /// The most items.
    pub limit: Option<i32>,
    /// Whether it sees every write acknowledged before.
    pub consistent: bool,
}

/// Items, and the key to continue after; `None` if nothing is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadPage {
    /// The items.
    pub items: Vec<Item>,
    /// The key to continue after.
    pub last: Option<Key>,
}

/// What happens to an item that exists where one is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// It is replaced.
    Replace,
    /// It stays as it is.
    Keep,
}

/// A change of one item, which is created if it does not exist.
#[derive(Debug, Clone, PartialEq)]
pub struct Update<'a> {
    /// Its key.
    pub key: &'a Key,
    /// What attributes are set to, all computed from the item as it was.
    pub set: Vec<(String, SetValue)>,
    /// Attributes to remove.
    pub remove: &'a [String],
    /// All of them must hold.
    pub conditions: Vec<UpdateCondition>,
    /// Whether the answer has the item's attributes.
    pub answer: bool,
}

/// What an attribute is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetValue {
    /// This value.
    Value(Value),
    /// The number of an attribute, which must exist, and this amount.
    Sum(String, i64),
    /// What it is, or the value of another attribute if it does not exist.
    Kept(String),
}

/// A condition of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateCondition {
    /// The attribute exists.
    Present(String),
    /// The attribute does not exist.
    Absent(String),
    /// The attribute does not exist, or the comparison holds. It does not if one side is missing.
    AbsentOr(String, NumberComparison),
}

/// A comparison of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberComparison {
    /// The attribute is this number at most.
    AtMost(String, i64),
    /// The attribute is more than this number.
    MoreThan(String, i64),
    /// The first attribute is less than the second.
    Less(String, String),
}

/// The answer to an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateResult {
    /// Whether the conditions held.
    pub held: bool,
    /// If it was asked for: the attributes after the update, or as they were when the conditions did not hold.
    pub attributes: Attributes,
}

/// A write of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchWrite {
    /// Puts an item; one that exists is replaced.
    Put(Item),
    /// Deletes an item, whether it exists or not.
    Delete(Key),
}

impl BatchWrite {
    /// The key of the item.
    pub const fn key(&self) -> &Key {
        match self {
            Self::Put(item) => &item.key,
            Self::Delete(key) => key,
        }
    }
}

/// What is known of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableDescription {
    /// Whether it can be used.
    pub state: TableState,
    /// Its size.
    pub size: TableSize,
}

/// Whether a table can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableState {
    /// It can.
    Active,
    /// It can, and is being changed.
    Updating,
    /// It can't: it is being created, restored or dropped.
    Unusable,
}

/// The size of a table as DynamoDB describes it. For a table in use, it is updated every six hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableSize {
    /// The number of items.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}
