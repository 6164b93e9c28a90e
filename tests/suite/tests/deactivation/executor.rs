//! The executor of commands against stand-ins for Clerk, Temporal and SQS: which requests it makes, which events it
//! publishes, and which messages it returns to the queue.

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use command_executor::clerk::{BanUsers, ClerkBans, ClerkError};
use command_executor::pause::PauseSchedules;
use command_executor::rest::TemporalRest;
use command_executor::temporal::{TemporalError, TemporalPauses};
use command_executor::{CommandOutcome, Executor, handle};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::time::{Duration, Instant};
use torale_domain::deactivation::commands::{Cause, Command, KnownSchedules, SchedulePattern};
use torale_domain::events;
use torale_domain::values::ids::{ApiKeyId, ClerkUserId, ScheduleId, TaskId, UserId};
use torale_local::standins::clerk::{self, ClerkAnswer, ClerkRequest, SECRET};
use torale_local::standins::temporal::{self, PauseRequest, TemporalAnswer};
use torale_platform::authentication::IdentityProviderSettings;
use torale_platform::config;
use torale_platform::queue::MessageQueue;
use torale_platform::sqs::QueueMessage;
use torale_testkit::events::ADMIN;
use torale_testkit::fake_aws::CallFate;
use torale_testkit::logs::LogBuffer;
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::NOW;

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
    UserId::parse(ADMIN).unwrap()
}

pub(crate) fn pause() -> Command {
    pause_of(&[])
}

/// The command to pause the task with the schedules that events have named.
pub(crate) fn pause_of(schedules: &[&str]) -> Command {
    Command::PauseTask {
        task_id: TaskId::parse(TASK).unwrap(),
        user_id: user(),
        schedules: KnownSchedules {
            ids: schedules.iter().map(|id| ScheduleId::parse(id).unwrap()).collect(),
            all_deleted: false,
        },
        because_of: None,
    }
}

/// The command to pause the task all of whose schedules are deleted.
fn pause_without_schedules() -> Command {
    pause().with_schedules(KnownSchedules { ids: Vec::new(), all_deleted: true })
}

fn revoke() -> Command {
    Command::RevokeKey { key_id: ApiKeyId::parse("key_1").unwrap(), user_id: user() }
}

pub(crate) fn ban(clerk_user_id: &str) -> Command {
    Command::BanUser { user_id: user(), clerk_user_id: ClerkUserId::parse(clerk_user_id).unwrap() }
}

pub(crate) fn body(command: &Command) -> String {
    let cause = Cause {
        event: "e1".to_owned(),
        requested_by: user().to_string(),
        reason: "spam".to_owned(),
        trace: None,
    };
    command.message(&cause, NOW)
}

/// Clerk, Temporal and the queue of events, which note their requests and answer as a test says.
struct World {
    clerk: clerk::ClerkStandin,
    temporal: temporal::TemporalStandin,
    events: FakeSqs,
    bans: Arc<Mutex<Vec<ClerkRequest>>>,
    pauses: Arc<Mutex<Vec<PauseRequest>>>,
    clerk_says: Arc<Mutex<Vec<ClerkAnswer>>>,
    temporal_says: Arc<Mutex<Vec<TemporalAnswer>>>,
}

type RealExecutor = Executor<ClerkBans, TemporalPauses, MessageQueue>;

impl World {
    /// All is well.
    async fn start() -> Self {
        // Shown where a test fails.
        drop(tracing_subscriber::fmt().with_test_writer().try_init());
        let (bans, pauses) =
            (Arc::<Mutex<Vec<ClerkRequest>>>::default(), Arc::<Mutex<Vec<PauseRequest>>>::default());
        let (clerk_says, temporal_says) =
            (Arc::<Mutex<Vec<ClerkAnswer>>>::default(), Arc::<Mutex<Vec<TemporalAnswer>>>::default());
        let (noted, says) = (Arc::clone(&bans), Arc::clone(&clerk_says));
        let clerk = clerk::ClerkStandin::start(move |request| {
            noted.lock().unwrap().push(request.clone());
            says.lock().unwrap().pop().unwrap_or_else(|| clerk::accept_bans(request).1)
        });
        let (noted, says) = (Arc::clone(&pauses), Arc::clone(&temporal_says));
        let temporal = temporal::TemporalStandin::start(move |pause| {
            noted.lock().unwrap().push(pause.clone());
            says.lock().unwrap().pop().unwrap_or(TemporalAnswer::Done)
        });
        let (clerk, temporal) = (clerk.await.unwrap(), temporal.await.unwrap());
        Self { clerk, temporal, events: FakeSqs::default(), bans, pauses, clerk_says, temporal_says }
    }

