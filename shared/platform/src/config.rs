//! Configuration: the only module that reads the environment. Every variable that a function reads is named here, and
//! every time limit that several modules share.
//!
//! The AWS SDK and the Lambda runtime read variables of their own (`AWS_REGION`, `AWS_ENDPOINT_URL_DYNAMODB`,
//! credentials and so on). All settings are listed in `docs/configuration.md`.

use std::time::Duration;
use torale_domain::access::rate_limits::RateLimits;
use torale_domain::deactivation::commands::{Command, SchedulePattern};
use torale_domain::pages::TemporalUi;

/// Web address of Temporal's pages.
pub const TEMPORAL_UI_URL: &str = "TEMPORAL_UI_URL";
/// Namespace of the platform's workflows and schedules.
pub const TEMPORAL_NAMESPACE: &str = "TEMPORAL_NAMESPACE";
/// Address of Temporal's frontend: `host:port`, optionally preceded by `http://` or `https://`.
pub const TEMPORAL_ADDRESS: &str = "TEMPORAL_ADDRESS";
/// API key for Temporal. If it is set, the connection is encrypted.
pub const TEMPORAL_API_KEY: &str = "TEMPORAL_API_KEY";
/// How the Temporal schedules of tasks are called of which no event has named one: a pattern with `{task_id}`.
pub const TEMPORAL_SCHEDULE_ID: &str = "TEMPORAL_SCHEDULE_ID";
/// URL of the platform's PostgreSQL, with user and password.
pub const POSTGRES_URL: &str = "POSTGRES_URL";
/// The schema in it that `sources/postgres/install.sql` created.
pub const POSTGRES_SCHEMA: &str = "POSTGRES_SCHEMA";
/// Certificates (PEM) that the database's is checked with. Default: the system's.
pub const POSTGRES_CERTIFICATES: &str = "POSTGRES_CERTIFICATES";
/// Kinds of commands that the executor executes, separated by commas. Default: all kinds.
pub const COMMANDS_HANDLED: &str = "COMMANDS_HANDLED";
/// URL of the queue to which the executor forwards the other kinds.
pub const COMMANDS_FORWARD_QUEUE_URL: &str = "COMMANDS_FORWARD_QUEUE_URL";
/// URL of the command queue. Default: SQS is asked for the URL of [`COMMANDS_QUEUE`].
pub const COMMANDS_QUEUE_URL: &str = "TORALE_COMMANDS_QUEUE_URL";
/// URL of the event queue. Default: SQS is asked for the URL of [`EVENTS_QUEUE`].
pub const EVENTS_QUEUE_URL: &str = "TORALE_EVENTS_QUEUE_URL";
/// Signing secrets of Clerk's webhooks: `whsec_...`, several separated by commas.
pub const CLERK_WEBHOOK_SECRET: &str = "CLERK_WEBHOOK_SECRET";
/// Issuer of the Clerk instance, as its session tokens name it. Without it, no session token is accepted.
pub const CLERK_ISSUER: &str = "CLERK_ISSUER";
/// Address of the instance's key set (JWKS).
pub const CLERK_JWKS_URL: &str = "CLERK_JWKS_URL";
/// The instance's public key as PEM. If it is set, no key set is fetched.
pub const CLERK_JWT_KEY: &str = "CLERK_JWT_KEY";
/// Origins that a session token's `azp` may name, separated by commas. Default: any origin.
pub const CLERK_AUTHORIZED_PARTIES: &str = "CLERK_AUTHORIZED_PARTIES";
/// The entry that accepts session tokens made for any origin, or for none.
pub const ANY_PARTY: &str = "*";
/// Publishable key of the Clerk instance. With it, administrators may sign in to the console with a Clerk session.
pub const CLERK_PUBLISHABLE_KEY: &str = "CLERK_PUBLISHABLE_KEY";
/// Secret key of Clerk's Backend API.
pub const CLERK_SECRET_KEY: &str = "CLERK_SECRET_KEY";
/// Address of Clerk's Backend API.
pub const CLERK_API_URL: &str = "CLERK_API_URL";
/// Where roles come from: `projection`, or `clerk` to read them from the Backend API on every request.
pub const ROLE_SOURCE: &str = "ROLE_SOURCE";
/// Requests that a user may make in any minute. Default: 1000.
pub const RATE_LIMIT_PER_MINUTE: &str = "RATE_LIMIT_PER_MINUTE";
/// Requests that a user may make in any hour. Default: 10000.
pub const RATE_LIMIT_PER_HOUR: &str = "RATE_LIMIT_PER_HOUR";
/// The KMS key that signs the seals of the audit trail: id, ARN or alias.
pub const AUDIT_KMS_KEY_ID: &str = "AUDIT_KMS_KEY_ID";
/// A file with a private Ed25519 key (PKCS #8, PEM) that signs the seals instead, for local use.
pub const AUDIT_KEY_FILE: &str = "AUDIT_KEY_FILE";
/// Memory of this function in megabytes. Lambda sets it.
pub const FUNCTION_MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
/// Log level: `info`, `warn` or `error`, or directives of the `tracing` crate. Default: `info`.
pub const LOG: &str = "RUST_LOG";
/// Address of the Lambda Runtime API. Lambda and the local stack set it for every function.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// Name of the command queue.
pub const COMMANDS_QUEUE: &str = "torale-commands";
/// Name of the event queue.
pub const EVENTS_QUEUE: &str = "torale-events";

