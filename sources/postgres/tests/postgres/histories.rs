//! Random histories of the platform at each of its ages, by several connections with rollbacks and transactions that
//! last as long as all others together, relays that are killed, and backfills before, during and after them: at the end
//! the answers are what SQL finds in the platform's own tables. The answers come from the independent model and from
//! the product, the SQL from the contract.

use crate::ages::{AGES, Age};
use crate::backfill::collect;
use crate::server::Database;
use fastrand::Rng;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::{Duration, Instant};
use torale_model::{Message, ModelTemporalUi, World};
use torale_platform::clock;
use torale_platform::consume::Consumer;
use torale_source_outbox::relay;
use torale_testkit::events;
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{InstanceBuilder, Stack, consume, messages};
use torale_testkit::switches::number;

/// One connection of the platform: transactions of several changes, some rolled back. Deadlocks and lost rows are the
/// platform's own business: such a transaction is rolled back as well.
async fn work(db: &Database, age: &Age, seed: u64, transactions: u32) {
    let (client, mut rng) = (db.client().await, Rng::with_seed(seed));
    for _ in 0..transactions {
        client.batch_execute("BEGIN").await.unwrap();
        for _ in 0..rng.u32(1..4) {
            if rng.u32(..6) == 0 {
                let rolled_back = format!("SAVEPOINT s; {}; ROLLBACK TO s", age.change(&mut rng));
                client.batch_execute(&rolled_back).await.ok();
            }
            client.batch_execute(&age.change(&mut rng)).await.ok();
        }
        let end = if rng.u32(..5) == 0 { "ROLLBACK" } else { "COMMIT" };
        client.batch_execute(end).await.unwrap();
    }
}

