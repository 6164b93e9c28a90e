-- From a row to events: the rules that the triggers and the backfill share. Read by install.sql.

-- A time that an event may name, cut to milliseconds: not null, not infinite, from 2015 to a day ahead.
create or replace function event_time(value text) returns timestamptz language plpgsql stable as $$
declare
  t timestamptz := value::timestamptz;
begin
  if t >= '2015-01-01T00:00:00Z' and t < now() + interval '24 hours' then
    return date_trunc('milliseconds', t);
  end if;
  return null;
end
$$;

-- What stands for a time of creation that is missing: the contract's earliest.
create or replace function earliest() returns timestamptz language sql immutable
as $$ select '2015-01-01T00:00:00Z'::timestamptz $$;

create or replace function rfc3339(t timestamptz) returns text language sql stable
as $$ select to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- A UUID in its canonical form; null if it is none.
create or replace function as_uuid(value text) returns text language sql immutable as $$
  select case when value like '________-____-____-____-____________'
    and translate(value, '0123456789abcdefABCDEF', '') = '----' then lower(value) end
$$;

-- The latest time that a row's own columns name: when this version of it came to be, as far as the platform says.
create or replace function own_time(relation text, r jsonb) returns timestamptz language plpgsql stable as $$
declare
  created timestamptz := event_time(r->>'created_at');
begin
  if relation = 'task_executions' then
    created := greatest(created, event_time(r->>'started_at'), event_time(r->>'completed_at'));
  elsif relation in ('users', 'tasks') then
    created := greatest(created, event_time(r->>'updated_at'));
  end if;
  return coalesce(created, earliest());
end
$$;

-- The class of an error: a leading `SomeError:` or `SomeException:`, else what a well-known phrase says, else `Error`.
create or replace function error_type(message text) returns text language plpgsql immutable as $$
declare
  name text := substring(message from '^\s*(?:[A-Za-z_][A-Za-z0-9_]*\.)*([A-Za-z_][A-Za-z0-9_]*(?:Error|Exception))\s*:');
begin
  return case
    when length(name) <= 64 then name
    when message ~* 'rate.?limit|too many requests' then 'RateLimitError'
    when message ~* 'time.?out|timed out|deadline exceeded' then 'TimeoutError'
    when message ~* 'validation' then 'ValidationError'
    else 'Error'
  end;
end
$$;

-- A fact that a row states. `part` says when it is emitted:
--   created  with the row; `at` is null where its time is that of the row's version
--   fact     with each version that changes it
--   state    when it changes
--   problem  never: what no event can say
--   note     never: what the events say in part only
do $type$
begin
  if to_regtype('fact') is null then
    create type fact as (part text, type text, at timestamptz, data jsonb, problem text);
  end if;
end
$type$;

create or replace function created(type text, at timestamptz, data jsonb) returns fact language sql immutable
as $$ select row('created', type, at, jsonb_strip_nulls(data), null)::fact $$;
create or replace function changing(part text, type text, data jsonb) returns fact language sql immutable
as $$ select row(part, type, null, jsonb_strip_nulls(data), null)::fact $$;
create or replace function problem(problem text, part text default 'problem') returns fact language sql immutable
as $$ select row(part, null, null, null, problem)::fact $$;

-- An id that is not a UUID; null where it is none.
create or replace function as_id(value text) returns text language sql immutable
as $$ select case when length(value) between 1 and 256 and value not in ('.', '..') then value end $$;

-- The facts of a row, which is given as JSON, so that any column may be missing.
create or replace function user_facts(r jsonb) returns fact[] language plpgsql stable as $$
declare
  facts fact[] := '{}';
  user_id text := as_uuid(r->>'id');
  clerk text := as_id(r->>'clerk_user_id');
  email text := left(r->>'email', 2000);
  state text := case when (r->>'is_active')::boolean is false then 'user.deactivated' else 'user.reactivated' end;
