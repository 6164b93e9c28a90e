//! Requests to every endpoint that reads the platform's data, and what SQL says of their answers: the queries of
//! `infra/local/platform_expected.sql`. What other systems say (Temporal, logins) and the audit trail is in no table.

use crate::ages::Age;
use crate::server::Database;
use serde_json::{Map, Value, json};
use tokio_postgres::Client;
use torale_domain::values::time::Timestamp;
use torale_testkit::events::ADMIN;

/// What the tables do not say of a row.
const UNKNOWN: [&str; 6] = ["next_run_time", "schedules", "history", "role", "deactivation", "last_used_at"];
/// What follows from the time at which an execution ended.
const OF_ENDS: [&str; 4] = ["completed_at", "duration_ms", "avg_duration_ms", "occurred_at"];
/// Of long lists, every so manieth is asked for by itself.
const SAMPLE: usize = 3;

/// Whoever answers requests.
pub(crate) trait Answer {
    /// The answer of a path to a query.
    async fn answer(&self, path: &str, query: &str) -> Value;
}

/// A request, and what its answer must be.
pub(crate) struct Expectation {
    path: String,
    query: String,
    expected: Expected,
}

enum Expected {
    /// One object.
    Object(Value),
    /// The rows of all pages of a list, each of so many.
    List { field: &'static str, limit: usize, rows: Vec<Value>, beside: Value, order: Order },
}

/// What is known of a list's order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// All of it.
    Total,
    /// This number descends; the contract leaves open what comes first of equal ones.
    Descending(&'static str),
    /// Nothing: it is by a time that the platform does not say.
    Unknown,
}

/// The SQL that adds the product's own administrator.
pub(crate) fn administrator() -> String {
    format!(
        "insert into expected.other_users values ('{ADMIN}', 'admin@example.com', 'user_admin', '2025-02-24T10:30:30.5Z')"
    )
}

/// Every request, and what the tables say of it at a time.
pub(crate) async fn expectations(db: &Database, age: &Age, now: Timestamp) -> Vec<Expectation> {
    let mut tables =
        Tables { client: db.client().await, now: format!("'{now}'"), age: *age, all: Vec::new() };
    tables.statistics().await;
    tables.queries_and_tasks().await;
    tables.executions().await;
    tables.errors().await;
    tables.users().await;
    tables.all
}

impl Expectation {
    /// Whether the tables have rows of this list.
    pub(crate) fn has_rows(&self, of: &str) -> bool {
        matches!(&self.expected, Expected::List { field, rows, .. } if *field == of && !rows.is_empty())
    }
}

/// Collects requests with what the tables say.
struct Tables {
    client: Client,
    /// The time of the answers, as a text of SQL.
    now: String,
    age: Age,
    all: Vec<Expectation>,
}

impl Tables {
    async fn sql(&self, query: &str) -> Vec<Value> {
        let text =
            format!("select coalesce(json_agg(rows), '[]')::text from (select * from expected.{query}) rows");
        let row =
            self.client.query_one(&text, &[]).await.unwrap_or_else(|error| panic!("{query}: {error:?}"));
        serde_json::from_str(row.get(0)).unwrap()
    }

    fn object(&mut self, path: &str, query: &str, object: Value) {
        let (path, query) = (format!("/admin/{path}"), query.to_owned());
        self.all.push(Expectation { path, query, expected: Expected::Object(object) });
    }

    /// A list whose rows are those of an SQL query, with `beside` them; returns the rows.
    async fn list(
        &mut self,
        field: &'static str,
        (query, limit): (&str, usize),
        sql: &str,
        (mut beside, order): (Value, Order),
    ) -> Vec<Value> {
        let rows = self.sql(sql).await;
        beside["total"] = json!(rows.len());
        let expected = Expected::List { field, limit, rows: rows.clone(), beside, order };
        self.all.push(Expectation { path: format!("/admin/{field}"), query: query.to_owned(), expected });
        rows
    }

    async fn total(&mut self, field: &'static str, request: (&str, usize), sql: &str) -> Vec<Value> {
        self.list(field, request, sql, (json!({}), Order::Total)).await
    }

    async fn statistics(&mut self) {
        let now = self.now.clone();
        let stats = self.sql(&format!("stats({now})")).await.remove(0);
        self.object("stats", "", stats);
        for metric in ["executions", "errors", "notifications", "new_users", "last_logins"] {
            if metric == "errors" && !self.age.has_execution_times {
                continue;
            }
            for (bucket, hours) in [("minute", 2), ("hour", 168), ("day", 1000)] {
                let mut points = self.sql(&format!("series({now}, '{metric}', '{bucket}', {hours})")).await;
                if metric != "executions" {
                    points.iter_mut().for_each(|point| drop(without(point, &["failed", "avg_duration_ms"])));
                }
                let series = json!({ "metric": metric, "bucket": bucket, "points": points });
                self.object(
                    "stats/series",
                    &format!("metric={metric}&bucket={bucket}&hours={hours}"),
                    series,
                );
            }
        }
    }

