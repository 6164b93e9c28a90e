//! The environment: every variable that any function reads is named here.
//!
//! The AWS SDK reads its own (`AWS_REGION`, `AWS_ENDPOINT_URL_DYNAMODB`, credentials, ...), the Lambda runtime its own.

use crate::identity::IdentitySettings;
use std::time::Duration;
use torale_domain::access::rate_limits::RateLimits;
use torale_domain::deactivation::commands::Command;
use torale_domain::pages::TemporalUi;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Web address of Temporal's pages.
pub const TEMPORAL_UI_URL: &str = "TEMPORAL_UI_URL";
/// Namespace of the platform's workflows.
pub const TEMPORAL_NAMESPACE: &str = "TEMPORAL_NAMESPACE";
/// Address of Temporal's frontend: `host:port`, with `http://` or `https://` before it where that is not clear.
pub const TEMPORAL_ADDRESS: &str = "TEMPORAL_ADDRESS";
/// API key for Temporal; with one the connection is encrypted.
pub const TEMPORAL_API_KEY: &str = "TEMPORAL_API_KEY";
/// Kinds of commands that the executor carries out, with commas in between; all if it is not set.
pub const COMMANDS_HANDLED: &str = "COMMANDS_HANDLED";
/// URL of the queue that it passes the other kinds on to.
pub const COMMANDS_FORWARD_QUEUE_URL: &str = "COMMANDS_FORWARD_QUEUE_URL";
/// URL of the queue of commands; without it SQS is asked for that of [`COMMANDS_QUEUE`].
pub const COMMANDS_QUEUE_URL: &str = "TORALE_COMMANDS_QUEUE_URL";
/// URL of the queue of events; without it SQS is asked for that of [`EVENTS_QUEUE`].
pub const EVENTS_QUEUE_URL: &str = "TORALE_EVENTS_QUEUE_URL";
/// How to reach Temporal.
#[derive(Clone, PartialEq, Eq)]
pub struct TemporalSettings {
    /// Where its frontend is, as it was set; empty where it was not.
    pub address: String,
    /// The namespace of the platform's schedules.
    pub namespace: String,
    /// The key to show, if one is needed.
    pub api_key: Option<String>,
    /// Longest time for one call, connecting included.
    pub timeout: Duration,
}

/// How to reach Temporal.
pub fn temporal() -> TemporalSettings {
    TemporalSettings {
        address: variable(TEMPORAL_ADDRESS, ""),
        namespace: variable(TEMPORAL_NAMESPACE, "default"),
        api_key: optional(TEMPORAL_API_KEY),
        timeout: COMMAND_TIMEOUT,
    }
}

/// A name in [`COMMANDS_HANDLED`] that no kind of command has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("COMMANDS_HANDLED: there is no command {0}")]
pub struct UnknownCommandKind(pub String);

/// The kinds of commands that the executor carries out.
pub fn commands_handled() -> Result<Vec<&'static str>, UnknownCommandKind> {
    kinds(&variable(COMMANDS_HANDLED, &Command::KINDS.join(",")))
}

fn kinds(list: &str) -> Result<Vec<&'static str>, UnknownCommandKind> {
    let known = |name: &str| Command::KINDS.into_iter().find(|kind| *kind == name);
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| known(name).ok_or_else(|| UnknownCommandKind(name.to_owned()))).collect()
}

/// The queue that commands are passed on to which the executor does not carry out, if there is one.
pub fn commands_forward_queue_url() -> Option<String> {
    optional(COMMANDS_FORWARD_QUEUE_URL)
}

/// The secrets that Clerk's webhooks are signed with: `whsec_...`, several of them with commas in between.
pub const CLERK_WEBHOOK_SECRET: &str = "CLERK_WEBHOOK_SECRET";
/// Issuer of the Clerk instance, as its session tokens name it; without it there are no session tokens.
pub const CLERK_ISSUER: &str = "CLERK_ISSUER";
/// Address of the instance's key set.
pub const CLERK_JWKS_URL: &str = "CLERK_JWKS_URL";
/// The instance's public key as PEM, instead of the key set: then nothing is fetched.
pub const CLERK_JWT_KEY: &str = "CLERK_JWT_KEY";
/// Origins that session tokens must be made for, with commas in between; any if it is not set.
pub const CLERK_AUTHORIZED_PARTIES: &str = "CLERK_AUTHORIZED_PARTIES";
/// Secret key of Clerk's Backend API.
pub const CLERK_SECRET_KEY: &str = "CLERK_SECRET_KEY";
/// Address of Clerk's Backend API.
pub const CLERK_API_URL: &str = "CLERK_API_URL";
/// Where roles come from: `projection`, or `clerk` to ask the Backend API on every request.
pub const ROLE_SOURCE: &str = "ROLE_SOURCE";
/// Requests that a user may make in any minute; 1000 if it is not set.
pub const RATE_LIMIT_PER_MINUTE: &str = "RATE_LIMIT_PER_MINUTE";
/// Requests that a user may make in any hour; 10000 if it is not set.
pub const RATE_LIMIT_PER_HOUR: &str = "RATE_LIMIT_PER_HOUR";
/// The key in KMS that seals the audit trail: id, ARN or alias.
pub const AUDIT_KMS_KEY_ID: &str = "AUDIT_KMS_KEY_ID";
/// A file with a private Ed25519 key (PKCS #8, PEM) instead, for local use.
pub const AUDIT_KEY_FILE: &str = "AUDIT_KEY_FILE";
/// Megabytes of memory of this function; Lambda sets it.
pub const FUNCTION_MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
/// What to log: `info`, `warn` or `error`, or directives as `tracing` reads them.
pub const LOG: &str = "RUST_LOG";

