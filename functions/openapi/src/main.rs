//! Runs the endpoint as a Lambda function.

use std::sync::LazyLock;
use torale_platform::{lambda, logging};

/// Generated with the first request.
static TEXT: LazyLock<String> = LazyLock::new(openapi::text);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    logging::start();
    lambda::run_http(|request| async move { openapi::answer(&TEXT, &request) }).await
}
