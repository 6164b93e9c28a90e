//! Reading the audit trail from a table or an export, and the keys that verify it.

use crate::terminal::print_json;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey};
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde_json::Value as Json;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::Duration;
use torale_domain::audit::verify::HourSpan;
use torale_domain::projections::compare::FOREIGN;
use torale_domain::storage::item::{Attributes, Item, Key, Value};
use torale_domain::storage::keys::{self, AUDIT_SEALS, PK, SK};
use torale_domain::values::json;
use torale_domain::values::time::Hour;
use torale_platform::store::{Store, StoreError, Usage};

/// Why the trail could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum AuditToolError {
    /// A file can't be read.
    #[error("{0}: {1}")]
    File(String, io::Error),
    /// A file holds no key.
    #[error("{0}: no Ed25519 key in PEM")]
    Key(String),
    /// A line of an export is no item.
    #[error("{0}, line {1}: not an item of an export")]
    Line(String, usize),
    /// No hour is between the two that were named.
    #[error("--from must be before --to")]
    Hours,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Longest time for one attempt of a call of a local store, and for a call: of a table of a million events a page takes
/// seconds there, and nobody waits for an answer as for a request's.
const LOCAL_TIMES: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(180));

/// A local DynamoDB, with placeholder credentials.
pub fn local_store(url: &str) -> Store {
    let credentials = Credentials::new("local", "local", None, None, "local");
    let (attempt, call) = LOCAL_TIMES;
    let limits = TimeoutConfig::builder().operation_attempt_timeout(attempt).operation_timeout(call).build();
    let config = Builder::new().behavior_version(BehaviorVersion::latest()).endpoint_url(url);
    let config = config.region(Region::from_static("us-east-1")).credentials_provider(credentials);
    Store::from(Client::from_conf(config.timeout_config(limits).build()))
}

/// Reads a public key, or the public half of a private key.
///
/// # Errors
/// If the file can't be read, or holds no key.
pub fn read_key(path: &Path) -> Result<VerifyingKey, AuditToolError> {
    let name = || path.display().to_string();
    let pem = std::fs::read_to_string(path).map_err(|e| AuditToolError::File(name(), e))?;
    let private = || SigningKey::from_pkcs8_pem(&pem).map(|key| key.verifying_key());
    VerifyingKey::from_public_key_pem(&pem).or_else(|_| private()).map_err(|_| AuditToolError::Key(name()))
}

/// Hands the items of the table to `add`: all seals, then the records; of a span with both ends,
/// only its hours. In this order every record that a seal names is read: records that are written
/// meanwhile are merely not sealed yet.
///
/// # Errors
/// If the store fails.
pub async fn read_table(
    store: &Store,
    span: HourSpan,
    usage: &Usage,
    mut add: impl FnMut(&Item),
) -> Result<(), AuditToolError> {
    let mut before = None;
    while before != Some(0) {
        let seals = store.audit_seals(before, usage).await?;
        let Some(last) = seals.last() else { break };
        // An item that is no number ends the reading of seals: those before it can't be found.
        before = Some(last.key.sk.parse().unwrap_or(0));
        seals.iter().for_each(&mut add);
    }
    if let Some((from, to)) = span.from.zip(span.to) {
        for partition in (from.0..to.0).flat_map(|hour| keys::audit_records(Hour(hour))) {
            store.audit_records(&partition, None, None, usage).await?.iter().for_each(&mut add);
        }
        return Ok(());
    }
    let mut after = None;
    loop {
        let (items, next) = store.audit_page(after.as_ref(), usage).await?;
        items.iter().filter(|item| item.key.pk != AUDIT_SEALS).for_each(&mut add);
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Prints every item of the table as one line of JSON. If a line can't be printed, the process ends: the table may be
/// large, and nobody reads the rest.
///
/// # Errors
/// If the store fails.
pub async fn export(store: &Store, usage: &Usage) -> Result<(), AuditToolError> {
    read_table(store, HourSpan::default(), usage, |item| print_json(&line(item))).await
}

fn line(item: &Item) -> Json {
    let value = |value: &Value| match value {
        Value::Text(text) => Json::from(text.clone()),
        Value::Number(number) => Json::from(number.to_string()),
        Value::Bytes(_) => Json::Null,
    };
    let attributes = item.attributes.iter().map(|(name, of)| (name.clone(), value(of)));
    let keys =
        [(PK.to_owned(), Json::from(item.key.pk.clone())), (SK.to_owned(), Json::from(item.key.sk.clone()))];
    Json::Object(keys.into_iter().chain(attributes).collect())
}

fn item(line: &str) -> Option<Item> {
    let Json::Object(mut texts) = json::parse(line).ok()? else { return None };
    let mut key = |name: &str| texts.remove(name)?.as_str().map(str::to_owned);
    let key = Key::stored(key(PK)?, key(SK)?);
    // A value that is no text is not one of ours; verification reports the item.
    let text = |value: Json| value.as_str().map_or_else(|| format!("{FOREIGN}{value}"), str::to_owned);
    let attributes = texts.into_iter().map(|(name, value)| (name, Value::Text(text(value))));
    Some(Item { key, attributes: attributes.collect::<Attributes>() })
}

/// Hands the items of an export to `add`; `-` is standard input.
///
/// # Errors
/// If the file can't be read, or a line is no item.
pub fn read_export(path: &Path, mut add: impl FnMut(&Item)) -> Result<(), AuditToolError> {
    let name = || path.display().to_string();
    let input: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path).map_err(|e| AuditToolError::File(name(), e))?))
    };
    for (number, line) in input.lines().enumerate() {
        let line = line.map_err(|e| AuditToolError::File(name(), e))?;
        add(&item(&line).ok_or_else(|| AuditToolError::Line(name(), number + 1))?);
    }
    Ok(())
}
