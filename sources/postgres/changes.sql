-- From a change to events: what the triggers execute. Read by install.sql.

-- Notes a change that is in no event; `unrecorded` is what a backfill has to say then, and `at` dates it.
create or replace function note_unrecorded(
  relation text, operation text, key text, unrecorded text, at timestamptz, reason text)
returns void language plpgsql as $$
begin
  insert into failures (relation, operation, key, unrecorded, at, reason)
  values (relation, operation, key, unrecorded, at, left(reason, 2000));
exception when others then
  raise warning 'torale source: % of % % is not in the outbox: %', operation, relation, key, reason;
end
$$;
-- That of an earlier version, which nothing calls any more.
drop function if exists note_unrecorded(text, text, text, text, text);

-- Notes what no event can say of a change; what they can say is in the outbox.
create or replace function note(relation text, operation text, key text, reason text) returns void language sql as $$
  select note_unrecorded(relation, operation, key, null, clock_timestamp(), reason)
$$;

-- The time of a note: not before the version that the change has replaced, of which an event may have told. Reading the
-- row's times may be what has failed.
create or replace function noted_at(relation text, was jsonb) returns timestamptz language plpgsql as $$
begin
  if was is null then
    return clock_timestamp();
  end if;
  begin
    return greatest(clock_timestamp(), own_time(relation, was));
  exception when others then
    return clock_timestamp();
  end;
end
$$;

-- What a backfill has to say of a row if this change of it is not recorded. A row that is gone it does not find.
create or replace function unrecorded(was jsonb, r jsonb) returns text language sql immutable as $$
  select case when r is null then null
    when was is not null and (was->'is_active', was->'state') is distinct from (r->'is_active', r->'state') then 'state'
    else 'row' end
$$;

-- Gives the rows of changes that were not recorded the time at which these were noted, and removes the notes: so a
-- backfill dates what such a row says after all that was emitted of it before, and says its state if that has changed. No
-- backfill may be running or be left to go on: it may have read these rows already. One from the beginning is due
-- afterwards, and until then a note says so, which is removed by hand. What nobody but a person can settle stays in
-- `failures`.
--
-- A call settles up to a thousand rows and returns their number: call it until it returns 0. The platform's writers of
-- these rows wait for its end; so it ends with an error, and changes nothing, if it has to wait for one of them itself,
-- or if all of it takes more than two seconds.
create or replace function settle_failures() returns bigint language plpgsql set lock_timeout = '500ms' as $$
declare
  each record;
  settled bigint := 0;
begin
  -- Two calls at once would choose the same rows, and the second would say 0 too early.
  perform pg_advisory_xact_lock(hashtext('torale source settle'));
  for each in
    with due as (
      select f.relation, f.key from failures f where f.unrecorded is not null and f.key is not null
      group by f.relation, f.key order by f.relation, f.key limit 1000
    ), noted as (
      delete from failures f using due
      where f.relation = due.relation and f.key = due.key and f.unrecorded is not null returning f.*
    )
    select relation, key, date_trunc('milliseconds', max(at)) + interval '1 ms' as at,
      date_trunc('milliseconds', max(at) filter (where unrecorded = 'state')) + interval '1 ms' as state_at
    from noted group by relation, key order by relation, key
  loop
    if clock_timestamp() > statement_timestamp() + interval '2 s' then
      raise lock_not_available using message = 'lock timeout: settling takes too long, call it again';
    end if;
    insert into row_versions as v
    values (each.relation, each.key, each.at, case when each.state_at is not null then 'unrecorded' end, each.state_at)
    on conflict (relation, key) do update set changed_at = greatest(v.changed_at + interval '1 ms', each.at),
      state = case when each.state_at is null then v.state else 'unrecorded' end,
      state_at = case when each.state_at is null then v.state_at
        else greatest(v.state_at + interval '1 ms', each.state_at) end;
    settled := settled + 1;
  end loop;
  if settled > 0 then
    delete from failures f where f.operation = 'SETTLE';
    insert into failures (relation, operation, reason)
    values ('every table', 'SETTLE', 'settled: a backfill from the beginning is due, then this row is to be deleted');
  end if;
  return settled;
end
$$;

