-- Executes a statement that locks one of the platform's tables, or the outbox. Others wait behind whoever waits for such a
-- lock: so it never waits longer than a second, and tries again after a pause. Read by install.sql and uninstall.sql; the
-- function is their session's own.
create or replace function pg_temp.patiently(statement text) returns void language plpgsql set lock_timeout = '1s' as $$
begin
  for attempt in 1..10 loop
    begin
      execute statement;
      return;
    exception when lock_not_available then
      if attempt = 10 then
        raise;
      end if;
      perform pg_sleep(0.5);
    end;
  end loop;
end
$$;
