//! Whatever the intake accepts is carried through: events at every bound at once, through intake, consumer,
//! rebuild, comparison, repair, export and import. No message fails, the store refuses nothing, and model and
//! store agree (issue 16; `docs/contract/events.md`, "Envelope").

use lambda_http::http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use torale_domain::audit::Link;
use torale_domain::events::intake::MAX_MESSAGE_BYTES;
use torale_domain::projections::generation::Generation;
use torale_domain::storage::keys::{self, Lanes};
use torale_domain::values::digest::sha256_hex;
use torale_domain::values::ids::UserId;
use torale_domain::values::time::{DAY, HOUR, MINUTE, Timestamp};
use torale_platform::clock;
use torale_replay::build::BuildOutcome;
use torale_replay::compare::{Comparison, Expected};
use torale_replay::transfer::Pseudonyms;
use torale_replay::{Replay, StopSignal};
use torale_tests::generate::{self, Generator};
use torale_tests::sqs::{Sqs, URL};
use torale_tests::stack::{self, NOW, Stack};
use torale_tests::world;
use uuid::Uuid;

/// Characters of one to four bytes; those that JSON or a key escapes; the last one there is.
const CHARACTERS: [char; 8] = ['x', 'é', '漢', '🙂', '\u{1}', '"', '\\', '\u{10ffff}'];

/// Ids of users, tasks and executions, by kind and number.
fn uuid(kind: u128, n: usize) -> Uuid {
    Uuid::from_u128(0xE000_0000_0000_0000_0000_0000_0000_0000 | kind << 64 | u128::try_from(n).unwrap())
}

/// A text id at its bound: 256 characters, the last of which tells it from others.
fn id(character: char, n: usize) -> String {
    let last = char::from(b'a' + u8::try_from(n % 26).unwrap());
    character.to_string().repeat(255) + &last.to_string()
}

fn api_key(n: usize) -> String {
    format!("sk_{n:0197}")
}

/// Every fact of one user and what belongs to it, all of them at their bounds.
struct Extreme {
    character: char,
    n: usize,
    /// Bytes that each message has at least, by a field that is not listed.
    padded: usize,
}

impl Extreme {
    fn text(&self, characters: usize) -> String {
        self.character.to_string().repeat(characters)
    }

    fn message(&self, minutes: i64, kind: &str, mut data: Value) -> String {
        let wrap = |data: &Value| {
            json!({
                "specversion": "1.0", "id": self.text(128), "source": self.text(256),
                "type": format!("ai.torale.{kind}"), "time": NOW.plus(-minutes * MINUTE), "data": data,
            })
            .to_string()
        };
        let missing = self.padded.saturating_sub(wrap(&data).len() + 20);
        if missing > 0 {
            // Digits that nothing compresses to much less than half.
            let mut filler = String::new();
            while filler.len() < missing {
                filler += &sha256_hex(&[filler.as_bytes(), kind.as_bytes()]);
            }
            data["a_padding"] = json!(filler.get(..missing).unwrap());
        }
        let message = wrap(&data);
        assert!(message.len() <= MAX_MESSAGE_BYTES, "{}", message.len());
        message
    }

