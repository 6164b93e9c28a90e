//! Texts that are no UTF-8: PostgreSQL refuses them in a database in UTF8, and any other database is refused here.

use crate::platform::NEW;
use crate::server::Database;
use tokio::time::{Duration, Instant};
use tokio_postgres::error::SqlState;
use torale_platform::clock;
use torale_source::backfill::{self, BackfillMeter, BackfillProgress, BackfillSink};
use torale_source_outbox::relay;
use torale_testkit::sqs::FakeSqs;

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_utf8_are_refused_by_the_database_and_reach_no_outbox() {
    let Some(db) = Database::installed(NEW) else { return };

    let insert = r"INSERT INTO users (clerk_user_id, email) VALUES ('c1', E'\xe9@example.org')";
    let refused = db.client().await.batch_execute(insert).await.unwrap_err();

    assert_eq!(refused.code(), Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE));
    assert_eq!((db.outbox().await, db.failures().await), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn installing_into_a_database_that_is_not_in_utf8_is_refused() {
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let Some(db) = Database::encoded(encoding, NEW) else { return };

        let refused = db.refused("install.sql", &[]);

        assert!(refused.contains(&format!("must be in UTF8, this is in {encoding}")), "{refused}");
        assert_eq!(db.texts("SELECT to_regnamespace('torale_admin_source')::text").await, ["null"]);
    }
}

/// The source's schema may come there all the same, as with a dump that is restored. In SQL_ASCII its texts may be any
/// bytes: a relay that took such a row would fail at it for ever, and hold up all others.
#[tokio::test(flavor = "multi_thread")]
async fn relay_and_backfill_refuse_a_database_that_is_not_in_utf8_and_name_its_encoding() {
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let Some(db) = Database::encoded(encoding, NEW) else { return };
        db.run(
            r"CREATE SCHEMA torale_admin_source; SET search_path = torale_admin_source;
            CREATE TABLE sources (relation text); CREATE TABLE failures (id bigint);
            CREATE TABLE outbox (id bigint, event text, created_at timestamptz, refused text);
            INSERT INTO outbox VALUES (1, E'{\xe9}', now()), (2, '{}', now())",
        );
        let (sqs, later) = (FakeSqs::default(), Instant::now() + Duration::from_secs(600));

        let relayed = relay::run(&db.source(), &sqs.client(), later, later).await.unwrap_err().to_string();
        let sink = BackfillSink::Queue(sqs.client());
        let mut progress = BackfillProgress::unsaved();
        let meter = BackfillMeter::default();
        let read = backfill::run(&db.source(), &sink, &mut progress, &meter, clock::system).await;

        let why = format!("the database is in {encoding}, and must be in UTF8");
        assert_eq!((relayed, read.unwrap_err().to_string()), (why.clone(), why));
        assert_eq!(sqs.taken(), [""; 0]);
        assert_eq!(db.texts("SELECT id::text FROM torale_admin_source.outbox ORDER BY id").await, ["1", "2"]);
    }
}
