-- Rows of the platform that first_rows.sql does not have, and changes and deletions of some: what decides whether the
-- answers are right at their edges. Statements, not one transaction, so that each is a change of its own; the smoke
-- test fails if one of them changes no row.
insert into users (clerk_user_id, email, is_active, created_at, updated_at)
select 'user_rows_' || n, (array['Émile', 'emile.' , 'ÉMILE', 'ada.'])[1 + n % 4] || n || '@example.org', n % 5 > 0, at, at
from generate_series(1, 40) n, lateral (select now() - (n * interval '5 hours')) as time (at);
insert into api_keys (user_id, key_prefix, key_hash, name, is_active, created_at)
select id, 'sk_' || n, encode(sha256(convert_to(id || n::text, 'UTF8')), 'hex'), case when n > 1 then 'key ' || n end, n <> 2,
  created_at + n * interval '1 hour'
from users, generate_series(1, 3) n where clerk_user_id like 'user_rows_%';
insert into tasks (user_id, name, schedule, search_query, state, config, created_at, updated_at)
select id, 'name ' || n % 4, case when n < 4 then '0 9 * * *' end,
  (array['', null, repeat('q', 600), 'query ' || substr(email, 1, 2)])[1 + n % 4], (array['active', 'paused', 'completed'])[1 + n % 3],
  case when n % 2 = 0 then '{"query": "of the config"}'::jsonb end, created_at + n * interval '1 minute', created_at
from users, generate_series(1, 5) n where clerk_user_id like 'user_rows_%';
-- Of every age, some in the same millisecond, with fractions, ended before they began, pending, and never retried.
insert into task_executions (task_id, status, started_at, completed_at, error_message, notification, retry_count, created_at)
select id, (array['success', 'failed', 'success', 'running', 'pending'])[1 + n % 5], at,
  case when n % 5 < 3 then at + (n % 7 - 1) * interval '1.2345 seconds' end,
  case when n % 5 = 1 then (array['app.errors.QuotaError: none left', 'TimeoutException: late', 'hit a rate limit', 'A timeout.',
    'the validation failed', 'what?', repeat('x', 3000), null])[1 + n / 5 % 8] end,
  case when n % 3 = 0 then '' when n % 3 = 1 then 'Here it is.' end, nullif(n % 4, 3), at
from (select id, row_number() over (order by id) as n from tasks where name like 'name %') t,
  lateral (select date_trunc('second', now()) - (n * n / 7) * interval '37 minutes' - (n % 2) * interval '123456 microseconds') as time (at)
where at > now() - interval '364 days';
insert into task_executions (task_id, status, started_at, completed_at, notification)
select id, 'success', at, at + interval '1 second', null from tasks, (select date_trunc('second', now()) - interval '2 hours') as time (at)
where name = 'name 1';
insert into notification_sends (user_id, task_id, notification_type, status, created_at)
select user_id, id, case when n % 2 = 0 then 'webhook' else 'email' end, case when n % 9 = 0 then 'failed' else 'success' end,
  now() - n * interval '1 hour'
from (select *, row_number() over (order by id) as n from tasks where name like 'name %') t;
-- What is missing, empty or blank: a null is no `false`, and blanks around a query belong to it.
insert into users (clerk_user_id, email, is_active, created_at, updated_at)
values ('user_rows_41', 'nulls@example.org', null, null, null);
insert into api_keys (user_id, key_prefix, key_hash, is_active, created_at)
select id, 'sk_null', encode(sha256(convert_to(id || 'null', 'UTF8')), 'hex'), null, null from users where clerk_user_id = 'user_rows_41';
insert into tasks (user_id, name, schedule, search_query, state, config, created_at)
select id, 'blank ' || n, (array['', null, repeat('9', 257), repeat('9', 256)])[n],
  (array['  blanks around  ', '   ', ' ', ''])[n], (array['paused', null])[1 + n % 2],
  (array['{"query": " of the config "}', '{"query": "  "}', null, '{}']::jsonb[])[n], case when n < 3 then now() end
from users, generate_series(1, 4) n where clerk_user_id = 'user_rows_41';
insert into task_executions (task_id, status, started_at, completed_at, error_message, notification, created_at)
select id, (array['success', 'failed'])[1 + n % 2], case when n < 4 then at - interval '3 seconds' end, null, null, ' ',
  case when n > 2 then at end
from tasks, generate_series(1, 5) n, (select date_trunc('second', now()) - interval '5 hours') as time (at)
where name = 'blank 1' or name = 'blank 2' and n = 5;
insert into notification_sends (user_id, task_id, status, created_at)
select user_id, id, null, null from tasks where name = 'blank 1';

update users set email = 'changed.' || email, updated_at = now() where clerk_user_id like 'user_rows_1%';
update users set is_active = not is_active where clerk_user_id like 'user_rows_2%';
update tasks set search_query = 'changed', updated_at = now() where name = 'name 2' and state = 'completed';
update tasks set state = 'paused' where name = 'name 3' and state = 'active';
update tasks set state = 'active', updated_at = null where name = 'name 1' and state = 'paused';
update task_executions set status = 'success', completed_at = clock_timestamp(), notification = 'late' where status = 'running'
  and started_at between now() - interval '10 days' and now() - interval '12 hours'
  and task_id in (select id from tasks where name like 'name %');
update task_executions set status = 'failed', completed_at = clock_timestamp(), error_message = 'LateError: at last'
  where status = 'pending' and started_at > now() - interval '300 days';
update api_keys set is_active = false where name = 'key 3' and key_prefix = 'sk_3' and user_id in (select id from users where not is_active);
delete from api_keys where key_prefix = 'sk_1' and user_id in (select id from users where clerk_user_id like 'user_rows_3%');
delete from tasks where name = 'name 0' and user_id in (select id from users where clerk_user_id like 'user_rows_%5');
delete from users where clerk_user_id in ('user_rows_7', 'user_rows_8');
delete from task_executions where status = 'failed' and error_message = 'what?';
