//! Settling: what no trigger has recorded is dated, so that a backfill says it.

use crate::ages::TODAY;
use crate::backfill::collect;
use crate::endpoints::{self, compare, expectations};
use crate::histories::Answers;
use crate::platform::NEW;
use crate::server::Database;
use crate::troubles::leave_no_time;
use tokio_postgres::error::SqlState;
use torale_platform::clock;
use torale_testkit::events;

/// Of two updates without `updated_at` the second is not recorded. A backfill would date it like the first, and chance
/// would decide; and it would not say that a task is active again.
#[tokio::test(flavor = "multi_thread")]
async fn settled_failures_date_unrecorded_changes_after_what_was_emitted_and_say_their_states() {
    let Some(db) = Database::with(NEW) else { return };
    db.script("../../infra/local/platform_expected.sql", &[]);
    db.run(&endpoints::administrator());
    db.install(&[]);
    db.run(
        "INSERT INTO users (clerk_user_id, email, is_active) SELECT 'c' || i, i || '@example.org', i < 7 FROM generate_series(1, 9) i;
         INSERT INTO tasks (user_id, name, search_query, state) SELECT id, 'n', 'q', 'paused' FROM users;
         UPDATE tasks SET search_query = 'first'; UPDATE users SET email = 'first.' || email;
         INSERT INTO users (clerk_user_id, email, is_active) VALUES ('c10', 'first', false);
         INSERT INTO tasks (user_id, name, search_query, state) SELECT id, 'n', 'q', 'paused' FROM users WHERE email = 'first'",
    );
    leave_no_time(&db);

    db.run(
        "UPDATE tasks SET search_query = 'second', state = 'active';
         UPDATE users SET email = replace(email, 'first', 'second'), is_active = NOT is_active",
    );
    let noted = db.failures().await.len();
    db.install(&[]);
    let settled = db.texts("SELECT torale_admin_source.settle_failures()::text").await;
    // Nothing but the state's own change says the state, whatever changes later.
    db.run("UPDATE users SET email = 'third.' || email WHERE clerk_user_id = 'c1'");
    let emitted = [events::admin(), db.outbox().await, collect(&db).await].concat();

    assert_eq!((noted, settled.as_slice()), (20, ["20".to_owned()].as_slice()));
    assert_eq!(db.failures().await, [DUE], "what is settled is not mended before the backfill");
    let now = clock::system();
    let expected = expectations(&db, &TODAY, now).await;
    compare(&expected, &Answers::of_model(&emitted, now), &TODAY, "the model").await;
    let states = emitted
        .iter()
        .filter(|event| event.contains("user.reactivated") || event.contains("user.deactivated"));
    let latest = states.map(|event| time_of(event)).max().unwrap();
    assert!(latest < emitted.iter().map(|event| time_of(event)).max().unwrap(), "{emitted:#?}");
}

fn time_of(event: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    event["time"].as_str().unwrap().to_owned()
}

/// What `failures` says from the settling until somebody deletes it.
const DUE: &str =
    "every table SETTLE settled: a backfill from the beginning is due, then this row is to be deleted";

/// Runs SQL whose changes no trigger has time to record.
fn run_unrecorded(db: &Database, sql: &str) {
    leave_no_time(db);
    db.run(sql);
    db.install(&[]);
}

/// A backfill's events of this kind about users.
async fn of_users(db: &Database, kind: &str) -> Vec<String> {
    let backfilled = db.backfilled("users").await.into_iter();
    backfilled.filter(|event| event.contains(&format!("\"ai.torale.user.{kind}\""))).collect()
}