begin
  if user_id is null then
    facts := facts || problem('id is not a UUID');
    return facts;
  elsif clerk is null then
    facts := facts || problem('clerk_user_id is not a text of 1 to 256 characters');
  elsif email is null then
    facts := facts || problem('email is missing');
  else
    facts := facts || created('user.created', null, jsonb_build_object('user_id', user_id, 'clerk_user_id', clerk,
      'email', email, 'created_at', rfc3339(coalesce(event_time(r->>'created_at'), earliest()))));
    facts := facts || changing('fact', 'user.updated', jsonb_build_object('user_id', user_id, 'email', email));
  end if;
  facts := facts || changing('state', state, jsonb_build_object('user_id', user_id));
  return facts;
end
$$;

create or replace function api_key_facts(r jsonb) returns fact[] language plpgsql stable as $$
declare
  facts fact[] := '{}';
  key_id text := as_id(r->>'id');
  user_id text := as_uuid(r->>'user_id');
  hash text := lower(r->>'key_hash');
begin
  if key_id is null or user_id is null then
    facts := facts || problem(case when key_id is null then 'id is not a text of 1 to 256 characters'
      else 'user_id is not a UUID' end);
    return facts;
  elsif hash is null or length(hash) <> 64 or translate(hash, '0123456789abcdef', '') <> '' then
    facts := facts || problem('key_hash is not a SHA-256 in hexadecimal digits');
  elsif r->>'key_prefix' is null then
    facts := facts || problem('key_prefix is missing');
  else
    facts := facts || created('api_key.created', coalesce(event_time(r->>'created_at'), earliest()),
      jsonb_build_object('key_id', key_id, 'user_id', user_id, 'key_hash', hash,
        'key_prefix', left(r->>'key_prefix', 2000), 'name', left(r->>'name', 2000)));
  end if;
  if (r->>'is_active')::boolean is false then
    facts := facts || changing('state', 'api_key.revoked', jsonb_build_object('key_id', key_id, 'user_id', user_id));
  end if;
  return facts;
end
$$;

create or replace function task_facts(r jsonb) returns fact[] language plpgsql stable as $$
declare
  facts fact[] := '{}';
  task_id text := as_uuid(r->>'id');
  user_id text := as_uuid(r->>'user_id');
  -- One of blanks alone counts as empty; any other is taken as it is, since queries are told apart by their exact text.
  query text := case when btrim(r->>'search_query') <> '' then r->>'search_query'
    when btrim(r->'config'->>'query') <> '' then r->'config'->>'query' when btrim(r->>'name') <> '' then r->>'name' end;
  schedule text := r->>'schedule';
  state text := coalesce(r->>'state', case when (r->>'is_active')::boolean is false then 'paused' else 'active' end);
  content jsonb;
begin
  if task_id is null or user_id is null then
    facts := facts || problem(case when task_id is null then 'id is not a UUID' else 'user_id is not a UUID' end);
    return facts;
  end if;
  if state not in ('active', 'paused', 'completed') then
    facts := facts || problem('state is none of active, paused, completed');
    state := null;
  end if;
  if query is null then
    facts := facts || problem('search_query, config and name hold no query');
  else
    content := jsonb_build_object('task_id', task_id, 'search_query', left(query, 500),
      'name', left(r->>'name', 2000), 'schedule', case when length(schedule) between 1 and 256 then schedule end);
    facts := facts || created('task.created', coalesce(event_time(r->>'created_at'), earliest()),
      content || jsonb_build_object('user_id', user_id, 'state', state));
    facts := facts || changing('fact', 'task.updated', content);
    if length(query) > 500 then
      facts := facts || problem('search_query is cut to 500 characters', 'note');
    end if;
    if length(schedule) > 256 then
      facts := facts || problem('schedule is longer than 256 characters and left out', 'note');
    end if;
  end if;
  if state is not null then
    facts := facts || changing('state', case state when 'active' then 'task.resumed' else 'task.' || state end,
      jsonb_build_object('task_id', task_id));
  end if;
  return facts;
end
$$;