    /// What Clerk answers to the next requests instead, the first one first.
    fn clerk_says(&self, answers: impl IntoIterator<Item = ClerkAnswer>) {
        *self.clerk_says.lock().unwrap() = answers.into_iter().collect();
        self.clerk_says.lock().unwrap().reverse();
    }

    /// What Temporal answers to the next calls instead, the first one first.
    fn temporal_says(&self, answers: impl IntoIterator<Item = TemporalAnswer>) {
        *self.temporal_says.lock().unwrap() = answers.into_iter().collect();
        self.temporal_says.lock().unwrap().reverse();
    }

    fn settings(&self) -> (IdentityProviderSettings, config::TemporalSettings) {
        let timeout = Duration::from_millis(500);
        let clerk = IdentityProviderSettings {
            api_url: self.clerk.url(),
            secret_key: Some(SECRET.to_owned()),
            timeout,
            ..IdentityProviderSettings::default()
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
    fn executor(&self) -> RealExecutor {
        let (clerk, temporal) = self.settings();
        self.executor_with(&clerk, temporal)
    }

    fn executor_with(
        &self,
        clerk: &IdentityProviderSettings,
        temporal: config::TemporalSettings,
    ) -> RealExecutor {
        executor_of(ClerkBans::new(clerk), TemporalPauses::new(temporal), &self.events)
    }

    /// Types of the events that were published, each of which the consumer would take.
    fn published(&self) -> BTreeSet<String> {
        let read = |message: &String| match events::parse(message, Some(NOW)) {
            Ok(events::ReceivedMessage::Known(event)) => event.event_type().name().to_owned(),
            other => panic!("{message}: {other:?}"),
        };
        self.events.taken().iter().map(read).collect()
    }
}

pub(crate) fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// An invocation with messages whose ids are their positions: the ids that are returned to the queue.
pub(crate) async fn invoke_until<C: BanUsers, T: PauseSchedules>(
    executor: &Executor<C, T, MessageQueue>,
    bodies: &[String],
    deadline_ms: i64,
) -> BTreeSet<String> {
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

async fn invoke(executor: &RealExecutor, bodies: &[String]) -> BTreeSet<String> {
    invoke_until(executor, bodies, torale_platform::clock::system().millis() + 60_000).await
}

/// A loopback address without a listener.
async fn unused_address() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap().to_string()
}

fn says(status: u16, headers: &[(&'static str, &'static str)], text: String) -> ClerkAnswer {
    ClerkAnswer::With(status, headers.to_vec(), text)
}

#[tokio::test]
async fn executor_carries_out_each_command_where_it_belongs_and_publishes_its_events() {
    let world = World::start().await;
    let bodies = [pause(), revoke(), ban("user_2abc")].map(|command| body(&command));

    assert_eq!(invoke(&world.executor(), &bodies).await, set(&[]));

    let ban = ClerkRequest {
        method: "POST".to_owned(),
        path: "/v1/users/user_2abc/ban".to_owned(),
        authorization: Some(format!("Bearer {SECRET}")),
    };
    assert_eq!(*world.bans.lock().unwrap(), [ban]);

    let id = Command::receive(&bodies[0]).unwrap().id;
    let paused = PauseRequest {
        namespace: "torale.abc123".to_owned(),
        schedule_id: SCHEDULE.to_owned(),
        note: format!("spam (requested by {ADMIN}, command {id})"),
        authorization: Some("Bearer temporal-key".to_owned()),
    };

    assert_eq!(*world.pauses.lock().unwrap(), [paused]);
    assert_eq!(world.published(), set(&["api_key.revoked", "task.paused", "temporal.schedule.paused"]));
    assert_eq!(world.events.taken().len(), 3, "a ban is no event");
}

#[tokio::test]
async fn executor_escapes_a_clerk_id_in_the_path() {
    let world = World::start().await;

    assert_eq!(invoke(&world.executor(), &[body(&ban("../user 1?"))]).await, set(&[]));
    assert_eq!(world.bans.lock().unwrap()[0].path, "/v1/users/%2E%2E%2Fuser%201%3F/ban");
}

#[tokio::test]
async fn executor_counts_a_ban_as_done_when_clerk_confirms_it_or_knows_no_such_user() {
    let world = World::start().await;
    let executor = world.executor();
    let not_found = clerk::error("not found", "No user was found with id user_2abc", "resource_not_found");
    let too_many = clerk::error("Too many requests", "Please try again in a bit.", "too_many_requests");
    let forbidden = clerk::error("Forbidden", "Not allowed", "feature_not_enabled");
    let returned_one = set(&["0"]);

    for (answer, returned) in [
        (says(200, &[], r#"{"id":"user_2abc","banned":true}"#.to_owned()), set(&[])),
        (says(204, &[], String::new()), set(&[])),
        (says(404, &[], not_found), set(&[])),
        (says(404, &[], String::new()), returned_one.clone()),
        (says(404, &[], "<html>Not Found</html>".to_owned()), returned_one.clone()),
        (says(404, &[], r#"{"errors":[]}"#.to_owned()), returned_one.clone()),
        (says(404, &[], forbidden.clone()), returned_one.clone()),
        (says(429, &[("retry-after", "10")], too_many), returned_one.clone()),
        (says(500, &[], "Internal Server Error".to_owned()), returned_one.clone()),
        (says(503, &[], String::new()), returned_one.clone()),
        (says(403, &[], forbidden), returned_one.clone()),
        (says(401, &[], String::new()), returned_one.clone()),
        (says(302, &[("location", "/")], String::new()), returned_one.clone()),
        (ClerkAnswer::Silent, returned_one),
    ] {
        world.clerk_says([answer.clone()]);
        assert_eq!(invoke(&executor, &[body(&ban("user_2abc"))]).await, returned, "{answer:?}");
        // It is delivered again, and Clerk is well again.
        assert_eq!(invoke(&executor, &[body(&ban("user_2abc"))]).await, set(&[]), "{answer:?}");
    }
}

/// Every ban is a 404 then: none may be acknowledged and lost.
#[tokio::test]
async fn executor_returns_bans_while_the_address_of_clerk_is_a_wrong_one() {
    let world = World::start().await;
    let (settings, temporal) = world.settings();
    let with_version = format!("{}/v1", settings.api_url);
    let wrong = IdentityProviderSettings { api_url: with_version, ..world.settings().0 };
    let ban = [body(&ban("user_2abc"))];

    assert_eq!(invoke(&world.executor_with(&wrong, temporal.clone()), &ban).await, set(&["0"]));
    assert_eq!(world.bans.lock().unwrap()[0].path, "/v1/v1/users/user_2abc/ban");

    assert_eq!(invoke(&world.executor_with(&settings, temporal), &ban).await, set(&[]));
}

#[tokio::test]
async fn executor_returns_only_bans_while_clerk_is_out_of_reach_or_not_configured() {
    let world = World::start().await;
    let (settings, temporal) = (|| world.settings().0, world.settings().1);

    for clerk in [
        IdentityProviderSettings { api_url: format!("http://{}", unused_address().await), ..settings() },
        IdentityProviderSettings { api_url: "http://api.clerk.com".to_owned(), ..settings() },
        IdentityProviderSettings { secret_key: None, ..settings() },
    ] {
        let executor = world.executor_with(&clerk, temporal.clone());
        let bodies = [body(&ban("user_2abc")), body(&pause())];
        assert_eq!(invoke(&executor, &bodies).await, set(&["0"]), "other commands don't wait");
    }
}

#[tokio::test]
async fn executor_counts_a_pause_as_done_when_temporal_confirms_it_or_knows_no_such_schedule() {
    let (done, returned_one) = (set(&[]), set(&["0"]));
    let both = set(&["task.paused", "temporal.schedule.paused"]);

    for (answer, returned, events) in [
        (TemporalAnswer::Done, done.clone(), both),
        (NO_SCHEDULE, done, set(&["task.paused"])),
        (NO_NAMESPACE, returned_one.clone(), set(&[])),
        (UNAVAILABLE, returned_one.clone(), set(&[])),
        (TemporalAnswer::Refused(7, "Request unauthorized.", None), returned_one.clone(), set(&[])),
        (TemporalAnswer::Refused(8, "namespace rate limit exceeded", None), returned_one.clone(), set(&[])),
        (TemporalAnswer::Silent, returned_one, set(&[])),
    ] {
        let world = World::start().await;
        let executor = world.executor();
        world.temporal_says([answer.clone()]);
        assert_eq!(invoke(&executor, &[body(&pause())]).await, returned, "{answer:?}");
        assert_eq!(world.published(), events, "{answer:?}");
        assert_eq!(world.pauses.lock().unwrap().len(), 1, "one request");
        assert_eq!(invoke(&executor, &[body(&pause())]).await, set(&[]), "again, after {answer:?}");
    }
}

/// The platform's own code calls schedules `schedule-<task_id>`: only those that events have named are asked for.
#[tokio::test]
async fn executor_pauses_every_schedule_that_events_have_named_and_no_other() {
    let world = World::start().await;
    let named = ["schedule-a", "schedule-b"];

    assert_eq!(invoke(&world.executor(), &[body(&pause_of(&named))]).await, set(&[]));

    let asked: BTreeSet<String> =
        world.pauses.lock().unwrap().iter().map(|pause| pause.schedule_id.clone()).collect();
    assert_eq!(asked, set(&named));

    let subjects = |message: &String| {
        let event: Value = serde_json::from_str(message).unwrap();
        (event["type"] == "ai.torale.temporal.schedule.paused").then(|| event["subject"].to_string())
    };
    let confirmed: BTreeSet<String> = world.events.taken().iter().filter_map(subjects).collect();
    assert_eq!(confirmed, set(&["\"schedule-a\"", "\"schedule-b\""]));
}

/// A schedule that events have named and that is deleted is no reason to guess at a name.
#[tokio::test]
async fn executor_tries_no_pattern_where_all_schedules_of_a_task_are_deleted() {
    let world = World::start().await;

    assert_eq!(invoke(&world.executor(), &[body(&pause_without_schedules())]).await, set(&[]));

    assert_eq!(*world.pauses.lock().unwrap(), []);
    assert_eq!(world.published(), set(&["task.paused"]));
}

/// It may run under another name: the command is done, but an operator is warned, and no event says that it was paused.
#[tokio::test]
async fn executor_tells_of_a_schedule_that_temporal_does_not_know() {
    let world = World::start().await;
    world.temporal_says([NO_SCHEDULE]);
    let message = QueueMessage {
        id: "m".to_owned(),
        body: body(&pause_of(&["schedule-a"])),
        sent_at: None,
        received: 1,
    };
    let log = LogBuffer::new();
    let executor = world.executor();
    let guard = tracing::subscriber::set_default(log.subscriber());
    let until = Instant::now() + Duration::from_secs(20);
    let outcomes = executor.execute_all(std::slice::from_ref(&message), until).await;
    drop(guard);

    assert!(matches!(outcomes[..], [(_, Ok(CommandOutcome::SchedulesMissing(1)))]), "{outcomes:?}");
    assert_eq!(world.published(), set(&["task.paused"]));
    assert!(log.text().contains("Temporal has no such schedule"), "{}", log.text());
}

#[tokio::test]
async fn executor_retries_at_once_when_an_idle_connection_to_temporal_has_died() {
    let world = World::start().await;
    let executor = world.executor();
    world.temporal_says([TemporalAnswer::Done, UNAVAILABLE, TemporalAnswer::Done]);

    for _ in 0..2 {
        assert_eq!(invoke(&executor, &[body(&pause())]).await, set(&[]));
    }

    assert_eq!(world.pauses.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn executor_returns_only_pauses_while_temporal_is_out_of_reach_or_not_configured() {
    let world = World::start().await;
    let (clerk, temporal) = world.settings();
    let unused = format!("http://{}", unused_address().await);

    for address in [unused, "http://temporal.example:7233".to_owned(), String::new()] {
        let executor = world.executor_with(&clerk, config::TemporalSettings { address, ..temporal.clone() });
        let bodies = [body(&pause()), body(&revoke())];
        assert_eq!(invoke(&executor, &bodies).await, set(&["0"]), "other commands don't wait");
    }

    assert_eq!(world.published(), set(&["api_key.revoked"]));
}

#[tokio::test]
async fn executor_returns_exactly_the_messages_of_a_batch_that_failed() {
    let world = World::start().await;
    let user = |position: usize| body(&ban(&format!("user_{position}")));
    let mut bodies: Vec<String> = (0..20).map(user).collect();
    bodies[7] = "{".to_owned();
    bodies[11] = body(&revoke());
    bodies[13] = body(&ban("user_13")).replace("command.user.ban", "command.user.dance");
    // Clerk fails twice, whoever is to be banned then.
    world.clerk_says([says(500, &[], String::new()), says(429, &[], String::new())]);
    let executor = world.executor();
    let failed = invoke(&executor, &bodies).await;

    assert!(failed.contains("7") && failed.contains("13") && failed.len() == 4, "{failed:?}");

    let again: Vec<String> = failed.iter().map(|id| bodies[id.parse::<usize>().unwrap()].clone()).collect();
    assert_eq!(invoke(&executor, &again).await.len(), 2, "what is no command always fails");

    let banned: BTreeSet<String> =
        world.bans.lock().unwrap().iter().map(|request| request.path.clone()).collect();
    assert_eq!((banned.len(), world.bans.lock().unwrap().len()), (17, 19), "no other ban is repeated");
}

#[tokio::test]
async fn executor_publishes_events_on_redelivery_that_the_queue_did_not_take() {
    let world = World::start().await;
    let mut executor = world.executor();
    let bodies = [body(&pause()), body(&revoke()), body(&ban("user_2abc"))];
    executor.events = FakeSqs::always(CallFate::Fails(403, "AccessDenied")).client();

    assert_eq!(invoke(&executor, &bodies).await, set(&["0", "1"]), "a ban publishes nothing");
    assert_eq!(world.pauses.lock().unwrap().len(), 1, "the schedule is paused all the same");
    assert_eq!(world.published(), set(&[]));

    executor.events = world.events.client();
    assert_eq!(invoke(&executor, &bodies).await, set(&[]));
    assert_eq!(world.published(), set(&["api_key.revoked", "task.paused", "temporal.schedule.paused"]));
}

#[tokio::test]
async fn executor_publishes_events_with_the_same_ids_for_a_command_delivered_twice() {
    let world = World::start().await;
    let executor = world.executor();

    for _ in 0..2 {
        assert_eq!(invoke(&executor, &[body(&pause()), body(&pause())]).await, set(&[]));
    }

    let id = |message: &String| serde_json::from_str::<Value>(message).unwrap()["id"].to_string();
    let ids: Vec<String> = world.events.taken().iter().map(id).collect();

    assert_eq!((ids.len(), BTreeSet::from_iter(ids).len()), (8, 2));
}

#[tokio::test]
async fn executor_forwards_commands_that_it_does_not_handle_or_returns_them() {
    let world = World::start().await;
    let mut executor = world.executor();
    executor.handled = vec!["task.pause"];
    let bodies = [body(&ban("user_2abc")), body(&revoke()), body(&pause()), "{}".to_owned()];

    assert_eq!(invoke(&executor, &bodies).await, set(&["0", "1", "3"]));

    let others = FakeSqs::default();
    executor.forward = Some(others.client());

    assert_eq!(invoke(&executor, &bodies).await, set(&["3"]));
    assert_eq!(BTreeSet::from_iter(others.taken()), BTreeSet::from_iter(bodies[..2].to_vec()));

    executor.forward = Some(FakeSqs::always(CallFate::Fails(403, "AccessDenied")).client());
    assert_eq!(invoke(&executor, &bodies).await, set(&["0", "1", "3"]));
    assert_eq!(world.bans.lock().unwrap().len(), 0);
    assert_eq!(world.published(), set(&["task.paused", "temporal.schedule.paused"]));
}

#[tokio::test]
async fn executor_begins_nothing_after_the_deadline() {
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
    assert_eq!(world.events.calls(), [""; 0]);
}

/// Clerk and Temporal that never answer.
struct Silent;

impl BanUsers for Silent {
    async fn ban(&self, _user: &ClerkUserId) -> Result<bool, ClerkError> {
        std::future::pending().await
    }
}

/// The executor of all kinds of commands over some other systems.
pub(crate) fn executor_of<B, P>(clerk: B, temporal: P, events: &FakeSqs) -> Executor<B, P, MessageQueue> {
    Executor {
        clerk,
        temporal,
        temporal_rest: TemporalRest::default(),
        events: events.client(),
        forward: None,
        handled: Command::KINDS.to_vec(),
        schedules: SchedulePattern::parse("task-{task_id}").unwrap(),
        clock: || NOW,
    }
}

impl PauseSchedules for Silent {
    type Error = TemporalError;

    async fn pause(&self, _schedule: &str, _note: &str) -> Result<bool, TemporalError> {
        std::future::pending().await
    }
}

/// Time is virtual, but for the clock that the deadline of an invocation refers to.
#[tokio::test(start_paused = true)]
async fn executor_returns_exactly_the_commands_that_are_not_done_by_the_deadline() {
    let events = FakeSqs::default();
    let executor = executor_of(Silent, Silent, &events);
    let bodies = [body(&ban("user_2abc")), body(&revoke())];

    let deadline = torale_platform::clock::system().millis() + 60_000;
    let returned = invoke_until(&executor, &bodies, deadline).await;

    assert_eq!(returned, set(&["0"]));
    assert_eq!(events.taken().len(), 1, "the revocation is published");
}

#[tokio::test]
async fn executor_logs_counts_of_outcomes_and_a_line_for_each_failure_without_its_body() {
    let world = World::start().await;
    let (log, executor) = (LogBuffer::new(), world.executor());
    let guard = tracing::subscriber::set_default(log.subscriber());
    world.clerk_says([says(429, &[("retry-after", "10")], String::new())]);
    world.temporal_says([NO_SCHEDULE]);
    let bodies =
        [body(&ban("user_2abc")), body(&pause()), body(&revoke()), r#"{"email":"a@b.c"}"#.to_owned()];

    assert_eq!(invoke(&executor, &bodies).await, set(&["0", "3"]));

    drop(guard);

    let batch = log.line("message", "batch");
    let counts = r#"{"carried_out": 1, "clerk": 1, "no_command": 1, "schedules_missing": 1}"#;

    assert_eq!((&batch["messages"], &batch["failed"]), (&Value::from(4), &Value::from(2)));
    assert_eq!(batch["outcomes"], counts);

    let failures = log.lines_with("message", "handed back");
    let failure = |id: &str| failures.iter().find(|line| line["message_id"] == id).unwrap();

    assert_eq!(failures.len(), 2);
    assert_eq!((&failure("0")["kind"], &failure("0")["outcome"]), (&"user.ban".into(), &"clerk".into()));
    assert_eq!(failure("0")["failure"], "identity provider answered 429 Too Many Requests");
    assert_eq!(failure("3")["outcome"], "no_command");

    let log = log.text();

    for private in ["spam", "user_2abc", "a@b.c", SECRET, "temporal-key"] {
        assert!(!log.contains(private), "{private}: {log}");
    }
}
