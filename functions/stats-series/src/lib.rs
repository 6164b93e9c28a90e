//! GET /admin/stats/series: what happened in each minute, hour or day of the last hours.

use torale_domain::pages::series;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct StatsSeries;

impl Handler for StatsSeries {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/stats/series", action: "stats.series" };
    type Parameters = series::SeriesParameters;
    type Answer = series::SeriesAnswer;

    async fn handle(
        context: &RequestContext<'_>,
        query: &Self::Parameters,
    ) -> Result<Self::Answer, AdminError> {
        Ok(series::answer(context.reader, query, context.now).await?)
    }
}
