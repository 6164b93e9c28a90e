-- Takes everything away that install.sql created: the triggers, then the schema. If the outbox holds events by then, it
-- stays, so that the relay can send them, and running this again ends it; unless
-- PGOPTIONS="-c torale_source.discard=on".
--
--   psql -v ON_ERROR_STOP=1 -d <database> -f uninstall.sql

do $installed$
declare
  own text := coalesce(nullif(current_setting('torale_source.schema', true), ''), 'torale_admin_source');
begin
  if to_regclass(format('%I.sources', own)) is null then
    raise notice 'nothing is installed in the schema %', own;
  end if;
end
$installed$;

-- `DROP TRIGGER` locks the table for a moment: never waits longer than a second for it, tries again after a pause, and
-- commits after each, so that no table waits for another's. The lock also waits for every transaction that has written
-- the table: so once the last trigger is gone, whatever they have written is committed, and nothing more comes.
do $triggers$
declare
  own text := coalesce(nullif(current_setting('torale_source.schema', true), ''), 'torale_admin_source');
  found record;
begin
  for found in
    select t.tgname, t.tgrelid::regclass as platform
    from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = own and p.proname = 'capture'
  loop
    for attempt in 1..10 loop
      begin
        perform set_config('lock_timeout', '1s', true);
        execute format('drop trigger %I on %s', found.tgname, found.platform);
        exit;
      exception when lock_not_available then
        if attempt = 10 then
          raise;
        end if;
        perform pg_sleep(0.5);
      end;
    end loop;
    commit;
  end loop;
end
$triggers$;

-- Counts and drops under one lock: no relay or hand writes the outbox in between.
do $schema$
declare
  own text := coalesce(nullif(current_setting('torale_source.schema', true), ''), 'torale_admin_source');
  waiting bigint;
begin
  if to_regclass(format('%I.sources', own)) is null then
    return;
  end if;
  for attempt in 1..10 loop
    begin
      perform set_config('lock_timeout', '1s', true);
      execute format('lock table %I.outbox in access exclusive mode', own);
      exit;
    exception when lock_not_available then
      if attempt = 10 then
        raise;
      end if;
      perform pg_sleep(0.5);
    end;
  end loop;
  execute format('select count(*) from %I.outbox', own) into waiting;
  if waiting > 0 and coalesce(current_setting('torale_source.discard', true), '') <> 'on' then
    raise exception '% events are not on the queue yet', waiting using hint = 'The triggers are gone and no more events '
      'come. Let the relay send these and run this again, or set torale_source.discard=on. To go on instead, run '
      'install.sql, then a backfill.';
  end if;
  perform set_config('client_min_messages', 'warning', true);
  execute format('drop schema %I cascade', own);
end
$schema$;
