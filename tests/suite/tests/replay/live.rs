//! Rebuild, promote, roll back and promote again under load, by operators that die at random: no request fails, no
//! answer mixes generations, and in the end every item is right.

use super::rebuild;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use torale_domain::storage::keys::{Lanes, PROJECTIONS_TABLE_PREFIX};
use torale_platform::clock;
use torale_platform::consume::Consumer;
use torale_platform::store::Store;
use torale_replay::compare::Expected;
use torale_replay::promotion::{Promotion, PromotionStep};
use torale_replay::{Replay, ReplayError};
use torale_testkit::events;
use torale_testkit::faults::Faults;
use torale_testkit::generator::Generator;
use torale_testkit::interceptor::{Interceptor, StoreCall};
use torale_testkit::stack::{self, Stack};
use torale_tests::{endpoints, model};

/// No consumer of this test works longer on a batch.
const BATCH: Duration = Duration::from_secs(2);
/// After this time nothing is being written any more.
const SETTLE: Duration = Duration::from_millis(2_500);

fn replay(store: Store) -> Replay {
    let (claim, checkpoint) = (Duration::from_secs(2), Duration::from_millis(100));
    Replay { settle: SETTLE, claim, checkpoint, batch: 100, ..Replay::new(store, clock::system) }
}

/// Who sends events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Senders {
    /// The platform and the identity provider.
    All,
    /// The platform alone, whose users are never removed.
    Platform,
}

/// Sends batch after batch until it is stopped; messages that fail are delivered again. Returns all that was sent.
async fn send(stack: &Stack, stop: &AtomicBool, (senders, seed): (Senders, u64)) -> Vec<String> {
    let mut generator = Generator::new(seed);
    let consumer = Consumer::new(stack.store(), clock::system);
    let mut sent = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut messages = generator.messages(25);
        messages.retain(|message| senders == Senders::All || !message.contains("ai.torale.identity."));
        let mut waiting = stack::messages(&messages);
        while !waiting.is_empty() {
            let failed = stack::consume_within(&consumer, &waiting, BATCH).await.failed;
            waiting.retain(|message| failed.contains(&message.id));
        }
        sent.extend(messages);
        // At full speed nobody else would get their turn at the store that all of this test share.
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
    sent
}

/// The generation that a store call reads or writes.
fn generation(call: &StoreCall<'_>) -> Option<String> {
    let body = String::from_utf8_lossy(call.body).into_owned();
    let rest = body.split(PROJECTIONS_TABLE_PREFIX).nth(1)?;
    rest.split('"').next().map(str::to_owned)
}

/// Makes requests until it is stopped.
async fn request(stack: &Stack, stop: &AtomicBool, answers: &AtomicU64, senders: Senders) {
    let (interceptor, generations) = Interceptor::noting(generation);
    let app = stack.app_over(stack.store_with(interceptor));
    let mut users = 0;
    for (path, query) in model::PLAIN.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        generations.take();
        let body: Value = endpoints::get(path, query).send(&app).await.with_status(200).json();
        // Authentication may begin with the generation that was live before; all the rest is of the one that is.
        let read = generations.take();
        let answered = read.last().unwrap();
        let before = read.iter().take_while(|generation| *generation != answered).count();
        assert!(before <= 1 && read.iter().skip(before).all(|one| one == answered), "{path}: {read:?}");
        assert!(read.len() > before + 1, "{path}: {read:?}");
        // The total only grows, unless an identity that stood in for a user turns out to be another's.
        if *path == "/admin/users" && query.is_empty() && senders == Senders::Platform {
            let total = body["total"].as_u64().unwrap();
            assert!(total >= users, "{users} users, then {total}");
            users = total;
        }
        answers.fetch_add(1, Ordering::Relaxed);
    }
}

/// Does something with a store that fails for good at some call, and again with another one, until one lasts.
async fn dying<T, F: Future<Output = Result<T, ReplayError>>>(
    stack: &Stack,
    generator: &mut Generator,
    mut what: impl FnMut(Replay) -> F,
) -> T {
    for attempt in 1_u64.. {
        let at = usize::try_from(generator.below(60 * attempt * attempt * attempt)).unwrap();
        let faults = Faults::new(at, generator.chance(50), true);
        match what(replay(stack.faulty_store(&faults))).await {
            Ok(done) => return done,
            Err(_) => println!("died at call {at}"),
        }
    }
    unreachable!("it never gives up")
}

async fn promote(replay: Replay, name: String) -> Result<(), ReplayError> {
    let mut promotion = Promotion::new(&replay, &name);
    loop {
        match promotion.step().await? {
            PromotionStep::Live(_) => return Ok(()),
            PromotionStep::Wait(left) => tokio::time::sleep(left.min(Duration::from_millis(300))).await,
        }
    }
}

/// Builds, promotes, rolls back and forth, and promotes again, whatever dies.
async fn operate(stack: &Stack, answers: &AtomicU64) -> String {
    let mut generator = Generator::new(8100);
    // Other lanes, so that nothing can be read from one generation as if it were the other.
    let lanes = Lanes::new(3).unwrap();
    let second =
        dying(stack, &mut generator, |replay| async move { rebuild(&replay, lanes).await }).await.name;
    dying(stack, &mut generator, |replay| promote(replay, second.clone())).await;
    let at_first_promotion = answers.load(Ordering::Relaxed);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        replay(stack.store_as("Operator")).rollback().await.unwrap();
    }
    dying(stack, &mut generator, |replay| promote(replay, second.clone())).await;
    while answers.load(Ordering::Relaxed) < at_first_promotion + 24 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    second
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_and_promotion_under_load_fail_no_request_and_lose_no_event() {
    operate_under_load(Senders::All).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_and_promotion_under_load_never_lack_a_user_who_was_there_before() {
    operate_under_load(Senders::Platform).await;
}

async fn operate_under_load(senders: Senders) {
    let stack = Stack::start().await;
    let admin = events::admin();
    stack::consume(&Consumer::new(stack.store(), clock::system), &stack::messages(&admin)).await;
    let (stop, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let operating = async {
        let second = operate(&stack, &answers).await;
        stop.store(true, Ordering::Relaxed);
        second
    };
    let sending =
        futures::future::join(send(&stack, &stop, (senders, 8000)), send(&stack, &stop, (senders, 8001)));
    let requesting = request(&stack, &stop, &answers, senders);
    let ((one, two), (), second) = futures::join!(sending, requesting, operating);
    let messages = [admin, one, two].concat();
    println!("{} messages, {} answers", messages.len(), answers.load(Ordering::Relaxed));

    let replay = replay(stack.store_as("Operator"));
    let pointer = replay.pointer().await.unwrap();

    assert_eq!((pointer.live.name.as_str(), pointer.written_generations().count()), (second.as_str(), 2));

    for generation in pointer.written_generations() {
        let nothing = || async { Ok(()) };
        let expected = Expected::Log(generation.lanes);
        let compared = replay.compare(expected, generation, Duration::ZERO, nothing).await.unwrap();
        assert!(
            compared.is_equal() && compared.in_motion == 0,
            "{}: {:?}",
            generation.name,
            compared.differences
        );
    }

    let expected = model::model_at(&messages, clock::system());

    for (path, query) in model::PLAIN {
        model::check(&stack, &expected, path, query).await;
    }
}
