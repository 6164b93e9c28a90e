//! P8: what decides whether a caller is admitted is read strongly consistent. The embedded store cannot show the
//! difference, so the requests to it are looked at.

use queries::Queries;
use torale_testkit::interceptor::{Interceptor, StoreCall};
use torale_testkit::request::{ApiRequest, get};
use torale_testkit::scenario::given_an_admin;
use users::Users;

/// Whether a read asks for strong consistency; none for a write.
fn consistent(call: &StoreCall<'_>) -> Option<bool> {
    if matches!(call.operation, "UpdateItem" | "PutItem") {
        return None;
    }
    let body = call.json();
    let batch = body["RequestItems"].as_object().and_then(|tables| tables.values().next());
    Some(batch.unwrap_or(&body)["ConsistentRead"].as_bool().unwrap_or(false))
}

/// The reads of a cold instance for a request, each as whether it is strongly consistent.
async fn reads(request: ApiRequest) -> Vec<bool> {
    let scenario = given_an_admin().start().await;
    let (interceptor, reads) = Interceptor::noting(consistent);
    let app = scenario.app_over(scenario.store_with(interceptor));

    assert_eq!(request.send(&app).await.status, 200);
    reads.take()
}

#[tokio::test]
async fn key_user_and_generation_are_read_strongly_consistent() {
    let reads = reads(get::<Queries>("")).await;

    // A cold instance reads the pointer, the key and the user one after the other; the page in parallel with the user.
    assert_eq!(reads.iter().filter(|consistent| **consistent).count(), 3, "{reads:?}");
}

#[tokio::test]
async fn users_list_is_read_strongly_consistent() {
    let reads = reads(get::<Users>("")).await;

    assert!(reads.len() > 6 && reads.iter().all(|consistent| *consistent), "{reads:?}");
}
