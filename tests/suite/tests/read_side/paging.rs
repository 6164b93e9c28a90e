//! P2: every page of every list, each row once and in order, at a cost that does not grow.

use serde_json::Value;
use torale_domain::pages::{errors, executions, queries, schedules, stats, tasks, users, workflows};
use torale_domain::requests::parameters::QueryParameters;
use torale_domain::values::time::{DAY, HOUR, MINUTE, Timestamp};
use torale_platform::store::{Generation, StoreError, TableReader, Usage};
use torale_testkit::events::{EventBuilder, execution, schedule_created, task, user, workflow_run};
use torale_testkit::scenario::{Scenario, given, given_an_admin};
use torale_testkit::stack::{self, NOW, RawItem, Stack, key_of};
use torale_tests::endpoints;
use uuid::Uuid;

const EXECUTIONS: i64 = 600;

fn id(kind: u128, n: i64) -> String {
    Uuid::from_u128((kind << 64) | u128::from(n.unsigned_abs())).to_string()
}

/// Starts that crowd around the edges of minutes, hours and days, several to a millisecond.
fn started(n: i64) -> Timestamp {
    let edges = [MINUTE, HOUR, DAY, 3 * DAY, 29 * DAY];
    let edge = edges.iter().cycle().nth(usize::try_from(n).unwrap()).unwrap();
    NOW.plus(-edge).floor_to_hour().plus([-1, 0, 1, 59_999, 60_000][usize::try_from(n / 5 % 5).unwrap()])
}

/// The n-th execution: running, succeeded or failed, in turns.
fn nth_execution(n: i64) -> EventBuilder {
    let run = execution(&id(3, n), &id(2, n % 220), &id(1, n % 210)).started_at(started(n));
    let event = match n % 3 {
        0 => run.started(),
        1 => run.succeeded(false),
        _ => run.failed(if n / 3 % 5 == 0 { "B" } else { "A" }, "x"),
    };
    event.at(started(n).plus(5))
}

/// A task, its user, its schedule and a run of a workflow.
fn nth_task(n: i64) -> [EventBuilder; 4] {
    let (task_id, user_id) = (id(2, n), id(1, n % 210));
    let created = user(&user_id).created().with("clerk_user_id", format!("u{n}"));
    [
        task(&task_id).created(&user_id, &format!("query {}", n % 190)).at(NOW.plus(-40 * DAY)),
        created.with("email", format!("x{n}@example.com")).at(started(n % 210)).id("u"),
        schedule_created(&format!("s{n}"), &task_id, &user_id, "0 9 * * *").at(started(n)),
        workflow_run(&format!("w{}", n % 9), &format!("r{n}")).started().at(NOW.plus(-(n % 7) * HOUR)),
    ]
}

async fn scenario() -> Scenario {
    let executions: Vec<_> = (0..EXECUTIONS).map(nth_execution).collect();
    let tasks: Vec<_> = (0..220).map(nth_task).collect();
    given((executions, tasks)).start().await
}

struct List {
    path: &'static str,
    query: &'static str,
    rows: &'static str,
    /// What the rows are sorted by, greatest first.
    order: &'static [&'static str],
}

const LISTS: [List; 13] = [
    List { path: "/admin/executions", query: "hours=8760", rows: "executions", order: &["started_at", "id"] },
    List {
        path: "/admin/executions",
        query: "hours=73&status=failed",
        rows: "executions",
        order: &["started_at", "id"],
    },
    List {
        path: "/admin/executions",
        query: "hours=8760&status=running",
        rows: "executions",
        order: &["started_at", "id"],
    },
    List {
        path: "/admin/errors",
        query: "hours=8760",
        rows: "errors",
        order: &["occurred_at", "execution_id"],
    },
    List {
        path: "/admin/errors",
        query: "hours=8760&error_type=A",
        rows: "errors",
        order: &["occurred_at", "execution_id"],
    },
    List { path: "/admin/tasks", query: "", rows: "tasks", order: &["created_at", "id"] },
    List { path: "/admin/tasks", query: "state=active", rows: "tasks", order: &["created_at", "id"] },
    List { path: "/admin/users", query: "q=X", rows: "users", order: &[] },
    List { path: "/admin/users", query: "", rows: "users", order: &["created_at", "id"] },
    List { path: "/admin/users", query: "active_only=true", rows: "users", order: &["created_at", "id"] },
    List {
        path: "/admin/temporal/workflows",
        query: "",
        rows: "workflows",
        order: &["start_time", "workflow_id"],
    },
    List { path: "/admin/temporal/schedules", query: "", rows: "schedules", order: &[] },
    List { path: "/admin/queries", query: "", rows: "queries", order: &["total_tasks"] },
];

