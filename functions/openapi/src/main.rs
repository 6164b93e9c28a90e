//! Runs the endpoint as a Lambda function.

use lambda_http::{Error, Request, service_fn};
use std::sync::LazyLock;

/// Generated with the first request.
static TEXT: LazyLock<String> = LazyLock::new(openapi::text);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    torale_platform::logging::start();
    lambda_http::run(service_fn(|request: Request| async move {
        Ok::<_, Error>(openapi::answer(&TEXT, &request))
    }))
    .await
}
