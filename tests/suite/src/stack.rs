//! The system over an embedded store: tables, consumers, endpoints.

use crate::faults::Faults;
use crate::rights::Rights;
use crate::sqs::Sqs;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Intercept, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use ed25519_dalek::SigningKey;
use lambda_http::http::{Method, Request};
use lambda_http::{Body, Response};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use tokio::net::TcpListener;
use tokio::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use torale_domain::access::rate_limits::RateLimits;
use torale_domain::audit::Link;
use torale_domain::audit::verify::HourSpan;
use torale_domain::pages::TemporalUi;
use torale_domain::storage::item::{self as domain, Item};
use torale_domain::storage::keys;
use torale_domain::values::time::Timestamp;
use torale_local::console::Console;
use torale_local::store as local;
use torale_platform::audit::seal::{LocalKey, SealError, SealReport, Sealer, Signer};
use torale_platform::consume::{BatchOutcome, Consumer, QueueMessage};
use torale_platform::identity::{Identity, IdentitySettings};
use torale_platform::queue::MessageQueue;
use torale_platform::routes;
use torale_platform::serve::{App, Change, Endpoint, Handler};
use torale_platform::store::{Store, Usage};

/// The present of all tests: 2026-03-31T10:30:30.500Z, on the edge of a month.
pub const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);

/// The limits of most tests: far away.
pub const LIMITS: RateLimits = RateLimits::new(1_000_000, 1_000_000);

/// The text of the admin's API key.
pub const ADMIN_KEY: &str = "sk_test_0123456789abcdefghij";

/// An embedded store with all tables, served for as long as this lives.
pub struct Stack {
    /// A client without faults, for looking at tables.
    pub client: Client,
    /// Where it is served.
    pub port: u16,
    _stop: DropGuard,
}

/// How to reach a store on a port.
pub fn config(port: u16) -> Builder {
    aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
}

/// Where the tests' Temporal web pages are.
pub fn temporal_ui() -> TemporalUi {
    TemporalUi { url: "https://cloud.temporal.io".to_owned(), namespace: "torale.abc123".to_owned() }
}

/// The key that the tests' audit trails are sealed with.
pub fn audit_key() -> LocalKey {
    LocalKey::new(SigningKey::from_bytes(&[7; 32]))
}

/// Admits API keys only.
pub fn keys_only() -> Identity {
    Identity::new(&IdentitySettings::default()).unwrap()
}