-- Writes down a row's version. What was settled since the caller has read the version, in a transaction of its own, is
-- not undone.
create or replace function remember(version row_versions) returns void language sql as $$
  insert into row_versions as v values (($1).relation, ($1).key, ($1).changed_at, ($1).state, ($1).state_at)
  on conflict (relation, key) do update set changed_at = greatest(v.changed_at, excluded.changed_at),
    state = case when v.state_at > coalesce(excluded.state_at, '-infinity') then v.state else excluded.state end,
    state_at = greatest(v.state_at, excluded.state_at)
$$;

-- The user of the task that a row names. install.sql replaces it by a look-up in the platform's tasks.
create or replace function owner_of(relation text, r jsonb) returns text language plpgsql stable
as $$ begin return null; end $$;

create or replace function record_insert(relation text, r jsonb) returns void language plpgsql as $$
declare
  version row_versions;
  emitted record;
  state text;
begin
  select * into version from row_versions v where v.relation = $1 and v.key = r->>'id';
  if found then -- a user who comes back under the id of a deleted row
    version.changed_at := greatest(own_time($1, r), version.changed_at + interval '1 ms');
  end if;
  for emitted in select * from row_events($1, r, owner_of($1, r), version, null) loop
    if emitted.event is not null then
      insert into outbox (event) values (emitted.event);
    elsif emitted.part = 'problem' then
      perform note($1, 'INSERT', r->>'id', emitted.problem);
    end if;
  end loop;
  if version.key is not null then
    state := (select f.type from unnest(row_facts($1, r, null)) f where f.part = 'state');
    perform remember(row($1, version.key, version.changed_at, state,
      case when state = version.state then version.state_at else version.changed_at end)::row_versions);
  end if;
end
$$;

-- Emits what differs between two versions of a row, at a time after all that was emitted of it before.
create or replace function record_update(relation text, was jsonb, r jsonb) returns void language plpgsql as $$
declare
  owner text;
  version row_versions;
  own timestamptz := own_time(relation, was);
  known timestamptz := own;
  changed timestamptz := own_time(relation, r);
  needed timestamptz;
  stated fact[];
  facts fact[];
  news fact[] := '{}';
  fact fact;
begin
  owner := owner_of($1, r);
  stated := row_facts($1, was, owner);
  facts := row_facts($1, r, owner);
  if stated = facts and known = changed then
    return;
  elsif stated <> facts then
    news := array(select n from unnest(facts) n
      left join unnest(stated) o on o.part = n.part and o.problem is not distinct from n.problem
      where case n.part
        when 'created' then o.part is null or o.data->'clerk_user_id' is distinct from n.data->'clerk_user_id'
        when 'note' then false
        else o.part is null or o.type is distinct from n.type or o.data is distinct from n.data
      end);
    perform note_unsayable($1, was, r);
  end if;
  select * into version from row_versions v where v.relation = $1 and v.key = r->>'id';
  known := greatest(known, version.changed_at);
  needed := case when news = '{}' then known else known + interval '1 ms' end;
  if changed < needed then
    changed := case when news = '{}' then known
      else greatest(needed, date_trunc('milliseconds', clock_timestamp())) end;
    version.key := r->>'id';
  end if;
  foreach fact in array stated loop
    -- Since when a row has its state: nothing else will say so once its time has moved on. (`known` may be the time of
    -- a settled change, which has not changed the state.)
    if fact.part = 'state' and version.state is null and fact.type not in ('user.reactivated', 'task.resumed') then
      version := row($1, r->>'id', changed, fact.type, own);
    end if;
  end loop;
  foreach fact in array news loop
    if fact.data is null then
      perform note($1, 'UPDATE', r->>'id', fact.problem);
      continue;
    elsif fact.part = 'state' then
      version := row($1, r->>'id', changed, fact.type, changed);
    end if;
    insert into outbox (event) values (event_text($1, r->>'id', fact.type, coalesce(fact.at, changed), fact.data));
  end loop;
  if version.key is not null then
    perform remember(row($1, version.key, changed, version.state, version.state_at)::row_versions);
  end if;
end
$$;