async fn page(stack: &Stack, list: &List, page: usize, limit: usize) -> Value {
    let query = format!("{}&page={page}&limit={limit}", list.query);
    endpoints::answer(stack, list.path, &query).await.with_status(200).json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_return_each_row_once_and_in_order_over_all_pages() {
    let stack = scenario().await;

    for list in &LISTS {
        for limit in [37, 100] {
            let mut rows: Vec<Value> = Vec::new();
            let mut total = None;
            for number in 1.. {
                let answer = page(&stack, list, number, limit).await;
                assert_eq!(*total.get_or_insert(answer["total"].clone()), answer["total"]);
                let found = answer[list.rows].as_array().unwrap();
                rows.extend(found.iter().cloned());
                if found.is_empty() {
                    break;
                }
            }
            let name = format!("{}?{} by {limit}", list.path, list.query);
            assert_eq!(Some(u64::try_from(rows.len()).unwrap()), total.unwrap().as_u64(), "{name}");
            assert!(rows.len() > 140, "{name}: enough rows to leave the first pages, {}", rows.len());
            let mut distinct: Vec<String> = rows.iter().map(Value::to_string).collect();
            distinct.sort();
            distinct.dedup();
            assert_eq!(distinct.len(), rows.len(), "{name}: a row came twice");
            let keys: Vec<Vec<String>> =
                rows.iter().map(|row| list.order.iter().map(|by| sortable(&row[by])).collect()).collect();
            assert!(keys.windows(2).all(|pair| pair[0] >= pair[1]), "{name}: out of order");
        }
    }
}

/// The greatest page number that can be asked for: its first row has an offset greater than any that can be counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn greatest_page_of_every_list_is_empty_and_has_the_total() {
    let stack = scenario().await;
    let of_a_task = format!("hours=8760&task_id={}", id(2, 1));
    let lists = LISTS.iter().map(|list| (list.path, list.query, list.rows));
    let others = [
        ("/admin/executions", &*of_a_task, "executions"),
        ("/admin/errors", &*of_a_task, "errors"),
        ("/admin/tasks", "search_query=query 1", "tasks"),
        ("/admin/audit", "", "records"),
    ];

    for (path, query, rows) in lists.chain(others) {
        let first = endpoints::answer(&stack, path, query).await.with_status(200).json();
        let query = format!("{query}&limit=50&page={}", u64::MAX);
        let answer = endpoints::answer(&stack, path, &query).await.with_status(200).json();

        assert_eq!(answer[rows].as_array().map(Vec::len), Some(0), "{path}?{query}");
        assert_eq!(answer["total"], first["total"], "{path}?{query}");
        // The requests of this test are audited, but not indexed: that list has no rows.
        assert_eq!(answer["total"].as_u64() > Some(0), path != "/admin/audit", "{path}?{query}");
    }
}

