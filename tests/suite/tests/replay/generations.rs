//! Which generation is live, which is written, and what may happen to them.

use super::{assert_same, consume, filled, quiet, rebuild};
use lambda_http::http::Method;
use serde_json::json;
use std::time::Duration;
use torale_domain::projections::generation::Generation;
use torale_domain::storage::keys::{self, FIRST_GENERATION, Lanes};
use torale_platform::store::Usage;
use torale_replay::compare::Expected;
use torale_replay::promotion::{Promotion, PromotionStep};
use torale_replay::status::GenerationRole;
use torale_replay::tail::Tail;
use torale_replay::{Replay, ReplayError};
use torale_tests::faults::Faults;
use torale_tests::generate::event;
use torale_tests::sqs::Sqs;
use torale_tests::stack::{self, ADMIN_KEY, NOW, Stack};

pub(super) async fn promote(replay: &Replay, name: &str) {
    let mut promotion = Promotion::new(replay, name);
    loop {
        match promotion.step().await.unwrap() {
            PromotionStep::Live(pointer) => return assert_eq!(pointer.live.name, name),
            PromotionStep::Wait(left) => tokio::time::sleep(left).await,
        }
    }
}

async fn roles(replay: &Replay) -> Vec<(String, GenerationRole)> {
    replay.status().await.unwrap().generations.into_iter().map(|one| (one.name, one.role)).collect()
}

fn user(id: &str) -> String {
    let data = json!({ "user_id": id, "clerk_user_id": id, "email": "x@example.com" });
    event(id, NOW, "user.created", data)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_and_back_with_every_event_in_both() {
    let (stack, _) = filled(5000, 80).await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap().name;
    assert_eq!(
        roles(&replay).await,
        [("g1".to_owned(), GenerationRole::Live), (second.clone(), GenerationRole::Built)]
    );

    consume(&stack, &[user("11111111-0000-4000-8000-0000000000a1")]).await;
    let status = replay.status().await.unwrap();
    assert_eq!(status.generations[1].lag_events, Some(1));
    promote(&replay, &second).await;
    assert_eq!(
        roles(&replay).await,
        [("g1".to_owned(), GenerationRole::Shadow), (second.clone(), GenerationRole::Live)]
    );
    consume(&stack, &[user("11111111-0000-4000-8000-0000000000a2")]).await;
    assert_same(&stack, "g1", &second).await;

    let before = replay.usage.write_halves();
    assert_eq!(replay.rollback().await.unwrap().live.name, FIRST_GENERATION);
    assert_eq!(replay.usage.write_halves() - before, 4, "one write of one item, in a transaction: two units");
    consume(&stack, &[user("11111111-0000-4000-8000-0000000000a3")]).await;
    assert_same(&stack, "g1", &second).await;

    promote(&replay, &second).await;
    assert!(replay.drop_generation(FIRST_GENERATION).await.unwrap());
    assert_eq!(roles(&replay).await, [(second.clone(), GenerationRole::Live)]);
    consume(&stack, &[user("11111111-0000-4000-8000-0000000000a4")]).await;
    let (status, body) = stack.get("/admin/users", "limit=100").await;
    assert!(
        status == 200 && (1..=4).all(|n| body.contains(&format!("11111111-0000-4000-8000-0000000000a{n}")))
    );
}

/// As in docs/operations.md, Restore, D: an empty table under the name of the one that is gone, and another beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_generation_whose_table_is_gone_is_rebuilt() {
    let (stack, _) = filled(5050, 60).await;
    let table = keys::projections_table(FIRST_GENERATION);
    stack.client.delete_table().table_name(&table).send().await.unwrap();
    let lost =
        stack::consume(&stack.consumer(), &stack::messages(&[user("11111111-0000-4000-8000-0000000000a2")]))
            .await;
    assert_eq!(lost.failed, ["0"], "what comes meanwhile comes again");
    let spec = keys::tables().into_iter().find(|spec| spec.name == table).unwrap();
    stack.store().create_table(&spec).await.unwrap();
    assert_eq!(stack.get("/admin/users", "").await.0, 401);
    let meanwhile = user("11111111-0000-4000-8000-0000000000a1");
    consume(&stack, &[meanwhile]).await;

    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    promote(&replay, &second.name).await;
    assert!(replay.drop_generation(FIRST_GENERATION).await.unwrap());
    let (status, body) = stack.get("/admin/users", "limit=100").await;
    assert!(status == 200 && body.contains("11111111-0000-4000-8000-0000000000a1"), "{status}: {body}");
    let (pause, nothing) = (Duration::ZERO, || async { Ok(()) });
    let compared = replay.compare(Expected::Log(Lanes::DEFAULT), &second, pause, nothing).await.unwrap();
    assert!(compared.is_equal(), "{compared:?}");
}

