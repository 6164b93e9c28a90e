//! Whatever fails in a trigger is noted, and the platform's transaction goes on.

use crate::backfill::dry_run;
use crate::changes::{hide_tables, trigger};
use crate::platform::{NEW, OLD, id};
use crate::server::Database;
use tokio_postgres::error::SqlState;

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_can_not_be_events_are_noted_with_the_reason() {
    let Some(db) = Database::installed(NEW) else { return };

    db.run(&format!(
        "INSERT INTO users (id, clerk_user_id, email) VALUES ({u}, 'c1', 'a@example.org'), ({n}, 'c2', NULL);
         INSERT INTO api_keys (user_id, key_prefix, key_hash) VALUES ({u}, 'sk_', 'md5');
         INSERT INTO tasks (id, user_id) VALUES ({t}, {u});
         INSERT INTO task_executions (task_id, status) VALUES (NULL, 'success');
         INSERT INTO tasks (id, user_id, name, state) VALUES ({n}, {u}, 'n', 'archived');
         UPDATE tasks SET user_id = {n} WHERE id = {n};
         UPDATE tasks SET updated_at = now();",
        u = id(1),
        n = id(2),
        t = id(3)
    ));

    assert_eq!(db.facts().await, ["user.created email=a@example.org", "task.created name=n search_query=n"]);
    assert_eq!(
        db.failures().await,
        [
            "users INSERT email is missing",
            "api_keys INSERT key_hash is not a SHA-256 in hexadecimal digits",
            "tasks INSERT search_query, config and name hold no query",
            "task_executions INSERT task_id is not a UUID",
            "tasks INSERT state is none of active, paused, completed",
            "tasks UPDATE user_id changed: no event can say so",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_loses_its_schedule_keeps_the_one_that_was_sent_and_is_noted() {
    let Some(db) = Database::installed(NEW) else { return };

    db.run(&format!(
        "INSERT INTO users (id, clerk_user_id, email) VALUES ({u}, 'c1', 'a@example.org');
         INSERT INTO tasks (user_id, name, schedule) VALUES ({u}, 'n', '0 9 * * *');
         UPDATE tasks SET schedule = repeat('x', 257); UPDATE tasks SET schedule = '0 8 * * *';
         UPDATE tasks SET schedule = '', updated_at = now(); UPDATE tasks SET name = 'm', updated_at = now();",
        u = id(1)
    ));

    assert!(db.facts().await.iter().all(|fact| !fact.contains("xxx")), "{:?}", db.facts().await);
    let lost = "tasks UPDATE schedule removed, or longer than 256 characters: no event can say so";
    assert_eq!(db.failures().await, [lost, lost]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_that_becomes_active_stays_revoked_and_is_noted() {
    let Some(db) = Database::installed(NEW) else { return };

    db.run(&format!(
        "INSERT INTO users (id, clerk_user_id, email) VALUES ({u}, 'c1', 'a@example.org');
         INSERT INTO api_keys (user_id, key_prefix, key_hash) VALUES ({u}, 'sk_', repeat('0', 64));
         UPDATE api_keys SET last_used_at = now(); UPDATE api_keys SET is_active = false; UPDATE api_keys SET is_active = true;",
        u = id(1)
    ));

    assert_eq!(db.facts().await.last().unwrap(), "api_key.revoked");
    assert_eq!(db.facts().await.len(), 3);
    assert_eq!(db.failures().await, ["api_keys UPDATE a revoked key became active: it stays revoked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_row_of_a_statement_spoils_no_other() {
    let Some(db) = Database::with(&OLD.replace("is_active boolean, id", "is_active text, id")) else {
        return;
    };
    db.install(&[]);

    db.run(&format!(
        "INSERT INTO tasks (id, user_id, name, is_active) SELECT i, NULL, 'n', 'yes' FROM (VALUES ({}::uuid)) v (i) WHERE false;
         INSERT INTO users (id, clerk_user_id, email) VALUES ({u}, 'c1', 'a@example.org');
         INSERT INTO tasks (id, user_id, name, is_active) VALUES ({0}, {u}, 'a', 'yes'), ({}, {u}, 'b', 'perhaps'), ({}, {u}, 'c', 'no');
         UPDATE tasks SET name = name || '!';",
        id(1),
        id(2),
        id(3),
        u = id(9)
    ));

    let facts = db.facts().await;
    let tasks: Vec<&str> =
        facts.iter().map(String::as_str).filter(|fact| fact.starts_with("task.")).collect();
    assert_eq!(
        tasks,
        [
            "task.created name=a search_query=a state=active",
            "task.created name=c search_query=c state=paused",
            "task.updated name=a! search_query=a!",
            "task.updated name=c! search_query=c!",
        ]
    );
    let failures = db.failures().await;
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures.iter().all(|failure| failure.contains("22P02")), "{failures:?}");
}

/// Three tasks of which the second holds what a `json` column takes and jsonb does not, a user before and an execution
/// of each after.
fn tasks_with_an_unreadable_one() -> String {
    let [one, two, three] = [id(1), id(2), id(3)];
    format!(
        "INSERT INTO users (id, clerk_user_id, email) VALUES ({one}, 'c1', 'a@example.org');
         INSERT INTO tasks (id, user_id, name, config) VALUES ({one}, {one}, 'a', NULL), ({two}, {one}, 'b', '{{\"query\":\"a\\u0000\"}}'),
           ({three}, {one}, 'c', '{{\"query\":\"q\"}}');
         INSERT INTO task_executions (id, task_id, status) SELECT id, id, 'running' FROM tasks;"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_jsonb_refuses_spoils_its_own_row_only() {
    let Some(db) = Database::installed(OLD) else { return };

    db.run(&tasks_with_an_unreadable_one());
    db.run("UPDATE tasks SET name = name || '!'");
    db.run(&format!("DELETE FROM tasks WHERE id <> {}", id(3)));

    assert_eq!(
        db.facts().await,
        [
            "user.created email=a@example.org",
            "task.created name=a search_query=a state=active",
            "task.created name=c search_query=q state=active",
            "execution.started",
            "execution.started",
            "execution.started",
            "task.updated name=a! search_query=a!",
            "task.updated name=c! search_query=q",
            "task.deleted",
            "task.deleted",
        ]
    );
    let noted = "SELECT concat_ws(' ', operation, right(key, 1), unrecorded, left(reason, 5))
        FROM torale_admin_source.failures ORDER BY id";
    assert_eq!(db.texts(noted).await, ["INSERT 2 row 22P05", "UPDATE 2 state 22P05"]);
}

/// The user would stay deactivated for ever.
#[tokio::test(flavor = "multi_thread")]
async fn json_that_jsonb_refuses_in_a_column_that_no_event_reads_spoils_nothing() {
    let Some(db) = Database::installed(&format!("{NEW}; ALTER TABLE users ADD COLUMN prefs json")) else {
        return;
    };

    db.run("INSERT INTO users (clerk_user_id, email, prefs) VALUES ('c1', 'a@example.org', '\"\\u0000\"')");
    db.run("UPDATE users SET is_active = false");
    db.run("UPDATE users SET is_active = true");
    db.run("DELETE FROM users");

    let ended = "user.deactivated by=platform reason=the row was deleted";
    assert_eq!(
        db.facts().await,
        ["user.created email=a@example.org", "user.deactivated", "user.reactivated", ended]
    );
    assert_eq!(db.failures().await, [""; 0]);
}

/// Whether the state has changed, only the row that can't be read says.
#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_row_that_jsonb_refused_before_or_after_a_change_is_said_by_a_backfill() {
    let Some(db) = Database::installed(OLD) else { return };
    let one = id(1);
    db.run(&format!(
        "INSERT INTO users (id, clerk_user_id, email) VALUES ({one}, 'c1', 'a@example.org');
         INSERT INTO tasks (id, user_id, name, is_active) VALUES ({one}, {one}, 'a', false)"
    ));

    db.run("UPDATE tasks SET is_active = true, config = '\"\\u0000\"'");
    assert_eq!(db.settle().await, ["1"]);
    db.run("UPDATE tasks SET config = NULL");
    assert_eq!(db.settle().await, ["1"]);

    let said = db.backfilled("tasks").await;
    assert_eq!(said.iter().filter(|event| event.contains("task.resumed")).count(), 1, "{said:#?}");
}

/// A time that can't be read is no reason to keep a task that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_row_with_a_time_that_can_not_be_read_is_said() {
    let platform = NEW.replace("created_at timestamptz", "created_at text");
    let Some(db) = Database::installed(&platform) else { return };
    let one = id(1);
    db.run(&format!(
        "INSERT INTO users (id, clerk_user_id, email) VALUES ({one}, 'c1', 'a@example.org');
         INSERT INTO tasks (id, user_id, name) VALUES ({one}, {one}, 'a');
         INSERT INTO api_keys (user_id, key_prefix, key_hash) VALUES ({one}, 'sk_', repeat('0', 64));
         UPDATE users SET created_at = 'never'; UPDATE tasks SET created_at = 'never';
         UPDATE api_keys SET created_at = 'never'; DELETE FROM torale_admin_source.failures"
    ));
    db.clear();

    db.run("DELETE FROM users");

    let mut facts = db.facts().await;
    facts.sort();
    let ended = "user.deactivated by=platform reason=the row was deleted";
    assert_eq!(facts, ["api_key.revoked", "task.deleted", ended]);
    assert_eq!(db.failures().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_counts_a_row_whose_json_jsonb_refuses_and_goes_on() {
    let Some(db) = Database::with(OLD) else { return };
    db.install(&["triggers=off"]);
    db.run(&tasks_with_an_unreadable_one());

    let tasks = dry_run(&db).await.tables()["tasks"].clone();

    assert_eq!((tasks.rows, tasks.events, tasks.finished), (3, 2, true));
    let problems: Vec<_> = tasks.problems.iter().map(|(text, rows)| (&text[..5], rows.count)).collect();
    assert_eq!(problems, [("22P05", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_can_not_be_read_spoils_its_own_row_only() {
    let platform = OLD.replace("config json, created_at timestamp", "config json, created_at text");
    let Some(db) = Database::installed(&platform) else { return };

    db.run(&format!(
        "INSERT INTO users (id, clerk_user_id, email) VALUES ({0}, 'c1', 'a@example.org');
         INSERT INTO tasks (id, user_id, name, created_at) VALUES ({0}, {0}, 'a', '2026-02-20'), ({1}, {0}, 'b', 'never'),
           ({2}, {0}, 'c', NULL)",
        id(1),
        id(2),
        id(3)
    ));
    let tasks = dry_run(&db).await.tables()["tasks"].clone();

    assert_eq!(db.facts().await.len(), 3, "a user and two tasks");
    assert_eq!(db.texts("SELECT right(key, 1) FROM torale_admin_source.failures").await, ["2"]);
    assert_eq!((tasks.rows, tasks.events, tasks.finished), (3, 2, true));
    let problems: Vec<_> = tasks.problems.iter().map(|(text, rows)| (&text[..5], rows.count)).collect();
    assert_eq!(problems, [("22007", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_outbox_fails_no_statement_of_the_platform() {
    let Some(db) = Database::installed(NEW) else { return };
    let insert = |n: u32| {
        format!("INSERT INTO users (id, clerk_user_id, email) VALUES ({}, 'c{n}', '{n}@example.org')", id(n))
    };

    db.run("ALTER TABLE torale_admin_source.outbox RENAME TO elsewhere");
    db.run(&insert(1));
    db.run("UPDATE users SET email = 'new@example.org'; DELETE FROM users WHERE email = 'no'; TRUNCATE users CASCADE;");
    let failures = db.failures().await;
    db.run("DROP TABLE torale_admin_source.failures");
    db.run(&insert(2));
    db.run("ALTER FUNCTION torale_admin_source.note_unrecorded(text, text, text, text, timestamptz, text) RENAME TO gone");
    let broken = db.client().await.execute(&insert(3), &[]).await;

    assert_eq!(failures.len(), 3, "{failures:?}");
    assert!(failures[0].starts_with("users INSERT 42P01"), "{failures:?}");
    assert_eq!(db.texts("SELECT email FROM users ORDER BY email").await[..1], ["2@example.org"]);
    assert!(broken.is_ok(), "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_role_needs_no_rights_in_the_sources_schema() {
    let Some(db) = Database::installed(NEW) else { return };

    db.run("DROP ROLE IF EXISTS platform_app; CREATE ROLE platform_app; GRANT ALL ON users TO platform_app; SET ROLE platform_app;
         SET search_path = pg_temp, public; CREATE TEMP TABLE outbox (event text);
         INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org');");

    assert_eq!(db.facts().await, ["user.created email=a@example.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_of_the_platform_are_not_hindered() {
    let Some(db) = Database::installed(NEW) else { return };

    let client = db.client().await;
    for step in [
        "INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org')",
        "ALTER TABLE users ADD COLUMN theme text DEFAULT 'dark', DROP COLUMN is_active, ALTER COLUMN email TYPE varchar(300)",
        "UPDATE users SET email = 'b@example.org', theme = 'light'",
        "ALTER TABLE notification_sends RENAME TO sends",
        "DROP TABLE api_keys",
        "ALTER TABLE users RENAME COLUMN email TO mail",
        "UPDATE users SET mail = 'c@example.org'",
        "INSERT INTO users (clerk_user_id, mail) VALUES ('c2', 'd@example.org')",
    ] {
        client.batch_execute(step).await.unwrap();
    }

    assert_eq!(db.facts().await, ["user.created email=a@example.org", "user.updated email=b@example.org"]);
    assert_eq!(db.failures().await, ["users INSERT email is missing"]);
}

/// Whoever could would write any event.
#[tokio::test(flavor = "multi_thread")]
async fn other_roles_can_not_make_triggers_of_the_sources_function() {
    let Some(db) = Database::installed(NEW) else { return };

    db.run(
        "CREATE ROLE stranger; GRANT USAGE ON SCHEMA torale_admin_source TO stranger;
         GRANT CREATE ON SCHEMA public TO stranger; SET ROLE stranger; CREATE TABLE own (id uuid);",
    );
    let trigger = "SET ROLE stranger; CREATE TRIGGER t AFTER INSERT ON own REFERENCING NEW TABLE AS new_rows
         FOR EACH STATEMENT EXECUTE FUNCTION torale_admin_source.capture('users')";
    let refused = db.client().await.batch_execute(trigger).await.unwrap_err();

    assert!(
        refused.as_db_error().unwrap().message().contains("permission denied for function"),
        "{refused:?}"
    );
}

/// How long recording may take with a `statement_timeout`, in seconds after the statement's beginning, if the trigger
/// began so many seconds after it; `null` is for ever.
async fn seconds_to_stop(db: &Database, limit: &str, began: u32) -> String {
    let client = db.client().await;
    client.batch_execute(&format!("SET statement_timeout = '{limit}'")).await.unwrap();
    let stop =
        format!("torale_admin_source.time_to_stop(statement_timestamp() + interval '{began} s', 0.8, 0.05)");
    let seconds = format!(
        "SELECT extract(epoch FROM CASE WHEN isfinite({stop}) THEN {stop} - statement_timestamp() END)::text"
    );
    let row = client.query_one(&seconds, &[]).await.unwrap();
    row.get::<_, Option<String>>(0).unwrap_or_else(|| "null".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_ends_before_the_statements_time_is_over_and_always_has_a_twentieth_of_it() {
    let Some(db) = Database::installed(NEW) else { return };

    assert_eq!(seconds_to_stop(&db, "0", 100).await, "null");
    assert_eq!(seconds_to_stop(&db, "20s", 0).await, "16.000000");
    assert_eq!(seconds_to_stop(&db, "20s", 15).await, "16.000000");
    assert_eq!(seconds_to_stop(&db, "20s", 19).await, "20.000000");
    assert_eq!(seconds_to_stop(&db, "2h", 0).await, "5760.000000");
    assert_eq!(seconds_to_stop(&db, "500ms", 0).await, "0.400000");
}

/// Makes the recording of each inserted row take so many seconds.
fn slow_down(db: &Database, seconds: f64) {
    db.run(&format!(
        "SET search_path = torale_admin_source; ALTER FUNCTION record_insert(text, jsonb) RENAME TO quick_insert;
         CREATE FUNCTION record_insert(relation text, r jsonb) RETURNS void LANGUAGE plpgsql AS
         $$ BEGIN PERFORM pg_sleep({seconds}); PERFORM quick_insert(relation, r); END $$;"
    ));
}

/// All rows would take twice the time that the platform allows its statement.
#[tokio::test(flavor = "multi_thread")]
async fn triggers_that_would_take_too_long_note_the_rest_and_do_not_fail_the_statement() {
    let Some(db) = Database::installed(NEW) else { return };
    slow_down(&db, 0.1);
    let client = db.client().await;
    client.batch_execute("SET statement_timeout = '5s'").await.unwrap();

    let insert = "INSERT INTO users (clerk_user_id, email) SELECT 'c' || i, i || '@example.org' FROM generate_series(1, 100) i";
    let inserted = client.execute(insert, &[]).await.unwrap();
    let updated =
        client.execute("UPDATE users SET email = email || '.', updated_at = now()", &[]).await.unwrap();

    assert_eq!((inserted, updated), (100, 100));
    let (facts, failures) = (db.facts().await, db.failures().await);
    let created = facts.iter().filter(|fact| fact.starts_with("user.created")).count();
    assert_eq!((created + failures.len(), facts.len() - created), (100, 100));
    assert!(created > 0 && !failures.is_empty(), "{created} rows were recorded");
    let noted = db
        .texts(
            "SELECT DISTINCT concat_ws(' ', relation, operation, reason) FROM torale_admin_source.failures",
        )
        .await;
    assert_eq!(noted, ["users INSERT 57014 the statement_timeout left no time for this row"]);
    let keys =
        "SELECT count(DISTINCT key)::text FROM torale_admin_source.failures JOIN users u ON u.id::text = key";
    assert_eq!(db.texts(keys).await, [failures.len().to_string()]);
}

/// From now on no trigger has time to record a row, and time enough to note all.
pub(crate) fn leave_no_time(db: &Database) {
    limit_time(db, "CASE WHEN of_all < 0.9 THEN '-infinity' ELSE 'infinity' END");
}

/// From now on a trigger has this much time, as an expression of SQL.
fn limit_time(db: &Database, until: &str) {
    db.run(&format!(
        "CREATE OR REPLACE FUNCTION torale_admin_source.time_to_stop(began timestamptz, of_all float8, of_own float8)
         RETURNS timestamptz LANGUAGE sql AS $$ SELECT ({until})::timestamptz $$",
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_changes_nothing_is_no_note_though_no_time_is_left() {
    let Some(db) = Database::installed(NEW) else { return };
    limit_time(&db, "'-infinity'");

    let nothing =
        "UPDATE users SET email = 'a'; DELETE FROM users; INSERT INTO users (email) SELECT 'a' WHERE false";
    db.run(nothing);

    assert_eq!(db.failures().await, [""; 0]);
}

/// A query that is put together is planned for each statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_inside_a_trigger_is_recorded_without_a_query_that_is_put_together() {
    let Some(db) = Database::installed(NEW) else { return };
    let one = id(1);
    db.run(&format!(
        "INSERT INTO users (id, clerk_user_id, email) VALUES ({one}, 'c1', 'a@example.org');
         INSERT INTO tasks (user_id, name) VALUES ({one}, 'a@example.org'); ALTER FUNCTION torale_admin_source.rows_of RENAME TO gone"
    ));
    let rename = "UPDATE tasks SET name = NEW.email WHERE user_id = NEW.id AND name <> NEW.email";
    db.run(&trigger("users", "UPDATE", rename));
    db.clear();

    db.run("UPDATE users SET first_name = 'A'");
    db.run("UPDATE users SET email = 'b'");
    db.run("UPDATE users SET first_name = 'B'");

    assert_eq!(db.facts().await, ["task.updated name=b search_query=b", "user.updated email=b"]);
    assert_eq!(db.failures().await, [""; 0]);
}

/// A subtransaction for each would take a transaction id for each.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_can_not_be_seen_in_the_end_are_noted_together_and_while_there_is_time() {
    let Some(db) = Database::installed(NEW) else { return };
    hide_tables(&db);
    let nested = |change: &str| {
        db.run(&format!("BEGIN; SET LOCAL torale_source.nested_users = 'on'; {change}; COMMIT"));
    };

    nested("INSERT INTO users (clerk_user_id, email) SELECT 'c' || i, i FROM generate_series(1, 100) i");
    nested("UPDATE users SET email = email || '@example.org'");
    let noted = "SELECT concat_ws(' ', operation, unrecorded, count(DISTINCT key), count(DISTINCT xmin::text), left(min(reason), 5))
        FROM torale_admin_source.failures GROUP BY operation, unrecorded ORDER BY 1";
    let rows = db.texts(noted).await;
    limit_time(&db, "'-infinity'");
    db.run("DELETE FROM torale_admin_source.failures");
    nested("UPDATE users SET email = 'x' || email");

    assert_eq!(rows, ["INSERT state 100 1 42501", "UPDATE state 100 1 42501"]);
    let late = "users UPDATE 57014 the statement_timeout left no time to note every row";
    assert_eq!(db.failures().await, [late]);
    assert_eq!(db.facts().await, [""; 0]);
}

/// Neither PostgreSQL nor this gives a trigger a way to hold a cancel up: the platform wanted its transaction to end.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_inside_a_trigger_stays_a_cancel_and_leaves_nothing_half_done() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c0', 'kept@example.org')");
    slow_down(&db, 3600.0);
    let client = db.client().await;
    let transaction = "BEGIN; UPDATE users SET is_active = false; INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org')";

    client.batch_execute("SET statement_timeout = '1s'").await.unwrap();
    let late = client.batch_execute(transaction).await.unwrap_err();
    client.batch_execute("ROLLBACK; SET statement_timeout = 0").await.unwrap();
    let cancel = async {
        let asleep = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
        while db.texts(asleep).await != ["1"] {}
        client.cancel_token().cancel_query(tokio_postgres::NoTls).await.unwrap();
    };
    let (cancelled, ()) = futures::join!(client.batch_execute(transaction), cancel);
    client.batch_execute("ROLLBACK").await.unwrap();

    for error in [late, cancelled.unwrap_err()] {
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error:?}");
    }
    assert_eq!(db.facts().await, ["user.created email=kept@example.org"]);
    assert_eq!(db.failures().await, [""; 0]);
    assert_eq!(db.texts("SELECT key FROM torale_admin_source.row_versions").await, [""; 0]);
    assert_eq!(db.texts("SELECT concat_ws(' ', email, is_active) FROM users").await, ["kept@example.org t"]);
}
