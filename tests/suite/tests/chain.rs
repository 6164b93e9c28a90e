//! The whole chain of a deactivation under faults: the call, the relay, the executor and the consumer, each of which may
//! die or fail before or after any of its calls, from a seed. `CHAIN_SEEDS` asks for more of them, `CHAIN_FIRST` says
//! where to begin: one seed is one story, told the same each time.

use command_executor::Executor;
use command_executor::clerk::{BanUsers, ClerkError};
use command_executor::confirm::ConfirmationSink;
use command_executor::temporal::{PauseSchedules, TemporalError};
use fastrand::Rng;
use lambda_http::Body;
use lambda_http::http::{Method, Request};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::deactivation::commands::Command;
use torale_domain::storage::keys;
use torale_domain::values::digest;
use torale_domain::values::ids::ClerkUserId;
use torale_domain::values::time::DAY;
use torale_platform::batch::QueueMessage;
use torale_platform::consume::Consumer;
use torale_platform::outbox::Relay;
use torale_platform::queue::QueueError;
use torale_platform::serve::App;
use torale_platform::store::{Generations, Usage, log};
use torale_tests::faults::Faults;
use torale_tests::generate::{self, event};
use torale_tests::rebuild;
use torale_tests::sqs::{self, MessageFate, Sqs};
use torale_tests::stack::{self, ADMIN_KEY, NOW, Stack};
use uuid::Uuid;

#[allow(clippy::disallowed_methods, reason = "a switch of the tests, not of the product")]
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Clerk, Temporal and the queue of events, as unreliable as the seed says; what they were told.
struct Outside {
    rng: Mutex<Rng>,
    trouble: u8,
    banned: Mutex<BTreeSet<String>>,
    paused: Mutex<BTreeSet<String>>,
    events: Mutex<Vec<String>>,
}

impl Outside {
    fn fails(&self) -> bool {
        self.rng.lock().unwrap().u8(0..100) < self.trouble
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
            Err(ClerkError::IdentityProviderError(torale_platform::identity::IdentityProviderError::TimedOut))
        } else {
            Ok(true)
        }
    }
}

impl PauseSchedules for &Outside {
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

/// One user's story.
struct Story<'a> {
    stack: &'a Stack,
    rng: Rng,
    user: String,
    clerk: String,
    tasks: Vec<String>,
    keys: Vec<String>,
    sqs: Sqs,
    outside: Outside,
}