/// Where another one is written beside it, one write is enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_table_is_left_for_the_one_beside_it() {
    let (stack, _) = filled(5060, 40).await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap().name;
    promote(&replay, &second).await;
    let table = keys::projections_table(&second);
    stack.client.delete_table().table_name(&table).send().await.unwrap();
    assert_eq!(stack.get("/admin/users", "").await.0, 500);
    assert_eq!(replay.rollback().await.unwrap().live.name, FIRST_GENERATION);
    let coming = stack::messages(&[user("11111111-0000-4000-8000-0000000000a3")]);
    let lost = stack::consume(&stack.consumer(), &coming).await;
    assert_eq!(lost.failed, ["0"], "it is written beside the live one still");
    assert!(replay.drop_generation(&second).await.unwrap());
    assert_eq!(roles(&replay).await, [(FIRST_GENERATION.to_owned(), GenerationRole::Live)]);
    assert!(!replay.drop_generation("g9").await.unwrap(), "there never was one");
    let taken = stack::consume(&stack.consumer(), &coming).await;
    assert_eq!(taken.failed, Vec::<String>::new());
    let (status, body) = stack.get("/admin/users", "limit=100").await;
    assert!(status == 200 && body.contains("11111111-0000-4000-8000-0000000000a3"), "{status}: {body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_harm_is_refused() {
    let (stack, _) = filled(5100, 30).await;
    let replay = quiet(stack.store_as("Operator"));
    let refused =
        |done: Result<(), ReplayError>| assert!(matches!(done, Err(ReplayError::Refused(_))), "{done:?}");
    refused(replay.rollback().await.map(drop));
    refused(replay.drop_generation(FIRST_GENERATION).await.map(drop));
    refused(Promotion::new(&replay, "g9").step().await.map(drop));
    let first = replay.pointer().await.unwrap().live;
    refused(replay.begin(&first).await.map(drop));
    // Begun, but not built.
    let second = replay.next_generation(Lanes::DEFAULT).await.unwrap();
    replay.begin(&second).await.unwrap();
    refused(Promotion::new(&replay, &second.name).step().await.map(drop));
    rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    promote(&replay, &second.name).await;
    refused(replay.begin(&first).await.map(drop));
    refused(replay.drop_generation(&second.name).await.map(drop));
    assert!(!replay.drop_generation("g9").await.unwrap());
}

/// A generation that was replaced beside the live one by a third is behind, and catches up before it is live again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_that_was_left_behind_catches_up() {
    let (stack, _) = filled(5200, 40).await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap().name;
    promote(&replay, &second).await;
    let third = rebuild(&replay, Lanes::new(5).unwrap()).await.unwrap().name;
    promote(&replay, &third).await;
    assert_eq!(replay.generation(FIRST_GENERATION).await.unwrap().lanes, Lanes::DEFAULT);
    consume(&stack, &[user("11111111-0000-4000-8000-0000000000b1")]).await;
    assert!(stack.projections().await != stack.generation(&second).await);
    promote(&replay, FIRST_GENERATION).await;
    assert_same(&stack, "g1", &second).await;
}

