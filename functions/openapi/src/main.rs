//! Wires the document to Lambda.

use lambda_http::{Error, Request, service_fn};
use std::sync::LazyLock;

/// Made with the first request.
static TEXT: LazyLock<String> = LazyLock::new(openapi::text);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    torale_platform::config::start_logging();
    lambda_http::run(service_fn(|request: Request| async move {
        Ok::<_, Error>(openapi::answer(&TEXT, &request))
    }))
    .await
}
