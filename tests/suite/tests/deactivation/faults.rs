//! The whole chain of a deactivation under faults: the request, the relay, the executor and the consumer, each of which
//! may die or fail before or after any of its calls, from a seed. `CHAIN_SEEDS` sets how many scenarios are run,
//! `CHAIN_FIRST` the first of them: one seed is one scenario, the same each time.

use command_executor::Executor;
use command_executor::clerk::{BanUsers, ClerkError};
use command_executor::confirm::ConfirmationSink;
use command_executor::pause::PauseSchedules;
use command_executor::rest::TemporalRest;
use command_executor::temporal::TemporalError;
use deactivate_user::DeactivateUser;
use fastrand::Rng;
use serde_json::Value;
use stats::Stats;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::deactivation::commands::{Command, SchedulePattern};
use torale_domain::storage::keys;
use torale_domain::values::ids::{ClerkUserId, UserId};
use torale_domain::values::time::{DAY, MINUTE};
use torale_platform::authentication::IdentityProviderError;
use torale_platform::consume::Consumer;
use torale_platform::outbox::Relay;
use torale_platform::queue::QueueError;
use torale_platform::sqs::QueueMessage;
use torale_platform::store::{Generations, Usage};
use torale_testkit::events::{IntoMessages, api_key, task, user};
use torale_testkit::fake_aws::CallFate;
use torale_testkit::faults::Faults;
use torale_testkit::request::{get, patch};
use torale_testkit::scenario::given_an_admin;
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{self, NOW, Stack};
use torale_testkit::{rebuild, switches};
use uuid::Uuid;

/// Clerk, Temporal and the queue of events, as unreliable as the seed says, and the requests that took effect there.
struct Outside {
    rng: Mutex<Rng>,
    failing_percent: u8,
    banned: Mutex<BTreeSet<String>>,
    paused: Mutex<BTreeSet<String>>,
    events: Mutex<Vec<String>>,
}

impl Outside {
    fn fails(&self) -> bool {
        self.rng.lock().unwrap().u8(0..100) < self.failing_percent
    }
}

impl BanUsers for &Outside {
    async fn ban(&self, user: &ClerkUserId) -> Result<bool, ClerkError> {
        let before = self.fails();
        if !before {
            self.banned.lock().unwrap().insert(user.as_str().to_owned());
        }
        // After it took effect as well as before.
        if before || self.fails() {
            Err(ClerkError::IdentityProviderError(IdentityProviderError::TimedOut))
        } else {
            Ok(true)
        }
    }
}

impl PauseSchedules for &Outside {
    type Error = TemporalError;

    async fn pause(&self, schedule: &str, _note: &str) -> Result<bool, TemporalError> {
        let before = self.fails();
        if !before {
            self.paused.lock().unwrap().insert(schedule.to_owned());
        }
        if before || self.fails() { Err(TemporalError::TimedOut) } else { Ok(true) }
    }
}

impl ConfirmationSink for &Outside {
    async fn send(&self, messages: &[String]) -> Result<(), QueueError> {
        let before = self.fails();
        if !before {
            self.events.lock().unwrap().extend_from_slice(messages);
        }
        if before || self.fails() { Err(QueueError::Unavailable("injected".to_owned())) } else { Ok(()) }
    }
}

/// One user who is deactivated, with what they have and what happens meanwhile.
struct RandomScenario<'a> {
    stack: &'a Stack,
    rng: Rng,
    user: String,
    clerk: String,
    tasks: Vec<String>,
    keys: Vec<String>,
    commands: FakeSqs,
    outside: Outside,
}

