//! Writes the audit record of a request, and the use of its API key.

use super::app::App;
use super::scope::{RequestOutcome, RequestScope};
use crate::authentication::CallerIdentity;
use crate::error::{AdminError, HttpError};
use crate::store::StoreError;
use futures::future::{Either, select};
use http::StatusCode;
use serde_json::Value;
use std::pin::pin;
use std::time::Duration;
use torale_domain::audit::AuditedRequest;
use torale_domain::audit::record::redacted;
use torale_domain::values::time::Timestamp;

/// How much longer than for its audit record an answer waits for the use of its key to be stored.
const KEY_USE_GRACE: Duration = Duration::from_millis(20);

impl App {
    /// Writes the audit record of a request whose credentials are someone's, and the use of the API key if they are
    /// good. Without its record a request is not answered.
    pub(super) async fn record(
        &self,
        scope: &RequestScope<'_>,
        outcome: RequestOutcome,
        target: Option<String>,
        parameters: Value,
    ) -> RequestOutcome {
        let Some(caller) = outcome.caller.clone() else { return outcome };
        let status =
            outcome.result.as_ref().map_or_else(|error| HttpError::from(error).status, |_| StatusCode::OK);
        let entry = scope.audit_entry((self.clock)(), caller, target, parameters, status);
        let recorded = self.record_with_key_use(scope, entry, &outcome).await;
        match recorded {
            Ok(()) => outcome,
            Err(error) => RequestOutcome { result: Err(AdminError::Unrecorded(error)), ..outcome },
        }
    }

    /// The two writes take about the same time. If that of the key takes longer, it is given up: the key's next request
    /// repeats it.
    async fn record_with_key_use(
        &self,
        scope: &RequestScope<'_>,
        entry: AuditedRequest,
        outcome: &RequestOutcome,
    ) -> Result<(), StoreError> {
        let recording = pin!(self.trail.record(&self.store, entry, &scope.usage));
        let key_use = pin!(self.record_key_use(scope, outcome));
        match select(recording, key_use).await {
            Either::Left((recorded, key_use)) => {
                drop(tokio::time::timeout(KEY_USE_GRACE, key_use).await);
                recorded
            }
            Either::Right(((), recording)) => recording.await,
        }
    }

    /// Stores the use of the API key of an authenticated request.
    pub(super) async fn record_key_use(&self, scope: &RequestScope<'_>, outcome: &RequestOutcome) {
        let key = outcome.caller.as_ref().and_then(|caller| caller.principal.key_id.as_ref());
        if let Some(key) = key.filter(|_| outcome.authenticated) {
            self.key_use.record(&self.store, key, scope.now, &scope.usage).await;
        }
    }
}

impl RequestScope<'_> {
    /// The audit entry of this request.
    pub(super) fn audit_entry(
        &self,
        at: Timestamp,
        caller: CallerIdentity,
        target: Option<String>,
        parameters: Value,
        status: StatusCode,
    ) -> AuditedRequest {
        AuditedRequest {
            at,
            principal: caller.principal,
            method: caller.method,
            action: self.endpoint.action.to_owned(),
            target,
            parameters,
            status: status.as_u16(),
            request_id: self.request.request_id().to_owned(),
            source: self.request.source_address().map(str::to_owned),
            user_agent: self.request.header("user-agent").map(redacted),
            duration_ms: self.elapsed_ms(),
        }
    }
}