/// P8: what a deactivation did is true in whichever generation is asked next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deactivation_is_in_both_generations_when_it_answers() {
    let stack = Stack::start().await;
    let id = "11111111-0000-4000-8000-0000000000c1";
    stack.consume(&[torale_tests::generate::admin(), vec![user(id)]].concat()).await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::new(3).unwrap()).await.unwrap().name;
    promote(&replay, &second).await;
    let path = format!("/admin/users/{id}/deactivate");
    let request = stack::request(Method::PATCH, &path, "", Some(&format!("Bearer {ADMIN_KEY}")));
    let queue = Sqs::default().queue(Some(torale_tests::sqs::URL));
    let answer = stack::answer_with(&stack.app(), &queue, request).await;
    assert_eq!(answer.status().as_u16(), 200);
    for _ in 0..2 {
        let (_, body) = stack.get("/admin/users", "active_only=true&limit=100").await;
        assert!(!body.contains(id) && body.contains("\"total\":1"), "{body}");
        replay.rollback().await.unwrap();
    }
}

/// Whoever has seen the former generation last is not disturbed by its going.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_was_idle_through_a_flip_and_a_drop_is_answered() {
    let (stack, _) = filled(5300, 30).await;
    let (app, replay) = (stack.app(), quiet(stack.store_as("Operator")));
    let ask = || stack::request(Method::GET, "/admin/stats", "", Some("Bearer sk_test_0123456789abcdefghij"));
    assert_eq!(stack::answer(&app, ask()).await.status().as_u16(), 200);
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap().name;
    promote(&replay, &second).await;
    replay.drop_generation(FIRST_GENERATION).await.unwrap();
    assert_eq!(stack::answer(&app, ask()).await.status().as_u16(), 200);
}

/// A generation that is dropped while someone makes it live is gone, and does not come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dropped_is_not_promoted_any_more() {
    let (stack, _) = filled(5400, 30).await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let mut promotion = Promotion::new(&replay, &second.name);
    assert!(matches!(promotion.step().await.unwrap(), PromotionStep::Wait(_)), "joined");
    let mut tail = Tail::resume(&replay, &second).await.unwrap();
    assert!(replay.drop_generation(&second.name).await.unwrap());
    assert!(promotion.step().await.is_err());
    assert!(tail.pass().await.is_err(), "nobody notes a position of what is gone");
    assert_eq!(replay.position(&second.name).await.unwrap(), None);
    let pointer = replay.pointer().await.unwrap();
    assert!(pointer.live == Generation::first() && pointer.shadow.is_none());
    consume(&stack, &[user("11111111-0000-4000-8000-0000000000d1")]).await;
    assert_eq!(replay.next_generation(Lanes::DEFAULT).await.unwrap().name, "g3", "a name is used once");
}

/// Interrupted after it began, a drop goes on where it was; until then nothing is built under the name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drop_that_was_interrupted_goes_on() {
    let (stack, _) = filled(5500, 20).await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let calls = Faults::new(usize::MAX, false, true);
    assert!(quiet(stack.faulty_store(calls.clone())).drop_generation("g7").await.is_ok());
    for at in 0..calls.calls() {
        quiet(stack.faulty_store(Faults::new(at, at % 2 == 0, true)))
            .drop_generation(&second.name)
            .await
            .ok();
        if replay.store.control(&keys::dropping(&second.name), &Usage::default()).await.unwrap().is_some() {
            assert!(matches!(replay.begin(&second).await, Err(ReplayError::Refused(_))));
        }
    }
    replay.drop_generation(&second.name).await.unwrap();
    assert_eq!(roles(&replay).await, [("g1".to_owned(), GenerationRole::Live)]);
    assert_eq!(replay.board(&second.name).await.unwrap(), None);
}
