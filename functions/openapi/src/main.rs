//! Wires the document to Lambda.

use lambda_http::{Error, Request, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    torale_platform::config::start_logging();
    let text = &openapi::text();
    lambda_http::run(service_fn(
        |request: Request| async move { Ok::<_, Error>(openapi::answer(text, &request)) },
    ))
    .await
}
