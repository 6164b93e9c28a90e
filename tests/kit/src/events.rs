//! Builders of events: `user(ANN).created()`, `task(PHONE).paused().at("2026-03-03T08:00:00Z")`.
//!
//! Every field that the contract requires has a value; a test writes down those that it is about. An event happens at
//! [`NOW`] and has an id made of its type, its entity and its time, unless it is given another.

use crate::present::{ADMIN_KEY, NOW};
use serde_json::{Value, json};
use torale_domain::values::digest;
use torale_domain::values::time::{DAY, Timestamp};

/// The admin whose key the tests use.
pub const ADMIN: &str = "00000000-0000-0000-0000-0000000000ad";
/// The id of the admin's key.
pub const ADMIN_KEY_ID: &str = "key_admin";

/// The admin of the tests and their key, both created long ago.
pub fn admin() -> Vec<String> {
    let long_ago = NOW.plus(-400 * DAY);
    let created =
        user(ADMIN).created().with("clerk_user_id", "user_admin").with("email", "admin@example.com");
    let key = api_key(ADMIN_KEY_ID).created(ADMIN, ADMIN_KEY).with("key_prefix", "sk_test");
    vec![
        created.with("role", "admin").at(long_ago).id("admin-1").into(),
        key.at(long_ago).id("admin-2").into(),
    ]
}

/// A time of an event.
pub trait IntoTime {
    /// The time.
    fn into_time(self) -> Timestamp;
}

impl IntoTime for Timestamp {
    fn into_time(self) -> Timestamp {
        self
    }
}

impl IntoTime for &str {
    fn into_time(self) -> Timestamp {
        Timestamp::parse(self).unwrap_or_else(|| panic!("{self} is no time"))
    }
}

/// An event that is being written down.
#[derive(Debug, Clone)]
pub struct EventBuilder {
    event: Value,
    kind: &'static str,
    entity: String,
    id: Option<String>,
    time: Timestamp,
}

/// An event of any type about something of this id, with any data.
pub fn event_about(entity: &str, kind: &'static str, data: Value) -> EventBuilder {
    let event = json!({ "specversion": "1.0", "source": "/torale/test", "type": format!("ai.torale.{kind}"), "data": data });
    EventBuilder { event, kind, entity: entity.to_owned(), id: None, time: NOW }
}

/// An event of any type, written out.
pub fn event(id: &str, time: Timestamp, kind: &str, data: Value) -> String {
    json!({ "specversion": "1.0", "id": id, "source": "/torale/test", "type": format!("ai.torale.{kind}"),
            "time": time.to_string(), "data": data })
    .to_string()
}

impl EventBuilder {
    /// When it happens.
    #[must_use]
    pub fn at(self, time: impl IntoTime) -> Self {
        Self { time: time.into_time(), ..self }
    }

    /// Its id.
    #[must_use]
    pub fn id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// With a field of its data.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.event["data"][field] = value.into();
        self
    }

    /// Without a field of its data.
    #[must_use]
    pub fn without(mut self, field: &str) -> Self {
        self.event["data"].as_object_mut().unwrap().remove(field);
        self
    }

    /// With an attribute of its envelope.
    #[must_use]
    pub fn with_attribute(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.event[name] = value.into();
        self
    }

    /// The message that brings it.
    pub fn message(&self) -> String {
        let mut event = self.event.clone();
        let id = || format!("{}-{}-{}", self.kind, self.entity, self.time.millis());
        event["id"] = json!(self.id.clone().unwrap_or_else(id));
        event["time"] = json!(self.time.to_string());
        event.to_string()
    }
}

impl From<EventBuilder> for String {
    fn from(event: EventBuilder) -> Self {
        event.message()
    }
}

/// An identity at the provider, by its id there.
#[derive(Debug, Clone, Copy)]
pub struct IdentityEvents<'a>(&'a str);

/// An identity at the provider, by its id there.
pub const fn identity(clerk_user_id: &str) -> IdentityEvents<'_> {
    IdentityEvents(clerk_user_id)
}

impl IdentityEvents<'_> {
    fn event(self, kind: &'static str) -> EventBuilder {
        event_about(self.0, kind, json!({ "clerk_user_id": self.0 }))
    }

    /// `identity.created`, with an email made of its id.
    pub fn created(self) -> EventBuilder {
        self.event("identity.created").with("email", format!("{}@clerk.example", self.0))
    }

    /// `identity.updated`, which changes nothing yet.
    pub fn updated(self) -> EventBuilder {
        self.event("identity.updated")
    }

    /// `identity.deleted`.
    pub fn deleted(self) -> EventBuilder {
        self.event("identity.deleted")
    }

    /// `identity.logged_in`.
    pub fn logged_in(self) -> EventBuilder {
        self.event("identity.logged_in")
    }
}

/// A user, by their id.
#[derive(Debug, Clone, Copy)]
pub struct UserEvents<'a>(&'a str);

