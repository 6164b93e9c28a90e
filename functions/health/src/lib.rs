//! GET /admin/health: the generations in use, and what waits to be done.

use torale_domain::pages::health;
use torale_domain::requests::parameters::NoParameters;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct Health;

impl Handler for Health {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/health", action: "health.read" };
    type Parameters = NoParameters;
    type Answer = health::HealthAnswer;

    async fn handle(context: &RequestContext<'_>, _query: &NoParameters) -> Result<Self::Answer, AdminError> {
        Ok(health::answer(context.operations.read().await?, context.now))
    }
}
