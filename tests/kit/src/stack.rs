//! The system over a store of its own: tables, consumers, endpoints.
//!
//! The store is embedded, unless `DYNAMODB_ENDPOINT` names another one that speaks DynamoDB's protocol on loopback.
//! That one has to keep the tables of different access keys apart, as ministack and Amazon's DynamoDB Local do (the
//! latter without `-sharedDb`).

use crate::faults::Faults;
use crate::interceptor::Interceptor;
use crate::request::ApiRequest;
use crate::rights::Rights;
use crate::sqs::FakeSqs;
use crate::switches;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use torale_domain::access::rate_limits::RateLimits;
use torale_domain::audit::ChainedRecord;
use torale_domain::audit::verify::{HourSpan, TrailReport, TrailVerifier};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{self, PK, SK};
use torale_local::console::Console;
use torale_local::listen::listen;
use torale_local::store::{self as local, Database};
use torale_platform::audit::seal::{SealError, SealReport, Sealer, Signer};
use torale_platform::authentication::{Authenticator, IdentityProviderSettings};
use torale_platform::clock::Clock;
use torale_platform::consume::{BatchOutcome, Consumer};
use torale_platform::serve::App;
use torale_platform::store::{Store, Usage, log};

pub use crate::parts::{
    LIMITS, LONG, SHORT, audit_key, consume, consume_within, keys_only, messages, print_item, temporal_ui,
};
pub use crate::present::{ADMIN_KEY, NOW};

/// A store with all tables: an embedded one, served for as long as this lives, or a part of another one.
pub struct Stack {
    /// A client without faults, for looking at tables.
    pub client: Client,
    /// Where it is served.
    pub port: u16,
    access_key: String,
    _stop: Option<DropGuard>,
}

/// How to reach a store on a port.
pub fn config(port: u16) -> Builder {
    config_as(port, "test")
}

