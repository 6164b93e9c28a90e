//! Runs the console's function as a Lambda function.

use lambda_http::{Error, Request, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    torale_platform::logging::start();
    lambda_http::run(service_fn(|request: Request| async move { Ok::<_, Error>(console::answer(&request)) }))
        .await
}
