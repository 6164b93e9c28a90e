//! GET /admin/stats: the platform's statistics.

use torale_domain::pages::stats;
use torale_domain::requests::parameters::NoParameters;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct Stats;

impl Handler for Stats {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/stats", action: "stats.read" };
    type Parameters = NoParameters;
    type Answer = stats::StatsAnswer;

    async fn handle(context: &RequestContext<'_>, _query: &NoParameters) -> Result<Self::Answer, AdminError> {
        Ok(stats::answer(context.reader, context.now).await?)
    }
}
