//! Wires the webhook to Lambda.

use clerk_webhook::Webhook;
use lambda_http::{Error, Request, service_fn};
use torale_platform::queue::Queue;
use torale_platform::store::Store;
use torale_platform::{clock, config};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    config::start_logging();
    let (store, queue) = tokio::join!(Store::connect(), Queue::connect());
    let webhook = &Webhook::new(&config::clerk_webhook_secret(), store, queue, clock::system);
    lambda_http::run(service_fn(
        |request: Request| async move { Ok::<_, Error>(webhook.handle(&request).await) },
    ))
    .await
}
