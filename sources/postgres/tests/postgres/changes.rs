//! Each change of the platform's tables becomes the events that the contract says, in the same transaction.

use crate::platform::{NEW, OLD, OLDEST, id};
use crate::server::Database;
use serde_json::Value;
use std::collections::BTreeSet;
use torale_domain::events::{self, ReceivedMessage};

/// A user, a task of theirs and its execution.
fn rows() -> String {
    format!(
        "INSERT INTO users (id, clerk_user_id, email) VALUES ({u}, 'c1', 'a@example.org');
         INSERT INTO tasks (id, user_id, name, schedule, search_query) VALUES ({t}, {u}, 'news', '0 9 * * *', 'moon');
         INSERT INTO task_executions (id, task_id) VALUES ({e}, {t});",
        u = id(1),
        t = id(2),
        e = id(3)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn inserted_rows_become_created_and_started_events() {
    let Some(db) = Database::installed(NEW) else { return };

    db.run(&rows());
    db.run(&format!(
        "INSERT INTO api_keys (user_id, key_prefix, key_hash, name) VALUES ({}, 'sk_', upper(repeat('ab', 32)), 'laptop');
         INSERT INTO notification_sends (user_id, task_id, notification_type) VALUES ({0}, {}, 'email');
         INSERT INTO notification_sends (user_id, notification_type, status) VALUES ({0}, 'email', 'failed');",
        id(1),
        id(2)
    ));

    assert_eq!(
        db.facts().await,
        [
            "user.created email=a@example.org",
            "task.created name=news schedule=0 9 * * * search_query=moon state=active",
            "execution.started",
            &format!("api_key.created key_hash={} key_prefix=sk_ name=laptop", "ab".repeat(32)),
            "notification.sent channel=email",
        ]
    );
    assert_eq!(db.failures().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_become_events_of_what_changed_alone() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&rows());
    db.clear();

    for change in [
        "UPDATE users SET first_name = 'A', updated_at = now()",
        "UPDATE users SET email = 'b@example.org'",
        "UPDATE users SET is_active = false",
        "UPDATE users SET is_active = true, email = 'c@example.org'",
        "UPDATE users SET is_active = NULL",
        "UPDATE users SET clerk_user_id = 'c2'",
        "UPDATE tasks SET state = 'paused'",
        "UPDATE tasks SET state = 'active', updated_at = now()",
        "UPDATE tasks SET state = 'completed', search_query = 'mars'",
        "UPDATE task_executions SET status = 'running', result = '[1]'",
        "UPDATE task_executions SET status = 'failed', completed_at = now(), retry_count = 2, error_message = 'openai.RateLimitError: slow down'",
        "UPDATE task_executions SET status = 'success', completed_at = now(), notification = 'It is there'",
    ] {
        db.run(change);
    }

    assert_eq!(
        db.facts().await,
        [
            "user.updated email=b@example.org",
            "user.deactivated",
            "user.updated email=c@example.org",
            "user.reactivated",
            "user.created email=c@example.org",
            "task.paused",
            "task.resumed",
            "task.updated name=news schedule=0 9 * * * search_query=mars",
            "task.completed",
            "execution.failed error_message=openai.RateLimitError: slow down error_type=RateLimitError retry_count=2",
            "execution.succeeded condition_met=true",
        ]
    );
    assert_eq!(db.failures().await, [""; 0]);
}

/// Registers prefer the event with the greater time, so that of two changes the later one must have it, however fast
/// they follow one another, and whatever the platform's clocks say.
#[tokio::test(flavor = "multi_thread")]
async fn later_changes_of_a_row_have_later_times() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&rows());
    let many: String = (0..50)
        .map(|n| {
            format!("UPDATE users SET email = '{n}@example.org', updated_at = now() - '{n} s'::interval;")
        })
        .collect();
    db.run(&many);

    let times: Vec<i64> = db
        .outbox()
        .await
        .iter()
        .filter_map(|event| match events::parse(event, None).unwrap() {
            ReceivedMessage::Known(event) if event.event_type().name().starts_with("user.") => {
                Some(event.time.millis())
            }
            ReceivedMessage::Known(_) | ReceivedMessage::Unknown { .. } => None,
        })
        .collect();

    assert_eq!(times.len(), 51);
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_rows_become_the_events_that_end_them_cascades_included() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&rows());
    db.run(&format!(
        "INSERT INTO api_keys (user_id, key_prefix, key_hash) VALUES ({}, 'sk_', repeat('ab', 32));
         INSERT INTO notification_sends (user_id, task_id, notification_type) VALUES ({0}, {}, 'email');",
        id(1),
        id(2)
    ));
    db.clear();

    db.run("DELETE FROM users");

    let mut facts = db.facts().await;
    facts.sort();
    assert_eq!(
        facts,
        ["api_key.revoked", "task.deleted", "user.deactivated by=platform reason=the row was deleted"]
    );
    db.clear();
    db.run(&format!(
        "INSERT INTO users (id, clerk_user_id, email) VALUES ({}, 'c1', 'a@example.org')",
        id(1)
    ));
    assert_eq!(db.facts().await, ["user.created email=a@example.org", "user.reactivated"]);
    assert_eq!(db.failures().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_tables_and_changed_ids_end_their_rows() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&rows());
    db.clear();

    db.run(&format!("DELETE FROM task_executions; UPDATE tasks SET id = {}", id(9)));
    db.run("TRUNCATE users CASCADE");

    let facts = db.facts().await;
    let renamed = "task.created name=news schedule=0 9 * * * search_query=moon state=active";
    assert_eq!(facts[..2], ["task.deleted", renamed]);
    assert_eq!(facts.len(), 4, "{facts:?}");
    assert!(facts.contains(&"user.deactivated by=platform reason=the row was deleted".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_partitioned_table_ends_the_rows_of_all_its_partitions() {
    let Some(db) = Database::installed(
        "CREATE TABLE users (id uuid PRIMARY KEY, clerk_user_id text, email text, created_at timestamptz)
           PARTITION BY HASH (id);
         CREATE TABLE users_0 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE users_1 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 1);",
    ) else {
        return;
    };
    let rows: Vec<String> =
        (1..=4).map(|n| format!("({}, 'c{n}', 'u{n}@example.org', now())", id(n))).collect();
    db.run(&format!("INSERT INTO users VALUES {}", rows.join(", ")));
    db.clear();

    db.run("TRUNCATE users");

    assert_eq!(db.facts().await, ["user.deactivated by=platform reason=the row was deleted"; 4]);
    assert_eq!(db.failures().await, [""; 0]);
}

/// What the latest events say, of those that say it: more than one thing if chance decides between them.
fn latest(events: &[String], said: impl Fn(&str, &Value) -> Option<String>) -> Vec<String> {
    let events = events.iter().map(|event| serde_json::from_str::<Value>(event).unwrap());
    let said = events.filter_map(|event| {
        let kind = event["type"].as_str().unwrap().strip_prefix("ai.torale.").unwrap();
        Some((event["time"].as_str().unwrap().to_owned(), said(kind, &event["data"])?))
    });
    let said: BTreeSet<(String, String)> = said.collect();
    let Some((at, _)) = said.last().cloned() else { return Vec::new() };
    said.into_iter().filter(|(time, _)| *time == at).map(|(_, value)| value).collect()
}

fn email(kind: &str, data: &Value) -> Option<String> {
    kind.starts_with("user.").then_some(())?;
    data["email"].as_str().map(str::to_owned)
}

fn state(kind: &str, data: &Value) -> Option<String> {
    match kind {
        "task.created" => data["state"].as_str().map(str::to_owned),
        "task.resumed" => Some("active".to_owned()),
        "task.paused" | "task.completed" | "task.deleted" => kind.strip_prefix("task.").map(str::to_owned),
        _ => None,
    }
}

fn activity(kind: &str, _: &Value) -> Option<String> {
    ["user.deactivated", "user.reactivated"].contains(&kind).then(|| kind.to_owned())
}

/// What the latest events say of emails and of tasks' states: those of the triggers, then of a backfill.
async fn latest_of_all(db: &Database) -> [Vec<String>; 4] {
    let emitted = db.outbox().await;
    let (users, tasks) = (db.backfilled("users").await, db.backfilled("tasks").await);
    let all = [emitted.clone(), users, tasks].concat();
    [latest(&emitted, email), latest(&emitted, state), latest(&all, email), latest(&all, state)]
}

/// A trigger of the platform on a table: what it does for each row, after its statement and before the source's.
pub(crate) fn trigger(table: &str, on: &str, does: &str) -> String {
    format!(
        "CREATE FUNCTION own_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN NULL; END $$;
         CREATE TRIGGER own_{table} AFTER {on} ON {table} FOR EACH ROW EXECUTE FUNCTION own_{table}();"
    )
}

/// The source's trigger runs first for the statement that the platform's trigger executes, then for the one that fired
/// it.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_trigger_of_the_platform_changes_again_is_said_as_it_is_in_the_end() {
    let Some(db) = Database::installed(NEW) else { return };
    let lower = "UPDATE users SET email = lower(email) WHERE id = NEW.id AND email <> lower(email)";
    let resume = "UPDATE tasks SET state = 'active' WHERE id = NEW.id AND state = 'paused'";
    db.run(&trigger("users", "INSERT OR UPDATE", lower));
    db.run(&trigger("tasks", "UPDATE", resume));

    db.run(&rows().replace("a@example.org", "A@Example.org"));
    assert_eq!(latest(&db.outbox().await, email), ["a@example.org"]);
    db.run("UPDATE users SET email = 'B@Example.org'");
    db.run("UPDATE tasks SET state = 'paused'");

    let rows =
        db.texts("SELECT concat_ws(' ', email, state) FROM users JOIN tasks t ON user_id = users.id").await;
    assert_eq!(rows, ["b@example.org active"]);
    let [email, state] = [["b@example.org"], ["active"]];
    assert_eq!(latest_of_all(&db).await, [email, state, email, state]);
    assert_eq!(db.failures().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_trigger_of_the_platform_deletes_or_puts_back_is_said_as_it_is_in_the_end() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&rows());
    let back =
        "INSERT INTO users (id, clerk_user_id, email) VALUES (OLD.id, OLD.clerk_user_id, 'kept@example.org')";
    db.run("DELETE FROM task_executions; UPDATE tasks SET user_id = NULL");
    db.run(&trigger("users", "DELETE", back));
    db.run(&trigger("tasks", "UPDATE", "DELETE FROM tasks WHERE id = NEW.id AND state = 'paused'"));
    db.clear();

    db.run("DELETE FROM users");
    db.run("UPDATE tasks SET state = 'paused'");

    assert_eq!(db.facts().await, ["user.created email=kept@example.org", "task.deleted"]);
}