create or replace function execution_facts(r jsonb, owner text) returns fact[] language plpgsql stable as $$
declare
  facts fact[] := '{}';
  execution_id text := as_uuid(r->>'id');
  task_id text := as_uuid(r->>'task_id');
  status text := r->>'status';
  message text := left(r->>'error_message', 2000);
  data jsonb;
begin
  if execution_id is null or task_id is null or owner is null then
    facts := facts || problem(case when execution_id is null then 'id is not a UUID'
      when task_id is null then 'task_id is not a UUID' else 'the task, which names the user, is missing' end);
    return facts;
  end if;
  data := jsonb_build_object('execution_id', execution_id, 'task_id', task_id, 'user_id', owner,
    'started_at', rfc3339(coalesce(event_time(r->>'started_at'), event_time(r->>'created_at'), earliest())));
  if status in ('pending', 'running') then
    facts := facts || changing('fact', 'execution.started', data);
    return facts;
  end if;
  data := data || jsonb_build_object('completed_at', rfc3339(event_time(r->>'completed_at')));
  if status = 'success' then
    facts := facts || changing('fact', 'execution.succeeded', data || jsonb_build_object('condition_met',
      coalesce((r->>'condition_met')::boolean, r->>'notification' <> '', false)));
  elsif status = 'failed' then
    facts := facts || changing('fact', 'execution.failed', data || jsonb_build_object('error_type', error_type(message),
      'error_message', coalesce(message, ''), 'retry_count', least(greatest((r->>'retry_count')::bigint, 0), 9007199254740991)));
  else
    facts := facts || problem('status is none of pending, running, success, failed');
  end if;
  return facts;
end
$$;

create or replace function notification_facts(r jsonb, owner text) returns fact[] language plpgsql stable as $$
declare
  facts fact[] := '{}';
  notification_id text := as_id(r->>'id');
  user_id text := coalesce(as_uuid(r->>'user_id'), owner);
begin
  if r->>'status' <> 'success' then
    return facts;
  elsif notification_id is null or user_id is null then
    facts := facts || problem(case when notification_id is null then 'id is not a text of 1 to 256 characters'
      else 'user_id is missing' end);
  else
    facts := facts || created('notification.sent', coalesce(event_time(r->>'created_at'), earliest()),
      jsonb_build_object('notification_id', notification_id, 'user_id', user_id,
        'task_id', as_uuid(r->>'task_id'), 'execution_id', as_uuid(r->>'execution_id'),
        'channel', left(coalesce(r->>'notification_type', 'unknown'), 2000)));
  end if;
  return facts;
end
$$;

-- `owner` is the user of the task that an execution or a notification names.
create or replace function row_facts(relation text, r jsonb, owner text) returns fact[] language plpgsql stable as $$
begin
  case relation
    when 'users' then return user_facts(r);
    when 'api_keys' then return api_key_facts(r);
    when 'tasks' then return task_facts(r);
    when 'task_executions' then return execution_facts(r, owner);
    when 'notification_sends' then return notification_facts(r, owner);
  end case;
end
$$;

-- An event as it goes onto the queue. Its id follows from table, key and content: a UUID of version 8 (RFC 9562) from
-- a SHA-256.
create or replace function event_text(relation text, key text, type text, at timestamptz, data jsonb)
returns text language plpgsql stable as $$
declare
  stamp text := rfc3339(at);
  body text := data::text;
  digest text := encode(substr(sha256(convert_to(concat_ws('|', relation, key, type, stamp, body), 'UTF8')), 1, 16), 'hex');
begin
  return concat('{"specversion":"1.0","id":"', overlay(overlay(digest placing '8' from 13) placing 'a' from 17)::uuid,
    '","source":"/torale/postgres","type":"ai.torale.', type, '","subject":', to_json(key), ',"time":"', stamp,
    '","datacontenttype":"application/json","data":', body, '}');
end
$$;

