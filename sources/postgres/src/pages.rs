//! Reading the platform's tables: one snapshot, page by page, in the order of the rows' ids.

use tokio_postgres::types::Type;
use torale_source_outbox::SourceError;
use torale_source_outbox::connect::{SourceDatabase, SourceSnapshot, StatementParameter};

/// Rows up to which a table is counted.
const COUNTED: u32 = 5_000_000;

/// One of the platform's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTable {
    /// What it holds: `users`, `api_keys`, `tasks`, `task_executions` or `notification_sends`.
    pub relation: String,
    /// Its name in the database.
    pub name: String,
    /// Its rows in the snapshot; above some millions as PostgreSQL estimates them, or no more if it has no estimate.
    pub rows: u64,
}

/// What a page says of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageEntry {
    /// The row's id.
    pub key: String,
    /// An event, as it goes onto the queue.
    pub event: Option<String>,
    /// What no event can say (`problem`), or what the row's events say in part only (`note`).
    pub complaint: Option<Complaint>,
}

/// Why a row becomes no event, or not all of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Complaint {
    /// No event says this.
    Problem(String),
    /// The events say this in part.
    Note(String),
}

/// The tables as they were at one moment, while the platform works on.
#[derive(Debug)]
pub struct TableSnapshot {
    snapshot: SourceSnapshot,
}

impl TableSnapshot {
    /// Takes a snapshot. It is held until it is dropped.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn take(database: &SourceDatabase) -> Result<Self, SourceError> {
        Ok(Self { snapshot: database.connect().await?.snapshot().await? })
    }

    /// What identifies this installation of the source: the names and numbers of database and schema.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn identity(&self) -> Result<String, SourceError> {
        let text = "SELECT concat_ws('/', d.datname, d.oid, 'sources'::regclass::oid) FROM pg_database d \
            WHERE d.datname = current_database()";
        Ok(self.snapshot.query_one(text, &[]).await?.try_get(0)?)
    }

    /// The tables that the platform has, those first that others refer to.
    ///
    /// # Errors
    /// If the database does not answer, or this role may not read a table.
    pub async fn tables(&self) -> Result<Vec<SourceTable>, SourceError> {
        let text = "SELECT relation, format('%I.%I', platform_schema, platform_table) FROM sources \
            WHERE platform_table IS NOT NULL AND to_regclass(format('%I.%I', platform_schema, platform_table)) IS NOT NULL \
            ORDER BY array_position('{users,api_keys,tasks,task_executions,notification_sends}', relation)";
        let mut tables = Vec::new();
        for row in self.snapshot.query(text, &[]).await? {
            let (relation, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            // The name comes from format(), which quotes it. A large table takes longer to count than there is time;
            // there is no estimate of one that was never analysed, as partitioned ones are not by themselves.
            let count = format!(
                "SELECT CASE WHEN reltuples < {COUNTED} \
                    THEN (SELECT count(*) FROM (SELECT FROM {name} LIMIT {COUNTED} + 1) counted) \
                    ELSE reltuples::bigint END \
                FROM pg_class WHERE oid = $1::text::regclass"
            );
            let rows: i64 = self.snapshot.query_one(&count, &[(&name, Type::TEXT)]).await?.try_get(0)?;
            tables.push(SourceTable { relation, name, rows: u64::try_from(rows).unwrap_or(0) });
        }
        Ok(tables)
    }

    /// The entries of the next `size` rows after a key; none at the end of the table.
    ///
    /// # Errors
    /// If the database does not answer, or this role may not read the table.
    pub async fn page(
        &self,
        relation: &str,
        after: Option<&str>,
        size: i32,
    ) -> Result<Vec<PageEntry>, SourceError> {
        let text = "SELECT key, event, part, problem FROM backfill_page($1, $2, $3)";
        let parameters: [StatementParameter<'_>; 3] =
            [(&relation, Type::TEXT), (&after, Type::TEXT), (&size, Type::INT4)];
        let entries = self.snapshot.query(text, &parameters).await?.into_iter().map(|row| {
            let (part, problem): (Option<&str>, Option<String>) = (row.try_get(2)?, row.try_get(3)?);
            let complaint = problem.map(|text| match part {
                Some("note") => Complaint::Note(text),
                Some(_) | None => Complaint::Problem(text),
            });
            Ok(PageEntry { key: row.try_get(0)?, event: row.try_get(1)?, complaint })
        });
        entries.collect()
    }
}
