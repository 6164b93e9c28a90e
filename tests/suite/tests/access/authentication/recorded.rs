//! What logs, tables and records say of a caller, and that no credential is in any of them.

use super::{GOOD, World, claiming, request};
use audit::Audit;
use aws_sdk_dynamodb::types::AttributeValue;
use executions::Executions;
use queries::Queries;
use serde_json::{Value, json};
use std::sync::LazyLock;
use torale_domain::storage::keys;
use torale_platform::store::log;
use torale_testkit::clerk;
use torale_testkit::events::{ADMIN, user};
use torale_testkit::faults::Faults;
use torale_testkit::logs::LogBuffer;
use torale_testkit::request::{get, reading};
use torale_testkit::stack::{ADMIN_KEY, InstanceBuilder};
use users::Users;

/// Everything that the tests of this process have logged.
static LOG: LazyLock<LogBuffer> = LazyLock::new(|| {
    let log = LogBuffer::new();
    tracing::subscriber::set_global_default(log.subscriber()).unwrap();
    log
});

/// To be called before anything is logged.
pub(super) fn listen() {
    LazyLock::force(&LOG);
}

/// The fields of a request's log line that say who the caller is, with which key, and who impersonates them.
async fn logged(world: &World, token: &str) -> [Value; 3] {
    let answer = request(token).send(&world.app).await.with_status(GOOD.0);
    assert!(!LOG.text().contains(token));
    let line = LOG.line("request_id", answer.header("x-request-id").unwrap());
    ["user", "key", "impersonator"].map(|name| line[name].clone())
}

#[tokio::test]
async fn log_line_names_the_caller_the_key_and_the_impersonator() {
    let world = World::start().await;
    let act = json!({ "iss": "https://dashboard.clerk.com", "sid": "sess_2", "sub": "user_support" });

    for (token, key, impersonator) in [
        (clerk::token(clerk::ADMIN), json!(null), json!(null)),
        (claiming("act", act), json!(null), json!("user_support")),
        (ADMIN_KEY.to_owned(), json!("key_admin"), json!(null)),
    ] {
        assert_eq!(logged(&world, &token).await, [json!(ADMIN), key, impersonator]);
    }
}

/// Everything that a table holds, as text; what is packed, unpacked.
async fn contents(world: &World, table: &str) -> String {
    let mut all = String::new();
    for item in world.system.scan(table).await {
        for (name, value) in item {
            match value {
                AttributeValue::B(packed) => all.push_str(&log::unpack(packed.as_ref()).unwrap().join("\n")),
                other => all.push_str(&format!("{name} {other:?}\n")),
            }
        }
    }
    all
}

/// Credentials that callers present, of which neither the whole nor the tail may ever be found.
fn presented() -> Vec<String> {
    let claims = |sub: &str| clerk::claims(sub);
    let expired = super::with(claims(clerk::ADMIN), "exp", json!(1_600_000_000));
    vec![
        ADMIN_KEY.to_owned(),
        "sk_unknown_0123456789abcdefghij".to_owned(),
        "sk_short".to_owned(),
        clerk::token(clerk::ADMIN),
        clerk::token("user_unknown"),
        clerk::TestKey::B.sign(&clerk::header("a").to_string(), &claims(clerk::ADMIN).to_string()),
        clerk::TestKey::A.sign(&clerk::header("a").to_string(), &expired.to_string()),
    ]
}

#[tokio::test]
async fn credentials_are_in_no_log_and_no_table_and_emails_only_in_projections_events_and_quarantine() {
    let world = World::start().await;
    let email = "somebody@scan.example";
    let created = user("00000000-0000-0000-0000-0000000000b0").created().with("email", email);
    let invalid = created.clone().id("invalid").with("email", json!([email]));
    world.system.receives([created, invalid]).await;

    for credential in presented() {
        let query = format!("limit={credential}&status={email}&token={credential}&action={email}");
        for of in [reading::<Users>(), reading::<Executions>(), reading::<Audit>()] {
            for query in [query.as_str(), ""] {
                let agent = format!("client/1 {credential} ({email})");
                let request = of.request(query).by(&credential);
                request
                    .header("user-agent", &agent)
                    .header("x-forwarded-for", &credential)
                    .send(&world.app)
                    .await;
            }
        }
    }

    world.system.seal().await;

    let tables = keys::tables().into_iter().map(|table| table.name);
    let mut places = vec![("the log".to_owned(), LOG.text())];

    for table in tables {
        let text = contents(&world, &table).await;
        places.push((table, text));
    }

    assert!(places.iter().all(|(place, text)| !text.is_empty() || place == keys::QUARANTINE_TABLE));

    for (place, text) in &places {
        for credential in presented() {
            let tail = &credential[credential.len() * 2 / 3..];
            assert!(!text.contains(&credential), "{place} holds a credential");
            assert!(credential.len() < 30 || !text.contains(tail), "{place} holds the end of a credential");
        }
        let may_hold_emails = place.starts_with(keys::PROJECTIONS_TABLE_PREFIX)
            || [keys::EVENTS_TABLE, keys::QUARANTINE_TABLE].contains(&place.as_str());
        assert_eq!(text.contains(email), may_hold_emails, "{place}");
    }
}

/// A session is known by its signature: it is recorded even if the store can't say whose it is.
#[tokio::test]
async fn session_whose_user_cannot_be_looked_up_leaves_a_record() {
    let world = World::start().await;
    let before = world.system.records().await.len();
    // The first call of a cold instance reads the pointer; nothing else fails.
    let store = world.system.faulty_store(&Faults::new(0, false, false));
    let app = InstanceBuilder::over(store).authenticator(&world.clerk.settings()).start();

    let refused = get::<Queries>("").by(&clerk::token(clerk::ADMIN)).send(&app).await;

    assert_eq!(refused.status, 503);

    let records = world.system.records().await;
    assert_eq!(records.len(), before + 1);

    let entry = &records.last().unwrap().record.entry;
    assert_eq!(entry.status, 503);
    assert_eq!(entry.principal.clerk_user_id.as_ref().unwrap().as_str(), clerk::ADMIN);
}

#[tokio::test]
async fn session_of_an_unknown_user_is_limited_and_recorded() {
    let world = World::start().await;

    let refused = get::<Queries>("").by(&clerk::token("user_unknown")).send(&world.app).await;

    assert_eq!(refused.status, 403);
    assert!(refused.header("x-ratelimit-remaining").is_some());

    let records = world.system.records().await;
    let principal = &records.last().unwrap().record.entry.principal;

    assert_eq!(principal.clerk_user_id.as_ref().unwrap().as_str(), "user_unknown");
    assert_eq!(principal.user_id, None);
}
