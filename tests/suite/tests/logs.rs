//! What the logs tell of every step, and what they never hold: keys, tokens, emails, bodies.

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use clerk_webhook::Webhook;
use command_executor::Executor;
use command_executor::clerk::{BanUsers, ClerkError};
use command_executor::temporal::{PauseSchedules, TemporalError};
use lambda_http::http::{Method, Request};
use lambda_http::{Body, RequestExt};
use lambda_runtime::{Context, LambdaEvent};
use metrics::MetricSources;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};
use torale_domain::deactivation::commands::Command;
use torale_domain::storage::keys;
use torale_domain::values::digest;
use torale_domain::values::ids::ClerkUserId;
use torale_domain::values::time::DAY;
use torale_domain::values::trace::TraceParent;
use torale_platform::consume::Consumer;
use torale_platform::logging;
use torale_platform::outbox::Relay;
use torale_platform::queue::MessageQueue;
use torale_platform::serve::App;
use torale_platform::store::{Generations, Usage, log};
use torale_replay::Replay;
use torale_tests::cloudwatch::Stub;
use torale_tests::faults::{Answers, Faults};
use torale_tests::generate::{self, event};
use torale_tests::sqs::{MessageFate, Sqs, URL};
use torale_tests::stack::{self, ADMIN_KEY, NOW, Stack};
use torale_tests::svix;

const TRACE: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
const TRACE_ID: &str = "5759e988bd862e3fe1be46a994272793";
const ADMIN: &str = "00000000-0000-0000-0000-0000000000ad";
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

