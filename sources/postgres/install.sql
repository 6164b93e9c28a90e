-- Makes the platform's PostgreSQL emit an event for each change of its five tables.
--
--   psql -v ON_ERROR_STOP=1 -d <database> -f install.sql
--
-- It creates a schema of its own with an outbox, and statement-level triggers on the tables. The rules by which rows
-- become events are functions here, which the triggers and `torale-source backfill` share. Running the file again
-- updates the functions and adds the triggers that are missing. docs/guide/sources.md explains it; what is read and
-- emitted stands in docs/contract/events.md and docs/adr/0022-events-from-the-platforms-tables.md.
--
-- Settings, for example PGOPTIONS="-c torale_source.platform=app -c torale_source.users=accounts":
--   torale_source.schema    the schema to create                [torale_admin_source]
--   torale_source.platform  the schema of the platform's tables [public]
--   torale_source.users, .api_keys, .tasks, .task_executions, .notification_sends
--                           the table's name; `none` if the platform has none [the same name]
--   torale_source.triggers  `off` creates the functions alone, for a backfill without triggers [on]

set client_min_messages = notice;

-- 1. The schema and its tables --------------------------------------------------------------------------------------

do $install$
declare
  own text := coalesce(nullif(current_setting('torale_source.schema', true), ''), 'torale_admin_source');
begin
  if current_setting('server_version_num')::int < 120000 then
    raise exception 'PostgreSQL 12 or later is needed, this is %', current_setting('server_version');
  end if;
  if current_setting('server_encoding') <> 'UTF8' then
    raise exception 'the database must be in UTF8, this is in %', current_setting('server_encoding');
  end if;
  if to_regnamespace(quote_ident(own)) is null then
    execute format('create schema %I', own);
  elsif to_regclass(format('%I.sources', own)) is null then
    raise exception 'the schema % exists and is not this file''s', own;
  end if;
  -- Everything below is created in this schema. What runs for the platform's roles keeps this path; pg_temp comes
  -- last, so that no temporary object of a caller is taken for one of these.
  perform set_config('search_path', format('%I, pg_catalog, pg_temp', own), false);
end
$install$;

set client_min_messages = warning; -- "already exists, skipping" says nothing new

\ir patiently.sql

-- Which table of the platform is which.
create table if not exists sources (
  relation text primary key,
  platform_schema name not null,
  platform_table name, -- null: the platform has no such table
  columns text[] not null -- those that events are made from; any but id may be missing
);

-- Events that are not on the queue yet. The relay deletes them.
create table if not exists outbox (
  id bigint generated always as identity primary key,
  event text not null,
  created_at timestamptz not null default clock_timestamp(),
  refused text -- why the queue never takes it; such a row stays
);

-- What a row's own columns do not say: when it changed last, and since when it has its state. Only rows whose columns
-- do not move on with a change, and rows whose state has changed, are here.
create table if not exists row_versions (
  relation text not null,
  key text not null,
  changed_at timestamptz not null,
  state text,
  state_at timestamptz,
  primary key (relation, key)
) with (fillfactor = 80);

-- Changes of which no event could be made, and why. `unrecorded` is what a backfill has to say of the row then: `row`,
-- or `state` if that has changed as well; null where it can say nothing more.
create table if not exists failures (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  relation text not null,
  operation text not null,
  key text,
  reason text not null,
  unrecorded text
);

-- An earlier version had no `unrecorded`. Only then is the table locked: the triggers write it.
do $column$
begin
  if not exists (select from pg_attribute where attrelid = 'failures'::regclass and attname = 'unrecorded') then
    perform pg_temp.patiently('alter table failures add column unrecorded text');
  end if;
end
$column$;

-- 2. The functions --------------------------------------------------------------------------------------------------

-- All at once: triggers that are there already never run a half of the old functions and a half of the new ones.
begin;

\ir events.sql
\ir changes.sql

-- 3. The triggers ---------------------------------------------------------------------------------------------------

-- Finds a table, says which columns it has, and creates the triggers that are missing. `CREATE TRIGGER` waits for
-- writers of the table.
create or replace function attach(relation text, platform_schema text, platform_table text, columns text[], triggers boolean)
returns void language plpgsql as $$
declare
  platform regclass := to_regclass(format('%I.%I', platform_schema, platform_table));
  present text[];
  event text;