fn config_as(port: u16, access_key: &str) -> Builder {
    aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(Credentials::new(access_key, "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
}

impl Stack {
    /// Starts a fresh store, or takes a fresh part of the one that `DYNAMODB_ENDPOINT` names.
    ///
    /// # Panics
    /// If that is not `http://127.0.0.1:<port>`, or the store cannot be used.
    pub async fn start() -> Self {
        let (port, access_key, stop) = match switches::text("DYNAMODB_ENDPOINT") {
            Some(endpoint) => (port_of(&endpoint), fresh_access_key(), None),
            None => {
                let (port, stop, _) = embedded().await;
                (port, "test".to_owned(), Some(stop))
            }
        };
        let client = Client::from_conf(config_as(port, &access_key).build());
        local::create_tables(&client).await.unwrap();
        Self { client, port, access_key, _stop: stop }
    }

    /// An embedded store, whatever the environment says, and its database.
    pub async fn embedded() -> (Self, Database) {
        let (port, stop, database) = embedded().await;
        let client = Client::from_conf(config(port).build());
        local::create_tables(&client).await.unwrap();
        (Self { client, port, access_key: "test".to_owned(), _stop: Some(stop) }, database)
    }

    fn config(&self) -> Builder {
        config_as(self.port, &self.access_key)
    }

    /// A store client without faults.
    pub fn store(&self) -> Store {
        Store::new(self.config())
    }

    /// A store client whose calls something looks at.
    pub fn store_with(&self, interceptor: Interceptor) -> Store {
        Store::new(self.config().interceptor(interceptor))
    }

    /// A store client that may do what the template lets this role do.
    pub fn store_as(&self, role: &str) -> Store {
        self.store_with(Rights::of(role).interceptor())
    }

    /// A store client with faults.
    pub fn faulty_store(&self, faults: &Faults) -> Store {
        self.store_with(faults.interceptor())
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

    /// The JSON that an endpoint answers with 200, from an instance of its own with the function's permissions.
    pub async fn read(&self, request: &ApiRequest) -> Value {
        let answer = request.send(&self.app_over(self.store_as(&request.endpoint.role))).await;
        answer.with_status(200).json()
    }

    /// An instance that admits API keys, with limits that are far away.
    pub fn app(&self) -> App {
        self.app_over(self.store())
    }

    /// The same over a store client of one's own.
    pub fn app_over(&self, store: Store) -> App {
        InstanceBuilder::over(store).start()
    }

    /// An instance over a store that fails.
    pub fn faulty_app(&self, faults: &Faults) -> App {
        self.app_over(self.faulty_store(faults))
    }

    /// An instance that differs from the usual one.
    pub fn instance(&self) -> InstanceBuilder {
        InstanceBuilder::over(self.store())
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
    pub async fn records(&self) -> Vec<ChainedRecord> {
        let mut items = self.audit_items().await;
        items.retain(|item| item.key.pk != keys::AUDIT_SEALS);
        items.iter().map(|item| ChainedRecord::load(item).expect("a record")).collect()
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

    /// The report of a check of the whole audit trail with the tests' key.
    pub async fn check_trail(&self) -> TrailReport {
        let mut verifier = TrailVerifier::new(HourSpan::default());
        self.audit_items().await.iter().for_each(|item| verifier.add(item));
        verifier.finish(&[*audit_key().key()], None, None)
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
    pub async fn scan(&self, table: &str) -> Vec<RawItem> {
        let pages = self.client.scan().table_name(table).into_paginator().items().send();
        pages.collect::<Result<Vec<_>, _>>().await.unwrap()
    }

    /// An item of a table.
    pub async fn item(&self, table: &str, key: &Key) -> Option<RawItem> {
        let call = self.client.get_item().table_name(table);
        call.key(PK, text(&key.pk)).key(SK, text(&key.sk)).send().await.unwrap().item
    }

    /// Puts an item into a table, past everything that looks after it.
    pub async fn put(
        &self,
        table: &str,
        key: &Key,
        attributes: impl IntoIterator<Item = (&str, AttributeValue)>,
    ) {
        let call = self.client.put_item().table_name(table).item(PK, text(&key.pk)).item(SK, text(&key.sk));
        let call = attributes.into_iter().fold(call, |call, (name, value)| call.item(name, value));
        call.send().await.unwrap();
    }

    /// Deletes an item from a table, past everything that looks after it.
    pub async fn delete(&self, table: &str, key: &Key) {
        let call = self.client.delete_item().table_name(table);
        call.key(PK, text(&key.pk)).key(SK, text(&key.sk)).send().await.unwrap();
    }

    /// Every message in the event log.
    pub async fn logged(&self) -> Vec<String> {
        let items = self.scan(keys::EVENTS_TABLE).await;
        let packed = items.iter().map(|item| item["events"].as_b().unwrap());
        packed.flat_map(|packed| log::unpack(packed.as_ref()).unwrap()).collect()
    }

    /// The events of a type in the log.
    pub async fn logged_events(&self, kind: &str) -> Vec<Value> {
        let events =
            self.logged().await.into_iter().map(|body| serde_json::from_str::<Value>(&body).unwrap());
        events.filter(|event| event["type"] == format!("ai.torale.{kind}")).collect()
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stack on port {}", self.port)
    }
}

/// Serves an embedded store: its port, what stops it, and its database.
async fn embedded() -> (u16, DropGuard, Database) {
    let listener = listen(0).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, database) = (CancellationToken::new(), local::open(None).unwrap());
    tokio::spawn(local::serve(listener, database.clone(), Console::default(), stop.clone()));
    (port, stop.drop_guard(), database)
}

fn port_of(endpoint: &str) -> u16 {
    let port =
        endpoint.trim_end_matches('/').strip_prefix("http://127.0.0.1:").and_then(|port| port.parse().ok());
    port.unwrap_or_else(|| panic!("DYNAMODB_ENDPOINT={endpoint} is not http://127.0.0.1:<port>"))
}

/// An access key of this process alone: twelve digits, which ministack takes for the number of an account.
fn fresh_access_key() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed) % 100_000;
    format!("{:07}{number:05}", std::process::id() % 10_000_000)
}

/// An item as the store has it.
pub type RawItem = HashMap<String, AttributeValue>;

/// A text as the store has it.
pub fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// A number as the store has it.
pub fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The key of an item as the store has it.
pub fn key_of(item: &RawItem) -> Key {
    Key::stored(item[PK].as_s().unwrap().clone(), item[SK].as_s().unwrap().clone())
}

/// An instance of the endpoints that is being put together.
#[derive(Debug)]
pub struct InstanceBuilder {
    store: Store,
    authenticator: Authenticator,
    limits: RateLimits,
    clock: Clock,
    events: FakeSqs,
}

impl InstanceBuilder {
    /// One that admits API keys only, with limits that are far away, at [`NOW`].
    pub fn over(store: Store) -> Self {
        Self { store, authenticator: keys_only(), limits: LIMITS, clock: || NOW, events: FakeSqs::default() }
    }

    /// That admits what these settings say.
    #[must_use]
    pub fn authenticator(self, settings: &IdentityProviderSettings) -> Self {
        Self { authenticator: Authenticator::new(settings).unwrap(), ..self }
    }

    /// With so many requests a minute and an hour.
    #[must_use]
    pub fn limits(self, minute: u32, hour: u32) -> Self {
        Self { limits: RateLimits::new(minute, hour), ..self }
    }

    /// With another clock.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// With this event queue, which only some endpoints look at.
    #[must_use]
    pub fn events(self, events: FakeSqs) -> Self {
        Self { events, ..self }
    }

    /// The instance.
    pub fn start(self) -> App {
        let app = App::new(self.store, self.authenticator, self.limits, temporal_ui(), self.clock);
        app.with_events_queue(self.events.client())
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
        AttributeValue::B(bytes) => hex::encode(bytes),
        other => format!("{other:?}"),
    }
}

fn print(item: &RawItem) -> String {
    let sorted: BTreeMap<_, _> = item.iter().map(|(name, value)| (name, show(value))).collect();
    format!("{sorted:?}")
}