impl Stack {
    /// Starts a fresh store.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        tokio::spawn(local::serve(listener, local::open(None).unwrap(), Console::default(), stop.clone()));
        let client = local::client(port);
        local::create_tables(&client).await.unwrap();
        Self { client, port, _stop: stop.drop_guard() }
    }

    /// A store client without faults.
    pub fn store(&self) -> Store {
        Store::new(config(self.port))
    }

    /// A store client whose calls something looks at.
    pub fn store_with(&self, interceptor: impl Intercept + 'static) -> Store {
        Store::new(config(self.port).interceptor(interceptor))
    }

    /// A store client that may do what the template lets this role do.
    pub fn store_as(&self, role: &str) -> Store {
        self.store_with(Rights::of(role))
    }

    /// A store client with faults.
    pub fn faulty_store(&self, faults: Faults) -> Store {
        self.store_with(faults)
    }

    /// A consumer of its own.
    pub fn consumer(&self) -> Consumer {
        Consumer::new(self.store_as("Consumer"), || NOW)
    }

    /// Sends messages through one consumer in one batch; nothing may fail.
    pub async fn consume(&self, bodies: &[String]) -> BatchOutcome {
        let outcome = consume(&self.consumer(), &messages(bodies)).await;
        assert_eq!(outcome.failed, Vec::<String>::new());
        outcome
    }

    /// Asks as the admin.
    pub async fn get(&self, path: &str, query: &str) -> (u16, String) {
        let response = self.ask(path, query, Some(&format!("Bearer {ADMIN_KEY}"))).await;
        let status = response.status().as_u16();
        (status, text(response))
    }

    /// Asks with any credentials.
    pub async fn ask(&self, path: &str, query: &str, authorization: Option<&str>) -> Response<Body> {
        let app = self.app_over(self.store_as(&role(path)));
        answer(&app, request(Method::GET, path, query, authorization)).await
    }

    /// What the endpoints share.
    pub fn app(&self) -> App {
        self.app_over(self.store())
    }

    /// The same over a store client of one's own.
    pub fn app_over(&self, store: Store) -> App {
        App::new(store, keys_only(), LIMITS, temporal_ui(), || NOW)
    }

    /// Every item of the first generation's projections, by key, printed.
    pub async fn projections(&self) -> BTreeMap<String, String> {
        self.generation(keys::FIRST_GENERATION).await
    }

    /// Every item of a generation's projections, by key, printed.
    pub async fn generation(&self, name: &str) -> BTreeMap<String, String> {
        let items = self.scan(&keys::projections_table(name)).await;
        items
            .iter()
            .map(|item| (format!("{} / {}", show(&item["pk"]), show(&item["sk"])), print(item)))
            .collect()
    }

    /// Every record of the audit trail, in the order of its keys.
    pub async fn records(&self) -> Vec<Link> {
        let mut items = self.audit_items().await;
        items.retain(|item| item.key.pk != keys::AUDIT_SEALS);
        items.iter().map(|item| Link::load(item).expect("a record")).collect()
    }

    /// Every item of the audit table.
    pub async fn audit_items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        let usage = Usage::default();
        torale_tools::audit::read_table(&self.store(), HourSpan::default(), &usage, |item| {
            items.push(item.clone())
        })
        .await
        .unwrap();
        items.sort_by(|a, b| a.key.cmp(&b.key));
        items
    }

    /// Seals and indexes what has been recorded.
    pub async fn seal(&self) -> SealReport {
        self.seal_with(&self.store_as("AuditSeal")).await.unwrap()
    }

    /// One run of the sealing job over a store client of one's own.
    pub async fn seal_with(&self, store: &Store) -> Result<SealReport, SealError> {
        sealed(&Sealer::new(store, &audit_key(), || NOW, &Usage::default())).await
    }

    /// Every item of a table.
    pub async fn scan(&self, table: &str) -> Vec<HashMap<String, AttributeValue>> {
        let pages = self.client.scan().table_name(table).into_paginator().items().send();
        pages.collect::<Result<Vec<_>, _>>().await.unwrap()
    }
}

/// One run of the sealing job, which must have done all that it found to do.
pub async fn sealed<S: Signer>(sealer: &Sealer<'_, S>) -> Result<SealReport, SealError> {
    let (done, run) = sealer.run(Instant::now() + LONG).await;
    run.map(|()| done)
}