/// `task.deleted` is for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_a_trigger_of_the_platform_puts_back_ends_no_row() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&rows());
    db.run("DELETE FROM task_executions");
    let back = "IF pg_trigger_depth() = 1 THEN UPDATE tasks SET id = OLD.id WHERE id = NEW.id; END IF";
    db.run(&trigger("tasks", "UPDATE", back));
    db.clear();

    db.run(&format!("UPDATE tasks SET id = {}", id(9)));

    let ended = |event: &String| event.contains("task.deleted") && event.contains(id(2).trim_matches('\''));
    let outbox = db.outbox().await;
    assert!(!outbox.is_empty() && !outbox.iter().any(ended), "{outbox:#?}");
    assert_eq!(db.texts("SELECT id::text FROM tasks").await, [id(2).trim_matches('\'')]);
}

/// From now on the triggers can't read the platform's tables.
pub(crate) fn hide_tables(db: &Database) {
    db.run(
        "DO $$ BEGIN CREATE ROLE blind; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         GRANT USAGE ON SCHEMA torale_admin_source TO blind;
         GRANT ALL ON ALL TABLES IN SCHEMA torale_admin_source TO blind;
         GRANT CREATE ON SCHEMA torale_admin_source TO blind; ALTER FUNCTION torale_admin_source.capture() OWNER TO blind",
    );
}

