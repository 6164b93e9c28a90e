//! Random histories of the platform, by several connections with rollbacks and transactions that last as long as all
//! others together, relays that are killed, and backfills before, during and after them: at the end the answers are
//! what SQL finds in the platform's own tables. The answers come from the independent model, the SQL from the contract.

use crate::backfill::collect;
use crate::platform::NEW;
use crate::server::Database;
use fastrand::Rng;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::{Duration, Instant};
use torale_model::{Message, ModelTemporalUi, World};
use torale_platform::clock;
use torale_source_outbox::relay;
use torale_testkit::sqs::FakeSqs;
use torale_testkit::switches::number;

/// Executions that went with their task: the contract keeps them.
const ARCHIVE: &str = "CREATE TABLE gone AS SELECT * FROM task_executions WHERE false;
  CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO gone SELECT OLD.*; RETURN OLD; END $$;
  CREATE TRIGGER keep BEFORE DELETE ON task_executions FOR EACH ROW EXECUTE FUNCTION keep();";

const ROWS: &str = "INSERT INTO users (clerk_user_id, email) SELECT 'c' || i, i || '@example.org' FROM generate_series(1, 6) i;
  INSERT INTO tasks (user_id, name, search_query) SELECT id, 'n', 'q ' || clerk_user_id FROM users;
  INSERT INTO task_executions (task_id) SELECT id FROM tasks;
  UPDATE users SET email = 'x' || email, updated_at = now() + interval '1 ms' WHERE clerk_user_id < 'c3';";

fn change(rng: &mut Rng) -> String {
    let n = rng.u32(..);
    let one = |table: &str| format!("(SELECT id FROM {table} ORDER BY md5(id::text || '{n}') LIMIT 1)");
    let touched =
        ["", ", updated_at = now()", ", updated_at = now() - interval '1 day'", ", updated_at = NULL"];
    let touched = touched[rng.usize(..touched.len())];
    match rng.u32(..16) {
        0 => format!(
            "INSERT INTO users (clerk_user_id, email, is_active) VALUES ('n{n}', '{n}@example.org', {n} % 4 > 0)"
        ),
        1 => format!("UPDATE users SET email = 'u{n}@example.org'{touched} WHERE id = {}", one("users")),
        2 | 3 => format!("UPDATE users SET is_active = NOT is_active{touched} WHERE id = {}", one("users")),
        4 => format!(
            "INSERT INTO tasks (user_id, name, search_query, state) VALUES ({}, 't{n}', 'q {n}', 'paused')",
            one("users")
        ),
        5 => format!("UPDATE tasks SET search_query = 'changed {n}'{touched} WHERE id = {}", one("tasks")),
        6 | 7 => {
            let state = ["active", "paused", "completed"][rng.usize(..3)];
            format!("UPDATE tasks SET state = '{state}'{touched} WHERE id = {}", one("tasks"))
        }
        8 | 9 => format!(
            "INSERT INTO task_executions (task_id, status) SELECT id, 'running' FROM tasks WHERE id = {}",
            one("tasks")
        ),
        10 => format!(
            "UPDATE task_executions SET status = 'success', completed_at = clock_timestamp(), notification = nullif('{}', '0') WHERE id = {}",
            n % 2,
            one("task_executions")
        ),
        11 => format!(
            "UPDATE task_executions SET status = 'failed', completed_at = clock_timestamp(), error_message = 'E{n}Error: x' WHERE id = {}",
            one("task_executions")
        ),
        13 => format!(
            "INSERT INTO api_keys (user_id, key_prefix, key_hash) SELECT {}, 'sk_', encode(sha256('{n}'), 'hex')",
            one("users")
        ),
        14 => format!("UPDATE api_keys SET is_active = false WHERE id = {}", one("api_keys")),
        12 => format!("UPDATE task_executions SET status = 'running' WHERE id = {}", one("task_executions")),
        _ => match n % 3 {
            0 => format!("DELETE FROM tasks WHERE id = {}", one("tasks")),
            1 => format!("DELETE FROM task_executions WHERE id = {}", one("task_executions")),
            _ => format!(
                "INSERT INTO notification_sends (user_id, task_id, notification_type) SELECT user_id, id, 'email' FROM tasks WHERE id = {}",
                one("tasks")
            ),
        },
    }
}

