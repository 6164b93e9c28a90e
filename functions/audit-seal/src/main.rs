//! Wires the sealing of the audit trail to Lambda.

use audit_seal::Key;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use torale_platform::start::Parts;
use torale_platform::store::Store;
use torale_platform::{clock, config};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    config::start_logging();
    let build = || async { Ok((Store::connect().await, Key::load(config::audit_key()).await?)) };
    let parts = &Parts::build(build);
    lambda_runtime::run(service_fn(|_event: LambdaEvent<Value>| async move {
        let (store, key) = parts.get().await;
        audit_seal::handle(store, key, clock::system).await.map_err(Error::from)
    }))
    .await
}
