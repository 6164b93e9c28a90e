//! Runs the consumer as a Lambda function.
// The futures of the AWS client are nested deeper than the compiler's default limit.
#![recursion_limit = "256"]

use lambda_runtime::Error;
use std::convert::Infallible;
use torale_platform::consume::Consumer;
use torale_platform::start::Parts;
use torale_platform::store::Store;
use torale_platform::{clock, lambda, logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::start();
    let consumer = &Parts::build(|| async { Ok(Consumer::new(Store::connect().await, clock::system)) });
    lambda::run_job(|event| async move {
        Ok::<_, Infallible>(consumer::handle(consumer.get().await, event).await)
    })
    .await
}
