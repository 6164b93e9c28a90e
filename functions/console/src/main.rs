//! Runs the console's function as a Lambda function.

use console::ConsoleSite;
use torale_platform::{config, lambda, logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    logging::start();
    let console = ConsoleSite::configured(config::clerk_publishable_key().as_deref());
    let console = &console;
    lambda::run_http(|request| async move { console.answer(&request) }).await
}