/// One connection of the platform: transactions of several changes, some rolled back. Deadlocks and lost rows are the
/// platform's own business: such a transaction is rolled back as well.
async fn work(db: &Database, seed: u64, transactions: u32) {
    let (client, mut rng) = (db.client().await, Rng::with_seed(seed));
    for _ in 0..transactions {
        client.batch_execute("BEGIN").await.unwrap();
        for _ in 0..rng.u32(1..4) {
            if rng.u32(..6) == 0 {
                let rolled_back = format!("SAVEPOINT s; {}; ROLLBACK TO s", change(&mut rng));
                client.batch_execute(&rolled_back).await.ok();
            }
            client.batch_execute(&change(&mut rng)).await.ok();
        }
        let end = if rng.u32(..5) == 0 { "ROLLBACK" } else { "COMMIT" };
        client.batch_execute(end).await.unwrap();
    }
}

/// A transaction that is open while the others work. It changes rows of its own: nobody waits for its locks.
async fn long_transaction(db: &Database, end: &str, done: &AtomicBool) {
    let client = db.client().await;
    let mine = format!("FROM users WHERE clerk_user_id = '{end}'");
    let begin = format!(
        "BEGIN; INSERT INTO users (clerk_user_id, email) VALUES ('{end}', '{end}');
         INSERT INTO tasks (user_id, name, search_query) SELECT id, 'n', 'long' {mine};
         INSERT INTO task_executions (task_id, status) SELECT id, 'running' FROM tasks WHERE user_id = (SELECT id {mine});"
    );
    client.batch_execute(&begin).await.unwrap();
    let mut n = 0;
    while !done.load(Ordering::Relaxed) {
        n += 1;
        let (state, status) = [("paused", "success"), ("active", "failed")][n % 2];
        let change = format!(
            "UPDATE users SET email = '{end} {n}' WHERE clerk_user_id = '{end}';
             UPDATE tasks SET search_query = 'long {n}', state = '{state}' WHERE user_id = (SELECT id {mine});
             UPDATE task_executions SET status = '{status}', completed_at = clock_timestamp()
             WHERE task_id IN (SELECT id FROM tasks WHERE user_id = (SELECT id {mine}))"
        );
        client.batch_execute(&change).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client.batch_execute(end).await.unwrap();
}

/// Relays that are killed, one after the other, until the platform is done.
async fn killed_relays(db: &Database, sqs: &FakeSqs, mut rng: Rng, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let (source, queue) = (db.source(), sqs.client());
        let relaying = tokio::spawn(async move { relay::run(&source, &queue, a_while(), a_while()).await });
        for _ in 0..rng.u32(..3000) {
            tokio::task::yield_now().await;
        }
        relaying.abort();
        drop(relaying.await);
    }
}

fn a_while() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

async fn history(seed: u64) {
    let Some(db) = Database::with(NEW) else { return };
    let mut rng = Rng::with_seed(seed);
    db.run(&format!("{ARCHIVE} {ROWS}"));
    db.install(&[]);
    let (sqs, done) = (FakeSqs::default(), AtomicBool::new(false));

    let mut events = collect(&db).await;
    let working = async {
        futures::future::join_all((0..4).map(|n| work(&db, seed * 10 + n, 20))).await;
        done.store(true, Ordering::Relaxed);
    };
    let relaying = killed_relays(&db, &sqs, rng.fork(), &done);
    let long = async {
        futures::join!(long_transaction(&db, "COMMIT", &done), long_transaction(&db, "ROLLBACK", &done))
    };
    let ((), (), _, during) = futures::join!(working, relaying, long, collect(&db));
    events.extend(during);
    relay::run(&db.source(), &sqs.client(), a_while(), a_while()).await.unwrap();
    events.extend(sqs.taken());
    let without = events.clone();
    events.extend(collect(&db).await);
    rng.shuffle(&mut events);

    assert_eq!(db.failures().await, [""; 0], "seed {seed}");
    assert_eq!(db.outbox().await, [""; 0], "seed {seed}");
    for events in [without, events] {
        compare(&db, &events, seed).await;
        compare_keys(&db, &events, seed).await;
    }
}

