//! The platform's rows in PostgreSQL, and the changes that it makes to them. The product's triggers notice; nothing
//! here knows of them.

use crate::SimulationError;
use crate::postgres::{PostgresServer, TABLES};
use std::path::Path;
use tokio_postgres::{Client, NoTls, Row};

const NAME: &str = "torale";
const FIRST_ROWS: &str = include_str!("first_rows.sql");
/// What installs the product's triggers (docs/guide/sources.md).
const INSTALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../sources/postgres/install.sql");

const ACTIVE: &str = "SELECT id::text, user_id::text, schedule FROM tasks WHERE state = 'active'";
const DUE: &str = "SELECT id::text FROM tasks WHERE state = 'active' \
    AND split_part(schedule, ' ', 1)::int = floor(extract(second FROM now()))";
const BEGIN: &str = "INSERT INTO task_executions (task_id, status) SELECT id, 'running' FROM tasks \
    WHERE id = $1::text::uuid AND state = 'active' RETURNING id::text";
const SUCCEED: &str = "WITH done AS (UPDATE task_executions SET status = 'success', completed_at = now(), notification = $2 \
    WHERE id = $1::text::uuid RETURNING id, task_id, notification) \
    INSERT INTO notification_sends (user_id, task_id, execution_id, notification_type) \
    SELECT user_id, tasks.id, done.id, 'email' FROM done JOIN tasks ON tasks.id = task_id WHERE notification IS NOT NULL";
const FAIL: &str = "UPDATE task_executions SET status = 'failed', completed_at = now(), error_message = $2, retry_count = 1 \
    WHERE id = $1::text::uuid";
const SIGN_UP: &str = "WITH new AS (INSERT INTO users (clerk_user_id, email, first_name) \
    VALUES ('user_platform_new' || $1::text, 'new' || $1::text || '@example.com', 'New') RETURNING id) \
    INSERT INTO api_keys (user_id, key_prefix, key_hash, name) \
    SELECT id, 'sk_new' || $1::text, encode(sha256(convert_to('sk_' || id, 'UTF8')), 'hex'), 'laptop' FROM new";
const ADD_TASK: &str = "INSERT INTO tasks (user_id, name, schedule, search_query) \
    SELECT id, $1::text, $2::text, $1::text FROM users ORDER BY random() LIMIT 1 RETURNING id::text, user_id::text, schedule";
const EDIT_TASK: &str = "UPDATE tasks SET search_query = $2, schedule = $3, updated_at = now() WHERE id = $1::text::uuid \
    RETURNING id::text, user_id::text, schedule";
const SET_STATE: &str = "UPDATE tasks SET state = $2, updated_at = now() WHERE id = $1::text::uuid";
const REVOKE_KEY: &str = "UPDATE api_keys SET is_active = false WHERE id::text = $1";

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchOutcome {
    /// It found nothing new.
    NothingNew,
    /// It found what the task waits for; the user is notified.
    Found(&'static str),
    /// It failed, with this message.
    Failed(&'static str),
}

impl std::fmt::Display for SearchOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NothingNew => f.write_str("nothing new"),
            Self::Found(_) => f.write_str("found something, the user is notified"),
            Self::Failed(message) => write!(f, "failed, {message}"),
        }
    }
}

/// A task of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformTask {
    /// Its id.
    pub id: String,
    /// Its user's id.
    pub user: String,
    /// A cron expression of seven fields: the second of every minute at which its search starts.
    pub schedule: String,
}

impl PlatformTask {
    fn of(row: &Row) -> Result<Self, SimulationError> {
        Ok(Self { id: row.try_get(0)?, user: row.try_get(1)?, schedule: row.try_get(2)? })
    }
}

/// The platform's database.
#[derive(Debug)]
pub struct PlatformDatabase(Client);

impl PlatformDatabase {
    /// Its address at a server.
    #[must_use]
    pub fn url(server: &PostgresServer) -> String {
        server.url(NAME)
    }

