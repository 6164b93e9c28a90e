//! Runs the console's function as a Lambda function.

use torale_platform::{lambda, logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    logging::start();
    lambda::run_http(|request| async move { console::answer(&request) }).await
}
