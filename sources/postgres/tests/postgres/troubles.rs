//! Whatever fails in a trigger is noted, and the platform's transaction goes on.

use crate::platform::{NEW, OLD, id};
use crate::server::Database;

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
    db.run("ALTER FUNCTION torale_admin_source.note(text, text, text, text) RENAME TO gone");
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
