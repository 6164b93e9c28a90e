//! GET /admin/temporal/schedules: the active schedules, with the time at which each fires next.

use torale_domain::pages::schedules;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct Schedules;

impl Handler for Schedules {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/temporal/schedules", action: "schedules.list" };
    type Parameters = schedules::SchedulesParameters;
    type Answer = schedules::SchedulesPage;

    async fn handle(
        context: &RequestContext<'_>,
        query: &Self::Parameters,
    ) -> Result<Self::Answer, AdminError> {
        Ok(schedules::answer(context.reader, query, context.now, context.temporal_ui).await?)
    }
}
