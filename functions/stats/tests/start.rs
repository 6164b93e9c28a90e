//! A function that can't start says why, and ends: Lambda tries anew.

use std::net::TcpListener;
use std::process::Command;

#[test]
fn a_setting_that_cannot_be_meant_ends_the_process() {
    // A Runtime API that never answers.
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
    let ended = Command::new(env!("CARGO_BIN_EXE_stats")).env_clear().envs(settings).output().unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("can't start") && said.contains("ROLE_SOURCE"), "{said}");
}
