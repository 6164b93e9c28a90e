//! How many connections there are: one for as long as Temporal answers over it.

use crate::api_key::{Calls, FIRST, settings, start};
use command_executor::pause::PauseSchedules;
use command_executor::temporal::TemporalPauses;
use futures::future::join_all;

/// A server on loopback without TLS, and the executor's client, which has paused a schedule there.
async fn connected() -> (Calls, TemporalPauses) {
    let (port, calls, _) = start("127.0.0.1", false).await;
    let pauses = TemporalPauses::new(settings(&format!("http://127.0.0.1:{port}"), None));
    pauses.pause("sound", "a note").await.unwrap();
    (calls, pauses)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_one_schedule_keeps_the_connection() {
    for invalid_argument_or_others in ["3", "7", "8"] {
        let (calls, pauses) = connected().await;
        calls.refuse(invalid_argument_or_others, usize::MAX);

        for _ in 0..20 {
            pauses.pause("schedule-1", "a note").await.unwrap_err();
        }

        assert_eq!(calls.of(FIRST), 1, "{invalid_argument_or_others}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_connects_again_while_temporal_is_unavailable() {
    let (calls, pauses) = connected().await;
    calls.refuse("14", usize::MAX);

    for _ in 0..20 {
        pauses.pause("schedule-1", "a note").await.unwrap_err();
    }

    assert_eq!(calls.of(FIRST), 21);
}

/// The first call to find the connection dead drops it, and the others find the next one.
#[tokio::test]
async fn calls_over_one_dead_connection_do_not_drop_the_one_that_takes_its_place() {
    let (calls, pauses) = connected().await;
    calls.refuse("14", 1);

    let paused = join_all((0..20).map(|_| pauses.pause("schedule-1", "a note"))).await;

    assert!(paused.iter().all(Result::is_ok), "{paused:?}");
    assert_eq!(calls.of(FIRST), 2);
}
