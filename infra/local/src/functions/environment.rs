//! The environment of the functions' processes: fake credentials, and the addresses of the stack's
//! parts.

use std::path::PathBuf;

use tokio::process::Command;
use torale_platform::config;

use crate::event_sources::COMMANDS;

/// Set for every function, whatever the shell says.
const FIXED: &[(&str, &str)] = &[
    ("AWS_REGION", "us-east-1"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "local"),
    ("AWS_SECRET_ACCESS_KEY", "local"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_CONFIG_FILE", "/dev/null"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
    ("NO_PROXY", "127.0.0.1,localhost"),
];
/// Variables of the shell that would lead the functions to a real account.
const REMOVED: &[&str] = &["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"];
/// Set for every function unless the shell sets them.
const DEFAULTS: &[(&str, &str)] = &[(config::LOG, "warn")];

/// Where the functions find the other parts of the stack.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// Port of the gateway, which serves the Runtime API.
    pub http: u16,
    /// Port of the queue.
    pub sqs: u16,
    /// Port of the store.
    pub dynamodb: u16,
    /// URL of the queue of events.
    pub events_queue_url: String,
    /// The file with the key that seals the audit trail.
    pub audit_key: PathBuf,
    /// The variables that lead the command executor to the stand-ins; no other function receives
    /// them.
    pub standins: Vec<(&'static str, String)>,
}

impl Addresses {
    /// Sets the environment of one process. `instance` is part of its Runtime API address.
    pub fn apply(&self, command: &mut Command, function: &str, instance: &str) {
        let Self { http, sqs, dynamodb, events_queue_url, audit_key, standins } = self;
        for name in REMOVED {
            command.env_remove(name);
        }
        command.envs(DEFAULTS.iter().copied().filter(|(name, _)| std::env::var_os(name).is_none()));
        command
            .envs(FIXED.iter().copied())
            .env("AWS_LAMBDA_FUNCTION_NAME", function)
            // An address with a path needs a scheme.
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://127.0.0.1:{http}/.rt/{function}:{instance}"))
            .env("AWS_ENDPOINT_URL_DYNAMODB", format!("http://127.0.0.1:{dynamodb}"))
            .env("AWS_ENDPOINT_URL_SQS", format!("http://127.0.0.1:{sqs}"))
            .env(config::AUDIT_KEY_FILE, audit_key)
            .env(config::EVENTS_QUEUE_URL, events_queue_url);
        if function == COMMANDS.function {
            // The stand-in must not see a real key of the shell's.
            command.env_remove(config::TEMPORAL_API_KEY).envs(standins.iter().cloned());
        }
    }
}
