//! GET /admin/tasks/{id}: one task with its schedules, and which events say so.

use torale_domain::pages::task;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct ReadTask;

impl Handler for ReadTask {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/tasks/{id}", action: "tasks.read" };
    type Parameters = task::TaskParameters;
    type Answer = task::TaskDetail;

    async fn handle(
        context: &RequestContext<'_>,
        request: &Self::Parameters,
    ) -> Result<Self::Answer, AdminError> {
        let found = task::answer(context.reader, request, context.now, context.temporal_ui).await?;
        found.ok_or(AdminError::TaskNotFound)
    }
}
