//! `cargo dev send`, whose events may come from another program: `-` is standard input.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use torale_local::args::Ports;
use torale_local::console::Console;
use torale_local::data::send;
use torale_local::error::LocalError;

/// A pipe in a folder of the test's. It is read as standard input is.
fn pipe() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("send-{}", std::process::id()));
    drop(std::fs::remove_file(&path));
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_stops_while_it_waits_for_its_input() {
    let (pipe, stop) = (pipe(), CancellationToken::new());
    let (file, stopped) = (pipe.clone(), stop.clone());
    let ports = Ports { http_port: 1, sqs_port: 1, dynamodb_port: 1 };
    let sending = tokio::spawn(async move { send::send(&file, &ports, &Console::default(), &stopped).await });
    // This returns once the other side reads.
    let open = move || std::fs::OpenOptions::new().write(true).open(pipe).unwrap();
    let writer = tokio::task::spawn_blocking(open).await.unwrap();

    stop.cancel();
    let outcome = tokio::time::timeout(Duration::from_secs(20), sending).await;
    // Else a reader that does not stop would hold up the end of the test.
    drop(writer);

    assert!(matches!(outcome, Ok(Ok(Err(LocalError::Stopped)))), "{outcome:?}");
}
