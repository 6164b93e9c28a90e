//! GET /admin/stats: the platform's numbers.

use torale_domain::pages::stats;
use torale_domain::params::NoQuery;
use torale_platform::error::AdminError;
use torale_platform::serve::{Call, Endpoint, Handler, HttpMethod};

/// The endpoint.
#[derive(Debug)]
pub struct Stats;

impl Handler for Stats {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/stats", action: "stats.read" };
    type Query = NoQuery;
    type Answer = stats::Stats;

    async fn handle(call: &Call<'_>, _query: &NoQuery) -> Result<Self::Answer, AdminError> {
        Ok(stats::answer(call.reader, call.now).await?)
    }
}
