//! The replay function, step by step, as its state machine calls it.

use super::{filled, quiet};
use replay::{ReplayRequest, StepError, handle};
use std::time::Duration;
use torale_testkit::stack::LONG;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_steps_of_the_state_machine_lead_to_a_live_generation() {
    let (stack, _) = filled(6000, 80).await;
    let replay = quiet(stack.store_as("Replay"));
    let step = |json: &str| serde_json::from_str::<ReplayRequest>(json).unwrap();
    let begun = handle(&replay, step(r#"{"step":"begin","lanes":null}"#), LONG).await.unwrap();

    assert_eq!((begun.generation.as_str(), begun.done), ("g2", true));

    // Without time nothing is done, and nothing is lost.
    let work = r#"{"step":"build","generation":"g2","built":{"done":false}}"#;
    assert!(!handle(&replay, step(work), Duration::ZERO).await.unwrap().done);

    let (one, two) = futures::join!(handle(&replay, step(work), LONG), handle(&replay, step(work), LONG));
    assert!(one.unwrap().done && two.unwrap().done);
    assert!(handle(&replay, step(r#"{"step":"catch_up","generation":"g2"}"#), LONG).await.unwrap().done);

    let compared = handle(&replay, step(r#"{"step":"compare","generation":"g2"}"#), LONG).await.unwrap();
    assert_eq!(compared.equal, Some(true));

    let promote = || handle(&replay, step(r#"{"step":"promote","generation":"g2"}"#), LONG);
    let first = promote().await.unwrap();

    assert_eq!((first.done, first.wait_seconds), (false, 1));
    assert!(promote().await.unwrap().done);
    assert_eq!(replay.pointer().await.unwrap().live.name, "g2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_steps_that_are_invalid_fail() {
    let (stack, _) = filled(6100, 20).await;
    let replay = quiet(stack.store_as("Replay"));
    let lanes = handle(&replay, ReplayRequest::Begin { lanes: Some(0) }, LONG).await;

    assert!(matches!(lanes, Err(StepError::Lanes)));

    for step in ["build", "catch_up", "compare", "promote"] {
        let request = serde_json::json!({ "step": step, "generation": "g7" });
        let failed = handle(&replay, serde_json::from_value(request).unwrap(), LONG).await;
        assert!(matches!(failed, Err(StepError::Replay(_))), "{step}: {failed:?}");
    }
}