/// A user, by their id.
pub const fn user(id: &str) -> UserEvents<'_> {
    UserEvents(id)
}

impl UserEvents<'_> {
    /// `user.created`, with a name at Clerk and an email made of the id.
    pub fn created(self) -> EventBuilder {
        let (clerk, email) = (format!("user_{}", self.0), format!("{}@example.com", self.0));
        event_about(
            self.0,
            "user.created",
            json!({ "user_id": self.0, "clerk_user_id": clerk, "email": email }),
        )
    }

    /// `user.updated`, with nothing that changes yet.
    pub fn updated(self) -> EventBuilder {
        event_about(self.0, "user.updated", json!({ "user_id": self.0 }))
    }

    /// `user.logged_in`.
    pub fn logged_in(self) -> EventBuilder {
        event_about(self.0, "user.logged_in", json!({ "user_id": self.0 }))
    }

    /// `user.deactivated`.
    pub fn deactivated(self) -> EventBuilder {
        event_about(self.0, "user.deactivated", json!({ "user_id": self.0 }))
    }

    /// `user.reactivated`.
    pub fn reactivated(self) -> EventBuilder {
        event_about(self.0, "user.reactivated", json!({ "user_id": self.0 }))
    }
}

/// An API key, by its id.
#[derive(Debug, Clone, Copy)]
pub struct KeyEvents<'a>(&'a str);

/// An API key, by its id.
pub const fn api_key(id: &str) -> KeyEvents<'_> {
    KeyEvents(id)
}

impl KeyEvents<'_> {
    /// `api_key.created`: a user's key with this text.
    pub fn created(self, user: &str, text: &str) -> EventBuilder {
        let hash = digest::sha256_hex(&[text.as_bytes()]);
        let data = json!({ "key_id": self.0, "user_id": user, "key_hash": hash, "key_prefix": "sk" });
        event_about(self.0, "api_key.created", data)
    }

    /// `api_key.revoked`.
    pub fn revoked(self, user: &str) -> EventBuilder {
        event_about(self.0, "api_key.revoked", json!({ "key_id": self.0, "user_id": user }))
    }
}

/// A task, by its id.
#[derive(Debug, Clone, Copy)]
pub struct TaskEvents<'a>(&'a str);

/// A task, by its id.
pub const fn task(id: &str) -> TaskEvents<'_> {
    TaskEvents(id)
}

impl TaskEvents<'_> {
    /// `task.created`: a user's task with a query.
    pub fn created(self, user: &str, query: &str) -> EventBuilder {
        event_about(
            self.0,
            "task.created",
            json!({ "task_id": self.0, "user_id": user, "search_query": query }),
        )
    }

    /// `task.updated`, with nothing that changes yet.
    pub fn updated(self) -> EventBuilder {
        self.changed("task.updated")
    }

    /// `task.paused`.
    pub fn paused(self) -> EventBuilder {
        self.changed("task.paused")
    }

    /// `task.resumed`.
    pub fn resumed(self) -> EventBuilder {
        self.changed("task.resumed")
    }

    /// `task.deleted`.
    pub fn deleted(self) -> EventBuilder {
        self.changed("task.deleted")
    }

    fn changed(self, kind: &'static str) -> EventBuilder {
        event_about(self.0, kind, json!({ "task_id": self.0 }))
    }
}

/// An execution, with its task, its user and its start.
#[derive(Debug, Clone)]
pub struct ExecutionEvents {
    id: String,
    started_at: Timestamp,
    data: Value,
}

/// An execution of a user's task, by its id. It begins at [`NOW`].
pub fn execution(id: &str, task: &str, user: &str) -> ExecutionEvents {
    let data = json!({ "execution_id": id, "task_id": task, "user_id": user });
    ExecutionEvents { id: id.to_owned(), started_at: NOW, data }
}

impl ExecutionEvents {
    /// When it begins, which is also when its events happen.
    #[must_use]
    pub fn started_at(self, time: impl IntoTime) -> Self {
        Self { started_at: time.into_time(), ..self }
    }

    /// `execution.started`.
    pub fn started(&self) -> EventBuilder {
        self.event("execution.started")
    }

    /// `execution.succeeded`.
    pub fn succeeded(&self, condition_met: bool) -> EventBuilder {
        self.event("execution.succeeded").with("condition_met", condition_met)
    }

    /// `execution.failed`, with the error's type and message.
    pub fn failed(&self, error_type: &str, message: &str) -> EventBuilder {
        self.event("execution.failed").with("error_type", error_type).with("error_message", message)
    }

    fn event(&self, kind: &'static str) -> EventBuilder {
        let event = event_about(&self.id, kind, self.data.clone()).at(self.started_at);
        event.with("started_at", self.started_at.to_string())
    }
}

/// `notification.sent`: an email to a user, by the notification's id.
pub fn notification_sent(id: &str, user: &str) -> EventBuilder {
    let data = json!({ "notification_id": id, "user_id": user, "channel": "email" });
    event_about(id, "notification.sent", data)
}