    async fn queries_and_tasks(&mut self) {
        let order = Order::Descending("total_tasks");
        for limit in [7, 100] {
            self.list("queries", ("", limit), "queries()", (json!({}), order)).await;
        }
        let tasks = self.total("tasks", ("", 100), "tasks()").await;
        self.total("tasks", ("", 6), "tasks()").await;
        for state in ["active", "paused", "completed"] {
            self.total("tasks", (&format!("state={state}"), 100), &format!("tasks('{state}')")).await;
        }
        for task in tasks.into_iter().step_by(SAMPLE) {
            let (user, query) = (text(&task, "user_id"), text(&task, "search_query"));
            self.total("tasks", (&format!("user_id={user}"), 100), &format!("tasks(null, '{user}')")).await;
            let filter = format!("search_query={}", query.replace(' ', "%20"));
            self.total("tasks", (&filter, 100), &format!("tasks(null, null, '{query}')")).await;
            self.object(&format!("tasks/{}", text(&task, "id")), "", task);
        }
    }

    async fn executions(&mut self) {
        let now = self.now.clone();
        for hours in [1, 24, 720, 8760] {
            let sql = format!("executions({now}, {hours})");
            self.total("executions", (&format!("hours={hours}"), 100), &sql).await;
        }
        for status in ["success", "failed", "running"] {
            let (query, sql) =
                (format!("status={status}&hours=8760"), format!("executions({now}, 8760, '{status}')"));
            self.total("executions", (&query, 7), &sql).await;
        }
        for execution in self.sql("execution_details()").await.into_iter().step_by(SAMPLE) {
            let task = text(&execution, "task_id");
            let (query, sql) =
                (format!("task_id={task}&hours=8760"), format!("executions({now}, 8760, null, '{task}')"));
            self.total("executions", (&query, 100), &sql).await;
            self.failures("task_id", &task, "null").await;
            self.object(&format!("executions/{}", text(&execution, "id")), "", execution);
        }
    }

    async fn errors(&mut self) {
        for hours in [1, 24, 8760] {
            let sql = format!("errors({}, {hours})", self.now);
            let (types, order) = self.types_and_order(hours).await;
            self.list("errors", (&format!("hours={hours}"), 100), &sql, (types, order)).await;
        }
        for each in self.sql(&format!("error_types({}, 8760)", self.now)).await {
            let name = text(&each, "error_type");
            self.failures("error_type", &name, &format!("'{name}'")).await;
        }
    }

    /// The failed executions of one task, or with one type of error.
    async fn failures(&mut self, filter: &str, value: &str, of_type: &str) {
        let task = if filter == "task_id" { format!("'{value}'") } else { "null".to_owned() };
        let sql = format!("errors({}, 8760, {of_type}, {task})", self.now);
        let (types, order) = self.types_and_order(8760).await;
        self.list("errors", (&format!("{filter}={value}&hours=8760"), 5), &sql, (types, order)).await;
    }

    /// What stands beside the errors of a window, and how these are ordered.
    async fn types_and_order(&self, hours: u32) -> (Value, Order) {
        let types = self.sql(&format!("error_types({}, {hours})", self.now)).await;
        let types: Map<String, Value> =
            types.into_iter().map(|row| (text(&row, "error_type"), row["count"].clone())).collect();
        let order = if self.age.has_execution_times { Order::Total } else { Order::Unknown };
        (json!({ "error_types": types }), order)
    }

