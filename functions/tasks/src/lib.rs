//! GET /admin/tasks: the tasks that are not deleted, newest first.

use torale_domain::pages::tasks;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct Tasks;

impl Handler for Tasks {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/tasks", action: "tasks.list" };
    type Parameters = tasks::TasksParameters;
    type Answer = tasks::TasksPage;

    async fn handle(
        context: &RequestContext<'_>,
        query: &Self::Parameters,
    ) -> Result<Self::Answer, AdminError> {
        Ok(tasks::answer(context.reader, query, context.now).await?)
    }
}