impl<'a> RandomScenario<'a> {
    async fn begin(stack: &'a Stack, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let id = |kind: u128, n: usize| {
            Uuid::from_u128((kind << 96) | (u128::from(seed) << 32) | n as u128).to_string()
        };
        let (user_id, clerk) = (id(1, 0), format!("user_{seed}"));
        let tasks: Vec<String> = (0..rng.usize(0..5)).map(|n| id(2, n)).collect();
        let keys: Vec<String> = (0..rng.usize(0..3)).map(|n| format!("key_{seed}_{n}")).collect();
        let fates: Vec<CallFate> = (0..rng.usize(0..4)).map(|_| rng.choice(FATES).unwrap()).collect();
        let outside = Outside {
            failing_percent: rng.u8(0..50),
            rng: Mutex::new(rng.fork()),
            banned: Mutex::default(),
            paused: Mutex::default(),
            events: Mutex::default(),
        };
        let scenario =
            Self { stack, rng, user: user_id, clerk, tasks, keys, commands: FakeSqs::with(fates), outside };
        let created = user(&scenario.user).created().with("clerk_user_id", scenario.clerk.as_str());
        let tasks: Vec<_> = scenario.tasks.iter().map(|task| scenario.task_created(task)).collect();
        let keys: Vec<_> = scenario.keys.iter().map(|key| scenario.key_created(key)).collect();
        stack.consume(&(created.at(NOW.plus(-DAY)), tasks, keys).into_messages()).await;
        scenario
    }

    fn task_created(&self, id: &str) -> String {
        task(id).created(&self.user, "q").at(NOW.plus(-DAY)).into()
    }

    fn key_created(&self, id: &str) -> String {
        api_key(id).created(&self.user, id).at(NOW.plus(-DAY)).into()
    }

    /// Sometimes the store fails at a call, once or for good, before or after it took effect.
    fn faults(&mut self) -> Faults {
        let at = if self.rng.u8(0..10) < 7 { self.rng.usize(0..30) } else { usize::MAX / 2 };
        Faults::new(at, self.rng.bool(), self.rng.bool())
    }

    async fn request(&mut self, faults: &Faults) -> u16 {
        let (app, commands) = (self.stack.faulty_app(faults), self.commands.client());
        patch::<DeactivateUser>(&self.user).send_with(&app, &commands).await.status
    }

    async fn relay(&self, faults: &Faults) {
        let (store, queue) = (self.stack.faulty_store(faults), self.commands.client());
        let (usage, generations) = (Usage::default(), Generations::default());
        let relay = Relay::new(&store, &generations, &queue, &usage);
        // What it could not do, the next run does.
        drop(relay.run(|| NOW, Instant::now() + Duration::from_secs(20)).await);
    }

    /// Something is created, or resumed, meanwhile.
    async fn create_or_resume(&mut self) {
        let mut events = Vec::new();
        if self.rng.bool() {
            let task = Uuid::from_u128(self.rng.u128(..)).to_string();
            events.push(self.task_created(&task));
            self.tasks.push(task);
        }
        if let Some(id) = self.tasks.first().filter(|_| self.rng.bool()) {
            // Dated ahead of the executor's clock.
            events.push(task(id).resumed().at(NOW.plus(10 * MINUTE)).into());
        }
        if self.rng.u8(0..3) == 0 {
            let key = format!("late_{}", self.rng.u64(..));
            events.push(self.key_created(&key));
            self.keys.push(key);
        }
        self.consume(events).await;
    }

    /// As the queue delivers: what fails is delivered again, in the end to a consumer without faults.
    async fn consume(&mut self, events: Vec<String>) {
        let mut waiting = stack::messages(&events);
        for (faults, time) in [(self.faults(), stack::SHORT), (Faults::none(), stack::LONG)] {
            let consumer = Consumer::new(self.stack.faulty_store(&faults), || NOW.plus(10));
            let failed = stack::consume_within(&consumer, &waiting, time).await.failed;
            waiting.retain(|message| failed.contains(&message.id));
        }
        assert!(waiting.is_empty());
    }

    /// Delivers every command that was ever sent, in any order, some twice, until all are carried out; and then the
    /// events that confirm them.
    async fn execute(&mut self) {
        let mut bodies = self.commands.taken();
        self.rng.shuffle(&mut bodies);
        let again: Vec<String> = bodies.iter().filter(|_| self.rng.u8(0..5) == 0).cloned().collect();
        let all = bodies.into_iter().chain(again).enumerate();
        let mut waiting: Vec<QueueMessage> = all
            .map(|(i, body)| QueueMessage { id: i.to_string(), body, sent_at: None, received: 1 })
            .collect();
        while !waiting.is_empty() {
            let executor = Executor {
                clerk: &self.outside,
                temporal: &self.outside,
                temporal_rest: TemporalRest::default(),
                events: &self.outside,
                forward: None,
                handled: Command::KINDS.to_vec(),
                schedules: SchedulePattern::parse("task-{task_id}").unwrap(),
                clock: || NOW.plus(5),
            };
            let until = Instant::now() + Duration::from_secs(20);
            let outcomes = executor.execute_all(&waiting, until).await;
            let failed: BTreeSet<String> = outcomes
                .into_iter()
                .filter(|(_, outcome)| outcome.is_err())
                .map(|(m, _)| m.id.clone())
                .collect();
            waiting.retain(|message| failed.contains(&message.id));
        }
        let confirmed = std::mem::take(&mut *self.outside.events.lock().unwrap());
        self.consume(confirmed).await;
    }

    fn user_id(&self) -> UserId {
        UserId::parse(&self.user).unwrap()
    }

    /// How many tasks and keys of the user are still active.
    async fn active(&self) -> usize {
        let call = self.stack.client.query().table_name(keys::projections_table(keys::FIRST_GENERATION));
        let pk = stack::text(&keys::stoppable_of(self.user_id()));
        let call = call.key_condition_expression("pk = :pk").expression_attribute_values(":pk", pk);
        call.send().await.unwrap().count().try_into().unwrap()
    }

    async fn took_effect(&self) -> bool {
        self.stack.item(keys::CONTROL_TABLE, &keys::deactivation(self.user_id())).await.is_some()
    }
}