/// Longest time for one call of the store, retries included.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for one attempt of such a call.
pub const STORE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time for one call of a queue, retries included.
pub const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for one attempt of such a call.
pub const QUEUE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time for one response of the identity provider.
pub const IDENTITY_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time for one call of Clerk or Temporal that executes a command, connecting included.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for a whole request. API Gateway gives up after 30 s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest time that a deactivation sends its commands before it answers. The relay sends the rest.
pub const SENDING_TIME: Duration = Duration::from_secs(3);
/// The part of [`REQUEST_TIMEOUT`] that is reserved for the answer.
pub const ANSWERING_TIME: Duration = Duration::from_secs(1);
/// Longest time that a consumer spends on writing one batch.
pub const WRITING_TIME: Duration = Duration::from_secs(60);
/// A write that was begun, or an event that was received, this long ago is complete by now: twice [`WRITING_TIME`],
/// since clocks differ.
pub const SETTLED: Duration = Duration::from_secs(120);

#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variable(name: &str, default: &str) -> String {
    std::env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

/// A variable that may be unset. An empty value counts as unset.
fn optional(name: &str) -> Option<String> {
    Some(variable(name, "")).filter(|value| !value.is_empty())
}

/// The entries of a list that is separated by commas, without blanks around them; empty entries are left out.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// Whether this process is a Lambda function (or one of the local stack).
pub fn is_function() -> bool {
    optional(RUNTIME_API).is_some()
}

/// The memory of this function in bytes, as Lambda states it.
pub fn function_memory() -> Option<usize> {
    optional(FUNCTION_MEMORY)?.parse::<usize>().ok()?.checked_mul(1024 * 1024)
}

/// What [`LOG`] is set to.
pub fn log_directives() -> String {
    variable(LOG, "info")
}

/// The rate limits of every user.
///
/// # Errors
/// If a limit is not an integer of 0 to 2^32 - 1.
pub fn limits() -> Result<RateLimits, std::num::ParseIntError> {
    Ok(RateLimits::new(
        variable(RATE_LIMIT_PER_MINUTE, "1000").parse()?,
        variable(RATE_LIMIT_PER_HOUR, "10000").parse()?,
    ))
}

/// How to link to Temporal's web pages.
pub fn temporal_ui() -> TemporalUi {
    TemporalUi {
        url: variable(TEMPORAL_UI_URL, "https://cloud.temporal.io").trim_end_matches('/').to_owned(),
        namespace: variable(TEMPORAL_NAMESPACE, "default"),
    }
}

/// How to reach Temporal.
#[derive(Clone, PartialEq, Eq)]
pub struct TemporalSettings {
    /// The value of [`TEMPORAL_ADDRESS`]; empty if it is not set.
    pub address: String,
    /// The namespace of the platform's schedules.
    pub namespace: String,
    /// The API key, if Temporal needs one.
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

/// How to reach the platform's PostgreSQL.
pub struct PostgresSettings {
    /// The value of [`POSTGRES_URL`]; empty if it is not set.
    pub url: String,
    /// The schema of the outbox.
    pub schema: String,
    /// The value of [`POSTGRES_CERTIFICATES`], which replaces the system's certificates.
    pub certificates: Option<String>,
}

/// How to reach the platform's PostgreSQL.
pub fn postgres() -> PostgresSettings {
    PostgresSettings {
        url: variable(POSTGRES_URL, ""),
        schema: variable(POSTGRES_SCHEMA, "torale_admin_source"),
        certificates: optional(POSTGRES_CERTIFICATES),
    }
}

/// The value of [`TEMPORAL_SCHEDULE_ID`] makes no schedule's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("TEMPORAL_SCHEDULE_ID: a pattern contains {{task_id}} and makes ids of at most 256 characters")]
pub struct BadSchedulePattern;

/// How the schedules of tasks are called of which no event has named one.
///
/// # Errors
/// If the value of [`TEMPORAL_SCHEDULE_ID`] makes no id.
pub fn temporal_schedule_pattern() -> Result<SchedulePattern, BadSchedulePattern> {
    SchedulePattern::parse(&variable(TEMPORAL_SCHEDULE_ID, "task-{task_id}")).ok_or(BadSchedulePattern)
}

/// An entry of [`COMMANDS_HANDLED`] that is not a kind of command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("COMMANDS_HANDLED: there is no command {0}")]
pub struct UnknownCommandKind(pub String);

/// The kinds of commands that the executor executes.
///
/// # Errors
/// If an entry of [`COMMANDS_HANDLED`] is not a kind of command.
pub fn commands_handled() -> Result<Vec<&'static str>, UnknownCommandKind> {
    kinds(&variable(COMMANDS_HANDLED, &Command::KINDS.join(",")))
}

