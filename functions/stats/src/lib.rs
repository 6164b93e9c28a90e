//! GET /admin/stats: the platform's numbers.

use torale_domain::pages::stats;
use torale_platform::error::AdminError;
use torale_platform::serve::{Call, Endpoint, Handler, Method};

/// The endpoint.
#[derive(Debug)]
pub struct Stats;

impl Handler for Stats {
    const ENDPOINT: Endpoint = Endpoint { method: Method::GET, path: "/admin/stats", action: "stats.read" };
    type Answer = stats::Stats;

    async fn handle(call: &Call<'_>) -> Result<Self::Answer, AdminError> {
        Ok(stats::answer(call.reader, call.now).await?)
    }
}
