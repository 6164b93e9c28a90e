-- What the simulated platform has when it starts: six users, each with a key and two tasks, and three days of searches.
insert into users (clerk_user_id, email, first_name, created_at, updated_at)
select 'user_platform_' || n, lower(name) || '@example.com', name, now() - n * interval '1 day', now() - n * interval '1 day'
from unnest(array['Ada', 'Barbara', 'Edsger', 'Grace', 'Katherine', 'Tony']) with ordinality as names (name, n);

insert into api_keys (user_id, key_prefix, key_hash, name, created_at)
select id, 'sk_' || lower(first_name), encode(sha256(convert_to('sk_' || id, 'UTF8')), 'hex'), 'laptop', created_at from users;

-- A search starts at its own second of every minute, so that one starts every five seconds.
insert into tasks (user_id, name, schedule, search_query, created_at)
select id, query, (5 * (row_number() over () - 1)) || ' * * * * * *', query, created_at
from users, unnest(array['price of ' || lower(first_name) || '''s bicycle', 'next eclipse']) as query;

insert into task_executions (task_id, status, started_at, completed_at, created_at, notification, error_message, retry_count)
select id, case when n % 7 = 0 then 'failed' else 'success' end, at, at + interval '2 seconds', at,
  case when n % 7 <> 0 and n % 3 = 0 then 'It has changed.' end,
  case when n % 7 = 0 then 'RateLimitError: the search engine allows no more searches' end, case when n % 7 = 0 then 1 else 0 end
from tasks, generate_series(1, 24) as n, lateral (select now() - n * interval '3 hours') as time (at);

insert into notification_sends (user_id, task_id, execution_id, notification_type, created_at)
select user_id, task_id, e.id, 'email', completed_at from task_executions e join tasks t on t.id = task_id
where notification is not null;
