//! The steps before an answer, in the order of refusals that the contract sets (`docs/contract/http.md`, "Errors").

use super::app::App;
use super::scope::RequestScope;
use crate::authentication::{Admission, AuthRequest, CredentialLookup, Rejection};
use crate::error::AdminError;
use crate::guard::guarded;
use crate::store::Usage;

impl App {
    /// Checks the method, verifies the credentials and finds out whose they are.
    pub(super) async fn identify(&self, scope: &RequestScope<'_>) -> Result<CredentialLookup, Rejection> {
        if scope.request.method() != scope.endpoint.method.as_str() {
            return Err(AdminError::MethodNotAllowed { allowed: scope.endpoint.method.to_string() }.into());
        }
        let header = scope.request.header("authorization").map(str::as_bytes);
        let credentials = guarded(scope.deadline, self.authenticator.verify(header, scope.now)).await?;
        self.authenticator.look_up(&self.auth_request(scope, &scope.usage), credentials).await
    }

    /// Finds out whether the caller may be answered. There is a result whatever happens.
    pub(super) async fn admit(
        &self,
        scope: &RequestScope<'_>,
        lookup: &CredentialLookup,
        usage: &Usage,
    ) -> Admission {
        let auth = self.auth_request(scope, usage);
        let admission = async { Ok::<_, AdminError>(self.authenticator.admit(&auth, lookup).await) };
        let admission = guarded(scope.deadline, admission).await;
        admission.unwrap_or_else(|error| Admission::unauthenticated(lookup.caller.clone(), error))
    }

    const fn auth_request<'a>(&'a self, scope: &RequestScope<'_>, usage: &'a Usage) -> AuthRequest<'a> {
        let (store, generations, limiter) = (&self.store, &self.generations, &self.limiter);
        AuthRequest { store, generations, limiter, now: scope.now, deadline: scope.deadline, usage }
    }
}