-- Notes the changes for which the contract has no event.
create or replace function note_unsayable(relation text, was jsonb, r jsonb) returns void language plpgsql as $$
begin
  if relation in ('api_keys', 'tasks') and was->'user_id' is distinct from r->'user_id' then
    perform note(relation, 'UPDATE', r->>'id', 'user_id changed: no event can say so');
  end if;
  if relation = 'api_keys' and was->'key_hash' is distinct from r->'key_hash' then
    perform note(relation, 'UPDATE', r->>'id', 'key_hash changed: no event can say so');
  end if;
  if relation = 'api_keys' and (was->>'is_active')::boolean is false and (r->>'is_active')::boolean is not false then
    perform note(relation, 'UPDATE', r->>'id', 'a revoked key became active: it stays revoked');
  end if;
  if relation = 'tasks' and length(was->>'schedule') between 1 and 256
    and coalesce(length(r->>'schedule'), 0) not between 1 and 256 then
    perform note(relation, 'UPDATE', r->>'id', 'schedule removed, or longer than 256 characters: no event can say so');
  end if;
end
$$;

create or replace function record_delete(relation text, was jsonb) returns void language plpgsql as $$
declare
  id text := was->>'id';
  owner text := as_uuid(was->>'user_id');
  known timestamptz := (select v.changed_at from row_versions v where v.relation = $1 and v.key = was->>'id');
  stamp timestamptz := greatest(date_trunc('milliseconds', clock_timestamp()),
    greatest(own_time(relation, was), known) + interval '1 ms');
begin
  if $1 = 'users' and as_uuid(id) is not null then
    insert into outbox (event) values (event_text($1, id, 'user.deactivated', stamp,
      jsonb_build_object('user_id', as_uuid(id), 'by', 'platform', 'reason', 'the row was deleted')));
    -- Kept, since a row may come back under the id.
    perform remember(row($1, id, stamp, 'user.deactivated', stamp)::row_versions);
    return;
  elsif $1 = 'tasks' and as_uuid(id) is not null then
    insert into outbox (event) values (event_text($1, id, 'task.deleted', stamp, jsonb_build_object('task_id', as_uuid(id))));
  elsif $1 = 'api_keys' and as_id(id) is not null and owner is not null then
    insert into outbox (event) values (event_text($1, id, 'api_key.revoked', stamp,
      jsonb_build_object('key_id', id, 'user_id', owner)));
  end if;
  delete from row_versions v where v.relation = $1 and v.key = id;
end
$$;

-- The time after which a trigger that began at `began` records no more rows. Its time counts towards the platform's
-- `statement_timeout`, whose error no trigger can catch, nor should: a cancel stays a cancel. So that the trigger adds
-- no such error, it ends at four fifths of that time; or, where the statement has taken so long already, after a
-- twentieth of it for itself. (Of several statements in one message the server times each, and this sees the first.)
-- `of_all` and `of_own` are these shares.
create or replace function time_to_stop(began timestamptz, of_all float8, of_own float8)
returns timestamptz language sql stable as $$
  select case when whole > interval '0' then greatest(statement_timestamp() + whole * of_all, began + whole * of_own)
    else 'infinity' end
  from (select current_setting('statement_timeout')::interval) settings (whole)
$$;

-- Records a change, or notes until `give_up` that there was no time for it.
create or replace function record_before(
  stop timestamptz, give_up timestamptz, relation text, operation text, was jsonb, r jsonb)
returns void language plpgsql as $$
begin
  if clock_timestamp() < stop then
    perform record_change(relation, was, r);
  elsif clock_timestamp() < give_up then -- Without the subtransaction of `note_unrecorded`, since this must be quick.
    insert into failures (relation, operation, key, unrecorded, at, reason) values (relation, operation,
      coalesce(r, was)->>'id', unrecorded(was, r), noted_at(relation, was),
      '57014 the statement_timeout left no time for this row');
  end if;
end
$$;

-- `only`, unless a table is partitioned. The rows of a partitioned table are all in its partitions, and a TRUNCATE
-- empties them all. A TRUNCATE of a table that others inherit from may leave theirs alone (TRUNCATE ONLY), and a trigger
-- can't see which it is: so it reads that table alone.
create or replace function only_of(platform oid) returns text language sql stable as $$
  select case when c.relkind = 'p' then '' else 'only' end from pg_catalog.pg_class c where c.oid = platform
$$;

