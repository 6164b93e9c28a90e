//! Creates, finds and drops the tables of generations.

pub use super::calls::TableSize;
use super::calls::TableState;
use super::client::Store;
use super::error::StoreError;
use std::time::Duration;
use torale_domain::storage::keys::{PROJECTIONS_TABLE_PREFIX, TableSpec};

/// How often a new table is checked until it is active, and how many times at most: for two minutes.
const POLL: Duration = Duration::from_millis(500);
const POLLS: u32 = 240;

impl Store {
    /// Creates a table with on-demand capacity, unless it exists. Returns when it is active.
    ///
    /// # Errors
    /// If the store fails, or the table is not active after two minutes.
    pub async fn create_table(&self, table: &TableSpec) -> Result<(), StoreError> {
        self.calls.create_table(table).await?;
        for _ in 0..POLLS {
            if self.state(&table.name).await? == Some(TableState::Active) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(StoreError::Unavailable(format!("table {} does not become active", table.name)))
    }

    /// The state of a table; `None` if there is no such table.
    async fn state(&self, table: &str) -> Result<Option<TableState>, StoreError> {
        Ok(self.calls.describe_table(table).await?.map(|table| table.state))
    }

    /// Whether a table exists and can be used. A table that is being restored can't be used yet.
    pub async fn has_table(&self, table: &str) -> Result<bool, StoreError> {
        Ok(matches!(self.state(table).await?, Some(TableState::Active | TableState::Updating)))
    }

    /// Drops a table. Returns whether it existed.
    pub async fn drop_table(&self, table: &str) -> Result<bool, StoreError> {
        self.calls.drop_table(table).await
    }

    /// The names of all generations that have a table, in the order of their names.
    pub async fn generations(&self) -> Result<Vec<String>, StoreError> {
        let tables = self.calls.tables().await?;
        let names = tables.iter().filter_map(|table| table.strip_prefix(PROJECTIONS_TABLE_PREFIX));
        Ok(names.map(str::to_owned).collect())
    }

    /// The size of a table.
    pub async fn table_size(&self, table: &str) -> Result<TableSize, StoreError> {
        let described = self.calls.describe_table(table).await?;
        let missing = || StoreError::Refused(format!("there is no table {table}"));
        Ok(described.ok_or_else(missing)?.size)
    }
}
