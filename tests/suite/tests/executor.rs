//! The executor of commands against stand-ins for Clerk, Temporal and SQS: what is told to whom, what comes again.

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use command_executor::clerk::ClerkBans;
use command_executor::temporal::TemporalPauses;
use command_executor::{Executor, handle};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::time::{Duration, Instant};
use torale_domain::deactivation::commands::{Cause, Command};
use torale_domain::events;
use torale_domain::values::ids::{ClerkUserId, KeyId, TaskId, UserId};
use torale_local::standins::clerk::{self, ClerkAnswer as Told, ClerkRequest, SECRET};
use torale_local::standins::temporal::{self, PauseRequest, TemporalAnswer};
use torale_platform::batch::QueueMessage;
use torale_platform::config;
use torale_platform::identity::IdentitySettings;
use torale_platform::queue::MessageQueue;
use torale_tests::sqs::{MessageFate, Sqs, URL};
use torale_tests::stack::NOW;

const USER: &str = "00000000-0000-0000-0000-0000000000ad";
const TASK: &str = "22222222-0000-4000-8000-000000000001";
const SCHEDULE: &str = "task-22222222-0000-4000-8000-000000000001";

/// Refusals as Temporal words them; the second carries the details that tell it from the first.
const NO_SCHEDULE: TemporalAnswer =
    TemporalAnswer::Refused(5, "workflow not found for ID: temporal-sys-scheduler:task-1", None);
const NO_NAMESPACE: TemporalAnswer =
    TemporalAnswer::Refused(5, "Namespace nowhere is not found.", Some(DETAILS));
const UNAVAILABLE: TemporalAnswer =
    TemporalAnswer::Refused(14, "Not enough hosts to serve the request", None);
const DETAILS: &str = "CAUSH05hbWVzcGFjZSBub3doZXJlIGlzIG5vdCBmb3VuZC4aVgpJdHlwZS5nb29nbGVhcGlzLmNvbS90ZW1wb3JhbC5hcGkuZXJyb3JkZXRhaWxzLnYxLk5hbWVzcGFjZU5vdEZvdW5kRmFpbHVyZRIJCgdub3doZXJl";

fn user() -> UserId {
    UserId::parse(USER).unwrap()
}

fn pause() -> Command {
    Command::PauseTask { task_id: TaskId::parse(TASK).unwrap(), user_id: user() }
}

fn revoke() -> Command {
    Command::RevokeKey { key_id: KeyId::parse("key_1").unwrap(), user_id: user() }
}

fn ban(clerk_user_id: &str) -> Command {
    Command::BanUser { user_id: user(), clerk_user_id: ClerkUserId::parse(clerk_user_id).unwrap() }
}

fn body(command: &Command) -> String {
    let cause =
        Cause { event: "e1".to_owned(), requested_by: user(), reason: "spam".to_owned(), trace: None };
    command.message(&cause, NOW)
}

/// The world outside, which notes what it is told and answers as a test says.
struct World {
    clerk: clerk::ClerkStandin,
    temporal: temporal::TemporalStandin,
    sqs: Sqs,
    bans: Arc<Mutex<Vec<ClerkRequest>>>,
    pauses: Arc<Mutex<Vec<PauseRequest>>>,
    clerk_says: Arc<Mutex<Vec<Told>>>,
    temporal_says: Arc<Mutex<Vec<TemporalAnswer>>>,
}

type Real = Executor<ClerkBans, TemporalPauses, MessageQueue>;

impl World {
    /// All is well.
    async fn start() -> Self {
        // Seen where a test fails.
        drop(tracing_subscriber::fmt().with_test_writer().try_init());
        let (bans, pauses) =
            (Arc::<Mutex<Vec<ClerkRequest>>>::default(), Arc::<Mutex<Vec<PauseRequest>>>::default());
        let (clerk_says, temporal_says) =
            (Arc::<Mutex<Vec<Told>>>::default(), Arc::<Mutex<Vec<TemporalAnswer>>>::default());
        let (noted, says) = (Arc::clone(&bans), Arc::clone(&clerk_says));
        let clerk = clerk::ClerkStandin::start(move |asked| {
            noted.lock().unwrap().push(asked.clone());
            says.lock().unwrap().pop().unwrap_or_else(|| clerk::willing(asked).1)
        });
        let (noted, says) = (Arc::clone(&pauses), Arc::clone(&temporal_says));
        let temporal = temporal::TemporalStandin::start(move |pause| {
            noted.lock().unwrap().push(pause.clone());
            says.lock().unwrap().pop().unwrap_or(TemporalAnswer::Done)
        });
        let (clerk, temporal) = (clerk.await.unwrap(), temporal.await.unwrap());
        Self { clerk, temporal, sqs: Sqs::default(), bans, pauses, clerk_says, temporal_says }
    }