-- A row as `json`, or null where a join has none.
create or replace function as_read(relation text, platform regclass, alias text) returns text language sql stable as $$
  select format('case when %1$s.id is not null then (select row_to_json(x) from (select %2$s) x) end', alias,
    columns_of(relation, platform, alias))
$$;

-- The query for a statement's rows before and after, and their keys. As `json`, which holds whatever a column of that
-- type does: a row that jsonb refuses shall fail by itself. Only the columns that matter are read, so that what is in
-- others makes no row fail.
--
-- A trigger of the platform may have changed these rows again. The statement that it executed is recorded first; so the
-- one that fired it, which is `overtaken`, is recorded with the rows as they are now, or those would lose. A row that
-- is gone or back by now was recorded so.
create or replace function rows_of(operation text, relation text, platform regclass, overtaken boolean)
returns text language sql stable as $$
  select format(case operation || case when overtaken then ' overtaken' else '' end
    when 'INSERT' then 'select null::json, %4$s, n.id::text from new_rows n'
    when 'INSERT overtaken' then 'select null::json, %5$s, t.id::text from new_rows n join %2$s t on t.id = n.id'
    when 'UPDATE' then 'select %3$s, %4$s, coalesce(n.id, o.id)::text from old_rows o full join new_rows n on n.id = o.id'
    when 'UPDATE overtaken' then 'select %3$s, %5$s, coalesce(t.id, o.id)::text '
      'from old_rows o full join new_rows n on n.id = o.id left join %2$s t on t.id = n.id '
      'where t.id is not null or n.id is null and not exists (select from %2$s back where back.id = o.id)'
    when 'DELETE' then 'select %3$s, null::json, o.id::text from old_rows o'
    when 'DELETE overtaken' then 'select %3$s, null::json, o.id::text from old_rows o '
      'where not exists (select from %2$s t where t.id = o.id)'
    else 'select %5$s, null::json, t.id::text from %1$s %2$s t'
  end, only_of(platform), platform, as_read(relation, platform, 'o'), as_read(relation, platform, 'n'),
    as_read(relation, platform, 't'))
$$;

-- What a backfill has to say of a row that could not be recorded; either version may not even be readable. Whether its
-- state has changed is unknown then.
create or replace function unrecorded(unread_was json, unread json, was jsonb, r jsonb)
returns text language sql immutable as $$
  select case when unread is null then null
    when unread_was is not null and (was is null or r is null) then 'state'
    when r is null then 'row'
    else unrecorded(was, r) end
$$;

-- Records that a row is gone of which no more may be readable than its key; says whether that could be done.
create or replace function record_end(
  stop timestamptz, give_up timestamptz, relation text, operation text, key text, was jsonb)
returns boolean language plpgsql as $$
begin
  if relation = 'api_keys' and was is null then
    return false; -- the event names the user
  end if;
  perform record_before(stop, give_up, relation, operation,
    jsonb_build_object('id', key, 'user_id', was->'user_id'), null);
  return true;
exception when others then
  return false;
end
$$;

-- The triggers' function. It runs once a statement, with the rights of the schema's owner; whatever fails in it is
-- noted, and the platform's statement goes on. If the statement's rows can't be recorded together, each is by itself.
create or replace function capture() returns trigger language plpgsql security definer set timezone = 'UTC' as $$
declare
  stop timestamptz := time_to_stop(clock_timestamp(), 0.8, 0.05);
  give_up timestamptz := time_to_stop(clock_timestamp(), 0.9, 0.07);
  relation text := tg_argv[0];
  -- Whether a trigger of the platform has changed rows of this table before, in this transaction.
  overtaken boolean := coalesce(current_setting('torale_source.nested_' || relation, true), '') = 'on';
  -- ... and what they are in the end can't be seen: they are noted.
  doubtful boolean := false;
  has_rows boolean := true;
  unread_was json;
  unread json;
  key text;
  was jsonb;
  r jsonb;
