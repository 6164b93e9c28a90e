//! The platform's schema at three ages, as SQL.

/// Today's: `state`, `notification` and `retry_count`; every column that the contract names.
pub(crate) const NEW: &str = "
create table users (id uuid primary key default gen_random_uuid(), clerk_user_id text unique not null, email text unique,
  first_name text, is_active boolean default true, created_at timestamptz default now(), updated_at timestamptz default now());
create table api_keys (id uuid primary key default gen_random_uuid(), user_id uuid references users on delete cascade,
  key_prefix text, key_hash text unique, name text, created_at timestamptz default now(), last_used_at timestamptz,
  is_active boolean default true);
create table tasks (id uuid primary key default gen_random_uuid(), user_id uuid references users on delete cascade,
  name text, schedule text, search_query text, state text default 'active', config jsonb,
  created_at timestamptz default now(), updated_at timestamptz);
create table task_executions (id uuid primary key default gen_random_uuid(), task_id uuid references tasks on delete cascade,
  status text default 'pending', started_at timestamptz default now(), completed_at timestamptz, error_message text,
  notification text, result jsonb, retry_count integer default 0, created_at timestamptz default now());
create table notification_sends (id uuid primary key default gen_random_uuid(), user_id uuid,
  task_id uuid references tasks on delete set null, execution_id uuid, notification_type text,
  status text default 'success', created_at timestamptz default now());";

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
