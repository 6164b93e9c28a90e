//! Executes a planned transaction.

use super::client::Store;
use super::error::TransactError;
use super::usage::Usage;
use torale_domain::storage::write::Write;

impl Store {
    /// Writes all or nothing to one table. A call whose answer is lost may have been written: after planning again,
    /// nothing is left to write.
    pub async fn transact(
        &self,
        table: &str,
        writes: Vec<Write>,
        usage: &Usage,
    ) -> Result<(), TransactError> {
        let writes = writes.into_iter().map(|write| (table.to_owned(), write)).collect();
        self.transact_across(writes, usage).await
    }

    /// Writes all or nothing to several tables: each write with its table.
    pub async fn transact_across(
        &self,
        writes: Vec<(String, Write)>,
        usage: &Usage,
    ) -> Result<(), TransactError> {
        self.calls.transact(writes, usage).await?;
        usage.add_round_trips(1);
        Ok(())
    }
}
