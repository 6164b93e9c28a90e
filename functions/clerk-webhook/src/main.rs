//! Runs the webhook as a Lambda function.

use clerk_webhook::Webhook;
use torale_platform::queue::MessageQueue;
use torale_platform::start::Parts;
use torale_platform::store::Store;
use torale_platform::{clock, config, lambda, logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    logging::start();
    let webhook = &Parts::build(|| async {
        let (secret, store) = (config::clerk_webhook_secret(), Store::connect().await);
        Ok(Webhook::new(&secret, store, MessageQueue::connect().await, clock::system))
    });
    lambda::run_http(|request| async move { webhook.get().await.handle(&request).await }).await
}