    fn messages(&self) -> Vec<String> {
        let (user, task) = (uuid(1, self.n), uuid(2, self.n));
        let (text, id) = (self.text(2_000), id(self.character, self.n));
        let most = (1_u64 << 53) - 1;
        let key = json!({
            "key_id": id, "user_id": user, "key_hash": sha256_hex(&[api_key(self.n).as_bytes()]),
            "key_prefix": text, "name": text,
        });
        let failed = json!({
            "execution_id": uuid(3, self.n), "task_id": task, "user_id": user, "started_at": NOW,
            "completed_at": NOW.plus(23 * HOUR), "duration_ms": most, "error_type": "E".repeat(64),
            "error_message": text, "retry_count": most, "will_retry": true,
        });
        let succeeded = json!({
            "execution_id": uuid(4, self.n), "task_id": task, "user_id": user,
            "started_at": Timestamp::EARLIEST, "completed_at": NOW, "condition_met": true, "duration_ms": most,
        });
        let run = json!({ "workflow_id": id, "run_id": id, "workflow_type": text, "status": "S".repeat(64),
            "start_time": NOW });
        let schedule = json!({ "schedule_id": id, "task_id": task, "user_id": user, "cron": self.text(256),
            "timezone": self.text(64) });
        let identity = json!({ "user_id": user, "clerk_user_id": id, "email": text, "role": text,
            "created_at": Timestamp::EARLIEST });
        let created = json!({ "task_id": task, "user_id": user, "search_query": self.text(500),
            "schedule": self.text(256), "name": text, "state": "paused" });
        let sent = json!({ "notification_id": id, "user_id": user, "channel": text });
        [
            ("user.created", identity),
            ("user.updated", json!({ "user_id": user, "email": text })),
            ("user.logged_in", json!({ "user_id": user })),
            ("user.deactivated", json!({ "user_id": user, "by": text, "reason": text })),
            ("user.reactivated", json!({ "user_id": user, "by": text })),
            ("api_key.created", key),
            ("task.created", created),
            ("task.updated", json!({ "task_id": task, "search_query": self.text(500), "name": text })),
            ("task.resumed", json!({ "task_id": task })),
            ("execution.failed", failed),
            ("execution.succeeded", succeeded),
            ("notification.sent", sent),
            ("temporal.workflow.closed", run),
            ("temporal.schedule.created", schedule),
            ("temporal.schedule.updated", json!({ "schedule_id": id, "cron": self.text(256) })),
            ("temporal.schedule.unpaused", json!({ "schedule_id": id })),
        ]
        .into_iter()
        .zip((0..).map(|minutes| 40 - minutes))
        .map(|((kind, data), minutes)| self.message(minutes, kind, data))
        .collect()
    }
}

/// Extremes of every character; of two of them as large as a message may be.
fn extremes() -> Vec<String> {
    let of = |(n, character): (usize, &char)| {
        let padded = if matches!(character, 'x' | '🙂') { MAX_MESSAGE_BYTES } else { 0 };
        Extreme { character: *character, n, padded }.messages()
    };
    CHARACTERS.iter().enumerate().flat_map(of).collect()
}

static TICKS: AtomicI64 = AtomicI64::new(0);

/// A clock that ticks whenever it is read, after everything that was received.
fn later() -> Timestamp {
    NOW.plus(HOUR + TICKS.fetch_add(1, Ordering::Relaxed))
}

fn replay(stack: &Stack) -> Replay {
    Replay { settle: Duration::ZERO, ..Replay::new(stack.store_as("Operator"), later) }
}

/// Builds the next generation; nothing may be left out of it.
async fn rebuild(replay: &Replay) -> Generation {
    let generation = replay.next_generation(Lanes::DEFAULT).await.unwrap();
    replay.begin(&generation).await.unwrap();
    match replay.build(&generation.name, 2, &StopSignal::default()).await.unwrap() {
        BuildOutcome::Finished(tally) => assert!(tally.is_complete(), "{tally:?}"),
        BuildOutcome::OutOfTime => panic!("there is no deadline"),
    }
    generation
}

async fn verify(replay: &Replay, generation: &Generation) -> Comparison {
    let expected = Expected::Log(generation.lanes);
    replay.compare(expected, generation, Duration::ZERO, || async { Ok(()) }).await.unwrap()
}

