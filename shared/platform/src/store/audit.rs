//! The audit table: records and seals are inserted, and nothing is ever changed.

use super::calls::{ReadPage, Scan};
use super::client::Store;
use super::error::{StoreError, TransactError};
use super::reader::TableReader;
use super::usage::Usage;
use torale_domain::audit::ChainedRecord;
use torale_domain::audit::seal::Seal;
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{self, AUDIT_TABLE, PK};
use torale_domain::storage::read::{Range, ReadPlan, Reader};
use torale_domain::storage::write::{Action, Condition, Write};

/// The most seals of one read.
const SEALS: usize = 100;

impl Store {
    /// Inserts a record. If an item with its key exists, it is this record: nobody else writes its chain.
    pub(crate) async fn insert_record(&self, link: &ChainedRecord, usage: &Usage) -> Result<(), StoreError> {
        usage.add_round_trips(1);
        self.insert(AUDIT_TABLE, link.item(), usage).await.map(drop)
    }

    /// The items of a partition from a sort key on, at most `limit`, read strongly consistent.
    pub async fn audit_records(
        &self,
        partition: &str,
        from: Option<String>,
        limit: Option<usize>,
        usage: &Usage,
    ) -> Result<Vec<Item>, StoreError> {
        self.audit_range(Range { pk: partition.to_owned(), from, limit, ..Range::default() }, usage).await
    }

    /// The seals before a number (all without one), the last first, at most 100.
    pub async fn audit_seals(&self, before: Option<u64>, usage: &Usage) -> Result<Vec<Item>, StoreError> {
        let to = match before {
            Some(0) => return Ok(Vec::new()),
            Some(before) => Some(keys::audit_seal(before - 1).sk),
            None => None,
        };
        let pk = keys::AUDIT_SEALS.to_owned();
        self.audit_range(Range { pk, to, descending: true, limit: Some(SEALS), ..Range::default() }, usage)
            .await
    }

    async fn audit_range(&self, range: Range, usage: &Usage) -> Result<Vec<Item>, StoreError> {
        let reader = TableReader::whole(self, AUDIT_TABLE, usage);
        let mut found = reader.read(ReadPlan::ranges(vec![range]).consistent()).await?;
        Ok(found.take_ranges(1).into_iter().flatten().collect())
    }

    /// Inserts a seal. It is a lost race if a seal with its number exists.
    pub async fn put_seal(&self, seal: &Seal, usage: &Usage) -> Result<(), TransactError> {
        let refused = |e: serde_json::Error| TransactError::Failed(StoreError::Refused(e.to_string()));
        let Item { key, attributes } = seal.item().map_err(refused)?;
        let conditions = vec![Condition::Absent(PK.to_owned())];
        let write = Write { key, action: Action::Put(attributes), conditions };
        self.transact(AUDIT_TABLE, vec![write], usage).await
    }

    /// A page of the whole audit table after a key, and the key to continue after: for checks and exports, never for
    /// a request.
    pub async fn audit_page(
        &self,
        after: Option<&Key>,
        usage: &Usage,
    ) -> Result<(Vec<Item>, Option<Key>), StoreError> {
        let scan = Scan { table: AUDIT_TABLE, segment: None, after, limit: None, consistent: true };
        let ReadPage { items, last } = self.calls.scan(scan, usage).await?;
        Ok((items, last))
    }
}