/// The trigger has read the row's version before, and would write it back over what was settled.
#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_waits_for_a_settling_keeps_what_that_has_settled() {
    let Some(db) = Database::with(NEW) else { return };
    db.run("INSERT INTO users (clerk_user_id, email, is_active) VALUES ('c1', 'a@example.org', false)");
    db.install(&[]);
    run_unrecorded(&db, "UPDATE users SET is_active = true");
    let settling = db.client().await;
    settling.batch_execute("BEGIN; SELECT torale_admin_source.settle_failures()").await.unwrap();

    std::thread::scope(|scope| {
        let writing = scope.spawn(|| db.run("UPDATE users SET email = 'b@example.org'"));
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let waiting = "SELECT count(*)::text FROM pg_stat_activity
                     WHERE wait_event_type = 'Lock' AND datname = current_database()";
                while db.texts(waiting).await != ["1"] {
                    assert!(!writing.is_finished(), "it did not wait");
                }
                settling.batch_execute("COMMIT").await.unwrap();
            });
        });
    });

    assert_eq!(db.facts().await, ["user.updated email=b@example.org"]);
    assert_eq!(of_users(&db, "reactivated").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_waits_for_no_long_transaction_of_the_platform_and_changes_nothing_then() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(
        "INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org'), ('c2', 'b@example.org')",
    );
    run_unrecorded(&db, "UPDATE users SET email = 'x' || email");
    let platform = db.client().await;
    platform
        .batch_execute("BEGIN; UPDATE users SET is_active = false WHERE clerk_user_id = 'c2'")
        .await
        .unwrap();

    let settling = db.client().await;
    // A settling that waits would wait for ever: the platform's transaction ends after it.
    settling.batch_execute("SET statement_timeout = '30s'").await.unwrap();
    let refused = settling.batch_execute("SELECT torale_admin_source.settle_failures()").await.unwrap_err();
    let left = db.failures().await.len();
    platform.batch_execute("COMMIT").await.unwrap();

    assert_eq!(refused.code(), Some(&SqlState::LOCK_NOT_AVAILABLE), "{refused:?}");
    assert_eq!((left, db.settle().await), (2, vec!["2".to_owned()]));
}

/// What it settles is locked until its end.
#[tokio::test(flavor = "multi_thread")]
async fn settling_takes_a_thousand_rows_a_call() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(
        "INSERT INTO torale_admin_source.failures (relation, operation, key, unrecorded, reason)
         SELECT 'users', 'UPDATE', i, 'row', 'late' FROM generate_series(1, 1001) i, generate_series(1, 2)",
    );

    let calls = [db.settle().await, db.settle().await, db.settle().await].concat();

    assert_eq!(calls, ["1000", "1", "0"]);
    assert_eq!(db.failures().await, [DUE]);
}

/// The platform's clock may be ahead by an hour. Chance would decide between events of the same time.
#[tokio::test(flavor = "multi_thread")]
async fn settled_changes_are_dated_after_versions_that_are_ahead_of_the_clock() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(
        "INSERT INTO users (clerk_user_id, email, updated_at) SELECT 'c' || i, i || '@example.org', now() + interval '1 hour'
           FROM generate_series(1, 2) i;
         UPDATE users SET email = 'first.2', is_active = false WHERE clerk_user_id = 'c2'",
    );
    let latest = db.outbox().await.iter().map(|event| time_of(event)).max().unwrap();

    run_unrecorded(&db, "UPDATE users SET email = 'second.' || email, is_active = true");
    assert_eq!(db.settle().await, ["2"]);

    let first =
        "SELECT to_char(min(updated_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM users";
    let first = db.texts(first).await.remove(0);
    let said = of_users(&db, "created").await;
    assert_eq!(said.len(), 2, "{said:#?}");
    for event in said {
        let before = if event.contains("second.first.2") { &latest } else { &first };
        assert!(&time_of(&event) > before, "{event}, {before}");
    }
    let reactivated = of_users(&db, "reactivated").await;
    assert!(reactivated.len() == 1 && time_of(&reactivated[0]) > latest, "{reactivated:#?}, {latest}");
}

/// An administrator may have reactivated them since.
#[tokio::test(flavor = "multi_thread")]
async fn a_settled_change_dates_no_state_anew_that_has_not_changed() {
    let Some(db) = Database::with(NEW) else { return };
    db.run(
        "INSERT INTO users (clerk_user_id, email, is_active, created_at, updated_at)
         SELECT 'c' || i, i || '@example.org', false, at, at
         FROM generate_series(1, 2) i, (SELECT timestamptz '2025-02-24T10:30:30Z') t (at)",
    );
    db.install(&[]);
    run_unrecorded(&db, "UPDATE users SET email = 'new.' || email");
    assert_eq!(db.settle().await, ["2"]);
    // A later change that is recorded writes the state's time down.
    db.run("UPDATE users SET email = 'newer.' || email WHERE clerk_user_id = 'c2'");

    let times: Vec<String> = of_users(&db, "deactivated").await.iter().map(|event| time_of(event)).collect();
    let said: Vec<String> = of_users(&db, "created").await.iter().map(|event| time_of(event)).collect();

    assert_eq!(times, ["2025-02-24T10:30:30.000Z"; 2]);
    assert!(said.len() == 2 && said.iter().all(|time| time > &times[0]), "{said:?}");
}
