//! cargo replay as an operator runs it, over a served store: what it names, and its exit status.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails by panicking")]

use serde_json::{Value as Json, json};
use std::process::Command;
use std::time::Duration;
use torale_domain::storage::keys::Lanes;
use torale_domain::values::time::DAY;
use torale_platform::clock;
use torale_platform::store::Usage;
use torale_platform::store::log::LogEntry;
use torale_replay::promotion::{Promotion, PromotionStep};
use torale_replay::{Replay, StopSignal};
use torale_testkit::events::{event, task};
use torale_testkit::stack::{NOW, Stack};

const USER: &str = "11111111-0000-4000-8000-0000000000f1";
const TASK: &str = "22222222-0000-4000-8000-0000000000f1";

/// Exit status, the JSON object that was printed, and standard error.
async fn replay(stack: &Stack, arguments: &[&str]) -> (i32, Json, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_torale-replay"));
    let endpoint = format!("http://127.0.0.1:{}", stack.port);
    command.args(["--endpoint", &endpoint, "--settle", "0", "--json"]).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap(), answer, String::from_utf8(output.stderr).unwrap())
}

/// A store whose log holds these messages, each by a writer of its name, and that has projected none of them.
///
/// They were received a moment ago by the clock that cargo replay reads: it looks at each hour of a log.
async fn logged(messages: &[(&str, String)]) -> Stack {
    let stack = Stack::start().await;
    for (writer, body) in messages {
        let entry = LogEntry { lane: 0, body };
        stack.store().append(&[entry], clock::system(), writer, &Usage::default()).await.unwrap();
    }
    stack
}

fn created() -> (&'static str, String) {
    ("first", task(TASK).created(USER, "iphone").message())
}

/// The two poisons of an earlier release: a key whose sort keys were too long to be projected, and a message that can't
/// be read, which was accepted into the log all the same.
fn poisons() -> [(&'static str, String); 2] {
    let key = json!({ "key_id": "🙂".repeat(256), "user_id": USER, "key_hash": "ab".repeat(32), "key_prefix": "sk_" });
    let unread = json!({ "execution_id": TASK, "task_id": TASK, "user_id": USER,
        "started_at": "2026-03-01T08:00:00Z", "condition_met": "x".repeat(220_000) });
    [("second", "api_key.created", key), ("third", "execution.succeeded", unread)]
        .map(|(writer, kind, data)| (writer, event(writer, NOW.plus(-DAY), kind, data)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_with_both_poisons_is_rebuilt_and_repaired_with_exit_status_1_and_named() {
    let [key, unread] = poisons();
    let stack = logged(&[created(), key, unread]).await;

    // The live generation has projected nothing: that differs, so nothing is promoted.
    let (status, rebuilt, _) = replay(&stack, &["rebuild", "--promote"]).await;
    assert_eq!((status, &rebuilt["generation"], &rebuilt["live"]), (1, &json!("g2"), &json!(false)));
    let found = &rebuilt["log"];
    assert_eq!((&found["undecodable"], &found["unwritable"]), (&json!(1), &json!(0)), "{found}");
    assert!(found["undecodable_in"][0].as_str().unwrap().contains("#third#"), "{found}");

    // What can't be read may be of what is missing, so it is repaired only on demand.
    let (status, _, refusal) = replay(&stack, &["repair"]).await;
    assert_eq!(status, 2);
    assert!(refusal.contains("may have lost events of"), "{refusal}");
    // Once it is repaired, only what can't be read is left to be said.
    for command in [&["verify"][..], &["repair", "--delete"], &["verify"]] {
        let (status, answer, stderr) = replay(&stack, command).await;
        assert_eq!(status, 1, "{command:?}: {answer} {stderr}");
    }
    let (status, promoted, stderr) = replay(&stack, &["promote", "g2"]).await;
    assert_eq!(status, 0, "{promoted} {stderr}");
    assert!(stack.generation("g1").await == stack.generation("g2").await);
}

/// Interrupted after the building, and during the promotion.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_was_interrupted_goes_on_with_its_generation() {
    let stack = logged(&[created()]).await;
    let library = Replay { settle: Duration::ZERO, ..Replay::new(stack.store(), clock::system) };
    let second = library.next_generation(Lanes::DEFAULT).await.unwrap();
    library.begin(&second).await.unwrap();
    library.build("g2", 1, &StopSignal::default()).await.unwrap();

    let (_, rebuilt, stderr) = replay(&stack, &["rebuild"]).await;
    assert_eq!(rebuilt["generation"], json!("g2"), "{rebuilt} {stderr}");

    assert!(matches!(Promotion::new(&library, "g2").step().await.unwrap(), PromotionStep::Wait(_)));
    let (status, rebuilt, stderr) = replay(&stack, &["rebuild", "--promote", "--accept-differences"]).await;
    assert_eq!(
        (status, &rebuilt["generation"], &rebuilt["live"]),
        (0, &json!("g2"), &json!(true)),
        "{rebuilt} {stderr}"
    );

    // What is done is not taken up: the next rebuild is another one.
    for generation in ["g3", "g4"] {
        assert_eq!(replay(&stack, &["rebuild"]).await.1["generation"], json!(generation));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_can_be_read_is_rebuilt_with_exit_status_0_and_a_refusal_is_2() {
    let stack = logged(&[created()]).await;

    let (status, rebuilt, stderr) = replay(&stack, &["rebuild", "--promote", "--accept-differences"]).await;
    assert_eq!((status, &rebuilt["live"]), (0, &json!(true)), "{rebuilt} {stderr}");
    assert_eq!(replay(&stack, &["verify"]).await.0, 0);

    let (status, _, refusal) = replay(&stack, &["drop", "g2"]).await;
    assert_eq!(status, 2);
    assert!(refusal.contains("live"), "{refusal}");
}
