-- Takes everything away that install.sql created: the triggers, then the schema. If a table is busy for too long, it
-- stops, and running it again goes on. If the outbox holds events by then, it stays, so that the relay can send them, and
-- running this again ends it. Events that the queue has refused are never sent: somebody looks at them.
-- PGOPTIONS="-c torale_source.discard=on" drops both.
--
--   psql -v ON_ERROR_STOP=1 -d <database> -f uninstall.sql

\ir patiently.sql

do $installed$
declare
  own text := coalesce(nullif(current_setting('torale_source.schema', true), ''), 'torale_admin_source');
begin
  if to_regclass(format('%I.sources', own)) is null then
    raise notice 'nothing is installed in the schema %', own;
  end if;
end
$installed$;

-- Commits after each trigger, so that no table waits for another's. `DROP TRIGGER` also waits for every transaction that
-- has written the table: so once the last trigger is gone, whatever they have written is committed, and nothing more comes.
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
    perform pg_temp.patiently(format('drop trigger %I on %s', found.tgname, found.platform));
    commit;
  end loop;
end
$triggers$;

-- Counts and drops under one lock: no relay or hand writes the outbox in between.
do $schema$
declare
  own text := coalesce(nullif(current_setting('torale_source.schema', true), ''), 'torale_admin_source');
  waiting bigint;
  refused bigint;
begin
  if to_regclass(format('%I.sources', own)) is null then
    return;
  end if;
  perform pg_temp.patiently(format('lock table %I.outbox in access exclusive mode', own));
  execute format('select count(*) filter (where refused is null), count(refused) from %I.outbox', own) into waiting, refused;
  if coalesce(current_setting('torale_source.discard', true), '') <> 'on' then
    if waiting > 0 then
      raise exception '% events are not on the queue yet', waiting using hint = 'The triggers are gone and no more events '
        'come. Let the relay send these and run this again, or set torale_source.discard=on. To go on instead, run '
        'install.sql, then a backfill.';
    elsif refused > 0 then
      raise exception '% events were refused by the queue and are never sent', refused using hint = format('The triggers are '
        'gone. Look at them (SELECT refused, event FROM %I.outbox), then set torale_source.discard=on, which drops them.', own);
    end if;
  end if;
  perform set_config('client_min_messages', 'warning', true);
  perform pg_temp.patiently(format('drop schema %I cascade', own));
end
$schema$;

drop function pg_temp.patiently(text);
