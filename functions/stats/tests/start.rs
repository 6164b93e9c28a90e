//! A function that can't start logs the reason and ends, so that Lambda starts another one.

use std::net::TcpListener;
use std::process::Command;

#[test]
fn invalid_setting_is_logged_and_ends_the_process() {
    // A Runtime API that never responds.
    let api = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let settings = [
        ("AWS_LAMBDA_RUNTIME_API", api.local_addr().unwrap().to_string().as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", "stats"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_REGION", "us-east-1"),
        ("ROLE_SOURCE", "nonsense"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let output = Command::new(env!("CARGO_BIN_EXE_stats")).env_clear().envs(settings).output().unwrap();
    let log = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("can't start") && log.contains("ROLE_SOURCE"), "{log}");
}
