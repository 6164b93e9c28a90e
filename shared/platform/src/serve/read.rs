//! Endpoints that read. The handler runs while the caller is being admitted; if the caller is refused, its answer is
//! thrown away.

use super::app::App;
use super::endpoint::Endpoint;
use super::operations::OperationsReader;
use super::scope::{RequestOutcome, RequestScope};
use crate::authentication::{Admission, CredentialLookup};
use crate::error::AdminError;
use crate::guard::guarded;
use crate::lambda::run_http;
use crate::logging;
use crate::start::Parts;
use crate::store::{TableReader, Usage};
use futures::future::{Either, select};
use http::Response;
use serde::Serialize;
use serde_json::{Value, json};
use std::future::Future;
use std::pin::pin;
use torale_domain::pages::TemporalUi;
use torale_domain::requests::parameters::{ParameterFault, QueryParameters};
use torale_domain::requests::payload::HttpRequest;
use torale_domain::storage::keys::{AUDIT_INDEX_TABLE, AUDIT_TABLE, CONTROL_TABLE};
use torale_domain::values::time::Timestamp;

/// The most bytes of a body in a payload: Lambda's limit, less what the headers take.
const MAX_PAYLOAD_BYTES: usize = 6 * 1024 * 1024 - 16 * 1024;

/// An endpoint that reads: a declaration and a short handler. The handler must change nothing, since it runs before it
/// is known whether the caller is admitted.
pub trait Handler: 'static {
    /// The declaration.
    const ENDPOINT: Endpoint;
    /// The query parameters.
    type Parameters: QueryParameters;
    /// The body of a 200.
    type Answer: Serialize + Send;

    /// Answers a request whose parameters are valid.
    fn handle(
        context: &RequestContext<'_>,
        query: &Self::Parameters,
    ) -> impl Future<Output = Result<Self::Answer, AdminError>> + Send;
}

/// A request as a handler sees it.
#[derive(Debug)]
pub struct RequestContext<'a> {
    /// When the request arrived.
    pub now: Timestamp,
    /// The live projections: one generation for the whole request.
    pub reader: &'a TableReader<'a>,
    /// The audit index, and the audit records.
    pub audit: &'a [TableReader<'a>; 2],
    /// The control table: uses of API keys, deactivations, the outbox.
    pub control: &'a TableReader<'a>,
    /// How to link to Temporal's web pages.
    pub temporal_ui: &'a TemporalUi,
    /// What operators watch.
    pub operations: &'a OperationsReader<'a>,
}

impl App {
    /// Answers a request to an endpoint that reads. Whatever happens, there is an answer in the contract's form.
    pub async fn answer<H: Handler>(&self, request: &HttpRequest) -> Response<String> {
        let scope = RequestScope::new(H::ENDPOINT, request, (self.clock)());
        let query = H::Parameters::parse_at(&request.path_parameter(H::ENDPOINT.path), request.query());
        let target = query.as_ref().ok().and_then(QueryParameters::target);
        let parameters = audit_parameters(&query);
        let outcome = match self.identify(&scope).await {
            Ok(lookup) => self.read::<H>(&scope, &lookup, query).await,
            Err(rejection) => RequestOutcome::rejected(rejection),
        };
        let outcome = self.record(&scope, outcome, target, parameters).await;
        scope.answer(&outcome)
    }

    /// Admits the caller and handles the request in parallel.
    async fn read<H: Handler>(
        &self,
        scope: &RequestScope<'_>,
        lookup: &CredentialLookup,
        query: Result<H::Parameters, Vec<ParameterFault>>,
    ) -> RequestOutcome {
        let (admitting, reading) = (Usage::default(), Usage::default());
        // Boxed: with the client's own futures inside, the compiler would run into its limit of depth.
        let admission = Box::pin(self.admit(scope, lookup, &admitting));
        let answer = Box::pin(self.handle::<H>(scope, lookup, query, &reading));
        let answer = guarded(scope.deadline, answer);
        let (admission, result) = until_refused(admission, answer).await;
        scope.usage.add_parallel(&[&admitting, &reading]);
        RequestOutcome::after(admission, &lookup.generation, result)
    }

    async fn handle<H: Handler>(
        &self,
        scope: &RequestScope<'_>,
        lookup: &CredentialLookup,
        query: Result<H::Parameters, Vec<ParameterFault>>,
        usage: &Usage,
    ) -> Result<String, AdminError> {
        // A flood of requests that are refused from memory reads nothing.
        if let Some(retry_after) = self.limiter.remembered_refusal(lookup.user_id, scope.now) {
            return Err(AdminError::RateLimited { retry_after });
        }
        let query = query.map_err(AdminError::Invalid)?;
        let reader = TableReader::of(&self.store, &lookup.generation, usage);
        let audit = [AUDIT_INDEX_TABLE, AUDIT_TABLE].map(|table| TableReader::new(&self.store, table, usage));
        let control = TableReader::new(&self.store, CONTROL_TABLE, usage);
        let (now, temporal_ui) = (scope.now, &self.temporal_ui);
        let operations = &OperationsReader::new(self, usage);
        let (reader, audit, control) = (&reader, &audit, &control);
        let context = RequestContext { now, reader, audit, control, temporal_ui, operations };
        let answer = H::handle(&context, &query).await?;
        let body = serde_json::to_string(&answer).map_err(|e| AdminError::Internal(e.to_string()))?;
        if payload_bytes(&body) > MAX_PAYLOAD_BYTES {
            let error = format!("an answer of {} bytes is more than Lambda passes on", body.len());
            return Err(AdminError::Internal(error));
        }
        Ok(body)
    }
}

/// The bytes of a body within the payload that Lambda passes on: a JSON text that quotes it.
fn payload_bytes(body: &str) -> usize {
    body.len() + body.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

/// Waits for the admission and the answer, but for the answer only while the caller is not refused.
async fn until_refused(
    admission: impl Future<Output = Admission>,
    answer: impl Future<Output = Result<String, AdminError>>,
) -> (Admission, Result<String, AdminError>) {
    match select(pin!(admission), pin!(answer)).await {
        Either::Left((admission, answer)) if admission.verdict.is_ok() => (admission, answer.await),
        // The verdict replaces this result.
        Either::Left((admission, _answer)) => (admission, Ok(String::new())),
        Either::Right((answer, admission)) => (admission.await, answer),
    }
}

/// The parameters of the audit record: as the server has understood them. Of invalid ones only the names are recorded.
fn audit_parameters<Q: QueryParameters>(query: &Result<Q, Vec<ParameterFault>>) -> Value {
    match query {
        Ok(query) => serde_json::to_value(query).unwrap_or_default(),
        Err(faults) => json!({ "invalid": faults.iter().map(|fault| &fault.loc[1]).collect::<Vec<_>>() }),
    }
}

/// Runs an endpoint that reads as a Lambda function.
///
/// # Errors
/// If the Lambda runtime fails.
pub async fn run<H: Handler>() -> Result<(), lambda_runtime::Error> {
    logging::start();
    let app = &Parts::build(App::connect);
    run_http(|request| async move { app.get().await.answer::<H>(&request).await }).await
}