/// The schema's owner may not read the table: what is in it in the end, only a backfill can say.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_again_in_a_table_that_can_not_be_read_is_noted() {
    let Some(db) = Database::installed(NEW) else { return };
    hide_tables(&db);
    let lower = "UPDATE users SET email = lower(email) WHERE id = NEW.id AND email <> lower(email)";
    db.run(&trigger("users", "INSERT OR UPDATE", lower));

    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c0', 'a@example.org')");
    assert_eq!(db.facts().await, ["user.created email=a@example.org"]);
    db.run("UPDATE users SET email = 'B@Example.org'");

    let noted =
        "SELECT concat_ws(' ', operation, unrecorded) FROM torale_admin_source.failures f JOIN users u
        ON u.id::text = f.key";
    assert_eq!(db.texts(noted).await, ["UPDATE state"]);
    db.run("SELECT torale_admin_source.settle_failures()");
    let all = [db.outbox().await, db.backfilled("users").await].concat();
    assert_eq!(latest(&all, email), ["b@example.org"]);
}

/// The event that it is gone comes after that of the row that a trigger has put back.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_deleted_from_a_table_that_can_not_be_read_is_noted_as_well() {
    let Some(db) = Database::installed(NEW) else { return };
    hide_tables(&db);
    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org')");
    let back = "INSERT INTO users (id, clerk_user_id, email) VALUES (OLD.id, OLD.clerk_user_id, OLD.email)";
    db.run(&trigger("users", "DELETE", back));
    db.clear();

    db.run("DELETE FROM users");

    let noted =
        "SELECT concat_ws(' ', operation, unrecorded) FROM torale_admin_source.failures f JOIN users u
        ON u.id::text = f.key";
    assert_eq!(db.texts(noted).await, ["DELETE state"]);
    db.run("SELECT torale_admin_source.settle_failures()");
    let all = [db.outbox().await, db.backfilled("users").await].concat();
    assert_eq!(latest(&all, activity), ["user.reactivated"]);
}

