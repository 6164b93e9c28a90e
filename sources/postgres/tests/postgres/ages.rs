//! The platform's schema at its ages, for random histories: the changes that each of them allows. Written from the
//! contract and the schema, apart from the product.

use crate::platform::{NEW, OLD, OLDEST};
use fastrand::Rng;

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
    /// The column that says whether an execution's condition was met.
    condition: Option<&'static str>,
    /// `started_at`, `completed_at` and `error_message` of executions.
    pub(crate) has_execution_times: bool,
    pub(crate) has_keys: bool,
    pub(crate) has_notifications: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TaskState {
    State,
    IsActive,
    None,
}

/// Today's.
pub(crate) const TODAY: Age = Age {
    name: "state",
    tables: NEW,
    now: "clock_timestamp()",
    has_users_active: true,
    has_updated_at: true,
    task_state: TaskState::State,
    query: "search_query",
    condition: Some("notification"),
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
        condition: Some("condition_met"),
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
    /// The tables with what the platform's foreign keys delete together.
    pub(crate) fn schema(&self) -> String {
        let mut sql = vec![self.tables.to_owned()];
        if !self.has_keys && self.tables == NEW {
            sql.push("drop table api_keys, notification_sends;".to_owned());
        }
        let cascades = [("tasks", "user_id", "users"), ("task_executions", "task_id", "tasks")];
        let of_keys = Some(("api_keys", "user_id", "users")).filter(|_| self.has_keys);
        for (table, column, parent) in cascades.into_iter().chain(of_keys).filter(|_| self.tables != NEW) {
            sql.push(format!(
                "alter table {table} add foreign key ({column}) references {parent} on delete cascade;"
            ));
        }
        sql.concat()
    }

    /// Some rows, so that every change finds some.
    pub(crate) fn first_rows(&self) -> String {
        let mut sql: Vec<String> = (1..=6).map(|n| self.new_user(&format!("c{n}"), true, n)).collect();
        let user = "(select id from users where clerk_user_id = 'c1')";
        sql.extend([self.new_task(user, "first", 1), self.new_task(user, "second", 2)]);
        sql.push(self.new_execution("(select id from tasks order by id limit 1)", 0));
        if self.has_execution_times {
            // One that does not say when it ended.
            sql.push(format!(
                "insert into task_executions (id, task_id, status, started_at)
                 select gen_random_uuid(), id, 'failed', {} from tasks",
                self.past(3)
            ));
        }
        sql.join(";")
    }

    /// A time that a row is of, as its columns hold it: now, one of some hours to weeks ago, or none.
    fn past(&self, n: u32) -> String {
        let hours = [0, 0, 0, 3, 20, 25, 160, 170, 700, 900, 0][usize::try_from(n % 11).unwrap()];
        if n % 11 == 10 {
            return "null".to_owned();
        }
        format!("{} - interval '{hours} hours'", self.now)
    }

    /// `n` decides, here and below, what is left open.
    pub(crate) fn new_user(&self, name: &str, is_active: bool, n: u32) -> String {
        let (column, value) = if self.has_users_active {
            (", is_active", format!(", {is_active}"))
        } else {
            ("", String::new())
        };
        format!(
            "insert into users (id, clerk_user_id, email, created_at{column})
             values (gen_random_uuid(), '{name}', '{name}@example.org', {}{value})",
            self.past(n)
        )
    }

    pub(crate) fn new_task(&self, user: &str, query: &str, n: u32) -> String {
        // Blanks around a query belong to it.
        let query = if n.is_multiple_of(5) { format!(" {query} ") } else { query.to_owned() };
        let (columns, values) = if self.query == "name" {
            ("", String::new())
        } else {
            (", name, schedule", format!(", 'name of {query}', nullif('{} 9 * * *', '0 9 * * *')", n % 3))
        };
        format!(
            "insert into tasks (id, user_id, {column}, created_at{columns})
             select gen_random_uuid(), id, '{query}', {created}{values} from users where id = {user}",
            column = self.query,
            created = self.past(n)
        )
    }

    pub(crate) fn new_execution(&self, task: &str, n: u32) -> String {
        let started = if self.has_execution_times { "started_at" } else { "created_at" };
        let status = if n.is_multiple_of(4) { "pending" } else { "running" };
        format!(
            "insert into task_executions (id, task_id, status, {started})
             select gen_random_uuid(), id, '{status}', {} from tasks where id = {task}",
            self.past(n)
        )
    }

    /// The assignment that gives an execution a status.
    pub(crate) fn ended(&self, status: &str, n: u32) -> String {
        let mut set = vec![format!("status = '{status}'")];
        if self.has_execution_times {
            let message = ["E{n}Error: x", "a rate limit", "TimeoutException: late", "what?"];
            let message = message[usize::try_from(n % 4).unwrap()].replace("{n}", &(n % 5).to_string());
            set.push(format!("completed_at = {}, error_message = '{message}'", self.now));
        }
        if let Some(column) = self.condition.filter(|_| status == "success") {
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
        let schedule = match (self.query, n % 2) {
            ("search_query", 0) => format!(", schedule = '{} 8 * * *'", n % 50),
            _ => String::new(),
        };
        format!("{} = '{query}'{state}{schedule}", self.query)
    }

    /// Some change of the platform.
    pub(crate) fn change(&self, rng: &mut Rng) -> String {
        let n = rng.u32(..);
        let one = |table: &str| format!("(select id from {table} order by md5(id::text || '{n}') limit 1)");
        let touched =
            ["", ", updated_at = now()", ", updated_at = now() - interval '1 day'", ", updated_at = null"];
        let touched = if self.has_updated_at { touched[rng.usize(..touched.len())] } else { "" };
        match rng.u32(..20) {
            0 => self.new_user(&format!("n{n}"), !n.is_multiple_of(4), n),
            1 => format!("update users set email = 'u{n}@example.org'{touched} where id = {}", one("users")),
            2 | 3 if self.has_users_active => {
                format!("update users set is_active = not is_active{touched} where id = {}", one("users"))
            }
            2 | 4 => format!("delete from users where id = {}", one("users")),
            3 | 5 => format!(
                "insert into users select * from expected.gone_users where id not in (select id from users) and id = {}",
                one("expected.gone_users")
            ),
            6 | 7 => self.new_task(&one("users"), &format!("q {}", n % 40), n),
            8 | 9 => format!(
                "update tasks set {}{touched} where id = {}",
                self.task_changes(&format!("changed {}", n % 20), n),
                one("tasks")
            ),
            10 | 11 => self.new_execution(&one("tasks"), n),
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
                let status = if n.is_multiple_of(3) { "pending" } else { "running" };
                format!("update task_executions set status = '{status}' where id = {}", one("task_executions"))
            }
            15 => format!("delete from tasks where id = {}", one("tasks")),
            16 => format!("delete from task_executions where id = {}", one("task_executions")),
            17 if self.has_keys => format!(
                "insert into api_keys (id, user_id, key_prefix, key_hash, created_at, is_active)
                 select gen_random_uuid(), id, 'sk_', encode(sha256('{n}'), 'hex'), {}, {} from users where id = {}",
                self.past(n),
                if n.is_multiple_of(3) { "null" } else { "true" },
                one("users")
            ),
            18 if self.has_keys => match n % 3 {
                0 => format!("delete from api_keys where id = {}", one("api_keys")),
                _ => format!("update api_keys set is_active = false where id = {}", one("api_keys")),
            },
            19 if self.has_notifications => format!(
                "insert into notification_sends (id, user_id, task_id, notification_type, created_at)
                 select gen_random_uuid(), user_id, id, 'email', {} from tasks where id = {}",
                self.past(n),
                one("tasks")
            ),
            _ => self.new_execution(&one("tasks"), n),
        }
    }
}