fn assert_same(one: &BTreeMap<String, String>, two: &BTreeMap<String, String>) {
    let keys = one.keys().chain(two.keys());
    let differing: Vec<_> = keys.filter(|key| one.get(*key) != two.get(*key)).take(3).collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

/// Delivers messages; none may fail, and none may be quarantined.
async fn deliver(stack: &Stack, batches: &[Vec<String>]) {
    for batch in batches {
        let outcome = stack.consume(batch).await;
        assert_eq!(outcome.quarantined, BTreeMap::new());
    }
}

/// A folder that goes when this does.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("torale-extremes-{}", clock::unique())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_at_every_bound_are_projected_as_the_model_says() {
    let messages = [generate::admin(), extremes()].concat();
    let stack = Stack::start().await;
    let batches = Generator::new(16).deliveries(&messages);
    deliver(&stack, &batches).await;
    let model = world::model(&messages);
    world::check_metrics(&stack, &model).await;
    for (path, query) in world::PLAIN {
        world::check(&stack, &model, path, query).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_at_every_bound_are_rebuilt_verified_and_repaired() {
    let messages = [generate::admin(), extremes()].concat();
    let stack = Stack::start().await;
    deliver(&stack, &Generator::new(17).deliveries(&messages)).await;
    let replay = replay(&stack);
    let rebuilt = rebuild(&replay).await;
    let live = stack.projections().await;
    assert_same(&stack.generation(&rebuilt.name).await, &live);
    assert!(verify(&replay, &rebuilt).await.is_equal());

    // Every item is lost.
    for item in stack.scan(&rebuilt.table()).await {
        let delete = stack.client.delete_item().table_name(rebuilt.table());
        delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
    }
    let (repaired, left) = replay.repair(&rebuilt, Duration::ZERO, false).await.unwrap();
    assert!(repaired > 100 && left.is_equal(), "{repaired}");
    assert_same(&stack.generation(&rebuilt.name).await, &live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_at_every_bound_move_to_another_installation_whole_and_scrubbed() {
    let messages = [generate::admin(), extremes()].concat();
    let stack = Stack::start().await;
    deliver(&stack, &Generator::new(18).deliveries(&messages)).await;
    for pseudonyms in [None, Some(Pseudonyms { salt: b"salt".to_vec() })] {
        let folder = Folder::new();
        let manifest = replay(&stack).export(&folder.0, pseudonyms.as_ref()).await.unwrap();
        assert_eq!((manifest.undecodable, manifest.quarantined), (0, 0));
        let to = Stack::start().await;
        let importing = replay(&to);
        assert_eq!(importing.import(&folder.0).await.unwrap(), manifest);
        let rebuilt = to.generation(&rebuild(&importing).await.name).await;
        if pseudonyms.is_none() {
            assert_same(&rebuilt, &stack.projections().await);
        } else {
            assert_eq!(rebuilt.len(), stack.projections().await.len());
        }
    }
}

/// Issue 16, number 1: such a key was accepted, and then could be neither projected nor rebuilt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_key_with_the_longest_id_works_is_recorded_and_revoked() {
    let extreme = Extreme { character: '🙂', n: 3, padded: 0 };
    let (user, key_id) = (uuid(1, 3), "🙂".repeat(256));
    let key = json!({ "key_id": key_id, "user_id": user, "key_prefix": "sk_",
        "key_hash": sha256_hex(&[api_key(7).as_bytes()]) });
    let admin = json!({ "user_id": user, "clerk_user_id": key_id, "email": "e", "role": "admin" });
    let longest =
        [extreme.message(9, "user.created", admin), extreme.message(8, "api_key.created", key.clone())];
    let stack = Stack::start().await;
    deliver(&stack, &[[generate::admin(), longest.into()].concat()]).await;

    let answer = stack.ask("/admin/stats", "", Some(&format!("Bearer {}", api_key(7)))).await;
    assert_eq!(answer.status(), 200);
    let by = |link: &Link| link.record.entry.principal.key_id.as_ref().map(|id| id.as_str().to_owned());
    assert_eq!(stack.records().await.iter().filter_map(by).collect::<Vec<_>>(), [key_id.clone()]);

    let commands = Sqs::default();
    let path = format!("/admin/users/{user}/deactivate");
    let admins = format!("Bearer {}", stack::ADMIN_KEY);
    let request = stack::request(Method::PATCH, &path, "", Some(&admins));
    let answer = stack::answer_with(&stack.app(), &commands.queue(Some(URL)), request).await;
    assert_eq!(answer.status(), 200);
    let sent: Vec<Value> = commands.taken().iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let revoked: Vec<&Value> =
        sent.iter().filter(|command| command["type"] == "ai.torale.command.api_key.revoke").collect();
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0]["data"]["key_id"], json!(key_id));
}

/// More live keys than one page of commands, each with the longest sort key: the next page begins after them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_of_a_user_with_hundreds_of_longest_ids_is_revoked() {
    let user = uuid(1, 9);
    let created = json!({ "user_id": user, "clerk_user_id": "u", "email": "e" });
    let mut messages = generate::admin();
    messages.push(generate::event("u", NOW.plus(-DAY), "user.created", created));
    // 1,022 bytes, so that their sort keys take exactly 1,024; and 1,024 bytes, so that they are bounded.
    let ids = (0..120_u32).flat_map(|n| {
        let last = char::from_u32(0x1_F300 + n).unwrap();
        [format!("é{}{last}", "🙂".repeat(254)), format!("{}{last}", "🙂".repeat(255))]
    });
    let ids: Vec<String> = ids.collect();
    for (n, id) in ids.iter().enumerate() {
        let hash = sha256_hex(&[&n.to_be_bytes()]);
        let key = json!({ "key_id": id, "user_id": user, "key_hash": hash, "key_prefix": "sk_" });
        messages.push(generate::event("k", NOW.plus(-DAY), "api_key.created", key));
    }
    let stack = Stack::start().await;
    deliver(&stack, &[messages]).await;
    let commands = Sqs::default();
    let path = format!("/admin/users/{user}/deactivate");
    let admins = format!("Bearer {}", stack::ADMIN_KEY);
    let request = stack::request(Method::PATCH, &path, "", Some(&admins));
    let answer = stack::answer_with(&stack.app(), &commands.queue(Some(URL)), request).await;
    assert_eq!(answer.status(), 200);
    let mut revoked: Vec<String> = commands
        .taken()
        .iter()
        .map(|text| serde_json::from_str::<Value>(text).unwrap())
        .filter(|command| command["type"] == "ai.torale.command.api_key.revoke")
        .map(|command| command["data"]["key_id"].as_str().unwrap().to_owned())
        .collect();
    revoked.sort();
    let mut expected = ids;
    expected.sort();
    assert_eq!(revoked, expected);
}

