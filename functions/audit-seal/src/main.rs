//! Wires the sealing of the audit trail to Lambda.

use audit_seal::Key;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use torale_platform::store::Store;
use torale_platform::{clock, config};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    config::start_logging();
    let (store, key) = tokio::join!(Store::connect(), Key::load(config::audit_key()));
    let (store, key) = (&store, &key?);
    lambda_runtime::run(service_fn(|_event: LambdaEvent<Value>| async move {
        audit_seal::handle(store, key, clock::system).await.map_err(Error::from)
    }))
    .await
}