/// All lines of this process. It listens from the first test on: a log statement that has found nobody listening stays
/// silent. Libraries are asked for everything they can say.
static LINES: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(|| {
    tracing::subscriber::set_global_default(logging::subscriber("trace", || Lines)).unwrap();
    Mutex::default()
});

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines of one test: they run one after the other.
struct Log(#[allow(dead_code, reason = "held until the test ends")] tokio::sync::MutexGuard<'static, ()>);

impl Log {
    async fn listen() -> Self {
        static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let one = ONE.lock().await;
        LINES.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Self(one)
    }

    fn text(&self) -> String {
        String::from_utf8(LINES.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one line with this value.
    fn line(&self, name: &str, value: &str) -> Value {
        let lines: Vec<Value> = self.lines().into_iter().filter(|line| line[name] == value).collect();
        assert_eq!(lines.len(), 1, "{name} {value}: {lines:?}");
        lines[0].clone()
    }

    /// Nothing private, and nothing that was not meant to be seen.
    fn is_clean(&self) {
        let text = self.text();
        assert!(!text.is_empty());
        for private in PRIVATE {
            assert!(!text.contains(private), "{private}: {text}");
        }
        for line in self.lines() {
            assert!(["INFO", "WARN", "ERROR"].iter().any(|level| line["level"] == *level), "{line}");
        }
    }
}

struct Yes;

impl BanUsers for Yes {
    async fn ban(&self, _user: &ClerkUserId) -> Result<bool, ClerkError> {
        Ok(true)
    }
}

impl PauseSchedules for Yes {
    async fn pause(&self, _schedule: &str, _note: &str) -> Result<bool, TemporalError> {
        Ok(true)
    }
}

fn story() -> Vec<String> {
    let at = NOW.plus(-DAY);
    let user = json!({ "user_id": USER, "clerk_user_id": "user_ann", "email": "ann@example.com" });
    let hash = digest::sha256_hex(&[PRIVATE[1].as_bytes()]);
    vec![
        event("u", at, "user.created", user),
        event(
            "t",
            at,
            "task.created",
            json!({ "task_id": TASK, "user_id": USER, "search_query": "my secret query" }),
        ),
        event(
            "k",
            at,
            "api_key.created",
            json!({ "key_id": "key_1", "user_id": USER, "key_hash": hash, "key_prefix": "sk_so" }),
        ),
    ]
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

fn patch() -> Request<Body> {
    let path = format!("/admin/users/{USER}/deactivate");
    stack::request(Method::PATCH, &path, "", Some(&format!("Bearer {ADMIN_KEY}")))
}

fn trace_of(message: &str) -> Option<String> {
    TraceParent::of_message(message).map(|trace| trace.as_str().to_owned())
}

#[tokio::test]
async fn a_requests_line_tells_who_what_when_and_at_what_price() {
    let log = Log::listen().await;
    let stack = Stack::start().await;
    stack.consume(&generate::admin()).await;
    let mut request =
        stack::request(Method::GET, "/admin/users", "limit=5", Some(&format!("Bearer {ADMIN_KEY}")));
    request.headers_mut().insert("traceparent", TRACE.parse().unwrap());
    let response = stack::answer(&stack.app(), request).await;
    let line = log.line("request_id", response.headers()["x-request-id"].to_str().unwrap());
    let told = ["action", "status", "user", "key", "generation", "trace_id"].map(|name| line[name].clone());
    assert_eq!(
        told,
        [json!("users.list"), json!(200), json!(ADMIN), json!("key_admin"), json!("g1"), json!(TRACE_ID)]
    );
    assert!(line["duration_ms"].is_u64());
    assert!(line["read_units"].as_f64() > Some(0.0) && line["write_units"].as_f64() > Some(0.0), "{line}");
    log.is_clean();
}

#[tokio::test]
async fn what_anybody_may_ask_has_its_line_too() {
    let log = Log::listen().await;
    for (path, action, status) in [("/admin/nowhere", "none", 404), ("/admin/openapi.json", "openapi", 200)] {
        let mut request = stack::request(Method::GET, path, "", None);
        request.headers_mut().insert("traceparent", TRACE.parse().unwrap());
        let response =
            if status == 200 { openapi::answer("{}", &request) } else { fallback::answer(&request) };
        let line = log.line("request_id", response.headers()["x-request-id"].to_str().unwrap());
        assert_eq!(
            (&line["action"], &line["status"], &line["trace_id"]),
            (&json!(action), &json!(status), &json!(TRACE_ID))
        );
    }
}

/// The SDK's own text of such an error has all bytes of the answer in it.
#[tokio::test]
async fn an_answer_of_the_store_that_cannot_be_read_is_not_printed() {
    let log = Log::listen().await;
    let stack = Stack::start().await;
    stack.consume(&generate::admin()).await;
    let store = stack.store_with(Answers("Query", r#"{"Items":[{"email":{"S":"ann@example.com"}}"#));
    let app = App::new(store, stack::keys_only(), stack::LIMITS, stack::temporal_ui(), || NOW);
    let request = stack::request(Method::GET, "/admin/users", "", Some(&format!("Bearer {ADMIN_KEY}")));
    let response = stack::answer(&app, request).await;
    assert_eq!(response.status(), 503);
    let line = log.line("request_id", response.headers()["x-request-id"].to_str().unwrap());
    assert!(line["error"].as_str().unwrap().contains("failed to parse JSON"), "{line}");
    log.is_clean();
}

#[tokio::test]
async fn a_panic_is_a_line_without_its_message() {
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
async fn x_rays_trace_goes_before_the_one_that_was_sent() {
    let log = Log::listen().await;
    let stack = Stack::start().await;
    let mut request = stack::request(Method::GET, "/admin/users", "", None);
    request.headers_mut().insert("traceparent", TRACE.parse().unwrap());
    let mut context = Context::default();
    let root = "1-11111111-222222222222222222222222";
    context.xray_trace_id = Some(format!("Root={root};Parent=53995c3f42cd8ad8;Sampled=1"));
    let response = stack::answer(&stack.app(), request.with_lambda_context(context)).await;
    let line = log.line("request_id", response.headers()["x-request-id"].to_str().unwrap());
    assert_eq!(line["trace_id"], "11111111222222222222222222222222");
}

/// One trace from a request to its commands, their execution, the events that confirm it, and the consumer.
#[tokio::test]
async fn a_trace_runs_from_the_request_to_the_projections() {
    let log = Log::listen().await;
    let stack = Stack::start().await;
    stack.consume(&[generate::admin(), story()].concat()).await;
    let (commands, events) = (Sqs::default(), Sqs::default());
    let mut request = patch();
    request.headers_mut().insert("traceparent", TRACE.parse().unwrap());
    let response = stack::answer_with(&stack.app(), &commands.queue(Some(URL)), request).await;
    assert_eq!(response.status(), 200);
    let sent = commands.taken();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|command| trace_of(command).as_deref() == Some(TRACE)), "{sent:?}");
    // The event in the log carries it, the projections don't.
    let mut logged = Vec::new();
    for item in stack.scan(keys::EVENTS_TABLE).await {
        logged.extend(log::unpack(item["events"].as_b().unwrap().as_ref()).unwrap());
    }
    let own: Vec<&String> = logged.iter().filter(|body| body.contains("user.deactivated")).collect();
    assert_eq!(own.iter().map(|body| trace_of(body)).collect::<Vec<_>>(), [Some(TRACE.to_owned())]);
    assert!(stack.projections().await.values().all(|item| !item.contains(TRACE_ID)));

    let executor = Executor {
        clerk: Yes,
        temporal: Yes,
        events: events.queue(Some(URL)),
        forward: None::<MessageQueue>,
        handled: Command::KINDS.to_vec(),
        clock: || NOW,
    };
    let answer = command_executor::handle(&executor, batch(&sent)).await;
    assert_eq!(answer.batch_item_failures.len(), 0);
    let told: Vec<Value> = log.lines().into_iter().filter(|line| line["message"] == "command").collect();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|line| line["trace_id"] == TRACE_ID && line["command"].is_string()), "{told:?}");

    let confirmed = events.taken();
    assert!(confirmed.iter().all(|event| trace_of(event).as_deref() == Some(TRACE)), "{confirmed:?}");
    consumer::handle(&stack.consumer(), batch(&confirmed)).await;
    assert_eq!(log.line("traces", TRACE_ID)["failed"], 0);
    assert!(stack.projections().await.values().all(|item| !item.contains(TRACE_ID)));
    log.is_clean();
}

/// What an event brings to life is stopped under that event's trace.
#[tokio::test]
async fn a_late_task_is_stopped_under_the_trace_of_its_event() {
    let log = Log::listen().await;
    let (stack, sqs) = (Stack::start().await, Sqs::default());
    stack.consume(&[generate::admin(), story()].concat()).await;
    assert_eq!(stack::answer(&stack.app(), patch()).await.status(), 200);
    let late = json!({ "task_id": LATE, "user_id": USER, "search_query": "my secret query" });
    let mut late: Value = serde_json::from_str(&event("late", NOW, "task.created", late)).unwrap();
    late["traceparent"] = json!(TRACE);
    assert_eq!(stack.consume(&[late.to_string()]).await.late_entries, 1);
    let (store, generations, queue) = (stack.store(), Generations::default(), sqs.queue(Some(URL)));
    let usage = Usage::default();
    let until = tokio::time::Instant::now() + stack::LONG;
    Relay::new(&store, &generations, &queue, &usage).run(|| NOW, until).await.unwrap();
    let sent = sqs.taken();
    let [command] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(Command::receive(command).unwrap().command.target(), LATE);
    assert_eq!(trace_of(command).as_deref(), Some(TRACE));
    log.is_clean();
}

/// The webhook and the executor, handed what they can't use.
async fn outside(stack: &Stack, events: &[String]) {
    let webhook = Webhook::new(PRIVATE[6], stack.store(), Sqs::default().queue(Some(URL)), || NOW);
    let request = Request::builder().method("POST").uri("https://localhost/webhooks/clerk");
    let request = request.header("svix-id", "msg_1").header("svix-timestamp", "1774953030");
    let request = request.header("svix-signature", format!("v1,{}", PRIVATE[5]));
    webhook.handle(&request.body(Body::Text(events[2].clone())).unwrap()).await;
    let executor = Executor {
        clerk: Yes,
        temporal: Yes,
        events: Sqs::always(MessageFate::Unreachable).queue(Some(URL)),
        forward: None::<MessageQueue>,
        handled: Command::KINDS.to_vec(),
        clock: || NOW,
    };
    command_executor::handle(&executor, batch(events)).await;
    unusable_payloads(&webhook).await;
}

/// What Clerk has signed, and is no event.
async fn unusable_payloads(webhook: &Webhook) {
    let user = |field: &str| json!({ "type": "user.created", "data": { field: "ann@example.com" } });
    let fields = ["id", "email_addresses", "created_at", "public_metadata", "private_metadata"];
    let whole = [json!("my secret query"), json!({ "type": "user.updated", "data": "ann@example.com" })];
    for payload in fields.map(user).into_iter().chain(whole) {
        let answer = webhook.handle(&svix::signed("msg_2", &payload)).await;
        assert_eq!(answer.status(), 400, "{payload}");
    }
}

/// Jobs that fail, or find something.
async fn jobs(stack: &Stack) {
    let until = || tokio::time::Instant::now() + stack::LONG;
    let late = json!({ "task_id": LATE, "user_id": USER, "search_query": "my secret query" });
    stack.consume(&[event("late", NOW, "task.created", late)]).await;
    let (down, cloudwatch) = (Sqs::always(MessageFate::Unreachable), Stub::default());
    outbox_relay::handle(&stack.store(), &down.queue(Some(URL)), || NOW, until()).await.unwrap();
    let sources = MetricSources {
        store: stack.store(),
        generations: Generations::default(),
        events: down.queue(Some(URL)),
        cloudwatch: cloudwatch.client(),
        clock: || NOW,
    };
    metrics::handle(&sources).await.unwrap_err();
    let key = audit_seal::SealingKey::Local(stack::audit_key());
    audit_seal::handle(&stack.store(), &key, || NOW, until()).await.unwrap();
    let broken = stack.faulty_store(Faults::new(0, false, true));
    audit_seal::handle(&broken, &key, || NOW, until()).await.unwrap_err();
    let replay = Replay::new(stack.store_as("Replay"), || NOW.plus(DAY));
    let step = |step| replay::handle(&replay, serde_json::from_value(step).unwrap(), stack::LONG);
    let begun = step(json!({ "step": "begin" })).await.unwrap();
    step(json!({ "step": "build", "generation": begun.generation })).await.unwrap();
    step(json!({ "step": "build", "generation": "ann" })).await.unwrap_err();
}

/// Every kind of line of every part, good and bad, with everything that libraries would print at their most talkative.
#[tokio::test]
async fn nothing_private_is_ever_logged() {
    let log = Log::listen().await;
    let stack = Stack::start().await;
    let failed = json!({ "execution_id": LATE, "task_id": TASK, "user_id": USER, "started_at": NOW,
        "error_type": "E", "error_message": "a message of an error" });
    let poison = [
        json!({ "email": "ann@example.com" }).to_string(),
        event("p", NOW, "user.created", json!({ "user_id": "ann@example.com", "email": "my secret query" })),
        format!("{{ {ADMIN_KEY}"),
    ];
    let failed = event("f", NOW, "execution.failed", failed);
    let events = [generate::admin(), story(), vec![failed], poison.to_vec()].concat();
    consumer::handle(&stack.consumer(), batch(&events)).await;
    for at in 0..6 {
        let broken = Consumer::new(stack.faulty_store(Faults::new(at, false, false)), || NOW);
        consumer::handle(&broken, batch(&events)).await;
        let app = App::new(
            stack.faulty_store(Faults::new(at, false, true)),
            stack::keys_only(),
            stack::LIMITS,
            stack::temporal_ui(),
            || NOW,
        );
        stack::answer(&app, patch()).await;
    }
    for authorization in [format!("Bearer {}", PRIVATE[1]), format!("Bearer {}.e30.c2ln", PRIVATE[5])] {
        for endpoint in stack::endpoints() {
            let path = endpoint.path.replace("{id}", "ann@example.com");
            let query = format!("limit={ADMIN_KEY}&status=ann@example.com");
            for authorization in [&authorization, &format!("Bearer {ADMIN_KEY}")] {
                let request = stack::request(endpoint.method.clone(), &path, &query, Some(authorization));
                stack::answer(&stack.app(), request).await;
            }
        }
    }
    for fate in [MessageFate::Unreachable, MessageFate::Fails(400, "InvalidMessageContents")] {
        let commands = Sqs::always(fate);
        stack::answer_with(&stack.app(), &commands.queue(Some(URL)), patch()).await;
    }
    outside(&stack, &events).await;
    jobs(&stack).await;
    let lines = log.lines();
    for message in [
        "batch",
        "message set aside",
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