/// What one entity has many of: tasks of a user and of a query, updates of a task, days of a task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_of_one_user_and_ten_thousand_updates_of_one_task_are_projected() {
    const MANY: usize = 10_000;
    let (user, busy) = (uuid(1, 1), uuid(2, 0));
    let at = |n: usize| NOW.plus(-DAY + i64::try_from(n).unwrap());
    let tasks = (0..MANY).map(|n| {
        let data = json!({ "task_id": uuid(2, n), "user_id": user, "search_query": "one query" });
        generate::event("t", at(n), "task.created", data)
    });
    let updates = (0..MANY).map(|n| {
        let data = json!({ "task_id": busy, "search_query": format!("query {n}") });
        generate::event("u", at(n), "task.updated", data)
    });
    // Every day since 2015 has an execution, so that no two days next to each other are alike in number.
    let days = usize::try_from(NOW.day().0 - Timestamp::EARLIEST.day().0).unwrap();
    let executions = (0..days).flat_map(|day| (0..=day % 2).map(move |n| (day, n))).map(|(day, n)| {
        let started = Timestamp::EARLIEST.plus(i64::try_from(day).unwrap() * DAY);
        let data = json!({ "execution_id": uuid(5 + u128::try_from(n).unwrap(), day), "task_id": busy,
            "user_id": user, "started_at": started, "condition_met": true });
        generate::event("x", NOW.plus(-DAY), "execution.succeeded", data)
    });
    let messages: Vec<String> = tasks.chain(updates).chain(executions).collect();
    let stack = Stack::start().await;
    let batches: Vec<Vec<String>> = messages.chunks(2_000).map(<[String]>::to_vec).collect();
    deliver(&stack, &[vec![generate::admin()], batches].concat()).await;

    let totals = keys::user_totals(UserId(user));
    let live = stack.projections().await;
    let counted = &live[&format!("{} / {}", totals.pk, totals.sk)];
    assert!(counted.contains("\"tasks\": \"10000\""), "{counted}");
    let replay = replay(&stack);
    let rebuilt = rebuild(&replay).await;
    assert_same(&stack.generation(&rebuilt.name).await, &live);
}
