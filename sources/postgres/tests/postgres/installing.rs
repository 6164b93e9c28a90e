//! Installing, installing again and taking away.

use crate::platform::{NEW, OLDEST, id};
use crate::server::Database;
use tokio::time::{Duration, Instant};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use torale_platform::clock;
use torale_source::backfill::{self, BackfillMeter, BackfillProgress, BackfillSink};
use torale_source_outbox::connect::SourceDatabase;
use torale_source_outbox::relay;
use torale_testkit::sqs::FakeSqs;

const OBJECTS: &str = "SELECT concat(kind, ' ', name) FROM (
  SELECT 'schema' AS kind, nspname::text AS name FROM pg_namespace WHERE nspname !~ '^pg_'
  UNION ALL SELECT 'function', p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    WHERE nspname NOT IN ('pg_catalog', 'information_schema')
  UNION ALL SELECT 'trigger', tgrelid::regclass || ' ' || tgname FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT 'relation', c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema') o ORDER BY 1";

#[tokio::test(flavor = "multi_thread")]
async fn installing_twice_is_installing_once() {
    let Some(db) = Database::installed(NEW) else { return };
    let once = db.texts(OBJECTS).await;
    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org')");

    db.install(&[]);
    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c2', 'b@example.org')");

    assert_eq!(db.texts(OBJECTS).await, once);
    assert_eq!(once.iter().filter(|object| object.starts_with("trigger ")).count(), 20);
    assert_eq!(db.facts().await, ["user.created email=a@example.org", "user.created email=b@example.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_comes_later_is_found_by_installing_again() {
    let Some(db) = Database::installed(OLDEST) else { return };

    db.run("CREATE TABLE notification_sends (id uuid, user_id uuid)");
    db.install(&[]);
    db.run(&format!("INSERT INTO notification_sends VALUES ({}, {0})", id(1)));

    assert_eq!(db.facts().await, ["notification.sent channel=unknown"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstalling_leaves_nothing_and_waits_for_the_outbox() {
    let Some(db) = Database::with(NEW) else { return };
    let before = db.texts(OBJECTS).await;
    db.install(&[]);
    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org')");

    let refused = db.refused("uninstall.sql", &[]);
    assert!(refused.contains("1 events are not on the queue yet"), "{refused}");
    assert_eq!(db.facts().await.len(), 1);

    db.script("uninstall.sql", &["discard=on"]);
    assert_eq!(db.texts(OBJECTS).await, before);
    let again = db.script("uninstall.sql", &[]);
    assert!(again.contains("nothing is installed"), "{again}");
}

/// To run it again would change nothing: the relay never sends these.
#[tokio::test(flavor = "multi_thread")]
async fn uninstalling_says_that_refused_events_stay_until_they_are_dropped() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(
        "INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org'), ('c2', 'b@example.org');
         UPDATE torale_admin_source.outbox SET refused = 'too long' WHERE event LIKE '%a@example.org%'",
    );

    let waiting = db.refused("uninstall.sql", &[]);
    db.run("DELETE FROM torale_admin_source.outbox WHERE refused IS NULL");
    let refused = db.refused("uninstall.sql", &[]);
    db.script("uninstall.sql", &["discard=on"]);

    assert!(waiting.contains("1 events are not on the queue yet"), "{waiting}");
    assert!(refused.contains("1 events were refused by the queue"), "{refused}");
    assert!(refused.contains("SELECT refused, event FROM torale_admin_source.outbox"), "{refused}");
    assert!(!refused.contains("Let the relay send"), "{refused}");
    assert_eq!(db.texts("SELECT to_regnamespace('torale_admin_source')::text").await, ["null"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_and_names_of_tables_are_settings() {
    let Some(db) = Database::with("CREATE SCHEMA \"App\"; SET search_path = \"App\";") else { return };
    db.run(&format!("SET search_path = \"App\"; {} ALTER TABLE users RENAME TO \"the accounts\";", OLDEST));

    let settings = ["schema=Own", "platform=App", "users=the\\ accounts", "tasks=none"];
    let said = db.install(&settings);
    db.run(&format!(
        "INSERT INTO \"App\".\"the accounts\" VALUES ({}, 'c1', 'a@example.org', now());
        INSERT INTO \"App\".tasks VALUES ({0}, {0}, 'n', NULL, now());",
        id(1)
    ));

    assert!(said.contains("users: found \"App\".\"the accounts\""), "{said}");
    assert!(said.contains("tasks: there is no table App.none"), "{said}");
    assert_eq!(db.texts("SELECT count(*)::text FROM \"Own\".outbox").await, ["1"]);
    db.script("uninstall.sql", &["schema=Own", "discard=on"]);
    assert_eq!(db.texts("SELECT count(*)::text FROM pg_trigger WHERE NOT tgisinternal").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_without_triggers_are_enough_for_a_backfill() {
    let Some(db) = Database::with(NEW) else { return };

    db.install(&["triggers=off"]);
    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org')");

    assert_eq!(db.outbox().await, [""; 0]);
    assert_eq!(db.backfilled("users").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_schema_of_the_same_name_is_refused() {
    let Some(db) = Database::with("CREATE SCHEMA torale_admin_source") else { return };

    let refused = db.refused("install.sql", &[]);

    assert!(refused.contains("the schema torale_admin_source exists and is not this file's"), "{refused}");
}

/// Does something that waits for a lock on a table which a client's transaction holds; once it waits, that commits.
fn while_it_waits_for(
    db: &Database,
    table: &str,
    holder: Client,
    work: impl Fn() -> String + Send,
) -> String {
    let (said, waited) = said_and_waited(db, table, holder, work);
    assert!(waited, "{said}");
    said
}

/// Does something while a client's transaction holds a table, which commits once that waits for a lock on the table, or
/// after it: what it says, and whether it waited.
fn said_and_waited(
    db: &Database,
    table: &str,
    holder: Client,
    work: impl Fn() -> String + Send,
) -> (String, bool) {
    let waiting =
        format!("SELECT count(*)::text FROM pg_locks WHERE NOT granted AND relation = '{table}'::regclass");
    std::thread::scope(|scope| {
        let working = scope.spawn(work);
        let waited = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let mut waited = false;
                while !waited && !working.is_finished() {
                    waited = db.texts(&waiting).await == ["1"];
                }
                holder.batch_execute("COMMIT").await.unwrap();
                waited
            })
        });
        (working.join().unwrap(), waited)
    })
}

/// Whoever waits for a lock on a table makes others wait. So nobody may wait long, and a platform's transaction that
/// ends meanwhile lets the installation go on.
#[tokio::test(flavor = "multi_thread")]
async fn installing_waits_for_a_writer_and_then_goes_on() {
    let Some(db) = Database::with(NEW) else { return };
    let writer = db.client().await;
    writer
        .batch_execute("BEGIN; INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org')")
        .await
        .unwrap();

    let installing = while_it_waits_for(&db, "users", writer, || db.install(&[]));

    assert!(installing.contains("users: found"), "{installing}");
    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c2', 'b@example.org')");
    assert_eq!(db.facts().await, ["user.created email=b@example.org"]);
}

/// `ALTER TABLE` would wait for it without a limit, and every trigger behind that, although nothing is to be altered.
#[tokio::test(flavor = "multi_thread")]
async fn installing_again_waits_for_no_transaction_that_notes_a_failure() {
    let Some(db) = Database::installed(NEW) else { return };
    let user = db.client().await;
    user.batch_execute("BEGIN; LOCK TABLE torale_admin_source.failures IN ROW EXCLUSIVE MODE").await.unwrap();

    let (said, waited) = said_and_waited(&db, "torale_admin_source.failures", user, || db.install(&[]));

    assert!(!waited && said.contains("users: found"), "{said}");
}

/// As from a version that did not have the column yet, while the platform works.
#[tokio::test(flavor = "multi_thread")]
async fn installing_over_an_earlier_version_adds_its_column_once_nobody_holds_the_table() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run("ALTER TABLE torale_admin_source.failures DROP COLUMN unrecorded");
    let holder = db.client().await;
    holder.batch_execute("BEGIN; SELECT FROM torale_admin_source.failures").await.unwrap();

    while_it_waits_for(&db, "torale_admin_source.failures", holder, || db.install(&[]));

    let columns =
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'torale_admin_source.failures'::regclass
         AND attname = 'unrecorded'";
    assert_eq!(db.texts(columns).await, ["unrecorded"]);
}

/// A transaction of the platform that ends while `DROP TRIGGER` waits for it has written events that nobody counted.
#[tokio::test(flavor = "multi_thread")]
async fn uninstalling_keeps_events_that_are_written_while_it_waits() {
    let Some(db) = Database::with(NEW) else { return };
    let before = db.texts(OBJECTS).await;
    db.install(&[]);
    let writer = db.client().await;
    writer
        .batch_execute("BEGIN; INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org')")
        .await
        .unwrap();

    let refused = while_it_waits_for(&db, "users", writer, || db.refused("uninstall.sql", &[]));
    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c2', 'b@example.org')");
    let facts = db.facts().await;
    let sqs = FakeSqs::default();
    let later = Instant::now() + Duration::from_secs(600);
    let relayed = relay::run(&db.source(), &sqs.client(), later, later).await.unwrap();
    db.script("uninstall.sql", &[]);

    assert!(refused.contains("1 events are not on the queue yet"), "{refused}");
    assert!(refused.contains("run this again"), "{refused}");
    assert_eq!(facts, ["user.created email=a@example.org"], "the triggers are gone, the outbox is not");
    assert_eq!((relayed.sent, sqs.taken().len()), (1, 1));
    assert_eq!(db.texts(OBJECTS).await, before);
}

/// Runs a script that must fail while a client's transaction holds a table. The transaction commits once it has failed;
/// before, if the script waits for more than a minute.
fn refused_while_held(db: &Database, name: &str, holder: &Client) -> String {
    let until = Instant::now() + Duration::from_secs(60);
    std::thread::scope(|scope| {
        let working = scope.spawn(|| db.refused(name, &[]));
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                while !working.is_finished() && Instant::now() < until {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                holder.batch_execute("COMMIT").await.unwrap();
            });
        });
        working.join().unwrap()
    })
}

/// A transaction of the platform that lasts, and then a backfill that reads.
#[tokio::test(flavor = "multi_thread")]
async fn uninstalling_stops_when_a_table_is_busy_for_too_long_and_goes_on_when_run_again() {
    let Some(db) = Database::with(NEW) else { return };
    let before = db.texts(OBJECTS).await;
    db.install(&[]);
    let holder = db.client().await;

    for busy in ["tasks", "torale_admin_source.row_versions"] {
        holder.batch_execute(&format!("BEGIN; SELECT FROM {busy}")).await.unwrap();
        let refused = refused_while_held(&db, "uninstall.sql", &holder);
        assert!(refused.contains("lock timeout"), "{busy}: {refused}");
    }
    db.script("uninstall.sql", &[]);

    assert_eq!(db.texts(OBJECTS).await, before);
}

/// A relay holds its rows while it sends them.
#[tokio::test(flavor = "multi_thread")]
async fn uninstalling_waits_for_a_relay_that_is_sending() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org')");
    let relay = db.client().await;
    relay.batch_execute("BEGIN; DELETE FROM torale_admin_source.outbox").await.unwrap();

    let said =
        while_it_waits_for(&db, "torale_admin_source.outbox", relay, || db.script("uninstall.sql", &[]));

    assert!(!said.contains("not on the queue"), "{said}");
    assert_eq!(db.texts("SELECT to_regnamespace('torale_admin_source')::text").await, ["null"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_check_the_servers_certificate_and_the_schema() {
    let Some(db) = Database::with(NEW) else { return };
    let url = format!("{}?sslmode=require", db.url());
    let certificate = db.certificate();
    let source = |pem| SourceDatabase::new(&url, pem, "torale_admin_source").unwrap();

    let missing = source(Some(&certificate)).connect().await.unwrap_err().to_string();
    db.install(&[]);
    // As in a variable, whose line breaks may be written.
    let escaped = certificate.replace('\n', "\\n");
    let connection = source(Some(&escaped)).connect().await.unwrap().snapshot().await.unwrap();
    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let encrypted: bool = connection.query_one(encrypted, &[]).await.unwrap().get(0);
    let stranger = source(None).connect().await.unwrap_err().to_string();

    assert!(missing.contains("run sources/postgres/install.sql"), "{missing}");
    assert!(encrypted);
    assert!(stranger.contains("certificate"), "{stranger}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_rights_are_enough_for_backfill_and_relay() {
    let Some(db) = Database::installed(NEW) else { return };
    db.run(&rights_of_the_guide());
    db.run("INSERT INTO users (clerk_user_id, email) VALUES ('c1', 'a@example.org')");
    let url = format!("postgresql://torale_source@{}", db.url().split_once('@').unwrap().1);
    let source = SourceDatabase::new(&url, None, "torale_admin_source").unwrap();
    let sqs = FakeSqs::refusing("nothing");

    let mut progress = BackfillProgress::unsaved();
    let sink = BackfillSink::Queue(sqs.client());
    backfill::run(&source, &sink, &mut progress, &BackfillMeter::default(), clock::system).await.unwrap();
    let later = Instant::now() + Duration::from_secs(600);
    let relayed = relay::run(&source, &sqs.client(), later, later).await.unwrap();
    let mut connection = source.connect().await.unwrap();
    let denied = connection.transaction().await.unwrap().batch_execute("DELETE FROM public.users").await;

    assert_eq!((sqs.taken().len(), relayed.sent), (2, 1));
    assert_eq!(db.outbox().await, [""; 0]);
    assert_eq!(denied.unwrap_err().code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
}

/// The SQL of docs/guide/sources.md that gives a role its rights.
pub(crate) fn rights_of_the_guide() -> String {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/sources.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    guide.split("```sql\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}