impl<'a> Story<'a> {
    async fn begin(stack: &'a Stack, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let id = |kind: u128, n: usize| {
            Uuid::from_u128((kind << 96) | (u128::from(seed) << 32) | n as u128).to_string()
        };
        let (user, clerk) = (id(1, 0), format!("user_{seed}"));
        let tasks: Vec<String> = (0..rng.usize(0..5)).map(|n| id(2, n)).collect();
        let keys: Vec<String> = (0..rng.usize(0..3)).map(|n| format!("key_{seed}_{n}")).collect();
        let fates: Vec<MessageFate> = (0..rng.usize(0..4)).map(|_| rng.choice(FATES).unwrap()).collect();
        let outside = Outside {
            trouble: rng.u8(0..50),
            rng: Mutex::new(rng.fork()),
            banned: Mutex::default(),
            paused: Mutex::default(),
            events: Mutex::default(),
        };
        let story = Self { stack, rng, user, clerk, tasks, keys, sqs: Sqs::with(fates), outside };
        let created =
            json!({ "user_id": story.user, "clerk_user_id": story.clerk, "email": "x@example.com" });
        let mut events = vec![event(&format!("u{seed}"), NOW.plus(-DAY), "user.created", created)];
        events.extend(story.tasks.iter().map(|task| story.task_created(task)));
        events.extend(story.keys.iter().map(|key| story.key_created(key)));
        stack.consume(&events).await;
        story
    }

    fn task_created(&self, task: &str) -> String {
        let data = json!({ "task_id": task, "user_id": self.user, "search_query": "q" });
        event(&format!("created-{task}"), NOW.plus(-DAY), "task.created", data)
    }

    fn key_created(&self, key: &str) -> String {
        let hash = digest::sha256_hex(&[key.as_bytes()]);
        let data = json!({ "key_id": key, "user_id": self.user, "key_hash": hash, "key_prefix": "sk" });
        event(&format!("created-{key}"), NOW.plus(-DAY), "api_key.created", data)
    }

    /// Sometimes the store fails at a call, once or for good, before or after it took effect.
    fn faults(&mut self) -> Faults {
        let at = if self.rng.u8(0..10) < 7 { self.rng.usize(0..30) } else { usize::MAX / 2 };
        Faults::new(at, self.rng.bool(), self.rng.bool())
    }

    async fn call(&mut self, faults: Faults) -> u16 {
        let store = self.stack.faulty_store(faults);
        let app = App::new(store, stack::keys_only(), stack::LIMITS, stack::temporal_ui(), || NOW);
        let path = format!("/admin/users/{}/deactivate", self.user);
        let request: Request<Body> =
            stack::request(Method::PATCH, &path, "", Some(&format!("Bearer {ADMIN_KEY}")));
        let response = stack::answer_with(&app, &self.sqs.queue(Some(sqs::URL)), request).await;
        response.status().as_u16()
    }

    async fn relay(&self, faults: Faults) {
        let (store, queue) = (self.stack.faulty_store(faults), self.sqs.queue(Some(sqs::URL)));
        let (usage, generations) = (Usage::default(), Generations::default());
        let relay = Relay::new(&store, &generations, &queue, &usage);
        // What it could not do, the next run does.
        drop(relay.run(|| NOW, Instant::now() + Duration::from_secs(20)).await);
    }

    /// Something appears, or comes to life again, while all that goes on.
    async fn late(&mut self) {
        let mut events = Vec::new();
        if self.rng.bool() {
            let task = Uuid::from_u128(self.rng.u128(..)).to_string();
            events.push(self.task_created(&task));
            self.tasks.push(task);
        }
        if let Some(task) = self.tasks.first().filter(|_| self.rng.bool()) {
            let data = json!({ "task_id": task });
            // Dated ahead of the executor's clock.
            events.push(event(&format!("resumed-{task}"), NOW.plus(600_000), "task.resumed", data));
        }
        if self.rng.u8(0..3) == 0 {
            let key = format!("late_{}", self.rng.u64(..));
            events.push(self.key_created(&key));
            self.keys.push(key);
        }
        self.consume(events).await;
    }

    /// As the queue delivers: what fails comes again, to a consumer without faults in the end.
    async fn consume(&mut self, events: Vec<String>) {
        let mut waiting = stack::messages(&events);
        let healthy = Faults::new(usize::MAX / 2, false, false);
        for (faults, time) in [(self.faults(), stack::SHORT), (healthy, stack::LONG)] {
            let consumer = Consumer::new(self.stack.faulty_store(faults), || NOW.plus(10));
            let failed = stack::consume_within(&consumer, &waiting, time).await.failed;
            waiting.retain(|message| failed.contains(&message.id));
        }
        assert!(waiting.is_empty());
    }

    /// Delivers every command that was ever sent, in any order, some twice, until all are carried out; and then what
    /// was confirmed.
    async fn execute(&mut self) {
        let mut bodies = self.sqs.taken();
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
                events: &self.outside,
                forward: None,
                handled: Command::KINDS.to_vec(),
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

    async fn owned(&self) -> usize {
        let call = self.stack.client.query().table_name(keys::projections_table(keys::FIRST_GENERATION));
        let user = torale_domain::values::ids::UserId::parse(&self.user).unwrap();
        let pk = aws_sdk_dynamodb::types::AttributeValue::S(keys::owned(user));
        let call = call.key_condition_expression("pk = :pk").expression_attribute_values(":pk", pk);
        call.send().await.unwrap().count().try_into().unwrap()
    }

    async fn control(&self, key: torale_domain::storage::item::Key) -> bool {
        let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let call = self.stack.client.get_item().table_name(keys::CONTROL_TABLE);
        call.key("pk", text(&key.pk)).key("sk", text(&key.sk)).send().await.unwrap().item.is_some()
    }
}

const FATES: [MessageFate; 5] = [
    MessageFate::Unreachable,
    MessageFate::Fails(503, "ServiceUnavailable"),
    MessageFate::Fails(500, "InternalError"),
    MessageFate::Halves { sender_fault: false },
    MessageFate::Silent,
];