    /// What Clerk answers to the next requests instead, the first one first.
    fn clerk_says(&self, answers: impl IntoIterator<Item = Told>) {
        *self.clerk_says.lock().unwrap() = answers.into_iter().collect();
        self.clerk_says.lock().unwrap().reverse();
    }

    /// What Temporal answers to the next calls instead, the first one first.
    fn temporal_says(&self, answers: impl IntoIterator<Item = TemporalAnswer>) {
        *self.temporal_says.lock().unwrap() = answers.into_iter().collect();
        self.temporal_says.lock().unwrap().reverse();
    }

    fn settings(&self) -> (IdentitySettings, config::TemporalSettings) {
        let timeout = Duration::from_millis(500);
        let clerk = IdentitySettings {
            api_url: self.clerk.url(),
            secret_key: Some(SECRET.to_owned()),
            timeout,
            ..IdentitySettings::default()
        };
        let temporal = config::TemporalSettings {
            address: format!("http://{}", self.temporal.address()),
            namespace: "torale.abc123".to_owned(),
            api_key: Some("temporal-key".to_owned()),
            timeout,
        };
        (clerk, temporal)
    }

    /// The executor of all kinds of commands.
    fn executor(&self) -> Real {
        let (clerk, temporal) = self.settings();
        self.executor_with(&clerk, temporal)
    }

    fn executor_with(&self, clerk: &IdentitySettings, temporal: config::TemporalSettings) -> Real {
        Executor {
            clerk: ClerkBans::new(clerk),
            temporal: TemporalPauses::new(temporal),
            events: self.sqs.queue(Some(URL)),
            forward: None,
            handled: Command::KINDS.to_vec(),
            clock: || NOW,
        }
    }

