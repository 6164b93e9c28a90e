//! Runs the webhook as a Lambda function.

use clerk_webhook::Webhook;
use lambda_http::{Error, Request, service_fn};
use torale_platform::queue::MessageQueue;
use torale_platform::start::Parts;
use torale_platform::store::Store;
use torale_platform::{clock, config, logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::start();
    let webhook = &Parts::build(|| async {
        let (secret, store) = (config::clerk_webhook_secret(), Store::connect().await);
        Ok(Webhook::new(&secret, store, MessageQueue::connect().await, clock::system))
    });
    lambda_http::run(service_fn(|request: Request| async move {
        Ok::<_, Error>(webhook.get().await.handle(&request).await)
    }))
    .await
}
