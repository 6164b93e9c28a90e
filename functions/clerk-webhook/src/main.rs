//! Runs the webhook as a Lambda function.

use clerk_webhook::Webhook;
use torale_platform::queue::MessageQueue;
use torale_platform::start::Parts;
use torale_platform::{clock, config, lambda, logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    logging::start();
    let webhook = &Parts::build(|| async {
        Ok(Webhook::new(&config::clerk_webhook_secret(), MessageQueue::connect().await, clock::system))
    });
    lambda::run_http(|request| async move { webhook.get().await.handle(&request).await }).await
}
