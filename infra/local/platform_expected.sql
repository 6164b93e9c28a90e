-- What every endpoint of the API has to answer, as queries on the platform's own tables. Written from
-- docs/contract/http.md, docs/contract/events.md and the platform's schema alone; nothing of the product is used, and
-- the product uses nothing of this. platform_endpoints.py compares over HTTP, the random histories of sources/postgres
-- in the process, for a schema of every age. It is read before the platform deletes anything.
--
-- Not in the tables, and so not in here: logins, roles, `last_used_at`, whatever an administrator has done, Temporal's
-- runs, and the ids and times of events (`history`).
create schema expected;
set search_path = expected, public;
set timezone = 'UTC';

-- The platform's rows, and what it has deleted: users, keys and executions stay known, and the query of a deleted task
-- does.
create function keep() returns trigger language plpgsql as $$
begin
  execute format('delete from expected.gone_%I where id = ($1).id', tg_table_name) using old;
  execute format('insert into expected.gone_%I select ($1).*', tg_table_name) using old;
  return old;
end
$$;

-- Creates the view `<table>_rows`. Each of `columns` is a name and a type. A column that the platform's table lacks is
-- null, a table that it lacks is empty. A row that came back is there once.
create function create_rows(platform_table text, columns text[]) returns void language plpgsql as $$
declare
  platform regclass := to_regclass(format('public.%I', platform_table));
  selected text := (
    select string_agg(format('%s::%s as %I', case when attname is null then 'null' else quote_ident(attname) end, type, name), ', '
      order by number)
    from unnest(columns) with ordinality as each (of, number)
    cross join split_part(of, ' ', 1) name cross join split_part(of, ' ', 2) type
    left join pg_attribute on attrelid = platform and attname = name and not attisdropped
  );
begin
  if platform is null then
    execute format('create view %I_rows as select %s, false as is_gone where false', platform_table, selected);
    return;
  end if;
  execute format('create table gone_%I as select * from %s where false', platform_table, platform);
  execute format('create trigger expected_keep before delete on %s for each row execute function keep()', platform);
  execute format('create view %1$I_rows as select %2$s, false as is_gone from public.%1$I '
    'union all select %2$s, true from gone_%1$I g where not exists (select from public.%1$I r where r.id = g.id)',
    platform_table, selected);
end
$$;

do $$ begin
  perform create_rows('users', '{id uuid,email text,clerk_user_id text,is_active boolean,created_at timestamptz}');
  perform create_rows('api_keys', '{id uuid,user_id uuid,key_prefix text,name text,is_active boolean,created_at timestamptz}');
  perform create_rows('tasks', '{id uuid,user_id uuid,name text,schedule text,search_query text,config jsonb,state text,'
    'is_active boolean,created_at timestamptz}');
  perform create_rows('task_executions', '{id uuid,task_id uuid,status text,started_at timestamptz,created_at timestamptz,'
    'completed_at timestamptz,error_message text,condition_met boolean,notification text,retry_count integer}');
  perform create_rows('notification_sends', '{id uuid,user_id uuid,status text,created_at timestamptz}');
end $$;

-- Users that the platform's tables do not have: an administrator.
create table other_users (id uuid, email text, clerk_user_id text, created_at timestamptz);

-- Rules that several endpoints share -------------------------------------------------------------------------------

-- Times are cut to milliseconds before anything is computed.
create function ms(at timestamptz) returns timestamptz language sql immutable
as $$ select date_trunc('milliseconds', at) $$;