-- The events that say all of a row, as the trigger emits them for a new row and the backfill for any, and in `problem`
-- what they do not say. `version` is what row_versions has of the row, or null. A row that is not read yet is `unread`:
-- a column of the type `json` may hold "\u0000", which jsonb refuses.
create or replace function row_events(relation text, r jsonb, owner text, version row_versions, unread json)
returns table (event text, part text, problem text) language plpgsql stable as $$
declare
  changed timestamptz;
  created timestamptz;
  fact fact;
  stamp timestamptz;
begin
  -- What the declarations compute, the handler below does not cover.
  r := coalesce(r, unread::jsonb);
  changed := greatest(own_time(relation, r), version.changed_at);
  foreach fact in array row_facts(relation, r, owner) loop
    stamp := coalesce(fact.at, changed);
    if fact.part = 'created' then
      created := stamp;
    elsif fact.part = 'fact' then
      continue when created = changed; -- the created event states the same
    elsif fact.part = 'state' then
      -- Without a known change, the first state is not stated: an administrator may have overruled it since.
      continue when version.state is null and fact.type in ('user.reactivated', 'task.resumed');
      -- A version without a state is that of a change which has not changed it.
      stamp := case when version.state is null then own_time(relation, r)
        when version.state in (fact.type, 'unrecorded') then version.state_at else changed end;
      continue when relation = 'tasks' and stamp = created; -- task.created has the state
    end if;
    event := case when fact.data is not null then event_text(relation, r->>'id', fact.type, stamp, fact.data) end;
    part := fact.part;
    problem := fact.problem;
    return next;
  end loop;
exception when others then -- a value that no rule expects spoils its own row only
  event := null;
  part := 'problem';
  problem := sqlstate || ' ' || sqlerrm;
  return next;
end
$$;
-- That of an earlier version, which nothing calls any more.
drop function if exists row_events(text, jsonb, text, row_versions);

-- Those of a table's columns that events are made from, as a list for a query in which the table is `alias`.
create or replace function columns_of(relation text, platform regclass, alias text) returns text language sql stable as $$
  select string_agg(format('%s.%I', alias, a.attname), ', ') from pg_attribute a
  where a.attrelid = platform and a.attnum > 0 and not a.attisdropped
    and a.attname = any ((select s.columns from sources s where s.relation = $1)::text[])
$$;

-- The next rows of a table after a key, in the order of their ids, each with its events and with what these do not say;
-- a row of which there is nothing to say has one result row without either. Only the columns that matter are read.
create or replace function backfill_page(relation text, after text, size int)
returns table (key text, event text, part text, problem text) language plpgsql stable as $$
declare
  source sources := (select s from sources s where s.relation = $1);
  tasks sources := (select s from sources s where s.relation = 'tasks' and s.platform_table is not null);
  platform regclass := format('%I.%I', source.platform_schema, source.platform_table)::regclass;
  columns text := columns_of(relation, platform, 'p');
  id_type text := (select format_type(atttypid, atttypmod) from pg_attribute where attrelid = platform and attname = 'id');
  user_type text := (select format_type(atttypid, null) from pg_attribute
    where attrelid = to_regclass(quote_ident(tasks.platform_schema) || '.' || quote_ident(tasks.platform_table))
      and attname = 'user_id' and not attisdropped);
  has_owner boolean := relation in ('task_executions', 'notification_sends') and tasks.relation is not null
    and exists (select from pg_attribute where attrelid = platform and attname = 'task_id' and not attisdropped);
begin
  return query execute format('select x.id::text, e.event, e.part, e.problem '
    'from (select %1$s from %2$s p where $1 is null or id > $1::%3$s order by id limit $2) x '
    'left join row_versions v on v.relation = %4$L and v.key = x.id::text %5$s '
    'left join lateral row_events(%4$L, null, %6$s, v, row_to_json(x)) e on true order by x.id',
    columns, platform, id_type, relation,
    case when has_owner
      then format('left join %I.%I t on t.id = x.task_id', tasks.platform_schema, tasks.platform_table) end,
    case when not has_owner or user_type is null then 'null' when user_type = 'uuid' then 't.user_id::text'
      else 'as_uuid(t.user_id::text)' end) using after, size;
end
$$;

