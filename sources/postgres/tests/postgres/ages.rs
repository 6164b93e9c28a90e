//! The platform's schema at its ages, for random histories: the changes that each of them allows, and views that say
//! the same of all. Written from the contract and the schema, apart from the product.

use crate::platform::{NEW, OLD, OLDEST};
use fastrand::Rng;

/// What the contract keeps of a deleted row: users, keys and executions stay known.
const ARCHIVE: &str = "
create function keep() returns trigger language plpgsql as $$
begin
  execute format('delete from gone_%I where id = ($1).id', tg_table_name) using old;
  execute format('insert into gone_%I select ($1).*', tg_table_name) using old;
  return old;
end
$$;";

/// Columns and tables that one age of the platform has and another has not.
#[derive(Clone, Copy)]
pub(crate) struct Age {
    pub(crate) name: &'static str,
    tables: &'static str,
    /// The present time, as its columns hold it.
    now: &'static str,
    /// `is_active` of users.
    has_users_active: bool,
    /// `updated_at` of users and tasks.
    has_updated_at: bool,
    /// What says whether a task is active, paused or completed.
    task_state: TaskState,
    /// The column that a task's query is in.
    query: &'static str,
    /// What says whether an execution's condition was met; in SQL, of a row `e`.
    condition: Option<(&'static str, &'static str)>,
    /// `started_at`, `completed_at` and `error_message` of executions.
    has_execution_times: bool,
    has_keys: bool,
    has_notifications: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TaskState {
    State,
    IsActive,
    None,
}

const TODAY: Age = Age {
    name: "state",
    tables: NEW,
    now: "clock_timestamp()",
    has_users_active: true,
    has_updated_at: true,
    task_state: TaskState::State,
    query: "search_query",
    condition: Some(("notification", "coalesce(e.notification <> '', false)")),
    has_execution_times: true,
    has_keys: true,
    has_notifications: true,
};

/// Every age whose histories are tried.
pub(crate) const AGES: [Age; 4] = [
    TODAY,
    Age {
        name: "is_active",
        tables: OLD,
        now: "clock_timestamp() at time zone 'UTC'",
        has_updated_at: false,
        task_state: TaskState::IsActive,
        condition: Some(("condition_met", "coalesce(e.condition_met, false)")),
        ..TODAY
    },
    Age {
        name: "neither state nor search_query",
        tables: OLDEST,
        has_users_active: false,
        has_updated_at: false,
        task_state: TaskState::None,
        query: "name",
        condition: None,
        has_execution_times: false,
        has_keys: false,
        has_notifications: false,
        ..TODAY
    },
    Age { name: "two tables missing", has_keys: false, has_notifications: false, ..TODAY },
];

impl Age {
    /// The tables with what the platform's foreign keys delete together, the archive, the views, and some first rows.
    pub(crate) fn schema(&self) -> String {
        let mut sql = vec![self.tables.to_owned(), ARCHIVE.to_owned()];
        if !self.has_keys && self.tables == NEW {
            sql.push("drop table api_keys, notification_sends;".to_owned());
        }
        let mut kept = vec!["users", "tasks", "task_executions"];
        if self.has_keys {
            kept.push("api_keys");
        }
        for table in kept {
            let parent = match table {
                "tasks" | "api_keys" => Some(("user_id", "users")),
                "task_executions" => Some(("task_id", "tasks")),
                _ => None,
            };
            if let Some((column, parent)) = parent.filter(|_| self.tables != NEW) {
                sql.push(format!(
                    "alter table {table} add foreign key ({column}) references {parent} on delete cascade;"
                ));
            }
            sql.push(format!(
                "create table gone_{table} as select * from {table} where false;
                 create trigger keep before delete on {table} for each row execute function keep();"
            ));
        }
        sql.push(self.views());
        sql.extend((1..=6).map(|n| format!("{};", self.new_user(&format!("c{n}"), true))));
        let user = "(select id from users where clerk_user_id = 'c1')";
        sql.push(format!("{}; {};", self.new_task(user, "first"), self.new_task(user, "second")));
        sql.push(format!("{};", self.new_execution("(select id from tasks order by id limit 1)")));
        sql.concat()
    }

    /// What every age says, in the same columns.
    fn views(&self) -> String {
        let user_state = if self.has_users_active { "is_active" } else { "true" };
        let task_state = match self.task_state {
            TaskState::State => "state",
            TaskState::IsActive => "case when is_active is false then 'paused' else 'active' end",
            TaskState::None => "'active'",
        };
        let met = self.condition.map_or("false", |(_, condition)| condition);
        let keys = if self.has_keys {
            "select user_id, id, not is_active as revoked from api_keys
             union all select user_id, id, true from gone_api_keys"
        } else {
            "select null::uuid as user_id, null::uuid as id, true as revoked where false"
        };
        let notifications = if self.has_notifications {
            "select user_id from notification_sends"
        } else {
            "select null::uuid as user_id where false"
        };
        format!(
            "create view seen_users as
               select id, email, clerk_user_id, case when {user_state} then 'active' else 'deactivated' end as state from users
               union all select id, email, clerk_user_id, 'deactivated' from gone_users g
               where not exists (select from users u where u.id = g.id);
             create view seen_tasks as select id, user_id, {query} as query, {task_state} as state from tasks;
             create view seen_executions as
               select e.id, e.task_id, case e.status when 'pending' then 'running' else e.status end as status,
                 case when e.status = 'success' then {met} end as met
               from (select * from task_executions union all select * from gone_task_executions) e;
             create view seen_keys as {keys};
             create view seen_notifications as {notifications};",
            query = self.query
        )
    }

