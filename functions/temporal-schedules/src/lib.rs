//! GET /admin/temporal/schedules: the active schedules and when each fires next.

use torale_domain::pages::schedules;
use torale_platform::error::AdminError;
use torale_platform::serve::{Call, Endpoint, Handler, Method};

/// The endpoint.
#[derive(Debug)]
pub struct Schedules;

impl Handler for Schedules {
    const ENDPOINT: Endpoint =
        Endpoint { method: Method::GET, path: "/admin/temporal/schedules", action: "schedules.list" };
    type Answer = schedules::SchedulesPage;

    async fn handle(call: &Call<'_>) -> Result<Self::Answer, AdminError> {
        let query = schedules::SchedulesQuery::parse(call.query)?;
        Ok(schedules::answer(call.reader, &query, call.now, call.temporal_ui).await?)
    }
}
