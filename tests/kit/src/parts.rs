//! What the embedded system and the simulated one share: settings, batches, how items are printed.

use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use tokio::time::{Duration, Instant};
use torale_domain::access::rate_limits::RateLimits;
use torale_domain::pages::TemporalUi;
use torale_domain::storage::item::{Item, Value};
use torale_platform::audit::seal::LocalKey;
use torale_platform::authentication::{Authenticator, IdentityProviderSettings};
use torale_platform::consume::{BatchOutcome, Consumer, QueueMessage};
use torale_platform::store::Usage;

/// The limits of most tests: far away.
pub const LIMITS: RateLimits = RateLimits::new(1_000_000, 1_000_000);

/// Where the tests' Temporal web pages are.
pub fn temporal_ui() -> TemporalUi {
    TemporalUi { url: "https://cloud.temporal.io".to_owned(), namespace: "torale.abc123".to_owned() }
}

/// The key that the tests' audit trails are sealed with.
pub fn audit_key() -> LocalKey {
    static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[7; 32]));
    LocalKey::new(KEY.clone())
}

/// Admits API keys only.
pub fn keys_only() -> Authenticator {
    Authenticator::new(&IdentityProviderSettings::default()).unwrap()
}

/// An item of the core as `Stack::projections` prints it.
pub fn print_item(item: &Item) -> (String, String) {
    let keys = [("pk".to_owned(), item.key.pk.clone()), ("sk".to_owned(), item.key.sk.clone())];
    let attributes = item.attributes.iter().map(|(name, value)| match value {
        Value::Text(text) => (name.clone(), text.clone()),
        Value::Number(number) => (name.clone(), number.to_string()),
        Value::Bytes(bytes) => (name.clone(), hex::encode(bytes)),
    });
    let sorted: BTreeMap<String, String> = keys.into_iter().chain(attributes).collect();
    (format!("{} / {}", item.key.pk, item.key.sk), format!("{sorted:?}"))
}

/// Messages with ids by position.
pub fn messages(bodies: &[String]) -> Vec<QueueMessage> {
    bodies
        .iter()
        .enumerate()
        .map(|(i, body)| QueueMessage { id: i.to_string(), body: body.clone(), sent_at: None, received: 1 })
        .collect()
}

/// Enough time for any batch of the tests.
pub const LONG: Duration = Duration::from_secs(60);
/// Little more than the consumer's reserve, so that a store that stays away is given up soon.
pub const SHORT: Duration = Duration::from_millis(1_250);

/// One batch with a minute of time.
pub async fn consume(consumer: &Consumer, messages: &[QueueMessage]) -> BatchOutcome {
    consume_within(consumer, messages, LONG).await
}

/// One batch.
pub async fn consume_within(consumer: &Consumer, messages: &[QueueMessage], time: Duration) -> BatchOutcome {
    consumer.consume(messages, Instant::now() + time, &Usage::default()).await
}
