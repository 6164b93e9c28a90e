//! Which partitions of the projections a store client reads: the template lets some functions read no others.

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The partitions' keys up to their first `#`, as they are asked for.
#[derive(Debug, Clone, Default)]
pub struct Partitions(Arc<Mutex<BTreeSet<String>>>);

impl Partitions {
    /// Those that have been asked for.
    pub fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().cloned().collect()
    }
}

/// Every key of the request that is one of the projections'.
fn keys(request: &Value) -> Vec<&Value> {
    let of = |name: &Value| name.as_str().is_some_and(|name| name.starts_with("torale-projections-"));
    if let Some(tables) = request["RequestItems"].as_object() {
        let tables = tables.iter().filter(|(name, _)| of(&Value::from(name.as_str())));
        return tables
            .flat_map(|(_, asked)| asked["Keys"].as_array().unwrap())
            .map(|key| &key["pk"]["S"])
            .collect();
    }
    if !of(&request["TableName"]) {
        return Vec::new();
    }
    let one = [&request["Key"]["pk"]["S"], &request["ExpressionAttributeValues"][":pk"]["S"]];
    one.into_iter().filter(|key| !key.is_null()).collect()
}

impl Intercept for Partitions {
    fn name(&self) -> &'static str {
        "partitions"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request: Value = serde_json::from_slice(context.request().body().bytes().unwrap_or_default())?;
        let keys = keys(&request);
        let of = |key: &&Value| key.as_str().unwrap().split_inclusive('#').next().unwrap().to_owned();
        self.0.lock().unwrap().extend(keys.iter().map(of));
        Ok(())
    }
}