/// A run of a workflow, by both ids.
#[derive(Debug, Clone, Copy)]
pub struct RunEvents<'a>(&'a str, &'a str);

/// A run of a workflow, by both ids.
pub const fn workflow_run<'a>(workflow: &'a str, run: &'a str) -> RunEvents<'a> {
    RunEvents(workflow, run)
}

impl RunEvents<'_> {
    /// `temporal.workflow.started`.
    pub fn started(self) -> EventBuilder {
        self.event("temporal.workflow.started")
    }

    /// `temporal.workflow.closed`: with what status, and when it began.
    pub fn closed(self, status: &str, start: impl IntoTime) -> EventBuilder {
        let start = start.into_time().to_string();
        self.event("temporal.workflow.closed").with("status", status).with("start_time", start)
    }

    fn event(self, kind: &'static str) -> EventBuilder {
        let data = json!({ "workflow_id": self.0, "run_id": self.1, "workflow_type": "monitoring_workflow" });
        event_about(self.1, kind, data)
    }
}

/// `temporal.schedule.created`: a schedule of a user's task, by its id.
pub fn schedule_created(id: &str, task: &str, user: &str, cron: &str) -> EventBuilder {
    let data = json!({ "schedule_id": id, "task_id": task, "user_id": user, "cron": cron });
    event_about(id, "temporal.schedule.created", data)
}

/// Messages for the queue, as tests write them down: events, texts, lists and tuples of them.
pub trait IntoMessages {
    /// The messages, in order.
    fn into_messages(self) -> Vec<String>;
}

impl IntoMessages for EventBuilder {
    fn into_messages(self) -> Vec<String> {
        vec![self.message()]
    }
}

impl IntoMessages for String {
    fn into_messages(self) -> Vec<String> {
        vec![self]
    }
}

impl IntoMessages for &str {
    fn into_messages(self) -> Vec<String> {
        vec![self.to_owned()]
    }
}

impl IntoMessages for &[String] {
    fn into_messages(self) -> Vec<String> {
        self.to_vec()
    }
}

impl IntoMessages for &Vec<String> {
    fn into_messages(self) -> Vec<String> {
        self.clone()
    }
}

impl<M: IntoMessages> IntoMessages for Vec<M> {
    fn into_messages(self) -> Vec<String> {
        self.into_iter().flat_map(M::into_messages).collect()
    }
}

impl<M: IntoMessages, const N: usize> IntoMessages for [M; N] {
    fn into_messages(self) -> Vec<String> {
        self.into_iter().flat_map(M::into_messages).collect()
    }
}

impl<A: IntoMessages, B: IntoMessages> IntoMessages for (A, B) {
    fn into_messages(self) -> Vec<String> {
        [self.0.into_messages(), self.1.into_messages()].concat()
    }
}

impl<A: IntoMessages, B: IntoMessages, C: IntoMessages> IntoMessages for (A, B, C) {
    fn into_messages(self) -> Vec<String> {
        [self.0.into_messages(), self.1.into_messages(), self.2.into_messages()].concat()
    }
}

#[test]
fn event_is_written_as_the_contract_has_it() {
    let event = user("u1").created().with("role", "admin").at("2026-03-01T08:00:00Z").id("e1").message();

    let expected = json!({
        "specversion": "1.0", "id": "e1", "source": "/torale/test", "type": "ai.torale.user.created",
        "time": "2026-03-01T08:00:00Z",
        "data": { "user_id": "u1", "clerk_user_id": "user_u1", "email": "u1@example.com", "role": "admin" },
    });
    assert_eq!(serde_json::from_str::<Value>(&event).unwrap(), expected);
}

#[test]
fn every_event_that_is_built_is_one_that_the_intake_takes() {
    const ID: &str = "11111111-0000-4000-8000-000000000001";
    let one = execution(ID, ID, ID);
    let events = [
        user(ID).created(),
        user(ID).updated(),
        user(ID).logged_in(),
        user(ID).deactivated(),
        user(ID).reactivated(),
        api_key("k").created(ID, "sk_0123456789abcdefghij"),
        api_key("k").revoked(ID),
        task(ID).created(ID, "q"),
        task(ID).updated(),
        task(ID).paused(),
        task(ID).resumed(),
        task(ID).deleted(),
        one.started(),
        one.succeeded(true),
        one.failed("E", "m"),
        notification_sent("n", ID),
        workflow_run("w", "r").started(),
        workflow_run("w", "r").closed("COMPLETED", NOW),
        schedule_created("s", ID, ID, "0 9 * * *"),
    ];

    for event in events.into_messages().into_iter().chain(admin()) {
        let read = torale_domain::events::parse(&event, Some(NOW));
        assert!(matches!(read, Ok(torale_domain::events::ReceivedMessage::Known(_))), "{event}: {read:?}");
    }
}
