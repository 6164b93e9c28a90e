-- The platform's own tables as they are today, with every column that the product reads.
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
  status text default 'success', created_at timestamptz default now());
