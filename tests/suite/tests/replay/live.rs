//! While events arrive and readers ask without pause: rebuild, promote, back and there again, with whoever does it dying
//! at random; no request fails, no answer mixes generations, and in the end everything is right.

use super::rebuild;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use lambda_http::http::Method;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use torale_domain::storage::keys::{Lanes, PROJECTIONS_TABLE_PREFIX};
use torale_platform::clock;
use torale_platform::consume::Consumer;
use torale_platform::serve::App;
use torale_platform::store::Store;
use torale_replay::compare::Expected;
use torale_replay::promotion::{Promotion, PromotionStep};
use torale_replay::{Replay, ReplayError};
use torale_tests::faults::Faults;
use torale_tests::generate::{self, Generator};
use torale_tests::stack::{self, ADMIN_KEY, LIMITS, NOW, Stack};
use torale_tests::world;

/// No consumer of this test works longer on a batch.
const BATCH: Duration = Duration::from_secs(2);
/// So nothing is being written after this time.
const SETTLE: Duration = Duration::from_millis(2_500);

fn replay(store: Store) -> Replay {
    let (claim, checkpoint) = (Duration::from_secs(2), Duration::from_millis(100));
    Replay { settle: SETTLE, claim, checkpoint, batch: 100, ..Replay::new(store, clock::system) }
}

/// Sends batch after batch until told to stop; what is handed back comes again. Returns everything that was sent.
async fn send(stack: &Stack, stop: &AtomicBool, seed: u64) -> Vec<String> {
    let mut generator = Generator::new(seed);
    let consumer = Consumer::new(stack.store(), clock::system);
    let mut sent = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let messages = generator.messages(25);
        let mut waiting = stack::messages(&messages);
        while !waiting.is_empty() {
            let failed = stack::consume_within(&consumer, &waiting, BATCH).await.failed;
            waiting.retain(|message| failed.contains(&message.id));
        }
        sent.extend(messages);
        // Full speed would keep everyone else from the store that all of this test share.
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
    sent
}

/// The generations that a store client has read from, in order.
#[derive(Debug, Clone, Default)]
struct Read(Arc<Mutex<Vec<String>>>);

impl Intercept for Read {
    fn name(&self) -> &'static str {
        "read"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = String::from_utf8_lossy(context.request().body().bytes().unwrap_or_default()).into_owned();
        let generation = body.split(PROJECTIONS_TABLE_PREFIX).nth(1).and_then(|rest| rest.split('"').next());
        self.0.lock().unwrap().extend(generation.map(str::to_owned));
        Ok(())
    }
}

/// Asks until told to stop.
async fn ask(stack: &Stack, stop: &AtomicBool, answers: &AtomicU64) {
    let read = Read::default();
    let app =
        App::new(stack.store_with(read.clone()), stack::keys_only(), LIMITS, stack::temporal_ui(), || NOW);
    let mut users = 0;
    for (path, query) in world::PLAIN.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        read.0.lock().unwrap().clear();
        let request = stack::request(Method::GET, path, query, Some(&format!("Bearer {ADMIN_KEY}")));
        let answer = stack::answer(&app, request).await;
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        let body: Value = serde_json::from_str(&stack::text(answer)).unwrap();
        // Authentication may begin with the generation that was live before; all the rest is of the one that is.
        let read = read.0.lock().unwrap().clone();
        let answered = read.last().unwrap();
        let guesses = read.iter().take_while(|generation| *generation != answered).count();
        assert!(guesses <= 1 && read.iter().skip(guesses).all(|one| one == answered), "{path}: {read:?}");
        assert!(read.len() > guesses + 1, "{path}: {read:?}");
        // Users only ever become more: what was seen once stays.
        if *path == "/admin/users" && query.is_empty() {
            let total = body["total"].as_u64().unwrap();
            assert!(total >= users, "{users} users, then {total}");
            users = total;
        }
        answers.fetch_add(1, Ordering::Relaxed);
    }
}

/// Does something with a store that dies at some call, and again with another one, until one lives long enough.
async fn dying<T, F: Future<Output = Result<T, ReplayError>>>(
    stack: &Stack,
    generator: &mut Generator,
    mut what: impl FnMut(Replay) -> F,
) -> T {
    for attempt in 1_u64.. {
        let at = usize::try_from(generator.below(60 * attempt * attempt * attempt)).unwrap();
        let faults = Faults::new(at, generator.chance(50), true);
        match what(replay(stack.faulty_store(faults))).await {
            Ok(done) => return done,
            Err(_) => println!("died at call {at}"),
        }
    }
    unreachable!("it tries for ever")
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

/// Builds, promotes, goes back and forth, and promotes again, whatever dies.
async fn operate(stack: &Stack, answers: &AtomicU64) -> String {
    let mut generator = Generator::new(8100);
    // Other lanes, so that nothing can be read from one generation as if it were the other.
    let lanes = Lanes::new(3).unwrap();
    let second =
        dying(stack, &mut generator, |replay| async move { rebuild(&replay, lanes).await }).await.name;
    dying(stack, &mut generator, |replay| promote(replay, second.clone())).await;
    let at_first_flip = answers.load(Ordering::Relaxed);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        replay(stack.store_as("Operator")).rollback().await.unwrap();
    }
    dying(stack, &mut generator, |replay| promote(replay, second.clone())).await;
    while answers.load(Ordering::Relaxed) < at_first_flip + 24 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    second
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuilt_and_flipped_under_load_nothing_fails_and_nothing_is_missing() {
    let stack = Stack::start().await;
    let admin = generate::admin();
    stack::consume(&Consumer::new(stack.store(), clock::system), &stack::messages(&admin)).await;
    let (stop, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let operating = async {
        let second = operate(&stack, &answers).await;
        stop.store(true, Ordering::Relaxed);
        second
    };
    let senders = futures::future::join(send(&stack, &stop, 8000), send(&stack, &stop, 8001));
    let ((one, two), (), second) = futures::join!(senders, ask(&stack, &stop, &answers), operating);
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
    let model = world::model_at(&messages, clock::system());
    for (path, query) in world::PLAIN {
        world::check(&stack, &model, path, query).await;
    }
}