-- RFC 3339 in UTC: whole seconds where there is no fraction, else milliseconds.
create function shown(at timestamptz) returns text language sql stable as $$
  select to_char(ms(at), case when ms(at) = date_trunc('second', at) then 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
    else 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"' end)
$$;

-- "The last N hours", and the cut of windows of one user.
create function since(now timestamptz, hours int) returns timestamptz language sql stable
as $$ select date_trunc('minute', now - make_interval(hours => hours)) $$;
create function since_hour(now timestamptz, hours int) returns timestamptz language sql stable
as $$ select date_trunc('hour', now - make_interval(hours => hours)) $$;

-- A time that is missing is the contract's earliest.
create function known(at timestamptz) returns timestamptz language sql immutable
as $$ select ms(coalesce(at, '2015-01-01T00:00:00Z')) $$;

-- A text, or null if it is empty. One of blanks alone counts as empty; any other is the exact text, blanks included.
create function filled(value text) returns text language sql immutable as $$ select nullif(value, '') where trim(value) <> '' $$;

create function error_type(message text) returns text language sql immutable as $$
  select coalesce(
    substring(message from '^(?:\w+\.)*(\w+(?:Error|Exception)):'),
    case when message ilike '%rate limit%' then 'RateLimitError' when message ilike '%timeout%' then 'TimeoutError'
      when message ilike '%validation%' then 'ValidationError' else 'Error' end)
$$;

create view all_users as
select id, email, clerk_user_id, coalesce(is_active, true) and not is_gone as is_active, is_gone, known(created_at) as created_at
from users_rows
union all select id, email, clerk_user_id, true, false, ms(created_at) from other_users;

create view all_tasks as
select id, user_id, name, case when length(schedule) between 1 and 256 then schedule end as schedule,
  known(created_at) as created_at, is_gone,
  coalesce(state, case when is_active is false then 'paused' else 'active' end) as state,
  left(coalesce(filled(search_query), filled(config ->> 'query'), filled(name)), 500) as search_query
from tasks_rows;

-- Whether the platform has a column that says when an execution ended.
create function says_ends() returns boolean language sql stable as $$
  select exists (select from pg_attribute where attrelid = to_regclass('public.task_executions') and attname = 'completed_at'
    and not attisdropped)
$$;

-- `completed_at` is null where the platform does not say when any execution ended. Where it says so of others, it is the
-- time of the row's event: of a row that was inserted so, as all of these are, the greatest of its own times.
create view all_executions as
select e.id, task_id, t.user_id, u.email as user_email, t.search_query, e.started_at, e.error_message, e.retry_count,
  case when status in ('success', 'failed') then status else 'running' end as status,
  case when status = 'success' then coalesce(condition_met, notification <> '', false) end as condition_met,
  completed_at,
  case when completed_at is not null then greatest(0,
    (extract(epoch from completed_at) - extract(epoch from e.started_at)) * 1000)::bigint end as duration_ms,
  case when status = 'failed' then error_type(error_message) end as error_type
from (
  select id, task_id, status, known(coalesce(started_at, created_at)) as started_at, notification, condition_met,
    case when status in ('success', 'failed') and (select says_ends())
      then ms(coalesce(completed_at, greatest(started_at, created_at), known(null))) end as completed_at,
    left(coalesce(error_message, ''), 2000) as error_message, coalesce(retry_count, 0) as retry_count
  from task_executions_rows
) e
join all_tasks t on t.id = task_id join all_users u on u.id = t.user_id;

create view all_notifications as
select user_id, known(created_at) as at from notification_sends_rows where coalesce(status, 'success') = 'success';

-- Means and rates: rounded half up, and zero if nothing has finished.
create function mean_ms(durations numeric) returns bigint language sql immutable
as $$ select coalesce(floor(durations + 0.5), 0)::bigint $$;
create function rate(succeeded bigint, failed bigint) returns numeric language sql immutable
as $$ select case when succeeded + failed = 0 then 0 else floor(succeeded * 100.0 / (succeeded + failed) + 0.5) / 100 end $$;

-- GET /admin/stats -------------------------------------------------------------------------------------------------

create function stats(now timestamptz) returns table (users json, tasks json, executions json, notifications json)
language sql stable as $$
  select
    (select json_build_object('total', count(*), 'active_30d', 0, -- nobody has logged in
      'new_7d', count(*) filter (where created_at >= since(now, 168))) from all_users),
    (select json_build_object('total', count(*), 'active', count(*) filter (where state = 'active'),
      'paused', count(*) filter (where state = 'paused')) from all_tasks where not is_gone),
    (select json_build_object('total_24h', count(*), 'success_24h', count(*) filter (where status = 'success'),
      'failed_24h', count(*) filter (where status = 'failed'), 'avg_duration_ms', mean_ms(avg(duration_ms)))
      from all_executions where started_at >= since(now, 24)),
    (select json_build_object('sent_24h', count(*) filter (where at >= since(now, 24)),
      'sent_7d', count(*) filter (where at >= since(now, 168))) from all_notifications)
$$;

-- GET /admin/stats/series ------------------------------------------------------------------------------------------

create function measured(of text) returns table (at timestamptz, status text, duration_ms bigint) language sql stable as $$
  select started_at, status, duration_ms from all_executions where of = 'executions'
  union all select completed_at, null, null from all_executions where of = 'errors' and status = 'failed'
  union all select at, null, null from all_notifications where of = 'notifications'
  union all select created_at, null, null from all_users where of = 'new_users'
$$;

create function series(now timestamptz, metric text, bucket text, hours int)
returns table (start text, count bigint, failed bigint, avg_duration_ms bigint) language sql stable as $$
  with cut (at) as (select case metric when 'last_logins' then since_hour(now, hours) else since(now, hours) end),
  starts (at) as (
    select at from cut union
    select s from cut, generate_series(date_trunc(bucket, at), now, ('1 ' || bucket)::interval) s where s > at
  ),
  buckets as (select at, lead(at, 1, 'infinity') over (order by at) as before from starts)
  select shown(b.at), count(m.at), count(*) filter (where status = 'failed'), mean_ms(avg(duration_ms))
  from buckets b left join measured(metric) m on m.at >= b.at and m.at < b.before group by b.at order by b.at
$$;

-- GET /admin/queries -----------------------------------------------------------------------------------------------

-- Of equal `total_tasks` the contract leaves the order open.
create function queries()
returns table (search_query text, total_tasks bigint, active_tasks bigint, total_executions bigint, success_rate numeric,
  avg_duration_ms bigint) language sql stable as $$
  with finished as (
    select task_id, count(*) as executions, count(*) filter (where status = 'success') as succeeded,
      count(*) filter (where status = 'failed') as failed, sum(duration_ms) as duration_ms
    from all_executions group by task_id
  )
  select search_query, count(*), count(*) filter (where state = 'active'), coalesce(sum(executions), 0)::bigint,
    rate(coalesce(sum(succeeded), 0)::bigint, coalesce(sum(failed), 0)::bigint),
    mean_ms(sum(duration_ms) / nullif(sum(succeeded) + sum(failed), 0))
  from all_tasks left join finished on task_id = id where not is_gone group by search_query order by count(*) desc
$$;

-- GET /admin/executions, and one of them ---------------------------------------------------------------------------

create function executions(now timestamptz, hours int, status text default null, task uuid default null)
returns table (id uuid, task_id uuid, user_email text, search_query text, status text, condition_met boolean,
  duration_ms bigint, started_at text, completed_at text) language sql stable as $$
  select e.id, e.task_id, user_email, search_query, e.status, condition_met, duration_ms, shown(started_at), shown(completed_at)
  from all_executions e
  where started_at >= since(now, hours) and ($3 is null or e.status = $3) and ($4 is null or e.task_id = $4)
  order by e.started_at desc, e.id desc
$$;

create function execution_details()
returns table (id uuid, task_id uuid, user_email text, search_query text, status text, condition_met boolean,
  duration_ms bigint, started_at text, completed_at text, user_id uuid, error_type text, error_message text,
  retry_count int, will_retry boolean) language sql stable as $$
  select e.id, e.task_id, user_email, search_query, e.status, condition_met, duration_ms, shown(started_at),
    shown(completed_at), user_id, error_type,
    case when status = 'failed' then error_message end, case when status = 'failed' then retry_count end,
    case when status = 'failed' then false end
  from all_executions e order by e.started_at desc, e.id desc
$$;

-- GET /admin/errors ------------------------------------------------------------------------------------------------

create function errors(now timestamptz, hours int, type text default null, task uuid default null)
returns table (execution_id uuid, task_id uuid, user_email text, search_query text, error_message text, error_type text,
  retry_count int, will_retry boolean, occurred_at text) language sql stable as $$
  select id, task_id, user_email, search_query, error_message, error_type, retry_count, false, shown(completed_at)
  from all_executions
  where status = 'failed' and coalesce(completed_at, now) >= since(now, hours) and ($3 is null or error_type = $3)
    and ($4 is null or task_id = $4)
  order by completed_at desc, id desc
$$;

create function error_types(now timestamptz, hours int) returns table (error_type text, count bigint) language sql stable
as $$ select error_type, count(*) from errors(now, hours) group by 1 order by 2 desc $$;

-- GET /admin/users, and one of them --------------------------------------------------------------------------------

create function users(now timestamptz, active_only boolean default false, q text default null)
returns table (id uuid, email text, clerk_user_id text, state text, tasks_count bigint, active_tasks_count bigint,
  executions_24h bigint, notifications_7d bigint, created_at text, last_login text) language sql stable as $$
  select id, email, clerk_user_id, case when is_active then 'active' else 'deactivated' end,
    (select count(*) from all_tasks t where t.user_id = u.id and not t.is_gone),
    (select count(*) from all_tasks t where t.user_id = u.id and not t.is_gone and t.state = 'active'),
    (select count(*) from all_executions e where e.user_id = u.id and e.started_at >= since_hour(now, 24)),
    (select count(*) from all_notifications n where n.user_id = u.id and at >= since_hour(now, 168)),
    shown(created_at), null
  from all_users u
  where (is_active or not active_only) and (q is null or starts_with(lower(email), lower(q)))
  order by case when q is not null then lower(email) end collate "C", u.created_at desc, id desc
$$;

create function api_keys(of uuid)
returns table (key_id uuid, key_prefix text, name text, created_at text, revoked boolean) language sql stable as $$
  select id, key_prefix, name, shown(known(k.created_at)), is_gone or not coalesce(is_active, true)
  from api_keys_rows k where user_id = of order by known(k.created_at) desc, id desc
$$;

-- GET /admin/tasks, and one of them --------------------------------------------------------------------------------

create function tasks(task_state text default null, of uuid default null, query text default null)
returns table (id uuid, name text, search_query text, user_id uuid, user_email text, state text, schedule text,
  created_at text, total_executions bigint, success_rate numeric, avg_duration_ms bigint, last_execution json)
language sql stable as $$
  select t.id, t.name, t.search_query, t.user_id, u.email, t.state, t.schedule, shown(t.created_at),
    executions, rate(succeeded, failed), mean_ms(duration_ms),
    (select json_build_object('id', e.id, 'status', e.status, 'started_at', shown(e.started_at))
     from all_executions e where e.task_id = t.id order by e.started_at desc, e.id desc limit 1)
  from all_tasks t join all_users u on u.id = t.user_id, lateral (
    select count(*) as executions, count(*) filter (where status = 'success') as succeeded,
      count(*) filter (where status = 'failed') as failed, avg(e.duration_ms) as duration_ms
    from all_executions e where e.task_id = t.id
  ) sums
  where not t.is_gone and ($1 is null or t.state = $1) and ($2 is null or t.user_id = $2)
    and ($3 is null or t.search_query = $3)
  order by t.created_at desc, t.id desc
$$;

-- GET /admin/temporal/schedules ------------------------------------------------------------------------------------

-- What the tables know of a task's schedule. A cron expression of seven fields that fires at second 0 of any year is
-- written with five, since Temporal keeps no expression. `recent_executions` began on the present UTC day or the 29
-- before it.
create function schedules(now timestamptz) returns table (task_id uuid, user_email text, cron text,
  recent_executions bigint)
language sql stable as $$
  select t.id, u.email, regexp_replace(t.schedule, '^0 (.*) \*$', '\1'), (select count(*) from all_executions e where e.task_id = t.id
    and e.started_at >= date_trunc('day', now) - interval '29 days')
  from all_tasks t join all_users u on u.id = t.user_id where not t.is_gone
$$;

-- The names above are found wherever a function is called, and times without a zone are UTC.
do $$
declare
  each regprocedure;
begin
  for each in select oid from pg_proc where pronamespace = 'expected'::regnamespace loop
    execute format('alter function %s set search_path = expected, public set timezone = ''UTC''', each);
  end loop;
end
$$;