/// Times without a fraction are shorter texts: they are filled up.
pub(crate) fn sortable(value: &Value) -> String {
    match value {
        Value::String(text) if text.ends_with('Z') && text.len() == 20 => text.replace('Z', ".000Z"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Round trips and read units of one page of one list.
pub(crate) async fn cost(stack: &Stack, path: &str, query: &str) -> (u64, f64) {
    let (store, usage, ui) = (stack.store(), Usage::default(), stack::temporal_ui());
    let reader = &TableReader::of(&store, &Generation::first(), &usage);
    let done: Result<(), StoreError> = async {
        match path {
            "/admin/stats" => drop(stats::answer(reader, NOW).await?),
            "/admin/queries" => {
                drop(queries::answer(reader, &queries::QueriesParameters::parse(query).unwrap()).await?)
            }
            "/admin/executions" => drop(
                executions::answer(reader, &executions::ExecutionsParameters::parse(query).unwrap(), NOW)
                    .await?,
            ),
            "/admin/errors" => {
                drop(errors::answer(reader, &errors::ErrorsParameters::parse(query).unwrap(), NOW).await?)
            }
            "/admin/tasks" => {
                drop(tasks::answer(reader, &tasks::TasksParameters::parse(query).unwrap(), NOW).await?)
            }
            "/admin/users" => {
                drop(users::answer(reader, &users::UsersParameters::parse(query).unwrap(), NOW).await?)
            }
            "/admin/temporal/workflows" => drop(
                workflows::answer(reader, &workflows::WorkflowsParameters::parse(query).unwrap(), NOW, &ui)
                    .await?,
            ),
            _ => drop(
                schedules::answer(reader, &schedules::SchedulesParameters::parse(query).unwrap(), NOW, &ui)
                    .await?,
            ),
        }
        Ok(())
    }
    .await;
    done.unwrap();
    (usage.round_trips(), usage.read_units())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_stay_within_round_trips_and_read_units_on_every_page() {
    let stack = scenario().await;

    let (trips, units) = cost(&stack, "/admin/stats", "").await;

    assert!(trips <= 2 && units <= 20.0, "stats: {trips} round trips, {units} units");

    let (trips, _) = cost(&stack, "/admin/temporal/schedules", "").await;
    assert!(trips <= 2, "all schedules at once: {trips} round trips");

    for list in &LISTS {
        let (first, first_units) = cost(&stack, list.path, &format!("{}&limit=50", list.query)).await;
        let (trips, units) = match list.rows {
            "executions" | "errors" | "schedules" => (2, 65.0),
            "tasks" => (3, 85.0),
            "queries" => (2, 80.0),
            _others => (2, 70.0),
        };
        assert!(first <= trips, "{}?{}: {first} round trips for page 1", list.path, list.query);
        assert!(first_units <= units, "{}?{}: {first_units} units for page 1", list.path, list.query);
        let last = page(&stack, list, 1, 10).await["total"].as_u64().unwrap().div_ceil(10);
        let (shallow, shallow_units) =
            cost(&stack, list.path, &format!("{}&limit=10&page=1", list.query)).await;
        for number in [2, last / 2, last] {
            let (trips, units) =
                cost(&stack, list.path, &format!("{}&limit=10&page={number}", list.query)).await;
            assert!(trips <= 5, "{}?{} page {number}: {trips} round trips", list.path, list.query);
            assert!(
                units <= 2.0 * shallow_units + 20.0,
                "{} page {number}: {units} units, page 1 {shallow_units}",
                list.path
            );
        }
        assert!(shallow <= 3);
    }
}

/// A query of over 512 bytes is too long for its row in the ranking: then the ten queries are read, and nothing else of
/// them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_cost_one_round_trip_and_half_a_unit_a_query_more_with_a_long_query() {
    let cost_with = async |query: String| {
        let others = (1..10).map(|n| task(&id(2, n)).created(&id(1, 1), &format!("query {n}")));
        let run = execution(&id(3, 1), &id(2, 0), &id(1, 1)).started_at(NOW.plus(-HOUR)).succeeded(false);
        let events: Vec<_> = others.chain([task(&id(2, 0)).created(&id(1, 1), &query), run]).collect();
        let stack = given(events).start().await;
        cost(&stack, "/admin/stats", "").await
    };

    let (short, long) = (cost_with("é".to_owned()).await, cost_with("é".repeat(300)).await);

    assert_eq!(long, (short.0 + 1, short.1 + 5.0));
}

/// The rows of executions, errors and schedules carry what a page shows. A generation that an earlier release has
/// written has rows that carry nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_an_earlier_release_give_the_same_answers_for_one_round_trip_more() {
    let stack = scenario().await;
    let lists = || LISTS.iter().filter(|list| matches!(list.rows, "executions" | "errors" | "schedules"));
    let mut before = Vec::new();
    for list in lists() {
        for number in [1, 2, 12] {
            before.push((page(&stack, list, number, 10).await, pages_cost(&stack, list, number).await));
        }
    }

    let table = Generation::first().table();
    let lists_of = ["r#executions#", "r#errors", "r#schedules#"];
    let of_lists = |item: &RawItem| lists_of.iter().any(|list| key_of(item).pk.starts_with(list));
    let rows: Vec<RawItem> = stack.scan(&table).await.into_iter().filter(of_lists).collect();
    assert!(rows.len() > 1_000, "{} rows", rows.len());
    for row in rows {
        // Only the rows of schedules said what they stand for.
        let of = row.get("of").map(|of| ("of", of.clone()));
        stack.put(&table, &key_of(&row), of).await;
    }

    let mut expected = before.into_iter();
    for list in lists() {
        for number in [1, 2, 12] {
            let (answer, trips) = expected.next().unwrap();
            let name = format!("{}?{} page {number}", list.path, list.query);
            assert_eq!(page(&stack, list, number, 10).await, answer, "{name}");
            assert_eq!(pages_cost(&stack, list, number).await, trips + 1, "{name}");
        }
    }
}

async fn pages_cost(stack: &Stack, list: &List, number: usize) -> u64 {
    cost(stack, list.path, &format!("{}&limit=10&page={number}", list.query)).await.0
}

/// Whatever a search begins with, it reads at most 1,001 rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn search_by_email_stays_within_round_trips_and_read_units_whatever_it_matches() {
    let person = |n: i64| {
        let created = user(&id(1, n)).created().with("clerk_user_id", format!("u{n}"));
        created.with("email", format!("{}.{n:06}@example.com", ["anna", "ben"][usize::from(n % 50 == 0)]))
    };
    let stack = given_an_admin().start().await;
    for some in (0..1_200).map(person).collect::<Vec<_>>().chunks(100) {
        stack.receives(some.to_vec()).await;
    }

    for (query, least, most) in
        [("q=a", 60.0, 80.0), ("q=ben", 20.0, 60.0), ("q=a&page=20&active_only=1", 60.0, 80.0)]
    {
        let (trips, units) = cost(&stack, "/admin/users", query).await;
        assert_eq!(trips, 2, "{query}");
        assert!((least..=most).contains(&units), "{query}: {units} units");
    }
}

/// Tasks with an execution, a schedule and a user of their own, which is the dearest page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_of_tasks_stays_within_round_trips_and_read_units() {
    let events = (0..220).flat_map(|n| {
        let run =
            execution(&id(3, n), &id(2, n), &id(1, n)).started_at(NOW.plus(-n * MINUTE)).succeeded(false);
        let created = task(&id(2, n)).created(&id(1, n), "q").at(NOW.plus(-n * HOUR));
        let person = user(&id(1, n)).created().with("clerk_user_id", format!("u{n}"));
        let schedule = schedule_created(&format!("s{n}"), &id(2, n), &id(1, n), "0 9 * * *");
        [person.with("email", format!("{n}@example.com")), created, run, schedule]
    });
    let stack = given(events.collect::<Vec<_>>()).start().await;

    for (query, most_trips) in
        [("", 3), ("page=4", 3), ("page=5&limit=50", 5), ("state=active", 3), ("search_query=q", 3)]
    {
        let (trips, units) = cost(&stack, "/admin/tasks", query).await;
        assert!(trips <= most_trips, "{query}: {trips} round trips");
        assert!(units <= 85.0, "{query}: {units} units");
    }
}