begin
  insert into sources
  values (relation, platform_schema, case when platform is not null then platform_table end, columns)
  on conflict on constraint sources_pkey do update set platform_schema = excluded.platform_schema,
    platform_table = excluded.platform_table, columns = excluded.columns;
  if platform is null then
    raise notice '%: there is no table %.%; it is left out', relation, platform_schema, platform_table;
    return;
  end if;
  present := array(select attname::text from pg_attribute where attrelid = platform and attnum > 0 and not attisdropped);
  raise notice '%: found %, with %, without %', relation, platform,
    array(select c from unnest(columns) c where c = any (present)),
    array(select c from unnest(columns) c where c <> all (present));
  if not 'id' = any (present) then
    raise exception '%: % has no column id', relation, platform;
  elsif not triggers then
    raise notice '%: no triggers, as torale_source.triggers says', relation;
    return;
  end if;
  foreach event in array array['insert', 'update', 'delete', 'truncate'] loop
    if exists (select from pg_trigger where tgrelid = platform and tgname = 'torale_source_' || event
        and tgfoid <> to_regprocedure('capture()')) then
      raise exception '%: it has the triggers of an installation in another schema: uninstall that first', platform;
    end if;
    if not exists (select from pg_trigger where tgrelid = platform and tgname = 'torale_source_' || event) then
      perform create_trigger(relation, platform, event);
    end if;
  end loop;
end
$$;

create or replace function create_trigger(relation text, platform regclass, event text) returns void language plpgsql as $$
declare
  rows_of text := case event
    when 'insert' then 'referencing new table as new_rows'
    when 'update' then 'referencing old table as old_rows new table as new_rows'
    when 'delete' then 'referencing old table as old_rows'
    else ''
  end;
begin
  perform pg_temp.patiently(format(
    'create trigger torale_source_%s %s %s on %s %s for each statement execute function capture(%L)',
    event, case event when 'truncate' then 'before' else 'after' end, event, platform, rows_of, relation));
end
$$;

-- What runs in the platform's transactions finds its names in this schema alone, and nobody else makes triggers of it.
revoke execute on function capture() from public;
do $path$
begin
  execute format('alter function capture() set search_path = %s', current_setting('search_path'));
  execute format('alter function settle_failures() set search_path = %s', current_setting('search_path'));
end
$path$;

set client_min_messages = notice;

-- The table's name by its setting, else as it was installed before. There is no table called `none`.
create or replace function configured(relation text) returns text language sql stable as $$
  select coalesce(nullif(current_setting('torale_source.' || $1, true), ''),
    (select s.platform_table from sources s where s.relation = $1), $1)
$$;

-- The schema of the platform's tables, likewise.
create or replace function configured_schema(relation text) returns text language sql stable as $$
  select coalesce(nullif(current_setting('torale_source.platform', true), ''),
    (select s.platform_schema from sources s where s.relation = $1), 'public')
$$;

do $owner$
declare
  platform text := configured_schema('tasks');
begin
  if to_regclass(format('%I.%I', platform, configured('tasks'))) is null then
    return;
  end if;
  -- Only `user_id` is read: another column may hold what jsonb refuses. Where the table has none, it is that of `none`.
  execute format($function$
    create or replace function owner_of(relation text, r jsonb) returns text language plpgsql stable as $body$
    begin
      if relation in ('task_executions', 'notification_sends') and r->>'task_id' is not null then
        return (select (select as_uuid(user_id::text) from %I.%I t where t.id = (r->>'task_id')::uuid)
          from (values (null)) none (user_id));
      end if;
      return null;
    end
    $body$ $function$, platform, configured('tasks'));
end
$owner$;

commit;

create or replace function attach_configured(relation text, columns text[]) returns void language sql as $$
  select attach($1, configured_schema($1), configured($1), $2,
    coalesce(nullif(current_setting('torale_source.triggers', true), ''), 'on') <> 'off')
$$;

-- Each by itself, so that no table waits for another's.
do $$ begin
  perform attach_configured('users', '{id,clerk_user_id,email,is_active,created_at,updated_at}');
end $$;
do $$ begin
  perform attach_configured('api_keys', '{id,user_id,key_prefix,key_hash,name,created_at,is_active}');
end $$;
do $$ begin
  perform attach_configured('tasks',
    '{id,user_id,name,schedule,search_query,is_active,state,config,created_at,updated_at}');
end $$;
do $$ begin
  perform attach_configured('task_executions', '{id,task_id,status,started_at,completed_at,error_message,condition_met,'
    'notification,retry_count,created_at}');
end $$;
do $$ begin
  perform attach_configured('notification_sends',
    '{id,user_id,task_id,execution_id,notification_type,status,created_at}');
end $$;

-- The session may be another's next, if a pooler keeps it.
drop function pg_temp.patiently(text);
reset client_min_messages;
reset search_path;
