//! What the log tells of who asked.

use super::{GOOD, USER, World, claiming};
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_http::http::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};
use torale_domain::storage::keys;
use torale_platform::store::log;
use torale_tests::clerk;
use torale_tests::generate::event;
use torale_tests::stack::{self, ADMIN_KEY, NOW};

/// Everything that the tests of this process have logged.
static LOG: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(|| {
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(|| Lines).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    Mutex::default()
});

/// To be called before anything is logged: a log statement that has found nobody listening stays silent.
pub(super) fn listen() {
    LazyLock::force(&LOG);
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The fields of a request's log line that tell who asked, with what, and who acted: user, key, impersonator.
async fn logged(world: &World, token: &str) -> [Value; 3] {
    let authorization = format!("Bearer {token}");
    let request = stack::request(Method::GET, "/admin/temporal/schedules", "", Some(&authorization));
    let response = stack::answer(&world.app, request).await;
    assert_eq!(response.status(), GOOD.0);
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    assert!(!log.contains(token));
    let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let id = response.headers()["x-request-id"].to_str().unwrap();
    let line = lines.find(|line| line["request_id"] == id).unwrap();
    ["user", "key", "impersonator"].map(|name| line[name].clone())
}

#[tokio::test]
async fn it_is_recorded_who_asked_with_what_and_who_acted() {
    let world = World::start().await;
    let act = json!({ "iss": "https://dashboard.clerk.com", "sid": "sess_2", "sub": "user_support" });
    for (token, key, impersonator) in [
        (clerk::token(clerk::ADMIN), json!(null), json!(null)),
        (claiming("act", act), json!(null), json!("user_support")),
        (ADMIN_KEY.to_owned(), json!("key_admin"), json!(null)),
    ] {
        assert_eq!(logged(&world, &token).await, [json!(USER), key, impersonator]);
    }
}

/// Everything that a table holds, as text; what is packed, unpacked.
async fn contents(world: &World, table: &str) -> String {
    let mut all = String::new();
    for item in world.stack.scan(table).await {
        for (name, value) in item {
            match value {
                AttributeValue::B(packed) => all.push_str(&log::unpack(packed.as_ref()).unwrap().join("\n")),
                other => all.push_str(&format!("{name} {other:?}\n")),
            }
        }
    }
    all
}

/// What clients present, and what may never be found of it: whole tokens, whole keys, and their tails.
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
async fn no_log_and_no_table_holds_a_credential_and_emails_stay_in_projections_and_events() {
    let world = World::start().await;
    let email = "somebody@scan.example";
    let data = json!({ "user_id": "00000000-0000-0000-0000-0000000000b0", "clerk_user_id": "user_b", "email": email });
    let created = event("scan-1", NOW, "user.created", data.clone());
    let mut poison = data;
    poison["email"] = json!([email]);
    world.stack.consume(&[created, event("scan-2", NOW, "user.created", poison)]).await;
    for credential in presented() {
        for path in ["/admin/users", "/admin/executions", "/admin/audit"] {
            let query = format!("limit={credential}&status={email}&token={credential}&action={email}");
            for query in [query.as_str(), ""] {
                let authorization = format!("Bearer {credential}");
                let mut request = stack::request(Method::GET, path, query, Some(&authorization));
                let agent = format!("client/1 {credential} ({email})");
                request.headers_mut().insert("user-agent", agent.parse().unwrap());
                request.headers_mut().insert("x-forwarded-for", credential.parse().unwrap());
                stack::answer(&world.app, request).await;
            }
        }
    }
    world.stack.seal().await;
    let tables = keys::tables().into_iter().map(|table| table.name);
    let mut places = vec![("the log".to_owned(), String::from_utf8(LOG.lock().unwrap().clone()).unwrap())];
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
async fn a_session_whose_user_cannot_be_looked_up_leaves_a_record() {
    let world = World::start().await;
    let before = world.stack.records().await.len();
    // The first call of a cold instance asks for the pointer; nothing else fails.
    let store = world.stack.store_with(torale_tests::faults::Faults::new(0, false, false));
    let identity = torale_platform::identity::Identity::new(&world.clerk.settings()).unwrap();
    let app = torale_platform::serve::App::new(store, identity, stack::LIMITS, stack::temporal_ui(), || NOW);
    let authorization = format!("Bearer {}", clerk::token(clerk::ADMIN));
    let request = stack::request(Method::GET, "/admin/queries", "", Some(&authorization));
    assert_eq!(stack::answer(&app, request).await.status(), 503);
    let records = world.stack.records().await;
    assert_eq!(records.len(), before + 1);
    let entry = &records.last().unwrap().record.entry;
    assert_eq!(entry.status, 503);
    assert_eq!(entry.principal.clerk_user_id.as_ref().unwrap().as_str(), clerk::ADMIN);
}

#[tokio::test]
async fn sessions_of_nobody_are_counted_and_recorded() {
    let world = World::start().await;
    let authorization = format!("Bearer {}", clerk::token("user_unknown"));
    let request = stack::request(Method::GET, "/admin/queries", "", Some(&authorization));
    let response = stack::answer(&world.app, request).await;
    assert_eq!(response.status(), 403);
    assert!(response.headers().contains_key("x-ratelimit-remaining"));
    let records = world.stack.records().await;
    let principal = &records.last().unwrap().record.entry.principal;
    assert_eq!(principal.clerk_user_id.as_ref().unwrap().as_str(), "user_unknown");
    assert_eq!(principal.user_id, None);
}