fn show(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn print(item: &HashMap<String, AttributeValue>) -> String {
    let sorted: BTreeMap<_, _> = item.iter().map(|(name, value)| (name, show(value))).collect();
    format!("{sorted:?}")
}

/// An item of the core as [`Stack::projections`] prints it.
pub fn print_item(item: &Item) -> (String, String) {
    let keys = [("pk".to_owned(), item.key.pk.clone()), ("sk".to_owned(), item.key.sk.clone())];
    let attributes = item.attributes.iter().map(|(name, value)| match value {
        domain::Value::Text(text) => (name.clone(), text.clone()),
        domain::Value::Number(number) => (name.clone(), number.to_string()),
        domain::Value::Bytes(bytes) => (name.clone(), format!("{bytes:?}")),
    });
    let sorted: BTreeMap<String, String> = keys.into_iter().chain(attributes).collect();
    (format!("{} / {}", item.key.pk, item.key.sk), format!("{sorted:?}"))
}

/// A request as API Gateway would hand it over.
pub fn request(method: Method, path: &str, query: &str, authorization: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(format!("https://localhost{path}?{query}"));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    request.body(Body::Empty).unwrap()
}

/// Messages with ids by position.
pub fn messages(bodies: &[String]) -> Vec<QueueMessage> {
    bodies
        .iter()
        .enumerate()
        .map(|(i, body)| QueueMessage { id: i.to_string(), body: body.clone(), sent_at: None, received: 1 })
        .collect()
}

/// Time enough for any batch of the tests.
pub const LONG: Duration = Duration::from_secs(60);
/// Little more than the consumer's reserve, so that a store which never comes back is given up soon.
pub const SHORT: Duration = Duration::from_millis(1_250);

/// One batch with a minute of time.
pub async fn consume(consumer: &Consumer, messages: &[QueueMessage]) -> BatchOutcome {
    consume_within(consumer, messages, LONG).await
}

/// One batch.
pub async fn consume_within(consumer: &Consumer, messages: &[QueueMessage], time: Duration) -> BatchOutcome {
    consumer.consume(messages, Instant::now() + time, &Usage::default()).await
}

/// A function as the template names it, by its crate.
fn logical_id(krate: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    krate.split('_').map(capital).collect()
}

macro_rules! endpoints {
    (reads: $($handler:ty),*; changes: $($change:ty),* $(,)?) => {
        /// Every endpoint that the workspace declares.
        pub fn endpoints() -> Vec<Endpoint> {
            vec![$(<$handler>::ENDPOINT,)* $(<$change>::ENDPOINT),*]
        }

        /// The role of the function on a path.
        pub fn role(path: &str) -> String {
            let roles = [$((<$handler>::ENDPOINT, stringify!($handler)),)* $((<$change>::ENDPOINT, stringify!($change))),*];
            let (_, handler) = roles.into_iter().find(|(endpoint, _)| routes::fits(endpoint.path, path)).unwrap();
            logical_id(handler.split(':').next().unwrap())
        }

        /// Routes a request to the handler of its path; commands go to this queue.
        pub async fn answer_with(app: &App, commands: &MessageQueue, request: Request<Body>) -> Response<Body> {
            $(if routes::fits(<$handler>::ENDPOINT.path, request.uri().path()) {
                return app.answer::<$handler>(&request).await;
            })*
            $(if routes::fits(<$change>::ENDPOINT.path, request.uri().path()) {
                return app.change::<$change>(commands, &request).await;
            })*
            panic!("no handler for {}", request.uri())
        }
    };
}

/// Routes a request to the handler of its path; nobody looks at commands.
pub async fn answer(app: &App, request: Request<Body>) -> Response<Body> {
    answer_with(app, &Sqs::default().queue(Some(crate::sqs::URL)), request).await
}

/// A good request of the admin's for an endpoint: one that changes something changes this user.
pub fn good_request(endpoint: &Endpoint, user: &str) -> Request<Body> {
    let path = endpoint.path.replace("{id}", user);
    let mut good = request(endpoint.method.clone(), &path, "", Some(&format!("Bearer {ADMIN_KEY}")));
    if endpoint.method == Method::POST {
        *good.body_mut() = Body::Text(json!({ "user_ids": [user] }).to_string());
    }
    good
}

endpoints!(
    reads:
    stats::Stats,
    queries::Queries,
    executions::Executions,
    errors::Errors,
    users::Users,
    temporal_workflows::Workflows,
    temporal_schedules::Schedules,
    audit::Audit;
    changes:
    deactivate_user::DeactivateUser,
    reactivate_user::ReactivateUser,
    deactivate_users::DeactivateUsers,
);

/// The routes that admit by no admin's credentials: Clerk's webhooks are signed, the document is for anyone.
pub const OTHERS: [(&str, &str); 2] = [clerk_webhook::ROUTE, openapi::ROUTE];

/// The text of an answer.
pub fn text(response: Response<Body>) -> String {
    match response.into_body() {
        Body::Text(text) => text,
        other => panic!("not a text: {other:?}"),
    }
}

/// The JSON of an answer.
pub fn json(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response)).unwrap()
}