    pub(crate) fn new_user(&self, name: &str, is_active: bool) -> String {
        let (column, value) = if self.has_users_active {
            (", is_active", format!(", {is_active}"))
        } else {
            ("", String::new())
        };
        format!(
            "insert into users (id, clerk_user_id, email, created_at{column})
             values (gen_random_uuid(), '{name}', '{name}@example.org', {}{value})",
            self.now
        )
    }

    pub(crate) fn new_task(&self, user: &str, query: &str) -> String {
        format!(
            "insert into tasks (id, user_id, {column}, created_at) select gen_random_uuid(), id, '{query}', {now} from users where id = {user}",
            column = self.query,
            now = self.now
        )
    }

    pub(crate) fn new_execution(&self, task: &str) -> String {
        let created = if self.has_execution_times { "started_at" } else { "created_at" };
        format!(
            "insert into task_executions (id, task_id, status, {created}) select gen_random_uuid(), id, 'running', {} from tasks where id = {task}",
            self.now
        )
    }

    /// The assignment that gives an execution a status.
    pub(crate) fn ended(&self, status: &str, n: u32) -> String {
        let mut set = vec![format!("status = '{status}'")];
        if self.has_execution_times {
            set.push(format!("completed_at = {}, error_message = 'E{n}Error: x'", self.now));
        }
        if let Some((column, _)) = self.condition.filter(|_| status == "success") {
            let value = match column {
                "notification" => ["null", "''", "'found'"][usize::try_from(n % 3).unwrap()],
                _ => ["null", "false", "true"][usize::try_from(n % 3).unwrap()],
            };
            set.push(format!("{column} = {value}"));
        }
        set.join(", ")
    }

    /// The assignment that gives a task a query, and a state if it has one.
    pub(crate) fn task_changes(&self, query: &str, n: u32) -> String {
        let state = match self.task_state {
            TaskState::State => {
                format!(", state = '{}'", ["active", "paused", "completed"][usize::try_from(n % 3).unwrap()])
            }
            TaskState::IsActive => format!(", is_active = {}", n.is_multiple_of(2)),
            TaskState::None => String::new(),
        };
        format!("{} = '{query}'{state}", self.query)
    }

    /// Some change of the platform.
    pub(crate) fn change(&self, rng: &mut Rng) -> String {
        let n = rng.u32(..);
        let one = |table: &str| format!("(select id from {table} order by md5(id::text || '{n}') limit 1)");
        let touched =
            ["", ", updated_at = now()", ", updated_at = now() - interval '1 day'", ", updated_at = null"];
        let touched = if self.has_updated_at { touched[rng.usize(..touched.len())] } else { "" };
        match rng.u32(..20) {
            0 => self.new_user(&format!("n{n}"), !n.is_multiple_of(4)),
            1 => format!("update users set email = 'u{n}@example.org'{touched} where id = {}", one("users")),
            2 | 3 if self.has_users_active => {
                format!("update users set is_active = not is_active{touched} where id = {}", one("users"))
            }
            2 | 4 => format!("delete from users where id = {}", one("users")),
            3 | 5 => format!(
                "insert into users select * from gone_users where id not in (select id from users) and id = {}",
                one("gone_users")
            ),
            6 | 7 => self.new_task(&one("users"), &format!("q {n}")),
            8 | 9 => format!(
                "update tasks set {}{touched} where id = {}",
                self.task_changes(&format!("changed {n}"), n),
                one("tasks")
            ),
            10 | 11 => self.new_execution(&one("tasks")),
            12 => format!(
                "update task_executions set {} where id = {}",
                self.ended("success", n),
                one("task_executions")
            ),
            13 => format!(
                "update task_executions set {} where id = {}",
                self.ended("failed", n),
                one("task_executions")
            ),
            14 => {
                format!("update task_executions set status = 'running' where id = {}", one("task_executions"))
            }
            15 => format!("delete from tasks where id = {}", one("tasks")),
            16 => format!("delete from task_executions where id = {}", one("task_executions")),
            17 if self.has_keys => format!(
                "insert into api_keys (id, user_id, key_prefix, key_hash, created_at, is_active)
                 select gen_random_uuid(), id, 'sk_', encode(sha256('{n}'), 'hex'), {}, true from users where id = {}",
                self.now,
                one("users")
            ),
            18 if self.has_keys => match n % 3 {
                0 => format!("delete from api_keys where id = {}", one("api_keys")),
                _ => format!("update api_keys set is_active = false where id = {}", one("api_keys")),
            },
            19 if self.has_notifications => format!(
                "insert into notification_sends (id, user_id, task_id, notification_type, created_at)
                 select gen_random_uuid(), user_id, id, 'email', {} from tasks where id = {}",
                self.now,
                one("tasks")
            ),
            _ => self.new_execution(&one("tasks")),
        }
    }
}
