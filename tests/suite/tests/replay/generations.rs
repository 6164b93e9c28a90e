//! Which generation is live, which are written, and what may be done with them.

use super::{assert_same, consume, filled, quiet, rebuild};
use deactivate_user::DeactivateUser;
use queries::Queries;
use stats::Stats;
use std::time::Duration;
use torale_domain::projections::generation::Generation;
use torale_domain::storage::keys::{self, FIRST_GENERATION, Lanes};
use torale_platform::store::Usage;
use torale_replay::compare::Expected;
use torale_replay::promotion::{Promotion, PromotionStep};
use torale_replay::status::GenerationRole;
use torale_replay::tail::Tail;
use torale_replay::{Replay, ReplayError};
use torale_testkit::events;
use torale_testkit::faults::Faults;
use torale_testkit::interceptor::Interceptor;
use torale_testkit::request::{get, patch};
use torale_testkit::scenario::given;
use torale_testkit::stack::{self, Stack};
use users::Users;

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

/// The body of the list of users.
async fn listed_users(stack: &Stack) -> String {
    stack.read(&get::<Users>("limit=100")).await.to_string()
}

/// The status of a request for the list of users.
async fn status(stack: &Stack) -> u16 {
    get::<Users>("").send(&stack.app()).await.status
}

fn user(id: &str) -> String {
    events::user(id).created().message()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promotion_and_rollback_keep_every_event_in_both_generations() {
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
    let listed = listed_users(&stack).await;

    assert!((1..=4).all(|n| listed.contains(&format!("11111111-0000-4000-8000-0000000000a{n}"))));
}

/// As in docs/operations/restore.md, D: an empty table takes the name of the lost one, and another generation is built.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_generation_whose_table_is_lost_is_rebuilt_from_the_log() {
    let (stack, _) = filled(5050, 60).await;
    let table = keys::projections_table(FIRST_GENERATION);
    stack.client.delete_table().table_name(&table).send().await.unwrap();
    let lost =
        stack::consume(&stack.consumer(), &stack::messages(&[user("11111111-0000-4000-8000-0000000000a2")]))
            .await;

    assert_eq!(lost.failed, ["0"], "messages that come meanwhile are delivered again");

    let spec = keys::tables().into_iter().find(|spec| spec.name == table).unwrap();
    stack.store().create_table(&spec).await.unwrap();

    assert_eq!(status(&stack).await, 401);

    let meanwhile = user("11111111-0000-4000-8000-0000000000a1");
    consume(&stack, &[meanwhile]).await;

    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    promote(&replay, &second.name).await;

    assert!(replay.drop_generation(FIRST_GENERATION).await.unwrap());

    let listed = listed_users(&stack).await;
    assert!(listed.contains("11111111-0000-4000-8000-0000000000a1"), "{listed}");

    let (pause, nothing) = (Duration::ZERO, || async { Ok(()) });
    let compared = replay.compare(Expected::Log(Lanes::DEFAULT), &second, pause, nothing).await.unwrap();

    assert!(compared.is_equal(), "{compared:?}");
}

/// Where a shadow generation is written as well, one write is enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_generation_whose_table_is_lost_is_replaced_by_the_shadow_generation() {
    let (stack, _) = filled(5060, 40).await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap().name;
    promote(&replay, &second).await;
    let table = keys::projections_table(&second);
    stack.client.delete_table().table_name(&table).send().await.unwrap();

    assert_eq!(status(&stack).await, 500);
    assert_eq!(replay.rollback().await.unwrap().live.name, FIRST_GENERATION);

    let coming = stack::messages(&[user("11111111-0000-4000-8000-0000000000a3")]);
    let lost = stack::consume(&stack.consumer(), &coming).await;

    assert_eq!(lost.failed, ["0"], "the lost generation is written as a shadow still");
    assert!(replay.drop_generation(&second).await.unwrap());
    assert_eq!(roles(&replay).await, [(FIRST_GENERATION.to_owned(), GenerationRole::Live)]);
    assert!(!replay.drop_generation("g9").await.unwrap(), "there never was one");

    let taken = stack::consume(&stack.consumer(), &coming).await;
    assert_eq!(taken.failed, Vec::<String>::new());

    let listed = listed_users(&stack).await;
    assert!(listed.contains("11111111-0000-4000-8000-0000000000a3"), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_refuse_operations_that_would_lose_the_live_one_or_promote_an_unfinished_one() {
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

/// A generation that a third one has replaced as the shadow falls behind, and catches up before it is live again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promotion_of_a_generation_that_fell_behind_catches_up_first() {
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

/// A transaction may be cancelled as another one checks the pointer at the same moment, and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promotion_and_rollback_try_again_after_conflicts_that_change_nothing() {
    let (stack, _) = filled(5210, 20).await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap().name;
    promote(&replay, &second).await;
    let conflicts = || quiet(stack.store_with(Interceptor::losing_transactions(3, "\"beside\"")));

    assert_eq!(conflicts().rollback().await.unwrap().live.name, FIRST_GENERATION);
    promote(&conflicts(), &second).await;
    let for_ever = quiet(stack.store_with(Interceptor::losing_transactions(usize::MAX, "\"beside\"")));
    assert!(matches!(for_ever.rollback().await, Err(ReplayError::TakenOver)));
}

/// P8: what a deactivation did is true in whichever generation is read next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deactivate_user_is_in_both_generations_when_it_answers() {
    let id = "11111111-0000-4000-8000-0000000000c1";
    let stack = given(user(id)).start().await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::new(3).unwrap()).await.unwrap().name;
    promote(&replay, &second).await;

    assert_eq!(patch::<DeactivateUser>(id).send(&stack.app()).await.status, 200);

    for _ in 0..2 {
        let active = stack.read(&get::<Users>("active_only=true&limit=100")).await;
        assert!(!active.to_string().contains(id) && active["total"] == 1, "{active}");
        replay.rollback().await.unwrap();
    }
}

