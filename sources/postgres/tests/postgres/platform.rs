//! The platform's schema at three ages, as SQL.

/// Today's: `state`, `notification` and `retry_count`; every column that the contract names.
pub(crate) use torale_simulated_platform::postgres::TABLES as NEW;

/// An older one: `is_active` for tasks, `condition_met`, no `retry_count`; times without a zone, which are UTC.
pub(crate) const OLD: &str = "
create table users (clerk_user_id text, id uuid primary key, email text, created_at timestamp, is_active boolean);
create table api_keys (id uuid primary key, user_id uuid, key_prefix text, key_hash text, created_at timestamp, is_active boolean);
create table tasks (is_active boolean, id uuid primary key, user_id uuid references users on delete cascade,
  search_query text, name text, schedule text, config json, created_at timestamp);
create table task_executions (condition_met boolean, id uuid primary key, task_id uuid references tasks on delete cascade,
  status text, started_at timestamp, completed_at timestamp, error_message text);
create table notification_sends (id uuid primary key, user_id uuid, task_id uuid, notification_type text, created_at timestamp);";

/// The oldest: no states at all, no `search_query`, and neither keys nor notifications.
pub(crate) const OLDEST: &str = "
create table users (id uuid primary key, clerk_user_id text, email text, created_at timestamptz);
create table tasks (id uuid primary key, user_id uuid, name text, config jsonb, created_at timestamptz);
create table task_executions (id uuid primary key, task_id uuid, status text, created_at timestamptz);";

/// The id of user, task, execution and so on number `n`, as a text of SQL.
pub(crate) fn id(n: u32) -> String {
    format!("'00000000-0000-0000-0000-{n:012}'")
}