/// A transaction that is open while the others work. It changes rows of its own: nobody waits for its locks.
async fn long_transaction(db: &Database, age: &Age, end: &str, done: &AtomicBool) {
    let client = db.client().await;
    let user = format!("(select id from users where clerk_user_id = '{end}')");
    let task = format!("(select id from tasks where user_id = {user})");
    for begin in ["begin", &age.new_user(end, true), &age.new_task(&user, "long"), &age.new_execution(&task)]
    {
        client.batch_execute(begin).await.unwrap();
    }
    let mut n = 0;
    while !done.load(Ordering::Relaxed) {
        n += 1;
        let status = if n % 2 == 0 { "success" } else { "failed" };
        let change = format!(
            "update users set email = '{end} {n}' where clerk_user_id = '{end}';
             update tasks set {} where id = {task};
             update task_executions set {} where task_id = {task}",
            age.task_changes(&format!("long {n}"), n),
            age.ended(status, n)
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

async fn history(age: &Age, seed: u64) {
    let Some(db) = Database::with(&age.schema()) else { return };
    let what = format!("seed {seed}, a platform with {}", age.name);
    let mut rng = Rng::with_seed(seed);
    db.install(&[]);
    let (sqs, done) = (FakeSqs::default(), AtomicBool::new(false));

    let mut events = collect(&db).await;
    let working = async {
        futures::future::join_all((0..4).map(|n| work(&db, age, seed * 10 + n, 20))).await;
        done.store(true, Ordering::Relaxed);
    };
    let relaying = killed_relays(&db, &sqs, rng.fork(), &done);
    let long = async {
        let [kept, undone] = ["COMMIT", "ROLLBACK"].map(|end| long_transaction(&db, age, end, &done));
        futures::join!(kept, undone)
    };
    let ((), (), _, during) = futures::join!(working, relaying, long, collect(&db));
    events.extend(during);
    relay::run(&db.source(), &sqs.client(), a_while(), a_while()).await.unwrap();
    events.extend(sqs.taken());
    let without = events.clone();
    events.extend(collect(&db).await);
    rng.shuffle(&mut events);

    assert_eq!(db.failures().await, [""; 0], "{what}");
    assert_eq!(db.outbox().await, [""; 0], "{what}");
    for (events, which) in [(without, "without"), (events, "with")] {
        let what = format!("{what}, {which} a backfill at the end");
        compare(&db, &Answers::of_model(&events), &format!("{what}, the model")).await;
        compare(&db, &Answers::of_product(&events).await, &format!("{what}, the product")).await;
    }
}

/// Whoever answers requests.
enum Answers {
    /// The model with these events, at a time in milliseconds.
    Model(World, i64),
    /// The endpoints over a store that a consumer has filled.
    Product(Stack),
}

impl Answers {
    fn of_model(events: &[String]) -> Self {
        let now = clock::system().millis();
        let received = |body: &String| Message { body: body.clone(), received_at_ms: now };
        Self::Model(World::of(&events.iter().map(received).collect::<Vec<_>>()), now)
    }

    async fn of_product(events: &[String]) -> Self {
        let stack = Stack::start().await;
        let consumer = Consumer::new(stack.store(), clock::system);
        for some in [events::admin().as_slice(), events] {
            for batch in some.chunks(100) {
                assert_eq!(consume(&consumer, &messages(batch)).await.failed, [""; 0]);
            }
        }
        Self::Product(stack)
    }

    async fn get(&self, path: &str, query: &str) -> Value {
        match self {
            Self::Model(world, now) => {
                let ui = ModelTemporalUi { url: String::new(), namespace: String::new() };
                let (status, answer) = world.get(path, query, *now, &ui);
                assert_eq!(status, 200, "{path}: {answer}");
                answer
            }
            Self::Product(stack) => {
                let app = InstanceBuilder::over(stack.store()).clock(clock::system).start();
                torale_tests::endpoints::get(path, query).send(&app).await.with_status(200).json()
            }
        }
    }

    /// The rows of all pages of a list, each as the JSON of some fields, sorted. The product's own admin is left out.
    async fn rows(&self, path: &str, list: &str, fields: &[&str]) -> Vec<String> {
        let mut rows = Vec::new();
        for page in 1.. {
            let answer = self.get(path, &format!("limit=100&page={page}")).await;
            let some = answer[list].as_array().unwrap();
            if some.is_empty() {
                break;
            }
            let of_platform = some.iter().filter(|row| row["id"] != events::ADMIN);
            let text = |row: &Value| {
                fields.iter().map(|field| row[*field].to_string()).collect::<Vec<_>>().join(" ")
            };
            rows.extend(of_platform.map(text));
        }
        rows.sort();
        rows
    }
}

/// The texts of one column, sorted as Rust sorts them.
async fn sorted(db: &Database, sql: &str) -> Vec<String> {
    let mut texts = db.texts(sql).await;
    texts.sort();
    texts
}

async fn compare(db: &Database, answers: &Answers, what: &str) {
    let expected =
        "select concat_ws(' ', to_json(id), to_json(email), to_json(clerk_user_id), to_json(state),
        (select count(*) from seen_tasks t where t.user_id = u.id),
        (select count(*) from seen_tasks t where t.user_id = u.id and state = 'active'),
        (select count(*) from seen_notifications n where n.user_id = u.id)) from seen_users u";
    let fields =
        ["id", "email", "clerk_user_id", "state", "tasks_count", "active_tasks_count", "notifications_7d"];
    assert_eq!(answers.rows("/admin/users", "users", &fields).await, sorted(db, expected).await, "{what}");

    let expected =
        "select concat_ws(' ', to_json(id), to_json(task_id), to_json(status), coalesce(met::text, 'null'))
        from seen_executions";
    let fields = ["id", "task_id", "status", "condition_met"];
    let found = answers.rows("/admin/executions", "executions", &fields).await;
    assert_eq!(found, sorted(db, expected).await, "{what}");

    let expected = "select concat_ws(' ', to_json(id), to_json(query), to_json(state), to_json(user_id)) from seen_tasks";
    let fields = ["id", "search_query", "state", "user_id"];
    assert_eq!(answers.rows("/admin/tasks", "tasks", &fields).await, sorted(db, expected).await, "{what}");

    let mut keys = Vec::new();
    for user in db.texts("select id::text from seen_users").await {
        let details = answers.get(&format!("/admin/users/{user}"), "").await;
        let of_user = details["api_keys"].as_array().unwrap().iter();
        keys.extend(of_user.map(|key| format!("{user} {} {}", key["key_id"], key["revoked"])));
    }
    keys.sort();
    let expected = "select concat_ws(' ', user_id, to_json(id), revoked::text) from seen_keys";
    assert_eq!(keys, sorted(db, expected).await, "{what}");

    let stats = answers.get("/admin/stats", "").await;
    let total = db.texts("select count(*)::text from seen_tasks").await;
    assert_eq!(stats["tasks"]["total"].to_string(), total[0], "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_of_every_age_with_backfills_and_killed_relays_answer_as_sql_does() {
    for seed in 1..=number("TORALE_SOURCE_CASES", 4) {
        let age = usize::try_from(seed).unwrap() % AGES.len();
        history(&AGES[age], seed).await;
    }
}