/// A task is gone for ever even if it comes back, so there is nothing to settle.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_deleted_from_a_table_that_can_not_be_read_is_not_noted() {
    let Some(db) = Database::installed(NEW) else { return };
    hide_tables(&db);
    db.run(&trigger("tasks", "INSERT", "UPDATE tasks SET name = 'again' WHERE id = NEW.id"));

    db.run(&format!("BEGIN; {} DELETE FROM tasks; COMMIT;", rows()));

    let noted = "SELECT concat_ws(' ', relation, operation) FROM torale_admin_source.failures";
    let noted = db.texts(noted).await;
    assert!(noted.contains(&"tasks INSERT".to_owned()), "{noted:?}");
    assert!(!noted.contains(&"tasks DELETE".to_owned()), "{noted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_takes_its_events_with_it() {
    let Some(db) = Database::installed(NEW) else { return };

    db.run(&format!(
        "BEGIN; {} ROLLBACK;
         BEGIN; INSERT INTO users (clerk_user_id, email) VALUES ('c2', 'kept@example.org');
         SAVEPOINT s; INSERT INTO users (clerk_user_id, email) VALUES ('c3', 'gone@example.org'); ROLLBACK TO s; COMMIT;",
        rows()
    ));

    assert_eq!(db.facts().await, ["user.created email=kept@example.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_schema_has_states_conditions_and_queries_of_its_own() {
    let Some(db) = Database::installed(OLD) else { return };

    db.run(&format!(
        "SET timezone = 'Asia/Kathmandu'; SET datestyle = 'SQL, DMY';
         INSERT INTO users (id, clerk_user_id, email, created_at) VALUES ({u}, 'c1', 'a@example.org', '20/02/2026 10:00');
         INSERT INTO tasks (id, user_id, name, config, is_active) VALUES ({t}, {u}, 'news', '{{\"query\": \"from config\"}}', false);
         INSERT INTO tasks (id, user_id, name, search_query) VALUES ({v}, {u}, 'only a name', ' ');
         UPDATE tasks SET is_active = true;
         INSERT INTO task_executions (id, task_id, status, started_at, completed_at, condition_met)
         VALUES ({e}, {t}, 'success', '20/02/2026 10:00', '20/02/2026 10:01', true);",
        u = id(1),
        t = id(2),
        v = id(3),
        e = id(4)
    ));

    assert_eq!(
        db.facts().await,
        [
            "user.created email=a@example.org",
            "task.created name=news search_query=from config state=paused",
            "task.created name=only a name search_query=only a name state=active",
            "task.resumed",
            "execution.succeeded condition_met=true",
        ]
    );
    let outbox = db.outbox().await;
    assert!(outbox[0].contains(r#""created_at": "2026-02-20T10:00:00.000Z""#), "{}", outbox[0]);
    assert!(outbox[4].contains(r#""completed_at": "2026-02-20T10:01:00.000Z""#), "{}", outbox[4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_schema_works_without_states_queries_and_two_tables() {
    let Some(db) = Database::with(OLDEST) else { return };

    let said = db.install(&[]);
    db.run(&format!(
        "INSERT INTO users VALUES ({u}, 'c1', 'a@example.org', now());
         INSERT INTO tasks VALUES ({t}, {u}, 'a name', NULL, NULL);
         INSERT INTO task_executions VALUES ({e}, {t}, 'pending', NULL);",
        u = id(1),
        t = id(2),
        e = id(3)
    ));

    assert!(said.contains("tasks: found public.tasks, with {id,user_id,name,config,created_at}, without {schedule,search_query,is_active,state,updated_at}"), "{said}");
    assert!(said.contains("api_keys: there is no table public.api_keys; it is left out"), "{said}");
    assert_eq!(
        db.facts().await,
        [
            "user.created email=a@example.org",
            "task.created name=a name search_query=a name state=active",
            "execution.started"
        ]
    );
    let started = &db.outbox().await[2];
    assert!(started.contains(r#""started_at": "2015-01-01T00:00:00.000Z""#), "{started}");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_values_become_events_that_the_intake_takes() {
    let Some(db) = Database::installed(NEW) else { return };

    db.run(&format!(
        "INSERT INTO users (id, clerk_user_id, email, created_at, updated_at)
           VALUES ({u}, 'c1', 'a@example.org', '-infinity', 'infinity');
         INSERT INTO tasks (id, user_id, search_query, schedule, created_at, updated_at)
           VALUES ({t}, {u}, repeat('🌖', 10240), repeat('*', 300), '0044-03-15 BC', '2999-01-01');
         INSERT INTO task_executions (id, task_id, status, started_at, completed_at, error_message, retry_count)
           VALUES ({e}, {t}, 'failed', 'infinity', '2014-12-31', repeat('é', 5000), -1);
         INSERT INTO task_executions (task_id, status, error_message) VALUES ({t}, 'failed', NULL);",
        u = id(1),
        t = id(2),
        e = id(3)
    ));

    let facts = db.facts().await;
    assert_eq!(facts[0], "user.created email=a@example.org");
    assert_eq!(facts[1], format!("task.created search_query={} state=active", "🌖".repeat(500)));
    assert_eq!(
        facts[2],
        format!("execution.failed error_message={} error_type=Error retry_count=0", "é".repeat(2000))
    );
    assert_eq!(facts[3], "execution.failed error_message= error_type=Error retry_count=0");
    assert!(db.outbox().await[0].contains(r#""created_at": "2015-01-01T00:00:00.000Z""#));
    assert_eq!(db.failures().await, [""; 0]);
}

/// SQS refuses two of them as they are. They are escaped where messages are sent: a key without them would be another.
#[tokio::test(flavor = "multi_thread")]
async fn characters_that_the_queue_refuses_are_kept() {
    let Some(db) = Database::installed(NEW) else { return };

    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c1', chr(65534) || 'a' || chr(65535) || chr(1) || '@example.org')");

    let outbox = db.outbox().await;
    assert!(outbox[0].contains("\u{fffe}a\u{ffff}\\u0001@example.org"), "{}", outbox[0]);
    assert_eq!(db.backfilled("users").await, outbox);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_type_is_the_leading_name_or_what_a_phrase_says() {
    let Some(db) = Database::installed(NEW) else { return };
    let cases = [
        ("RateLimitError: 429", "RateLimitError"),
        ("  httpx.ReadTimeoutException : x", "ReadTimeoutException"),
        ("Rate limit exceeded for Google Search API", "RateLimitError"),
        ("Request timed out after 30s", "TimeoutError"),
        ("upstream timeout", "TimeoutError"),
        ("1 validation failure", "ValidationError"),
        ("it broke: SomeError: no", "Error"),
        ("", "Error"),
    ];

    for (message, expected) in cases {
        let found = db.texts(&format!("SELECT torale_admin_source.error_type('{message}')")).await;
        assert_eq!(found, [expected], "{message}");
    }
    let long = db.texts("SELECT torale_admin_source.error_type(repeat('x', 70) || 'Error: y')").await;
    assert_eq!(long, ["Error"]);
}