    async fn users(&mut self) {
        let now = self.now.clone();
        let users = self.total("users", ("", 5), &format!("users({now})")).await;
        self.total("users", ("active_only=true", 100), &format!("users({now}, true)")).await;
        let capped = json!({ "total_capped": false });
        for (q, only) in [("u", false), ("N", true), ("c1%40EXAMPLE", false), ("nobody", true)] {
            let sql = format!("users({now}, {only}, '{}')", q.replace("%40", "@"));
            let request = format!("q={q}&active_only={only}");
            self.list("users", (&request, 4), &sql, (capped.clone(), Order::Total)).await;
        }
        for mut user in users.into_iter().filter(|user| user["id"] != ADMIN).step_by(2) {
            let id = text(&user, "id");
            user["api_keys"] = Value::Array(self.sql(&format!("api_keys('{id}')")).await);
            self.object(&format!("users/{id}"), "", user);
        }
    }
}

fn text(row: &Value, field: &str) -> String {
    row[field].as_str().unwrap_or_else(|| panic!("no {field} in {row}")).to_owned()
}

/// Compares all answers with what is expected.
pub(crate) async fn compare(expected: &[Expectation], answers: &impl Answer, age: &Age, what: &str) {
    let unsaid: &[&str] = if age.has_execution_times { &[] } else { &OF_ENDS };
    for Expectation { path, query, expected } in expected {
        let what = format!("{what}, {path}?{query}");
        match expected {
            Expected::Object(object) => {
                let mut answer = answers.answer(path, query).await;
                if let Some(popular) = answer.as_object_mut().unwrap().remove("popular_queries") {
                    require_popular(&popular, answers, &what).await;
                }
                if path.starts_with("/admin/users/") {
                    assert_eq!(
                        answer["deactivation"].is_null(),
                        object["state"] == "active",
                        "{what}: {answer}"
                    );
                }
                assert_eq!(comparable(&answer, object, unsaid), comparable(object, object, unsaid), "{what}");
            }
            Expected::List { field, limit, rows, beside, order } => {
                let mut found =
                    pages(answers, (path, query), (field, *limit), (rows.len(), beside), &what).await;
                let mut rows = rows.clone();
                if let Order::Descending(number) = order {
                    assert!(
                        found.is_sorted_by_key(|row| -row[*number].as_i64().unwrap()),
                        "{what}: {found:?}"
                    );
                }
                if *order != Order::Total {
                    rows.sort_by_key(name_of);
                    found.sort_by_key(name_of);
                }
                for (number, (found, row)) in found.iter().zip(&rows).enumerate() {
                    let [found, row] = [found, row].map(|each| comparable(each, row, unsaid));
                    assert_eq!(found, row, "{what}, row {number}");
                }
                assert_eq!(found.len(), rows.len(), "{what}");
            }
        }
    }
}

/// The popular queries are the first of all queries.
async fn require_popular(popular: &Value, answers: &impl Answer, what: &str) {
    let queries = answers.answer("/admin/queries", "limit=10").await;
    let rows = queries["queries"].as_array().unwrap().iter();
    let first = rows.map(|row| json!({ "query": row["search_query"], "count": row["total_tasks"] }));
    assert_eq!(*popular, first.collect::<Value>(), "{what}");
}

/// The rows of all pages of a list, and of one past the end. What stands beside them must be `beside`.
async fn pages(
    answers: &impl Answer,
    (path, query): (&str, &str),
    (field, limit): (&str, usize),
    (total, beside): (usize, &Value),
    what: &str,
) -> Vec<Value> {
    let mut all = Vec::new();
    for page in 1..=total / limit + 2 {
        let mut answer = answers.answer(path, &format!("{query}&limit={limit}&page={page}")).await;
        let rows = without(&mut answer, &[field]).remove(0);
        let rows = rows.as_array().unwrap().clone();
        assert!(rows.len() <= limit, "{what}");
        if answer.get("page").is_some() {
            assert_eq!(without(&mut answer, &["page", "limit"]), [json!(page), json!(limit)], "{what}");
        }
        assert_eq!(answer, *beside, "{what}, beside the rows");
        if rows.is_empty() {
            break;
        }
        all.extend(rows);
    }
    all
}

/// What tells rows apart that have no order.
fn name_of(row: &Value) -> String {
    let field = if row.get("search_query").is_some() && row.get("total_tasks").is_some() {
        "search_query"
    } else {
        "execution_id"
    };
    text(row, field)
}

/// Takes fields out of an object.
fn without(object: &mut Value, fields: &[&str]) -> Vec<Value> {
    let object = object.as_object_mut().unwrap();
    fields
        .iter()
        .map(|field| object.remove(*field).unwrap_or_else(|| panic!("no {field} in {object:?}")))
        .collect()
}

/// A value without what is in no table (`UNKNOWN`, where `like`, the tables' own, has it not) and without `unsaid`;
/// with one kind of number.
fn comparable(value: &Value, like: &Value, unsaid: &[&str]) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().unwrap()),
        Value::Array(all) => {
            all.iter().enumerate().map(|(n, each)| comparable(each, &like[n], unsaid)).collect()
        }
        Value::Object(object) => {
            let is_said = |name: &str| {
                !unsaid.contains(&name) && (like.get(name).is_some() || !UNKNOWN.contains(&name))
            };
            let said = object.iter().filter(|(name, _)| is_said(name));
            let said =
                said.map(|(name, value)| (name.clone(), comparable(value, &like[name.as_str()], unsaid)));
            Value::Object(said.collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}
