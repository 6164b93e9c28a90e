//! Random histories of the platform at each of its ages, by several connections with rollbacks and transactions that
//! last as long as all others together, relays that are killed, and backfills before, during and after them: at the end
//! the answers of every endpoint are what SQL finds in the platform's own tables (`endpoints`). The answers come from
//! the independent model and from the product.

use crate::ages::{AGES, Age};
use crate::backfill::collect;
use crate::endpoints::{self, Answer, compare, expectations};
use crate::server::Database;
use fastrand::Rng;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tokio::time::{Duration, Instant};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use torale_domain::values::time::Timestamp;
use torale_model::{Message, ModelTemporalUi, World};
use torale_platform::clock;
use torale_platform::consume::Consumer;
use torale_platform::serve::App;
use torale_source_outbox::relay;
use torale_testkit::events;
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{InstanceBuilder, Stack, consume, messages};
use torale_testkit::switches::number;

/// What a change is refused for that another connection has overtaken: whom it is about is gone, or is there again, or
/// both wait for each other. The platform rolls such a transaction back.
const OVERTAKEN: [SqlState; 3] =
    [SqlState::FOREIGN_KEY_VIOLATION, SqlState::UNIQUE_VIOLATION, SqlState::T_R_DEADLOCK_DETECTED];

/// One connection of the platform: transactions of several changes, some rolled back. Returns how many were committed.
async fn work(db: &Database, age: &Age, seed: u64, transactions: u32) -> u32 {
    let (client, mut rng, mut committed) = (db.client().await, Rng::with_seed(seed), 0);
    for _ in 0..transactions {
        let mut changes = vec!["BEGIN".to_owned()];
        for _ in 0..rng.u32(1..4) {
            if rng.u32(..6) == 0 {
                changes.push(format!("SAVEPOINT s; {}; ROLLBACK TO s", age.change(&mut rng)));
            }
            changes.push(age.change(&mut rng));
        }
        let is_kept = rng.u32(..5) > 0;
        changes.push(if is_kept { "COMMIT" } else { "ROLLBACK" }.to_owned());
        match in_turn(&client, &changes).await {
            Ok(()) => committed += u32::from(is_kept),
            Err(error) if error.code().is_some_and(|code| OVERTAKEN.contains(code)) => {
                client.batch_execute("ROLLBACK").await.unwrap();
            }
            Err(error) => panic!("{changes:?}: {error:?}"),
        }
    }
    committed
}

async fn in_turn(client: &Client, statements: &[String]) -> Result<(), tokio_postgres::Error> {
    for statement in statements {
        client.batch_execute(statement).await?;
    }
    Ok(())
}

/// A transaction that is open while the others work. It changes rows of its own: nobody waits for its locks.
async fn long_transaction(db: &Database, age: &Age, end: &str, done: &AtomicBool) {
    let client = db.client().await;
    let user = format!("(select id from users where clerk_user_id = '{end}')");
    let task = format!("(select id from tasks where user_id = {user})");
    let rows = [age.new_user(end, true, 3), age.new_task(&user, "long", 4), age.new_execution(&task, 5)];
    for begin in ["begin"].into_iter().chain(rows.iter().map(String::as_str)) {
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
    // At least one is among the errors.
    let failed = format!("update task_executions set {} where task_id = {task}", age.ended("failed", n));
    client.batch_execute(&failed).await.unwrap();
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
        match relaying.await {
            Ok(relayed) => drop(relayed.unwrap()),
            Err(ended) => assert!(ended.is_cancelled(), "{ended}"),
        }
    }
}

fn a_while() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

