//! Every endpoint that is deployed, for what holds for all of them. A test about one names that one.

use http::Method;
use serde_json::json;
use torale_domain::values::time::DAY;
use torale_platform::routes;
use torale_testkit::events::{EventBuilder, execution, task, user};
use torale_testkit::request::{ApiAnswer, ApiRequest, TestedEndpoint, changing, reading};
use torale_testkit::stack::{NOW, Stack};

/// Every endpoint that admits callers by an admin's credentials.
pub fn all() -> Vec<TestedEndpoint> {
    vec![
        reading::<stats::Stats>(),
        reading::<stats_series::StatsSeries>(),
        reading::<queries::Queries>(),
        reading::<executions::Executions>(),
        reading::<execution::ReadExecution>(),
        reading::<errors::Errors>(),
        reading::<users::Users>(),
        reading::<tasks::Tasks>(),
        reading::<::task::ReadTask>(),
        reading::<temporal_workflows::Workflows>(),
        reading::<temporal_schedules::Schedules>(),
        reading::<health::Health>(),
        reading::<audit::Audit>(),
        changing::<deactivate_user::DeactivateUser>(),
        changing::<reactivate_user::ReactivateUser>(),
        changing::<deactivate_users::DeactivateUsers>(),
        // After the path of several users, which its own would fit as well.
        reading::<::user::ReadUser>(),
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

/// The part of a path that stands in the place of its route's parameter; empty without one.
fn parameter<'a>(route: &str, path: &'a str) -> &'a str {
    let parts = route.split('/').zip(path.split('/'));
    parts.filter(|(expected, _)| expected.starts_with('{')).map(|(_, found)| found).last().unwrap_or_default()
}

/// The admin's request to the endpoint of a path that reads.
pub fn get(path: &str, query: &str) -> ApiRequest {
    let of = at(path);
    of.request(query).about(parameter(of.endpoint.path, path))
}

/// The answer to the admin's request, from an instance of its own with the function's permissions.
pub async fn answer(stack: &Stack, path: &str, query: &str) -> ApiAnswer {
    let request = get(path, query);
    request.send(&stack.app_over(stack.store_as(&request.endpoint.role))).await
}

/// The parameters without which an endpoint refuses a request.
fn needed_parameters(path: &str) -> &'static str {
    match path {
        "/admin/stats/series" => "metric=executions&bucket=hour",
        _ => "",
    }
}

/// A user, a task of theirs and an execution of it, all of this id: what [`good_request`]s are about.
pub fn subject(id: &str) -> (EventBuilder, EventBuilder, EventBuilder) {
    let yesterday = NOW.plus(-DAY);
    let run = execution(id, id, id).started_at(yesterday).started();
    (user(id).created().at(yesterday), task(id).created(id, "q").at(yesterday), run.at(yesterday))
}

/// An admin's request that an endpoint grants: it is about the [`subject`] of this id. One that changes
/// something changes that user.
pub fn good_request(of: &TestedEndpoint, user: &str) -> ApiRequest {
    let request = of.request(needed_parameters(of.endpoint.path)).about(user);
    match of.endpoint.method {
        Method::POST => request.body(json!({ "user_ids": [user] }).to_string()),
        _ => request,
    }
}