/// The model's answers to these events, at present.
fn answers(events: &[String]) -> impl Fn(&str, &str) -> (u16, Value) {
    let now = clock::system().millis();
    let received = |body: &String| Message { body: body.clone(), received_at_ms: now };
    let world = World::of(&events.iter().map(received).collect::<Vec<_>>());
    let ui = ModelTemporalUi { url: String::new(), namespace: String::new() };
    move |path, query| world.get(path, query, now, &ui)
}

async fn compare_keys(db: &Database, events: &[String], seed: u64) {
    let get = answers(events);
    let keys = "SELECT concat_ws(' ', to_json(user_id), to_json(id), (NOT is_active)::text) FROM api_keys";
    let (mut found, mut expected) = (Vec::new(), db.texts(keys).await);
    for user in db.texts("SELECT id::text FROM users").await {
        let (_, details) = get(&format!("/admin/users/{user}"), "");
        let keys = details["api_keys"].as_array().unwrap().iter();
        found.extend(keys.map(|key| format!("\"{user}\" {} {}", key["key_id"], key["revoked"])));
    }
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "seed {seed}");
}

async fn compare(db: &Database, events: &[String], seed: u64) {
    let get = answers(events);
    // All pages of a list.
    let texts = |path: &str, list: &str, fields: &[&str]| {
        let page = |page| get(path, &format!("limit=100&page={page}")).1[list].as_array().unwrap().clone();
        let rows = (1..).map(page).take_while(|rows| !rows.is_empty()).flatten();
        let row =
            |row: Value| fields.iter().map(|field| row[field].to_string()).collect::<Vec<_>>().join(" ");
        let mut rows: Vec<String> = rows.map(row).collect();
        rows.sort();
        rows
    };
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };

    let expected = db
        .texts(
            "SELECT concat_ws(' ', to_json(id), to_json(email), to_json(clerk_user_id),
            CASE WHEN is_active THEN '\"active\"' ELSE '\"deactivated\"' END,
            (SELECT count(*) FROM tasks t WHERE t.user_id = u.id),
            (SELECT count(*) FROM tasks t WHERE t.user_id = u.id AND state = 'active'),
            (SELECT count(*) FROM notification_sends n WHERE n.user_id = u.id)) FROM users u ",
        )
        .await;
    let fields =
        ["id", "email", "clerk_user_id", "state", "tasks_count", "active_tasks_count", "notifications_7d"];
    assert_eq!(texts("/admin/users", "users", &fields), sorted(expected), "seed {seed}");

    let expected = db
        .texts("SELECT concat_ws(' ', to_json(e.id), to_json(e.task_id),
            to_json(CASE status WHEN 'pending' THEN 'running' ELSE status END),
            CASE WHEN status = 'success' THEN (notification <> '' AND notification IS NOT NULL)::text ELSE 'null' END)
            FROM (SELECT * FROM task_executions UNION ALL SELECT * FROM gone) e ")
        .await;
    assert_eq!(
        texts("/admin/executions", "executions", &["id", "task_id", "status", "condition_met"]),
        sorted(expected),
        "seed {seed}"
    );

    for line in db
        .texts(
            "SELECT concat_ws(' ', id, to_json(search_query), to_json(state), to_json(user_id)) FROM tasks",
        )
        .await
    {
        let (id, rest) = line.split_once(' ').unwrap();
        let (status, task) = get(&format!("/admin/tasks/{id}"), "");
        assert_eq!(status, 200, "seed {seed}: {line}");
        let found = ["search_query", "state", "user_id"].map(|field| task[field].to_string()).join(" ");
        assert_eq!(found, rest, "seed {seed}");
    }
    let (_, stats) = get("/admin/stats", "");
    let total = db.texts("SELECT count(*)::text FROM tasks").await;
    assert_eq!(stats["tasks"]["total"].to_string(), total[0], "seed {seed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_with_backfills_and_killed_relays_answer_as_sql_does() {
    for seed in 1..=number("TORALE_SOURCE_CASES", 4) {
        history(seed).await;
    }
}