async fn history(age: &Age, seed: u64) {
    let Some(db) = Database::with(&age.schema()) else { return };
    let what = format!("seed {seed}, a platform with {}", age.name);
    let mut rng = Rng::with_seed(seed);
    db.script("../../infra/local/platform_expected.sql", &[]);
    db.run(&endpoints::administrator());
    db.run(&age.first_rows());
    db.install(&[]);
    let (sqs, done) = (FakeSqs::default(), AtomicBool::new(false));

    let mut events = collect(&db).await;
    let working = async {
        let committed = futures::future::join_all((0..4).map(|n| work(&db, age, seed * 10 + n, 20))).await;
        done.store(true, Ordering::Relaxed);
        committed
    };
    let relaying = killed_relays(&db, &sqs, rng.fork(), &done);
    let long = async {
        let [kept, undone] = ["COMMIT", "ROLLBACK"].map(|end| long_transaction(&db, age, end, &done));
        futures::join!(kept, undone)
    };
    let (committed, (), _, during) = futures::join!(working, relaying, long, collect(&db));
    events.extend(during);
    relay::run(&db.source(), &sqs.client(), a_while(), a_while()).await.unwrap();
    events.extend(sqs.taken());
    let without = events.clone();
    events.extend(collect(&db).await);
    rng.shuffle(&mut events);

    assert_eq!(db.failures().await, [""; 0], "{what}");
    assert_eq!(db.outbox().await, [""; 0], "{what}");
    assert!(committed.iter().all(|committed| *committed > 0), "{what}: {committed:?}");
    let now = clock::system();
    NOW.store(now.millis(), Ordering::Relaxed);
    let expected = expectations(&db, age, now).await;
    for list in ["queries", "tasks", "executions", "errors", "users"] {
        assert!(expected.iter().any(|each| each.has_rows(list)), "{what}: there are no {list} to compare");
    }
    for (events, which) in [(without, "without"), (events, "with")] {
        let events = [events::admin(), events].concat();
        let what = format!("{what}, {which} a backfill at the end");
        compare(&expected, &Answers::of_model(&events, now), age, &format!("{what}, the model")).await;
        compare(&expected, &Answers::of_product(&events).await, age, &format!("{what}, the product")).await;
    }
}

/// The time of all answers of a history, in milliseconds.
static NOW: AtomicI64 = AtomicI64::new(0);

fn now() -> Timestamp {
    Timestamp::from_millis(NOW.load(Ordering::Relaxed))
}

/// Whoever answers requests.
pub(crate) enum Answers {
    /// The model with these events, at a time in milliseconds.
    Model(Box<World>, i64),
    /// The endpoints over a store that a consumer has filled; the stack keeps it.
    Product(Box<App>, #[expect(dead_code, reason = "the store ends with it")] Box<Stack>),
}

impl Answers {
    pub(crate) fn of_model(events: &[String], now: Timestamp) -> Self {
        let received = |body: &String| Message { body: body.clone(), received_at_ms: now.millis() };
        let world = World::of(&events.iter().map(received).collect::<Vec<_>>());
        Self::Model(Box::new(world), now.millis())
    }

    async fn of_product(events: &[String]) -> Self {
        let stack = Stack::start().await;
        let consumer = Consumer::new(stack.store(), clock::system);
        for batch in events.chunks(100) {
            assert_eq!(consume(&consumer, &messages(batch)).await.failed, [""; 0]);
        }
        let app = InstanceBuilder::over(stack.store()).clock(now).limits(u32::MAX, u32::MAX).start();
        Self::Product(Box::new(app), Box::new(stack))
    }
}

impl Answer for Answers {
    async fn answer(&self, path: &str, query: &str) -> Value {
        match self {
            Self::Model(world, now) => {
                let ui = ModelTemporalUi { url: String::new(), namespace: String::new() };
                let (status, mut answer) = world.get(path, query, *now, &ui);
                assert_eq!(status, 200, "{path}?{query}: {answer}");
                // The model keeps their order, which an object of JSON does not have here.
                if let Some(types) = answer["error_types"].as_array() {
                    let types =
                        types.iter().map(|each| (each[0].as_str().unwrap().to_owned(), each[1].clone()));
                    answer["error_types"] = Value::Object(types.collect());
                }
                answer
            }
            Self::Product(app, _) => {
                torale_tests::endpoints::get(path, query).send(app).await.with_status(200).json()
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_of_every_age_with_backfills_and_killed_relays_answer_as_sql_does() {
    for seed in 1..=number("TORALE_SOURCE_CASES", 4) {
        let age = usize::try_from(seed).unwrap() % AGES.len();
        history(&AGES[age], seed).await;
    }
}
