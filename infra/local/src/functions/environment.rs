//! The environment of the functions' processes: fake credentials, and the addresses of the stack's
//! parts.

use std::path::PathBuf;

use tokio::process::Command;
use torale_platform::config;

use crate::event_sources::{COMMANDS, POSTGRES_RELAY, TEMPORAL_SYNC};

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
/// The functions that reach the platform's own systems, or what stands in for them.
const OUTSIDE: [&str; 3] = [COMMANDS.function, POSTGRES_RELAY.function, TEMPORAL_SYNC.function];
/// Variables of the shell that these must not see, since their values are of real systems.
const REMOVED_OUTSIDE: [&str; 3] =
    [config::TEMPORAL_API_KEY, config::POSTGRES_CERTIFICATES, config::POSTGRES_SCHEMA];
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
    /// The variables that lead to the stand-ins.
    pub standins: Vec<(&'static str, String)>,
    /// The variables that lead to the simulated platform, where there is one; they take precedence.
    pub platform: Vec<(String, String)>,
}

impl Addresses {
    /// Sets the environment of one process. `instance` is part of its Runtime API address.
    pub fn apply(&self, command: &mut Command, function: &str, instance: &str) {
        let Self { http, sqs, dynamodb, events_queue_url, audit_key, standins, platform } = self;
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
        if OUTSIDE.contains(&function) {
            for name in REMOVED_OUTSIDE {
                command.env_remove(name);
            }
            command.envs(standins.iter().cloned()).envs(platform.iter().cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn value(function: &str, name: &str) -> Option<String> {
        let addresses = Addresses {
            standins: vec![
                ("TEMPORAL_ADDRESS", "standin".to_owned()),
                ("CLERK_API_URL", "standin".to_owned()),
            ],
            platform: vec![("TEMPORAL_ADDRESS".to_owned(), "platform".to_owned())],
            ..Addresses::default()
        };
        let mut command = Command::new("true");
        addresses.apply(&mut command, function, "1");
        let set = command.as_std().get_envs().find(|(key, _)| *key == OsStr::new(name));
        set.and_then(|(_, value)| value?.to_str().map(str::to_owned))
    }

    #[test]
    fn platform_takes_the_place_of_the_stand_in_and_other_functions_see_neither() {
        assert_eq!(value("command-executor", "TEMPORAL_ADDRESS").as_deref(), Some("platform"));
        assert_eq!(value("temporal-sync", "TEMPORAL_ADDRESS").as_deref(), Some("platform"));
        assert_eq!(value("command-executor", "CLERK_API_URL").as_deref(), Some("standin"));
        assert_eq!(value("stats", "TEMPORAL_ADDRESS"), None);
    }
}