    /// Creates the database with its tables and the product's triggers, and then its first rows, so that all of them
    /// are events.
    ///
    /// # Errors
    /// If the server or psql fails.
    pub async fn create(server: &PostgresServer) -> Result<Self, SimulationError> {
        psql(server, "postgres", &["-c", &format!("CREATE DATABASE {NAME}")])?;
        psql(server, NAME, &["-c", TABLES])?;
        let install = Path::new(INSTALL).canonicalize().unwrap_or_else(|_missing| INSTALL.into());
        psql(server, NAME, &["-f", &install.to_string_lossy()])?;
        let (client, connection) = tokio_postgres::connect(&Self::url(server), NoTls).await?;
        // It ends with the client; its errors reach the client's calls.
        tokio::spawn(connection);
        client.batch_execute(FIRST_ROWS).await?;
        Ok(Self(client))
    }

    /// All tasks that are active.
    ///
    /// # Errors
    /// If PostgreSQL fails.
    pub async fn active_tasks(&self) -> Result<Vec<PlatformTask>, SimulationError> {
        self.0.query(ACTIVE, &[]).await?.iter().map(PlatformTask::of).collect()
    }

    /// The ids of the active tasks whose searches start in the present second.
    ///
    /// # Errors
    /// If PostgreSQL fails.
    pub async fn due_tasks(&self) -> Result<Vec<String>, SimulationError> {
        let rows = self.0.query(DUE, &[]).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    /// Begins a search of a task: the execution's id, or `None` if the task is not active.
    ///
    /// # Errors
    /// If PostgreSQL fails.
    pub async fn begin(&self, task: &str) -> Result<Option<String>, SimulationError> {
        let row = self.0.query_opt(BEGIN, &[&task]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Ends a search, and notifies the user if it found something.
    ///
    /// # Errors
    /// If PostgreSQL fails.
    pub async fn finish(&self, execution: &str, outcome: SearchOutcome) -> Result<(), SimulationError> {
        let changed = match outcome {
            SearchOutcome::NothingNew => self.0.execute(SUCCEED, &[&execution, &None::<&str>]).await,
            SearchOutcome::Found(text) => self.0.execute(SUCCEED, &[&execution, &text]).await,
            SearchOutcome::Failed(message) => self.0.execute(FAIL, &[&execution, &message]).await,
        };
        Ok(changed.map(drop)?)
    }

    /// A user signs up; `name` makes them different from others.
    ///
    /// # Errors
    /// If PostgreSQL fails.
    pub async fn sign_up(&self, name: &str) -> Result<(), SimulationError> {
        Ok(self.0.execute(SIGN_UP, &[&name]).await.map(drop)?)
    }

    /// Some user adds a task.
    ///
    /// # Errors
    /// If PostgreSQL fails.
    pub async fn add_task(&self, query: &str, schedule: &str) -> Result<PlatformTask, SimulationError> {
        PlatformTask::of(&self.0.query_one(ADD_TASK, &[&query, &schedule]).await?)
    }

    /// A user changes what a task searches, and when.
    ///
    /// # Errors
    /// If PostgreSQL fails.
    pub async fn edit_task(
        &self,
        task: &str,
        query: &str,
        schedule: &str,
    ) -> Result<PlatformTask, SimulationError> {
        PlatformTask::of(&self.0.query_one(EDIT_TASK, &[&task, &query, &schedule]).await?)
    }

    /// Makes a task `active`, `paused` or `completed`.
    ///
    /// # Errors
    /// If PostgreSQL fails.
    pub async fn set_state(&self, task: &str, state: &str) -> Result<(), SimulationError> {
        Ok(self.0.execute(SET_STATE, &[&task, &state]).await.map(drop)?)
    }

    /// Revokes a key. Returns whether there is one.
    ///
    /// # Errors
    /// If PostgreSQL fails.
    pub async fn revoke_key(&self, key: &str) -> Result<bool, SimulationError> {
        Ok(self.0.execute(REVOKE_KEY, &[&key]).await? > 0)
    }
}

fn psql(server: &PostgresServer, database: &str, arguments: &[&str]) -> Result<(), SimulationError> {
    let output = server.psql(database).args(arguments).output();
    let output = output.map_err(|error| SimulationError::Server(format!("psql: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(SimulationError::Server(format!("psql: {why}")))
}
