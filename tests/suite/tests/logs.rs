//! What the logs say of every step, and what they never hold: keys, tokens, emails, bodies.

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use clerk_webhook::Webhook;
use command_executor::Executor;
use command_executor::clerk::{BanUsers, ClerkError};
use command_executor::pause::PauseSchedules;
use command_executor::rest::TemporalRest;
use command_executor::temporal::TemporalError;
use deactivate_user::DeactivateUser;
use lambda_runtime::{Context, LambdaEvent};
use metrics::MetricSources;
use metrics::cloudwatch::CloudWatch;
use serde_json::{Value, json};
use std::sync::LazyLock;
use tokio::time::Instant;
use torale_domain::deactivation::commands::{Command, SchedulePattern};
use torale_domain::requests::payload::{HttpRequest, InvocationContext};
use torale_domain::values::ids::ClerkUserId;
use torale_domain::values::time::DAY;
use torale_domain::values::trace::TraceParent;
use torale_platform::consume::Consumer;
use torale_platform::logging;
use torale_platform::outbox::Relay;
use torale_platform::queue::MessageQueue;
use torale_platform::store::{Generations, Usage};
use torale_replay::Replay;
use torale_testkit::cloudwatch::FakeCloudWatch;
use torale_testkit::events::{
    ADMIN, EventBuilder, IntoMessages, admin, api_key, event_about, execution, task, user,
};
use torale_testkit::fake_aws::CallFate;
use torale_testkit::faults::Faults;
use torale_testkit::interceptor::Interceptor;
use torale_testkit::logs::LogBuffer;
use torale_testkit::request::{ApiAnswer, ApiRequest, get, patch, payload, read};
use torale_testkit::scenario::{given, given_an_admin};
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{self, ADMIN_KEY, NOW, Stack};
use torale_testkit::svix;
use torale_tests::endpoints;
use users::Users;

const TRACE: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
const TRACE_ID: &str = "5759e988bd862e3fe1be46a994272793";
const USER: &str = "11111111-0000-4000-8000-000000000001";
const TASK: &str = "22222222-0000-4000-8000-000000000001";
const LATE: &str = "22222222-0000-4000-8000-000000000002";
/// None of these may stand in a log.
const PRIVATE: [&str; 7] = [
    ADMIN_KEY,
    "sk_someone_0123456789abcdefghij",
    "ann@example.com",
    "my secret query",
    "a message of an error",
    "eyJhbGciOiJSUzI1NiJ9",
    svix::SECRET,
];

/// All lines of this process, with everything that libraries can say.
static LINES: LazyLock<LogBuffer> = LazyLock::new(|| {
    let lines = LogBuffer::new();
    let writer = lines.clone();
    tracing::subscriber::set_global_default(logging::subscriber("trace", move || writer.clone())).unwrap();
    lines
});

