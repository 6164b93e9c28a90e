//! Every endpoint that is deployed, for what holds for all of them. A test about one names that one.

use http::Method;
use serde_json::json;
use torale_platform::routes;
use torale_testkit::request::{ApiAnswer, ApiRequest, TestedEndpoint, changing, reading};
use torale_testkit::stack::Stack;

/// Every endpoint that admits callers by an admin's credentials.
pub fn all() -> Vec<TestedEndpoint> {
    vec![
        reading::<stats::Stats>(),
        reading::<queries::Queries>(),
        reading::<executions::Executions>(),
        reading::<errors::Errors>(),
        reading::<users::Users>(),
        reading::<temporal_workflows::Workflows>(),
        reading::<temporal_schedules::Schedules>(),
        reading::<audit::Audit>(),
        changing::<deactivate_user::DeactivateUser>(),
        changing::<reactivate_user::ReactivateUser>(),
        changing::<deactivate_users::DeactivateUsers>(),
    ]
}

/// The routes that admit by no admin's credentials: Clerk's webhooks are signed, the document is for anyone.
pub const OTHERS: [(&str, &str); 2] = [clerk_webhook::ROUTE, openapi::ROUTE];

/// The endpoint of a path.
///
/// # Panics
/// If there is none.
pub fn at(path: &str) -> TestedEndpoint {
    let found = all().into_iter().find(|one| routes::fits(one.endpoint.path, path));
    found.unwrap_or_else(|| panic!("no endpoint at {path}"))
}

/// The admin's request to the endpoint of a path that reads.
pub fn get(path: &str, query: &str) -> ApiRequest {
    at(path).request(query)
}

/// The answer to the admin's request, from an instance of its own with the function's permissions.
pub async fn answer(stack: &Stack, path: &str, query: &str) -> ApiAnswer {
    let request = get(path, query);
    request.send(&stack.app_over(stack.store_as(&request.endpoint.role))).await
}

/// An admin's request that an endpoint grants: one that changes something changes this user.
pub fn good_request(of: &TestedEndpoint, user: &str) -> ApiRequest {
    let request = of.request("").about(user);
    match of.endpoint.method {
        Method::POST => request.body(json!({ "user_ids": [user] }).to_string()),
        _ => request,
    }
}