    /// Types of the events that were sent, each of which the consumer would take.
    fn events(&self) -> BTreeSet<String> {
        let read = |message: &String| match events::parse(message, Some(NOW)) {
            Ok(events::ReceivedMessage::Known(event)) => event.event_type().name().to_owned(),
            other => panic!("{message}: {other:?}"),
        };
        self.sqs.taken().iter().map(read).collect()
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// An invocation with messages whose ids are their positions: the ids that are handed back.
async fn invoke_until(executor: &Real, bodies: &[String], deadline_ms: i64) -> BTreeSet<String> {
    let mut event = SqsEvent::default();
    for (position, body) in bodies.iter().enumerate() {
        let mut message = SqsMessage::default();
        message.message_id = Some(position.to_string());
        message.body = Some(body.clone());
        event.records.push(message);
    }
    let mut context = Context::default();
    context.deadline = u64::try_from(deadline_ms).unwrap();
    let response = handle(executor, LambdaEvent::new(event, context)).await;
    let ids: Vec<String> =
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    let distinct = BTreeSet::from_iter(ids.clone());
    assert_eq!(distinct.len(), ids.len(), "each at most once");
    distinct
}

async fn invoke(executor: &Real, bodies: &[String]) -> BTreeSet<String> {
    invoke_until(executor, bodies, torale_platform::clock::system().millis() + 60_000).await
}

/// A loopback address that nobody listens on.
async fn nobody() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap().to_string()
}

fn says(status: u16, headers: &[(&'static str, &'static str)], text: String) -> Told {
    Told::With(status, headers.to_vec(), text)
}

#[tokio::test]
async fn each_command_is_carried_out_where_it_belongs_and_told() {
    let world = World::start().await;
    let bodies = [pause(), revoke(), ban("user_2abc")].map(|command| body(&command));
    assert_eq!(invoke(&world.executor(), &bodies).await, set(&[]));

    let asked = ClerkRequest {
        method: "POST".to_owned(),
        path: "/v1/users/user_2abc/ban".to_owned(),
        authorization: Some(format!("Bearer {SECRET}")),
    };
    assert_eq!(*world.bans.lock().unwrap(), [asked]);
    let id = Command::receive(&bodies[0]).unwrap().id;
    let paused = PauseRequest {
        namespace: "torale.abc123".to_owned(),
        schedule_id: SCHEDULE.to_owned(),
        note: format!("spam (requested by {USER}, command {id})"),
        authorization: Some("Bearer temporal-key".to_owned()),
    };
    assert_eq!(*world.pauses.lock().unwrap(), [paused]);
    assert_eq!(world.events(), set(&["api_key.revoked", "task.paused", "temporal.schedule.paused"]));
    assert_eq!(world.sqs.taken().len(), 3, "a ban is no event");
}

#[tokio::test]
async fn a_clerk_id_is_escaped_in_the_path() {
    let world = World::start().await;
    assert_eq!(invoke(&world.executor(), &[body(&ban("../user 1?"))]).await, set(&[]));
    assert_eq!(world.bans.lock().unwrap()[0].path, "/v1/users/%2E%2E%2Fuser%201%3F/ban");
}

#[tokio::test]
async fn a_ban_is_done_when_clerk_says_so_or_knows_no_such_user() {
    let world = World::start().await;
    let executor = world.executor();
    let not_found = clerk::error("not found", "No user was found with id user_2abc", "resource_not_found");
    let too_many = clerk::error("Too many requests", "Please try again in a bit.", "too_many_requests");
    let forbidden = clerk::error("Forbidden", "Not allowed", "feature_not_enabled");
    let back = set(&["0"]);
    for (answer, handed_back) in [
        (says(200, &[], r#"{"id":"user_2abc","banned":true}"#.to_owned()), set(&[])),
        (says(204, &[], String::new()), set(&[])),
        (says(404, &[], not_found), set(&[])),
        (says(429, &[("retry-after", "10")], too_many), back.clone()),
        (says(500, &[], "Internal Server Error".to_owned()), back.clone()),
        (says(503, &[], String::new()), back.clone()),
        (says(403, &[], forbidden), back.clone()),
        (says(401, &[], String::new()), back.clone()),
        (says(302, &[("location", "/")], String::new()), back.clone()),
        (Told::Silent, back),
    ] {
        world.clerk_says([answer.clone()]);
        assert_eq!(invoke(&executor, &[body(&ban("user_2abc"))]).await, handed_back, "{answer:?}");
        // It comes again, and nothing speaks against it any more.
        assert_eq!(invoke(&executor, &[body(&ban("user_2abc"))]).await, set(&[]), "{answer:?}");
    }
}

#[tokio::test]
async fn a_ban_waits_for_a_clerk_that_is_out_of_reach_or_not_set() {
    let world = World::start().await;
    let (settings, temporal) = (|| world.settings().0, world.settings().1);
    for clerk in [
        IdentitySettings { api_url: format!("http://{}", nobody().await), ..settings() },
        IdentitySettings { api_url: "http://api.clerk.com".to_owned(), ..settings() },
        IdentitySettings { secret_key: None, ..settings() },
    ] {
        let executor = world.executor_with(&clerk, temporal.clone());
        let bodies = [body(&ban("user_2abc")), body(&pause())];
        assert_eq!(invoke(&executor, &bodies).await, set(&["0"]), "other commands don't wait");
    }
}

#[tokio::test]
async fn a_schedule_is_paused_when_temporal_says_so_or_knows_no_such_schedule() {
    let (done, back) = (set(&[]), set(&["0"]));
    let both = set(&["task.paused", "temporal.schedule.paused"]);
    for (answer, handed_back, events) in [
        (TemporalAnswer::Done, done.clone(), both),
        (NO_SCHEDULE, done, set(&["task.paused"])),
        (NO_NAMESPACE, back.clone(), set(&[])),
        (UNAVAILABLE, back.clone(), set(&[])),
        (TemporalAnswer::Refused(7, "Request unauthorized.", None), back.clone(), set(&[])),
        (TemporalAnswer::Refused(8, "namespace rate limit exceeded", None), back.clone(), set(&[])),
        (TemporalAnswer::Silent, back, set(&[])),
    ] {
        let world = World::start().await;
        let executor = world.executor();
        world.temporal_says([answer.clone()]);
        assert_eq!(invoke(&executor, &[body(&pause())]).await, handed_back, "{answer:?}");
        assert_eq!(world.events(), events, "{answer:?}");
        assert_eq!(world.pauses.lock().unwrap().len(), 1, "asked once");
        assert_eq!(invoke(&executor, &[body(&pause())]).await, set(&[]), "again, after {answer:?}");
    }
}

#[tokio::test]
async fn a_connection_that_died_while_it_lay_still_costs_no_redelivery() {
    let world = World::start().await;
    let executor = world.executor();
    world.temporal_says([TemporalAnswer::Done, UNAVAILABLE, TemporalAnswer::Done]);
    for _ in 0..2 {
        assert_eq!(invoke(&executor, &[body(&pause())]).await, set(&[]));
    }
    assert_eq!(world.pauses.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_pause_waits_for_a_temporal_that_is_out_of_reach_or_not_set() {
    let world = World::start().await;
    let (clerk, temporal) = world.settings();
    let nobody = format!("http://{}", nobody().await);
    for address in [nobody, "http://temporal.example:7233".to_owned(), String::new()] {
        let executor = world.executor_with(&clerk, config::TemporalSettings { address, ..temporal.clone() });
        let bodies = [body(&pause()), body(&revoke())];
        assert_eq!(invoke(&executor, &bodies).await, set(&["0"]), "other commands don't wait");
    }
    assert_eq!(world.events(), set(&["api_key.revoked"]));
}

#[tokio::test]
async fn a_batch_hands_back_exactly_what_failed() {
    let world = World::start().await;
    let user = |position: usize| body(&ban(&format!("user_{position}")));
    let mut bodies: Vec<String> = (0..20).map(user).collect();
    bodies[7] = "{".to_owned();
    bodies[11] = body(&revoke());
    bodies[13] = body(&ban("user_13")).replace("command.user.ban", "command.user.dance");
    // Clerk fails twice, for whomever it is asked then.
    world.clerk_says([says(500, &[], String::new()), says(429, &[], String::new())]);
    let executor = world.executor();
    let failed = invoke(&executor, &bodies).await;
    assert!(failed.contains("7") && failed.contains("13") && failed.len() == 4, "{failed:?}");
    let again: Vec<String> = failed.iter().map(|id| bodies[id.parse::<usize>().unwrap()].clone()).collect();
    assert_eq!(invoke(&executor, &again).await.len(), 2, "what is no command never passes");
    let banned: BTreeSet<String> =
        world.bans.lock().unwrap().iter().map(|asked| asked.path.clone()).collect();
    assert_eq!((banned.len(), world.bans.lock().unwrap().len()), (17, 19), "nobody else was asked for again");
}

#[tokio::test]
async fn what_was_done_but_not_told_is_told_when_it_comes_again() {
    let world = World::start().await;
    let mut executor = world.executor();
    let bodies = [body(&pause()), body(&revoke()), body(&ban("user_2abc"))];
    executor.events = Sqs::always(MessageFate::Fails(403, "AccessDenied")).queue(Some(URL));
    assert_eq!(invoke(&executor, &bodies).await, set(&["0", "1"]), "a ban has nothing to tell");
    assert_eq!(world.pauses.lock().unwrap().len(), 1, "the schedule is paused all the same");
    assert_eq!(world.events(), set(&[]));

    executor.events = world.sqs.queue(Some(URL));
    assert_eq!(invoke(&executor, &bodies).await, set(&[]));
    assert_eq!(world.events(), set(&["api_key.revoked", "task.paused", "temporal.schedule.paused"]));
}

#[tokio::test]
async fn a_command_that_comes_twice_is_told_under_the_same_ids() {
    let world = World::start().await;
    let executor = world.executor();
    for _ in 0..2 {
        assert_eq!(invoke(&executor, &[body(&pause()), body(&pause())]).await, set(&[]));
    }
    let id = |message: &String| serde_json::from_str::<Value>(message).unwrap()["id"].to_string();
    let ids: Vec<String> = world.sqs.taken().iter().map(id).collect();
    assert_eq!((ids.len(), BTreeSet::from_iter(ids).len()), (8, 2));
}

#[tokio::test]
async fn kinds_that_others_carry_out_are_passed_on_as_they_came_or_handed_back() {
    let world = World::start().await;
    let mut executor = world.executor();
    executor.handled = vec!["task.pause"];
    let bodies = [body(&ban("user_2abc")), body(&revoke()), body(&pause()), "{}".to_owned()];
    assert_eq!(invoke(&executor, &bodies).await, set(&["0", "1", "3"]));

    let others = Sqs::default();
    executor.forward = Some(others.queue(Some(URL)));
    assert_eq!(invoke(&executor, &bodies).await, set(&["3"]));
    assert_eq!(BTreeSet::from_iter(others.taken()), BTreeSet::from_iter(bodies[..2].to_vec()));

    executor.forward = Some(Sqs::always(MessageFate::Fails(403, "AccessDenied")).queue(Some(URL)));
    assert_eq!(invoke(&executor, &bodies).await, set(&["0", "1", "3"]));
    assert_eq!(world.bans.lock().unwrap().len(), 0);
    assert_eq!(world.events(), set(&["task.paused", "temporal.schedule.paused"]));
}

#[tokio::test]
async fn after_the_deadline_nothing_is_begun() {
    let world = World::start().await;
    let executor = world.executor();
    let message = |command: &Command| QueueMessage {
        id: "m".to_owned(),
        body: body(command),
        sent_at: None,
        received: 1,
    };
    let messages = [message(&pause()), message(&revoke()), message(&ban("user_2abc"))];
    let outcomes = executor.execute_all(&messages, Instant::now()).await;
    assert_eq!(outcomes.len(), 3);
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_err()));
    assert_eq!((world.bans.lock().unwrap().len(), world.pauses.lock().unwrap().len()), (0, 0));
    assert_eq!(world.sqs.calls(), [""; 0]);
}

#[tokio::test]
async fn what_is_not_done_by_the_deadline_is_handed_back_and_the_rest_is_not() {
    let world = World::start().await;
    let (clerk, temporal) = world.settings();
    let patient = IdentitySettings { timeout: Duration::from_secs(3600), ..clerk };
    let executor = world.executor_with(&patient, temporal);
    world.clerk_says([Told::Silent]);
    let bodies = [body(&ban("user_2abc")), body(&revoke())];
    // Half a second more than the reserve.
    let deadline = torale_platform::clock::system().millis() + 1_500;
    assert_eq!(invoke_until(&executor, &bodies, deadline).await, set(&["0"]));
}

/// Where the lines of one test go.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<Value> {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test]
async fn every_outcome_is_counted_every_failure_has_a_line_and_no_line_has_a_body() {
    let world = World::start().await;
    let (log, executor) = (Log::default(), world.executor());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
    let guard = tracing::subscriber::set_default(subscriber.finish());
    world.clerk_says([says(429, &[("retry-after", "10")], String::new())]);
    world.temporal_says([NO_SCHEDULE]);
    let bodies =
        [body(&ban("user_2abc")), body(&pause()), body(&revoke()), r#"{"email":"a@b.c"}"#.to_owned()];
    assert_eq!(invoke(&executor, &bodies).await, set(&["0", "3"]));
    drop(guard);

    let lines = log.lines();
    let of =
        |message: &str| -> Vec<&Value> { lines.iter().filter(|line| line["message"] == message).collect() };
    let [batch] = of("batch")[..] else { panic!("{lines:?}") };
    let counts = r#"{"carried_out": 1, "clerk": 1, "no_command": 1, "nothing_there": 1}"#;
    assert_eq!((&batch["messages"], &batch["failed"]), (&Value::from(4), &Value::from(2)));
    assert_eq!(batch["outcomes"], counts);
    let failures = of("handed back");
    let failure = |id: &str| failures.iter().find(|line| line["message_id"] == id).unwrap();
    assert_eq!(failures.len(), 2);
    assert_eq!((&failure("0")["kind"], &failure("0")["outcome"]), (&"user.ban".into(), &"clerk".into()));
    assert_eq!(failure("0")["failure"], "identity provider answered 429 Too Many Requests");
    assert_eq!(failure("3")["outcome"], "no_command");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for private in ["spam", "user_2abc", "a@b.c", SECRET, "temporal-key"] {
        assert!(!log.contains(private), "{private}: {log}");
    }
}