begin
  if tg_op = 'TRUNCATE' and relation not in ('users', 'tasks', 'api_keys') then
    return null; -- of their deletion there is no event
  end if;
  -- Not by `rows_of`: a plan that is kept costs the statements that change nothing, as many inside triggers do, little.
  if tg_op in ('INSERT', 'UPDATE') then
    has_rows := exists (select from new_rows);
  elsif tg_op = 'DELETE' then
    has_rows := exists (select from old_rows);
  end if;
  if not has_rows then
    return null;
  end if;
  begin
    if overtaken and tg_op <> 'TRUNCATE' then
      doubtful := not has_table_privilege(tg_relid, 'select') or row_security_active(tg_relid);
    end if;
    if tg_op = 'DELETE' and relation not in ('users', 'tasks', 'api_keys') then
      delete from row_versions v using old_rows o where v.relation = tg_argv[0] and v.key = o.id::text;
      return null; -- nor of these; a cascade may delete very many
    end if;
    case (case when doubtful and tg_op <> 'DELETE' then 'NO ROWS' when overtaken then 'ROWS AS THEY ARE' else tg_op end)
      when 'NO ROWS' then null;
      when 'INSERT' then perform record_before(stop, give_up, relation, tg_op, null, to_jsonb(n)) from new_rows n;
      when 'UPDATE' then perform record_before(stop, give_up, relation, tg_op, to_jsonb(o), to_jsonb(n))
        from old_rows o full join new_rows n on n.id = o.id;
      when 'DELETE' then perform record_before(stop, give_up, relation, tg_op, to_jsonb(o), null) from old_rows o;
      else execute format('select record_before($1, $2, $3, $4, was::jsonb, r::jsonb) from (%s) p (was, r)',
        rows_of(tg_op, relation, tg_relid, overtaken and not doubtful)) using stop, give_up, relation, tg_op;
    end case;
  exception when others then
    begin
      for unread_was, unread, key in execute rows_of(tg_op, relation, tg_relid, overtaken and not doubtful) loop
        exit when clock_timestamp() >= give_up;
        was := null;
        r := null;
        begin
          was := unread_was::jsonb;
          r := unread::jsonb;
          perform record_before(stop, give_up, relation, tg_op, was, r);
        exception when others then
          if unread is not null or not record_end(stop, give_up, relation, tg_op, key, was) then
            perform note_unrecorded(relation, tg_op, key, unrecorded(unread_was, unread, was, r),
              noted_at(relation, was), sqlstate || ' ' || sqlerrm);
          end if;
        end;
      end loop;
    exception when others then
      -- No row could be read. Noting guards itself, but not against being gone.
      begin
        perform note(relation, tg_op, null, sqlstate || ' ' || sqlerrm);
      exception when others then
        raise warning 'torale source: that is not noted: % %', sqlstate, sqlerrm;
      end;
      raise warning 'torale source: a % of % is not in the outbox: % %', tg_op, relation, sqlstate, sqlerrm;
    end;
  end;
  if doubtful then
    begin
      -- Without the subtransaction of `note_unrecorded`, which would be one for each row.
      if tg_op = 'DELETE' then
        -- After the event that says that the user is gone, so that a backfill wins if they are back. Others are gone
        -- for ever.
        insert into failures (relation, operation, key, unrecorded, at, reason)
        select relation, tg_op, o.id::text, 'state', clock_timestamp(),
          '42501 a trigger may have put the row back, and the table can''t be read'
        from old_rows o where relation = 'users' and clock_timestamp() < give_up;
      else
        insert into failures (relation, operation, key, unrecorded, at, reason)
        select relation, tg_op, n.id::text, 'state', clock_timestamp(),
          '42501 a trigger may have changed the row again, and the table can''t be read'
        from new_rows n where clock_timestamp() < give_up;
      end if;
    exception when others then
      perform note(relation, tg_op, null, sqlstate || ' ' || sqlerrm);
    end;
  end if;
  -- Not in the block above, which undoes a setting too if it fails.
  if pg_trigger_depth() > 1 and tg_op <> 'TRUNCATE' and not overtaken then
    perform set_config('torale_source.nested_' || relation, 'on', true);
  end if;
  if clock_timestamp() >= give_up then
    perform note(relation, tg_op, null, '57014 the statement_timeout left no time to note every row');
  end if;
  return null;
end
$$;

-- A row whose id changed is one that went and one that came.
create or replace function record_change(relation text, was jsonb, r jsonb) returns void language plpgsql as $$
begin
  if was is null then
    perform record_insert(relation, r);
  elsif r is null then
    perform record_delete(relation, was);
  else
    perform record_update(relation, was, r);
  end if;
end
$$;

