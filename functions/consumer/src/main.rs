//! Wires the consumer to Lambda.
// The client's futures are nested deeper than the compiler's usual limit.
#![recursion_limit = "256"]

use lambda_runtime::{Error, LambdaEvent, service_fn};
use torale_platform::consume::Consumer;
use torale_platform::start::Parts;
use torale_platform::store::Store;
use torale_platform::{clock, config};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    config::start_logging();
    let consumer = &Parts::build(|| async { Ok(Consumer::new(Store::connect().await, clock::system)) });
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| async move {
        Ok::<_, Error>(consumer::handle(consumer.get().await, event).await)
    }))
    .await
}
