//! P8: what decides who may ask is read strongly consistent; the embedded store cannot show the difference, so the
//! requests themselves are looked at.

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use lambda_http::http::Method;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use torale_platform::serve::App;
use torale_tests::generate;
use torale_tests::stack::{self, ADMIN_KEY, NOW, Stack};

/// Every request to the store: its operation and whether it asks for strong consistency.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<Mutex<Vec<(String, bool)>>>);

impl Intercept for Seen {
    fn name(&self) -> &'static str {
        "seen"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let operation =
            request.headers().get("x-amz-target").unwrap_or_default().rsplit('.').next().unwrap_or_default();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default())?;
        let batch = body["RequestItems"].as_object().and_then(|tables| tables.values().next());
        let consistent = batch.unwrap_or(&body)["ConsistentRead"].as_bool().unwrap_or(false);
        self.0.lock().unwrap().push((operation.to_owned(), consistent));
        Ok(())
    }
}

async fn reads(path: &str) -> Vec<(String, bool)> {
    let stack = Stack::start().await;
    stack.consume(&generate::admin()).await;
    let seen = Seen::default();
    let store = stack.store_with(seen.clone());
    let app = App::new(store, stack::keys_only(), stack::LIMITS, stack::temporal_ui(), || NOW);
    let request = stack::request(Method::GET, path, "", Some(&format!("Bearer {ADMIN_KEY}")));
    assert_eq!(stack::answer(&app, request).await.status(), 200);
    let all = seen.0.lock().unwrap().clone();
    all.into_iter().filter(|(operation, _)| !matches!(operation.as_str(), "UpdateItem" | "PutItem")).collect()
}

#[tokio::test]
async fn key_user_and_generation_are_read_strongly_consistent() {
    // A cold instance reads the pointer, the key and the user one after the other; the page is read beside the user.
    let reads = reads("/admin/queries").await;
    assert_eq!(reads.iter().filter(|(_, consistent)| *consistent).count(), 3, "{reads:?}");
}

#[tokio::test]
async fn the_list_of_users_is_read_strongly_consistent() {
    let reads = reads("/admin/users").await;
    assert!(reads.len() > 6 && reads.iter().all(|(_, consistent)| *consistent), "{reads:?}");
}