/// The executions of a query are summed up by lane. Few lanes are read by their keys, many as a range.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_add_up_the_same_in_generations_of_few_and_of_many_lanes() {
    let (stack, _) = filled(5400, 150).await;
    let replay = quiet(stack.store_as("Operator"));
    let page = get::<Queries>("limit=100");
    let of_two = stack.read(&page).await;
    assert!(of_two["queries"].as_array().unwrap().iter().any(|query| query["total_executions"] != 0));

    for lanes in [1, 3, 16] {
        let name = rebuild(&replay, Lanes::new(lanes).unwrap()).await.unwrap().name;
        promote(&replay, &name).await;
        assert_eq!(stack.read(&page).await, of_two, "{lanes} lanes");
    }
}

/// An instance that has last read the former generation does not notice that it is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reader_that_was_idle_through_a_promotion_and_a_drop_is_answered() {
    let (stack, _) = filled(5300, 30).await;
    let (app, replay) = (stack.app(), quiet(stack.store_as("Operator")));

    assert_eq!(get::<Stats>("").send(&app).await.status, 200);

    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap().name;
    promote(&replay, &second).await;
    replay.drop_generation(FIRST_GENERATION).await.unwrap();

    assert_eq!(get::<Stats>("").send(&app).await.status, 200);
}

/// A generation that is dropped while it is being promoted is gone, and does not come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promotion_of_a_generation_that_is_dropped_meanwhile_fails() {
    let (stack, _) = filled(5400, 30).await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let mut promotion = Promotion::new(&replay, &second.name);

    assert!(matches!(promotion.step().await.unwrap(), PromotionStep::Wait(_)), "joined");

    let mut tail = Tail::resume(&replay, &second).await.unwrap();
    assert!(replay.drop_generation(&second.name).await.unwrap());
    assert!(promotion.step().await.is_err());
    assert!(tail.pass().await.is_err(), "no position is noted of what is gone");
    assert_eq!(replay.position(&second.name).await.unwrap(), None);

    let pointer = replay.pointer().await.unwrap();
    assert!(pointer.live == Generation::first() && pointer.shadow.is_none());

    consume(&stack, &[user("11111111-0000-4000-8000-0000000000d1")]).await;
    assert_eq!(replay.next_generation(Lanes::DEFAULT).await.unwrap().name, "g3", "a name is used once");
}

/// Of two promotions at once each took the other's place at every step, and none ever ended (`cargo simulate`, seed 226
/// of 2026-11-29).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promotion_is_refused_while_another_generation_is_being_promoted() {
    let (stack, _) = filled(5450, 20).await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let third = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    for built in [&second, &third] {
        Tail::resume(&replay, built).await.unwrap().catch_up().await.unwrap();
    }
    let patient = Replay { settle: Duration::from_secs(1), ..replay.clone() };
    let (mut first, mut other) =
        (Promotion::new(&patient, &second.name), Promotion::new(&patient, &third.name));

    assert!(matches!(first.step().await.unwrap(), PromotionStep::Wait(_)));
    assert!(matches!(other.step().await, Err(ReplayError::Refused(_))));

    promote(&replay, &second.name).await;
    promote(&replay, &third.name).await;
}

/// A promotion that has ended amid its steps keeps no other from beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promotion_goes_on_where_another_was_given_up() {
    let (stack, _) = filled(5460, 20).await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let third = rebuild(&replay, Lanes::DEFAULT).await.unwrap();

    assert!(matches!(Promotion::new(&replay, &second.name).step().await.unwrap(), PromotionStep::Wait(_)));

    promote(&replay, &third.name).await;
}

/// A drop that is interrupted continues where it was; until then nothing is built under the name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drop_that_is_interrupted_at_any_call_is_completed_by_the_next() {
    let (stack, _) = filled(5500, 20).await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let third = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let (calls, mut interrupted) = (Faults::none(), 0);

    assert!(quiet(stack.faulty_store(&calls)).drop_generation(&third.name).await.unwrap());

    for at in 0..calls.calls() {
        quiet(stack.faulty_store(&Faults::new(at, at % 2 == 0, true)))
            .drop_generation(&second.name)
            .await
            .ok();
        if replay.store.control(&keys::dropping(&second.name), &Usage::default()).await.unwrap().is_some() {
            assert!(matches!(replay.begin(&second).await, Err(ReplayError::Refused(_))));
            interrupted += 1;
        }
    }

    assert!(interrupted > 3, "{interrupted}");
    replay.drop_generation(&second.name).await.unwrap();
    assert_eq!(roles(&replay).await, [("g1".to_owned(), GenerationRole::Live)]);
    assert_eq!(replay.board(&second.name).await.unwrap(), None);
}