fn kinds(list: &str) -> Result<Vec<&'static str>, UnknownCommandKind> {
    let known = |name: &str| Command::KINDS.into_iter().find(|kind| *kind == name);
    entries(list).map(|name| known(name).ok_or_else(|| UnknownCommandKind(name.to_owned()))).collect()
}

/// The queue to which the executor forwards commands that it does not execute, if there is one.
pub fn commands_forward_queue_url() -> Option<String> {
    optional(COMMANDS_FORWARD_QUEUE_URL)
}

/// The URL of the event queue, if it is set.
pub fn events_queue_url() -> Option<String> {
    optional(EVENTS_QUEUE_URL)
}

/// The URL of the command queue, if it is set.
pub fn commands_queue_url() -> Option<String> {
    optional(COMMANDS_QUEUE_URL)
}

/// The value of [`CLERK_WEBHOOK_SECRET`]; empty if it is not set.
pub fn clerk_webhook_secret() -> String {
    variable(CLERK_WEBHOOK_SECRET, "")
}

/// The value of [`CLERK_PUBLISHABLE_KEY`], if it is set.
pub fn clerk_publishable_key() -> Option<String> {
    optional(CLERK_PUBLISHABLE_KEY)
}

/// Where the private key is that signs the seals of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditKey {
    /// In KMS: id, ARN or alias.
    Kms(String),
    /// In a file: its path.
    File(String),
    /// Neither is set.
    Missing,
}

/// The key that signs the seals of the audit trail. A key in KMS takes precedence over one in a file.
pub fn audit_key() -> AuditKey {
    let file = || optional(AUDIT_KEY_FILE).map_or(AuditKey::Missing, AuditKey::File);
    optional(AUDIT_KMS_KEY_ID).map_or_else(file, AuditKey::Kms)
}

/// How to authenticate callers. The default accepts API keys only.
pub struct IdentityProviderSettings {
    /// The value of [`CLERK_ISSUER`]. Without it, no session token is accepted.
    pub issuer: Option<String>,
    /// The value of [`CLERK_JWKS_URL`].
    pub jwks_url: Option<String>,
    /// The value of [`CLERK_JWT_KEY`], which replaces the key set.
    pub jwt_key: Option<String>,
    /// The entries of [`CLERK_AUTHORIZED_PARTIES`]; `None` and [`ANY_PARTY`] accept any origin.
    pub authorized_parties: Option<Vec<String>>,
    /// The address of Clerk's Backend API.
    pub api_url: String,
    /// The secret key of Clerk's Backend API.
    pub secret_key: Option<String>,
    /// Where roles come from: `projection` or `clerk`.
    pub role_source: String,
    /// Longest time for one response of the identity provider.
    pub timeout: Duration,
}

impl Default for IdentityProviderSettings {
    fn default() -> Self {
        Self {
            issuer: None,
            jwks_url: None,
            jwt_key: None,
            authorized_parties: None,
            api_url: "https://api.clerk.com".to_owned(),
            secret_key: None,
            role_source: "projection".to_owned(),
            timeout: IDENTITY_TIMEOUT,
        }
    }
}

/// How to authenticate callers.
pub fn identity_provider() -> IdentityProviderSettings {
    let default = IdentityProviderSettings::default();
    let parties = |list: String| entries(&list).map(str::to_owned).collect();
    IdentityProviderSettings {
        issuer: optional(CLERK_ISSUER),
        jwks_url: optional(CLERK_JWKS_URL),
        jwt_key: optional(CLERK_JWT_KEY),
        authorized_parties: optional(CLERK_AUTHORIZED_PARTIES).map(parties),
        api_url: variable(CLERK_API_URL, &default.api_url),
        secret_key: optional(CLERK_SECRET_KEY),
        role_source: variable(ROLE_SOURCE, &default.role_source),
        ..default
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use torale_domain::access::rate_limits::OVERTAKEN_BY;

    #[test]
    fn no_request_is_overtaken_by_more_than_rate_limits_expect() {
        let clocks_differ_by = Duration::from_secs(10);
        let overtaken_by = (REQUEST_TIMEOUT + clocks_differ_by).as_millis();
        assert_eq!(u128::try_from(OVERTAKEN_BY), Ok(overtaken_by));
    }

    #[test]
    fn commands_handled_names_known_kinds_or_is_refused() {
        assert_eq!(kinds("task.pause, user.ban,"), Ok(vec!["task.pause", "user.ban"]));
        assert_eq!(kinds(" , "), Ok(vec![]));
        assert_eq!(kinds("user.ban,task.paused"), Err(UnknownCommandKind("task.paused".to_owned())));
    }
}