/// The lines of one test: they run one after the other.
struct Log(#[allow(dead_code, reason = "held until the test ends")] tokio::sync::MutexGuard<'static, ()>);

impl Log {
    async fn listen() -> Self {
        static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let one = ONE.lock().await;
        LINES.clear();
        Self(one)
    }

    fn lines(&self) -> Vec<Value> {
        LINES.lines()
    }

    /// The one line with this value.
    fn line(&self, name: &str, value: &str) -> Value {
        LINES.line(name, value)
    }

    /// The line of a request.
    fn line_of(&self, answer: &ApiAnswer) -> Value {
        self.line("request_id", answer.header("x-request-id").unwrap())
    }

    /// Nothing private, and no lines of levels below those of production.
    fn is_clean(&self) {
        let text = LINES.text();
        assert!(!text.is_empty());
        for private in PRIVATE {
            assert!(!text.contains(private), "{private}: {text}");
        }
        for line in self.lines() {
            assert!(["INFO", "WARN", "ERROR"].iter().any(|level| line["level"] == *level), "{line}");
        }
    }
}

/// Clerk and Temporal that do what they are asked to.
struct Willing;

impl BanUsers for Willing {
    async fn ban(&self, _user: &ClerkUserId) -> Result<bool, ClerkError> {
        Ok(true)
    }
}

impl PauseSchedules for Willing {
    type Error = TemporalError;

    async fn pause(&self, _schedule: &str, _note: &str) -> Result<bool, TemporalError> {
        Ok(true)
    }
}

fn executor(events: &FakeSqs) -> Executor<Willing, Willing, MessageQueue> {
    Executor {
        clerk: Willing,
        temporal: Willing,
        temporal_rest: TemporalRest::default(),
        events: events.client(),
        forward: None,
        handled: Command::KINDS.to_vec(),
        schedules: SchedulePattern::parse("task-{task_id}").unwrap(),
        clock: || NOW,
    }
}

/// A user with a task and a key, all with private data.
fn ann() -> Vec<String> {
    let ann = user(USER).created().with("clerk_user_id", "user_ann").with("email", "ann@example.com");
    let key = api_key("key_1").created(USER, PRIVATE[1]).with("key_prefix", "sk_so");
    let events = [ann, task(TASK).created(USER, "my secret query"), key];
    events.map(|event| event.at(NOW.plus(-DAY))).into_messages()
}

/// A task that is created now.
fn late_task() -> EventBuilder {
    task(LATE).created(USER, "my secret query")
}

/// What the queue hands to a function.
fn batch(bodies: &[String]) -> LambdaEvent<SqsEvent> {
    let record = |(number, body): (usize, &String)| {
        let mut record = SqsMessage::default();
        record.message_id = Some(number.to_string());
        record.body = Some(body.clone());
        record
    };
    let mut event = SqsEvent::default();
    event.records = bodies.iter().enumerate().map(record).collect();
    LambdaEvent::new(event, Context::default())
}

fn deactivation() -> ApiRequest {
    patch::<DeactivateUser>(USER)
}

fn trace_of(message: &str) -> Option<String> {
    TraceParent::of_message(message).map(|trace| trace.as_str().to_owned())
}

#[tokio::test]
async fn log_line_of_a_request_has_caller_action_outcome_trace_and_cost() {
    let log = Log::listen().await;
    let request = get::<Users>("limit=5").header("traceparent", TRACE);

    let answer = given_an_admin().when(request).await;

    let line = log.line_of(&answer);
    let found = ["action", "status", "user", "key", "generation", "trace_id"].map(|name| line[name].clone());
    let expected =
        [json!("users.list"), json!(200), json!(ADMIN), json!("key_admin"), json!("g1"), json!(TRACE_ID)];

    assert_eq!(found, expected);
    assert!(line["duration_ms"].is_u64());
    assert!(line["read_units"].as_f64() > Some(0.0) && line["write_units"].as_f64() > Some(0.0), "{line}");

    log.is_clean();
}

#[tokio::test]
async fn log_line_of_a_request_that_needs_no_credentials_has_action_status_and_trace() {
    let log = Log::listen().await;
    let request = |path: &str| {
        let mut payload = payload("GET", path, "");
        payload["headers"] = json!({ "traceparent": TRACE });
        read(&payload)
    };

    let unknown = ApiAnswer::of(fallback::answer(&request("/admin/nowhere")));
    let document = ApiAnswer::of(openapi::answer("{}", &request("/admin/openapi.json")));
    let file = ApiAnswer::of(
        console::ConsoleSite::new(None)
            .answer(&request("/admin/console/nothing"))
            .map(|body| String::from_utf8(body).unwrap()),
    );

    for (answer, action, status) in
        [(unknown, "none", 404), (document, "openapi", 200), (file, "console", 404)]
    {
        let line = log.line_of(&answer);
        let found = ["action", "status", "trace_id"].map(|name| line[name].clone());
        assert_eq!(found, [json!(action), json!(status), json!(TRACE_ID)]);
    }
}

/// The SDK's own text of such an error has all bytes of the answer in it.
#[tokio::test]
async fn log_line_of_an_unreadable_answer_of_the_store_does_not_quote_it() {
    let log = Log::listen().await;
    let scenario = given_an_admin().start().await;
    let broken = Interceptor::answering("Query", r#"{"Items":[{"email":{"S":"ann@example.com"}}"#);

    let answer = get::<Users>("").send(&scenario.app_over(scenario.store_with(broken))).await;

    assert_eq!(answer.status, 503);

    let line = log.line_of(&answer);
    assert!(line["error"].as_str().unwrap().contains("failed to parse JSON"), "{line}");

    log.is_clean();
}

#[tokio::test]
async fn log_line_of_a_panic_has_its_place_and_not_its_message() {
    let log = Log::listen().await;
    let usual = std::panic::take_hook();
    logging::log_panics();
    let panicked = std::panic::catch_unwind(|| panic!("ann@example.com"));
    std::panic::set_hook(usual);

    assert!(panicked.is_err());

    let line = log.line("message", "panic");
    assert!(line["at"].as_str().unwrap().contains("logs.rs:"), "{line}");

    log.is_clean();
}

#[tokio::test]
async fn log_line_has_x_rays_trace_rather_than_the_one_that_was_sent() {
    let log = Log::listen().await;
    let scenario = given_an_admin().start().await;
    let xray = "Root=1-11111111-222222222222222222222222;Parent=53995c3f42cd8ad8;Sampled=1";
    let invocation = InvocationContext { request_id: "of-xray", xray: Some(xray) };
    let request = get::<Users>("").authorized(None).header("traceparent", TRACE);
    let built = HttpRequest::read(&request.payload().to_string(), invocation, || "made".to_owned());

    let answer = request.endpoint.answer(&scenario.app(), &scenario.commands.client(), &built).await;

    let line = log.line_of(&ApiAnswer::of(answer));

    assert_eq!(line["trace_id"], "11111111222222222222222222222222");
}

/// One trace from a request to its commands, their execution, the events that confirm them, and the consumer.
#[tokio::test]
async fn trace_runs_from_a_request_to_the_projections() {
    let log = Log::listen().await;
    let scenario = given(ann()).start().await;
    let request = deactivation().header("traceparent", TRACE);

    assert_eq!(scenario.when(request).await.status, 200);

    let commands = scenario.commands.taken();
    assert_eq!(commands.len(), 3);
    assert!(commands.iter().all(|command| trace_of(command).as_deref() == Some(TRACE)), "{commands:?}");

    // The event in the log carries it, the projections don't.
    let logged = scenario.logged().await;
    let deactivated = logged.iter().filter(|body| body.contains("user.deactivated"));

    assert_eq!(deactivated.map(|body| trace_of(body)).collect::<Vec<_>>(), [Some(TRACE.to_owned())]);
    assert!(scenario.projections().await.values().all(|item| !item.contains(TRACE_ID)));

    let events = FakeSqs::default();
    let returned = command_executor::handle(&executor(&events), batch(&commands)).await;

    assert_eq!(returned.batch_item_failures.len(), 0);

    let lines = LINES.lines_with("message", "command");
    assert_eq!(lines.len(), 3);
    assert!(
        lines.iter().all(|line| line["trace_id"] == TRACE_ID && line["command"].is_string()),
        "{lines:?}"
    );

    let confirmed = events.taken();
    assert!(confirmed.iter().all(|event| trace_of(event).as_deref() == Some(TRACE)), "{confirmed:?}");

    consumer::handle(&scenario.consumer(), batch(&confirmed)).await;
    assert_eq!(log.line("traces", TRACE_ID)["failed"], 0);
    assert!(scenario.projections().await.values().all(|item| !item.contains(TRACE_ID)));

    log.is_clean();
}

#[tokio::test]
async fn trace_of_an_event_that_creates_a_task_runs_on_to_the_command_that_pauses_it() {
    let log = Log::listen().await;
    let scenario = given(ann()).start().await;

    assert_eq!(deactivation().send(&scenario.app()).await.status, 200);

    let late = late_task().with_attribute("traceparent", TRACE);
    assert_eq!(scenario.consume(&late.into_messages()).await.late_entries, 1);

    let (store, generations, usage) = (scenario.store(), Generations::default(), Usage::default());
    let queue = scenario.commands.client();
    let until = Instant::now() + stack::LONG;
    Relay::new(&store, &generations, &queue, &usage).run(|| NOW, until).await.unwrap();

    let sent = scenario.commands.taken();
    let [command] = &sent[..] else { panic!("{sent:?}") };

    assert_eq!(Command::receive(command).unwrap().command.target(), LATE);
    assert_eq!(trace_of(command).as_deref(), Some(TRACE));

    log.is_clean();
}

/// The webhook and the executor get messages that are not theirs.
async fn wrong_messages(events: &[String]) {
    let webhook = Webhook::new(PRIVATE[6], FakeSqs::default().client(), || NOW);
    let request = svix::request("msg_1", NOW, &format!("v1,{}", PRIVATE[5]), &events[2]);
    webhook.handle(&read(&request)).await;
    command_executor::handle(&executor(&FakeSqs::unreachable()), batch(events)).await;
    unusable_payloads(&webhook).await;
}

/// What Clerk has signed, and is no event.
async fn unusable_payloads(webhook: &Webhook) {
    let user = |field: &str| json!({ "type": "user.created", "data": { field: "ann@example.com" } });
    let fields = ["id", "email_addresses", "created_at", "public_metadata", "private_metadata"];
    let whole = [json!("my secret query"), json!({ "type": "user.updated", "data": "ann@example.com" })];
    for payload in fields.map(user).into_iter().chain(whole) {
        let answer = webhook.handle(&read(&svix::signed("msg_2", &payload))).await;
        assert_eq!(answer.status(), 400, "{payload}");
    }
}

/// Jobs that fail, or have something to report.
async fn jobs(stack: &Stack) {
    let until = || Instant::now() + stack::LONG;
    stack.consume(&late_task().into_messages()).await;
    let down = FakeSqs::unreachable();
    outbox_relay::handle(&stack.store(), &down.client(), &down.client(), || NOW, until()).await.unwrap();
    let sources = MetricSources {
        store: stack.store(),
        generations: Generations::default(),
        events: down.client(),
        cloudwatch: CloudWatch::new(FakeCloudWatch::default().config()),
        clock: || NOW,
    };
    metrics::handle(&sources).await.unwrap_err();
    let key = audit_seal::SealingKey::Local(stack::audit_key());
    audit_seal::handle(&stack.store(), &key, || NOW, until()).await.unwrap();
    let broken = stack.faulty_store(&Faults::always());
    audit_seal::handle(&broken, &key, || NOW, until()).await.unwrap_err();
    let replay = Replay::new(stack.store_as("Replay"), || NOW.plus(DAY));
    let step = |step| replay::handle(&replay, serde_json::from_value(step).unwrap(), stack::LONG);
    let begun = step(json!({ "step": "begin" })).await.unwrap();
    step(json!({ "step": "build", "generation": begun.generation })).await.unwrap();
    step(json!({ "step": "build", "generation": "ann" })).await.unwrap_err();
}

/// Requests to every endpoint with private data in every part of them.
async fn requests(stack: &Stack) {
    for authorization in [format!("Bearer {}", PRIVATE[1]), format!("Bearer {}.e30.c2ln", PRIVATE[5])] {
        for of in endpoints::all() {
            let request =
                of.request(&format!("limit={ADMIN_KEY}&status=ann@example.com")).about("ann@example.com");
            request.send(&stack.app()).await;
            request.authorized(Some(&authorization)).send(&stack.app()).await;
        }
    }
    for fate in [CallFate::Unreachable, CallFate::Fails(400, "InvalidMessageContents")] {
        deactivation().send_with(&stack.app(), &FakeSqs::always(fate).client()).await;
    }
}

/// Messages of every kind, with private data in each, readable or not.
fn messages() -> Vec<String> {
    let failed = execution(LATE, TASK, USER).failed("E", "a message of an error");
    let invalid =
        event_about("p", "user.created", json!({ "user_id": "ann@example.com", "email": "my secret query" }));
    let unreadable = [json!({ "email": "ann@example.com" }).to_string(), format!("{{ {ADMIN_KEY}")];
    [admin(), ann(), failed.into_messages(), invalid.into_messages(), unreadable.to_vec()].concat()
}

/// Every kind of line of every part, good and bad, with everything that libraries would print at their most talkative.
#[tokio::test]
async fn log_never_has_keys_tokens_emails_queries_or_bodies() {
    let log = Log::listen().await;
    let stack = Stack::start().await;
    let messages = messages();

    consumer::handle(&stack.consumer(), batch(&messages)).await;

    for at in 0..6 {
        let broken = Consumer::new(stack.faulty_store(&Faults::new(at, false, false)), || NOW);
        consumer::handle(&broken, batch(&messages)).await;
        deactivation().send(&stack.faulty_app(&Faults::new(at, false, true))).await;
    }

    requests(&stack).await;
    wrong_messages(&messages).await;
    jobs(&stack).await;

    let lines = log.lines();

    for message in [
        "batch",
        "message quarantined",
        "webhook",
        "handed back",
        "a message could not be made durable",
        "an order stays in the outbox",
        "relayed",
        "not known",
        "sealed",
    ] {
        assert!(lines.iter().any(|line| line["message"] == message), "no line {message}");
    }

    assert!(lines.iter().any(|line| line["status"] == 503) && lines.iter().any(|line| line["status"] == 422));

    log.is_clean();
}