const FATES: [CallFate; 5] = [
    CallFate::Unreachable,
    CallFate::Fails(503, "ServiceUnavailable"),
    CallFate::Fails(500, "InternalError"),
    CallFate::Halves { sender_fault: false },
    CallFate::Silent,
];

/// Runs one scenario; true if the deactivation took effect.
async fn run(stack: &Stack, seed: u64) -> bool {
    let mut scenario = RandomScenario::begin(stack, seed).await;
    let gives_up = scenario.rng.u8(0..8) == 0;
    let mut answered = 0;
    for _ in 0..scenario.rng.usize(1..4) {
        let faults = scenario.faults();
        answered = scenario.request(&faults).await;
        assert!(matches!(answered, 200 | 503), "seed {seed}: {answered}");
        if scenario.rng.bool() {
            scenario.create_or_resume().await;
        }
        let faults = scenario.faults();
        scenario.relay(&faults).await;
    }
    if answered != 200 && !gives_up {
        answered = scenario.request(&Faults::none()).await;
        assert_eq!(answered, 200, "seed {seed}");
    }
    let took_effect = scenario.took_effect().await;
    assert!(took_effect || answered != 200, "seed {seed}: a 200 without its commit");
    for _ in 0..2 {
        scenario.create_or_resume().await;
        while !outbox_is_empty(stack).await {
            scenario.relay(&Faults::none()).await;
        }
        scenario.execute().await;
    }
    check(&scenario, seed, took_effect).await;
    took_effect
}

async fn outbox_is_empty(stack: &Stack) -> bool {
    stack.store().outbox_entries(None, 1, &Usage::default()).await.unwrap().is_empty()
}

async fn check(scenario: &RandomScenario<'_>, seed: u64, took_effect: bool) {
    let sent: Vec<_> = scenario.commands.taken().iter().map(|body| Command::receive(body).unwrap()).collect();
    if !took_effect {
        assert_eq!(sent, [], "seed {seed}: commands without a commit");
        return;
    }
    let mut ids: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for received in sent {
        let command = (received.command.kind(), received.command.target());
        ids.entry(command).or_default().insert(received.id);
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "seed {seed}: two sets of commands");
    assert_eq!(scenario.active().await, 0, "seed {seed}: something is still active");
    let banned = scenario.outside.banned.lock().unwrap().clone();
    assert_eq!(banned, BTreeSet::from([scenario.clerk.clone()]), "seed {seed}");
    let paused = scenario.outside.paused.lock().unwrap().clone();
    let expected: BTreeSet<String> = scenario.tasks.iter().map(|task| format!("task-{task}")).collect();
    assert_eq!(paused, expected, "seed {seed}");
}

/// Scenarios that run at once, each group over a store of its own: most of their time they wait.
const GROUPS: u64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deactivation_under_faults_loses_no_command_and_sends_none_without_its_commit() {
    let (first, seeds) = (switches::number("CHAIN_FIRST", 0), switches::number("CHAIN_SEEDS", 180));

    let groups = (0..GROUPS).map(|group| run_some(first + group..first + seeds));
    let took_effect: u64 = futures::future::join_all(groups).await.into_iter().sum();

    assert!(took_effect * 2 > seeds, "{took_effect} of {seeds}");
}

/// Runs every so many-th scenario of a range over one store, and checks the whole of it in the end.
async fn run_some(seeds: Range<u64>) -> u64 {
    let system = given_an_admin().start().await;
    let (mut users, mut took_effect) = (0, 0);
    for seed in seeds.step_by(usize::try_from(GROUPS).unwrap()) {
        took_effect += u64::from(run(&system, seed).await);
        users += 1;
    }
    let stats: Value = system.when(get::<Stats>("")).await.json();
    assert_eq!(stats["users"]["total"], users + 1);
    // What the log says, folded without sending anything, are the stored items (P6, P1).
    assert_eq!(rebuild::items(&system.logged().await, None), system.projections().await);
    took_effect
}