/// Longest time for one call of the store, retries included.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for one attempt of such a call.
pub const STORE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// The queue of commands, by name.
pub const COMMANDS_QUEUE: &str = "torale-commands";
/// The queue of events, by name.
pub const EVENTS_QUEUE: &str = "torale-events";
/// Longest time for one call of the queue, retries included.
pub const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for one attempt of such a call.
pub const QUEUE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time for one answer of the identity provider.
pub const IDENTITY_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time for one call of Clerk or Temporal when a command is carried out, connecting included.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a deactivation goes on sending its commands itself; the relay sends the rest.
pub const SENDING_TIME: Duration = Duration::from_secs(3);
/// What is left of a request's time for its answer.
pub const ANSWERING_TIME: Duration = Duration::from_secs(1);
/// Longest time that a consumer writes what a batch brought.
pub const WRITING_TIME: Duration = Duration::from_secs(60);
/// After this time nothing is being written any more that was begun, or received, before: twice what the slowest writer
/// takes, for clocks that differ.
pub const SETTLED: Duration = Duration::from_secs(120);
/// Longest time for a whole request; API Gateway gives up at 30 s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

#[allow(clippy::disallowed_methods, reason = "the one place that may")]
fn variable(name: &str, default: &str) -> String {
    std::env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

/// A variable that may be missing; an empty one is.
fn optional(name: &str) -> Option<String> {
    Some(variable(name, "")).filter(|value| !value.is_empty())
}

/// Set for every function, by Lambda as by the local stack.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// Whether this process is a function.
pub fn is_function() -> bool {
    optional(RUNTIME_API).is_some()
}

/// Where Temporal's web pages are.
pub fn temporal_ui() -> TemporalUi {
    TemporalUi {
        url: variable(TEMPORAL_UI_URL, "https://cloud.temporal.io").trim_end_matches('/').to_owned(),
        namespace: variable(TEMPORAL_NAMESPACE, "default"),
    }
}

/// The limits of every user.
pub fn limits() -> Result<RateLimits, std::num::ParseIntError> {
    Ok(RateLimits::new(
        variable(RATE_LIMIT_PER_MINUTE, "1000").parse()?,
        variable(RATE_LIMIT_PER_HOUR, "10000").parse()?,
    ))
}

/// Where the queue of events is, if the environment says so.
pub fn events_queue_url() -> Option<String> {
    optional(EVENTS_QUEUE_URL)
}

/// Where the queue of commands is, if the environment says so.
pub fn commands_queue_url() -> Option<String> {
    optional(COMMANDS_QUEUE_URL)
}

/// The secrets that Clerk's webhooks are signed with, as they were set; empty where they were not.
pub fn clerk_webhook_secret() -> String {
    variable(CLERK_WEBHOOK_SECRET, "")
}

/// Where the key is that seals the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditKey {
    /// In KMS, by id, ARN or alias.
    Kms(String),
    /// In a file, by path.
    File(String),
    /// Nowhere.
    Missing,
}

/// The key that seals the audit trail; one in KMS goes before one in a file.
pub fn audit_key() -> AuditKey {
    let file = || optional(AUDIT_KEY_FILE).map_or(AuditKey::Missing, AuditKey::File);
    optional(AUDIT_KMS_KEY_ID).map_or_else(file, AuditKey::Kms)
}

/// How to identify who asks.
pub fn identity() -> IdentitySettings {
    let default = IdentitySettings::default();
    let list = |text: String| {
        text.split(',').map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect()
    };
    IdentitySettings {
        issuer: optional(CLERK_ISSUER),
        jwks_url: optional(CLERK_JWKS_URL),
        jwt_key: optional(CLERK_JWT_KEY),
        authorized_parties: optional(CLERK_AUTHORIZED_PARTIES).map(list),
        api_url: variable(CLERK_API_URL, &default.api_url),
        secret_key: optional(CLERK_SECRET_KEY),
        role_source: variable(ROLE_SOURCE, &default.role_source),
        ..default
    }
}

/// How many bytes of memory this function has, as Lambda says.
pub fn function_memory() -> Option<usize> {
    optional(FUNCTION_MEMORY)?.parse::<usize>().ok()?.checked_mul(1024 * 1024)
}

/// Logs as JSON lines on standard output, as Lambda collects them. Call once, first of all.
pub fn start_logging() {
    logs(&variable(LOG, "info"), std::io::stdout).init();
    log_panics();
}

/// Panics are lines like all others: where, and not what was said, which may be anybody's data.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        tracing::error!(at, "panic");
    }));
}

/// Logs as JSON lines. Nothing below `info` is ever written, whatever the directives say: that is where libraries
/// print requests with their bodies and credentials.
pub fn logs<W>(directives: &str, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter: Targets =
        directives.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false);
    tracing_subscriber::registry().with(lines.with_writer(writer)).with(filter).with(LevelFilter::INFO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_commands_are_named_or_refused() {
        assert_eq!(kinds("task.pause, user.ban,"), Ok(vec!["task.pause", "user.ban"]));
        assert_eq!(kinds(" , "), Ok(vec![]));
        assert_eq!(kinds("user.ban,task.paused"), Err(UnknownCommandKind("task.paused".to_owned())));
    }
}
