//! GET /admin/audit: one page of the audit trail.

use torale_domain::pages::audit;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct Audit;

impl Handler for Audit {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/audit", action: "audit.list" };
    type Parameters = audit::AuditParameters;
    type Answer = audit::AuditPage;

    async fn handle(
        context: &RequestContext<'_>,
        query: &Self::Parameters,
    ) -> Result<Self::Answer, AdminError> {
        let [index, records] = context.audit;
        Ok(audit::answer(index, records, query, context.now).await?)
    }
}
