//! What the log tells of who asked.

use super::{GOOD, USER, World, claiming, is};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex};
use torale_tests::clerk;
use torale_tests::stack::ADMIN_KEY;
use tracing_subscriber::fmt::MakeWriter;

/// The fields of a request's log line that tell who asked, with what, and who acted: user, key, impersonator.
async fn logged(world: &World, token: &str) -> [Value; 3] {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(log.clone()).finish();
    let logging = tracing::subscriber::set_default(subscriber);
    assert_eq!(world.ask(token).await, is(GOOD));
    drop(logging);
    let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!lines.contains(token));
    let mut lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.find(|line| line["status"] == 200).unwrap();
    ["user", "key", "impersonator"].map(|name| line[name].clone())
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
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
