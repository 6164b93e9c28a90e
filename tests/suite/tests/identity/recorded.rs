//! What the log tells of who asked.

use super::{GOOD, USER, World, claiming};
use lambda_http::http::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};
use torale_tests::clerk;
use torale_tests::stack::{self, ADMIN_KEY};

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