/// Tells one story; true if the deactivation took effect.
async fn tell(stack: &Stack, seed: u64) -> bool {
    let mut story = Story::begin(stack, seed).await;
    let gives_up = story.rng.u8(0..8) == 0;
    let mut answered = 0;
    for _ in 0..story.rng.usize(1..4) {
        let faults = story.faults();
        answered = story.call(faults).await;
        assert!(matches!(answered, 200 | 503), "seed {seed}: {answered}");
        if story.rng.bool() {
            story.late().await;
        }
        let faults = story.faults();
        story.relay(faults).await;
    }
    if answered != 200 && !gives_up {
        answered = story.call(Faults::new(usize::MAX / 2, false, false)).await;
        assert_eq!(answered, 200, "seed {seed}");
    }
    let user = torale_domain::values::ids::UserId::parse(&story.user).unwrap();
    let took_effect = story.control(keys::deactivation(user)).await;
    assert!(took_effect || answered != 200, "seed {seed}: a 200 without its commit");
    for _ in 0..2 {
        story.late().await;
        while !stack_is_relayed(stack).await {
            story.relay(Faults::new(usize::MAX / 2, false, false)).await;
        }
        story.execute().await;
    }
    check(&story, seed, took_effect).await;
    took_effect
}

async fn stack_is_relayed(stack: &Stack) -> bool {
    stack.store().outbox_entries(None, 1, &Usage::default()).await.unwrap().is_empty()
}

async fn check(story: &Story<'_>, seed: u64, took_effect: bool) {
    let sent: Vec<_> = story.sqs.taken().iter().map(|body| Command::receive(body).unwrap()).collect();
    if !took_effect {
        assert_eq!(sent, [], "seed {seed}: commands without a commit");
        return;
    }
    let named: BTreeMap<_, BTreeSet<_>> = sent.iter().fold(BTreeMap::new(), |mut named, received| {
        let command = (received.command.kind(), received.command.target());
        named.entry(command).or_insert_with(BTreeSet::new).insert(received.id);
        named
    });
    assert!(named.values().all(|ids| ids.len() == 1), "seed {seed}: two sets of commands");
    assert_eq!(story.owned().await, 0, "seed {seed}: something is still alive");
    let banned = story.outside.banned.lock().unwrap().clone();
    assert_eq!(banned, BTreeSet::from([story.clerk.clone()]), "seed {seed}");
    let paused = story.outside.paused.lock().unwrap().clone();
    let expected: BTreeSet<String> = story.tasks.iter().map(|task| format!("task-{task}")).collect();
    assert_eq!(paused, expected, "seed {seed}");
}

/// Stories that are told at once, each group over a store of its own: most of their time they wait.
const GROUPS: u64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_is_lost_and_none_is_sent_without_its_commit_whatever_fails() {
    let (first, seeds) = (number("CHAIN_FIRST", 0), number("CHAIN_SEEDS", 180));
    let groups = (0..GROUPS).map(|group| tell_some(first + group..first + seeds));
    let took_effect: u64 = futures::future::join_all(groups).await.into_iter().sum();
    assert!(took_effect * 2 > seeds, "{took_effect} of {seeds}");
}

/// Tells every so many-th story of a range over one store, and looks at the whole of it in the end.
async fn tell_some(seeds: Range<u64>) -> u64 {
    let stack = Stack::start().await;
    stack.consume(&generate::admin()).await;
    let (mut told, mut took_effect) = (0, 0);
    for seed in seeds.step_by(usize::try_from(GROUPS).unwrap()) {
        took_effect += u64::from(tell(&stack, seed).await);
        told += 1;
    }
    let stats: Value = serde_json::from_str(&stack.get("/admin/stats", "").await.1).unwrap();
    assert_eq!(stats["users"]["total"], told + 1);
    // What the log says, folded without a word to anyone, are the stored items (P6, P1).
    assert_eq!(rebuild::items(&logged(&stack).await, None), stack.projections().await);
    took_effect
}

async fn logged(stack: &Stack) -> Vec<String> {
    let items = stack.scan(keys::EVENTS_TABLE).await;
    let packed = items.iter().map(|item| item["events"].as_b().unwrap());
    packed.flat_map(|packed| log::unpack(packed.as_ref()).unwrap()).collect()
}
