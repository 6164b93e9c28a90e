//! Endpoints that change something. The caller is admitted before the handler runs, and a change is recorded in the
//! same transaction that makes it.

use super::app::App;
use super::endpoint::Endpoint;
use super::scope::{RequestOutcome, RequestScope};
use crate::authentication::{Admission, CallerIdentity, CredentialLookup};
use crate::config;
use crate::error::AdminError;
use crate::guard::guarded;
use crate::lambda::run_http;
use crate::logging;
use crate::outbox::{Relay, RelayReport};
use crate::queue::MessageQueue;
use crate::start::Parts;
use crate::store::Usage;
use http::Response;
use serde::Serialize;
use serde_json::{Value, json};
use std::future::Future;
use tokio::time::Instant;
use torale_domain::deactivation::outbox::StoredOutboxEntry;
use torale_domain::requests::changes::{ChangeRequest, InvalidChangeRequest};
use torale_domain::requests::payload::HttpRequest;
use torale_domain::values::ids::UserId;

/// An endpoint that changes something: a declaration and a short handler, which runs once the caller is admitted.
pub trait Change: 'static {
    /// The declaration.
    const ENDPOINT: Endpoint;
    /// What the path and the body request.
    type Request: ChangeRequest;
    /// The body of a 200.
    type Answer: Serialize + Send;

    /// Makes the change.
    fn handle(
        context: &ChangeContext<'_>,
        input: Self::Request,
    ) -> impl Future<Output = Result<ChangeOutcome<Self::Answer>, AdminError>> + Send;
}

/// An admitted request that changes something, as a handler sees it.
pub struct ChangeContext<'a> {
    pub(super) app: &'a App,
    pub(super) scope: &'a RequestScope<'a>,
    pub(super) caller: CallerIdentity,
    pub(super) caller_id: UserId,
}

/// What a handler has done.
pub struct ChangeOutcome<A> {
    pub(super) answer: A,
    pub(super) effects: ChangeEffects,
}

/// What is left to do for a change that took effect.
#[derive(Default)]
pub(super) struct ChangeEffects {
    /// Whether the audit record of the request was written in the transaction that made the change.
    pub(super) recorded: bool,
    /// The outbox entries that were written. Their commands are sent before the answer, as far as time permits.
    pub(super) outbox: Vec<StoredOutboxEntry>,
}

impl<A> ChangeOutcome<A> {
    /// Nothing had to be changed.
    pub(super) fn unchanged(answer: A) -> Self {
        Self { answer, effects: ChangeEffects::default() }
    }
}

impl App {
    /// Answers a request to an endpoint that changes something. Whatever happens, there is an answer in the contract's
    /// form; once a change has taken effect, it is a 200.
    pub async fn change<C: Change>(
        &self,
        commands: &MessageQueue,
        request: &HttpRequest,
    ) -> Response<String> {
        let scope = RequestScope::new(C::ENDPOINT, request, (self.clock)());
        let input = C::Request::parse(&request.path_parameter(C::ENDPOINT.path), request.body());
        let (target, parameters) = audit_parameters(&input);
        let (outcome, effects) = match self.identify(&scope).await {
            // Boxed: with the client's own futures inside, the compiler would run into its limit of depth.
            Ok(lookup) => Box::pin(self.admit_and_change::<C>(&scope, &lookup, input)).await,
            Err(rejection) => (RequestOutcome::rejected(rejection), ChangeEffects::default()),
        };
        self.send_commands(&scope, commands, effects.outbox).await;
        let outcome = if effects.recorded {
            self.record_key_use(&scope, &outcome).await;
            outcome
        } else {
            self.record(&scope, outcome, target, parameters).await
        };
        scope.answer(&outcome)
    }

    async fn admit_and_change<C: Change>(
        &self,
        scope: &RequestScope<'_>,
        lookup: &CredentialLookup,
        input: Result<C::Request, InvalidChangeRequest>,
    ) -> (RequestOutcome, ChangeEffects) {
        let admission = self.admit(scope, lookup, &scope.usage).await;
        let changed = match &admission.verdict {
            Ok(()) => {
                guarded(scope.deadline, self.handle_change::<C>(scope, lookup, &admission, input)).await
            }
            // The verdict replaces this result.
            Err(_) => Ok((String::new(), ChangeEffects::default())),
        };
        let (result, effects) = match changed {
            Ok((answer, effects)) => (Ok(answer), effects),
            Err(error) => (Err(error), ChangeEffects::default()),
        };
        (RequestOutcome::after(admission, &lookup.generation, result), effects)
    }

    async fn handle_change<C: Change>(
        &self,
        scope: &RequestScope<'_>,
        lookup: &CredentialLookup,
        admission: &Admission,
        input: Result<C::Request, InvalidChangeRequest>,
    ) -> Result<(String, ChangeEffects), AdminError> {
        let input = input.map_err(|invalid| match invalid {
            InvalidChangeRequest::TooLarge => AdminError::TooLarge,
            InvalidChangeRequest::Faults(faults) => AdminError::Invalid(faults),
        })?;
        let (caller, caller_id) = (admission.caller.clone(), lookup.user_id);
        let context = ChangeContext { app: self, scope, caller, caller_id };
        let ChangeOutcome { answer, effects } = C::handle(&context, input).await?;
        let answer = serde_json::to_string(&answer).map_err(|e| AdminError::Internal(e.to_string()))?;
        Ok((answer, effects))
    }

    /// Sends the commands of outbox entries while there is time. The outbox relay sends the rest.
    async fn send_commands(
        &self,
        scope: &RequestScope<'_>,
        commands: &MessageQueue,
        entries: Vec<StoredOutboxEntry>,
    ) {
        let usage = Usage::default();
        let relay = Relay::new(&self.store, &self.generations, commands, &usage);
        for entry in entries {
            let deadline = scope.deadline - config::ANSWERING_TIME;
            let deadline = deadline.min(Instant::now() + config::SENDING_TIME);
            let mut report = RelayReport::default();
            let sending = Box::pin(relay.process(entry, deadline, &mut report));
            // The deadline is the relay's own; this one is never reached.
            let sent = guarded(scope.deadline, async {
                sending.await.map_err(|e| AdminError::Internal(e.to_string()))
            });
            let left = sent.await.is_err();
            tracing::info!(commands = report.commands, left, "commands sent at once");
        }
    }
}

/// The target and the parameters of the audit record. Of invalid parameters only the names are recorded.
fn audit_parameters<I: ChangeRequest>(input: &Result<I, InvalidChangeRequest>) -> (Option<String>, Value) {
    match input {
        Ok(input) => (input.target(), input.parameters()),
        Err(InvalidChangeRequest::TooLarge) => (None, json!({ "invalid": ["body"] })),
        Err(InvalidChangeRequest::Faults(faults)) => {
            (None, json!({ "invalid": faults.iter().map(|fault| &fault.loc[1]).collect::<Vec<_>>() }))
        }
    }
}

/// Runs an endpoint that changes something as a Lambda function.
///
/// # Errors
/// If the Lambda runtime fails.
pub async fn run_change<C: Change>() -> Result<(), lambda_runtime::Error> {
    logging::start();
    let build = || async { Ok((App::connect().await?, MessageQueue::connect_commands().await)) };
    let parts = &Parts::build(build);
    run_http(|request| async move {
        let (app, commands) = parts.get().await;
        app.change::<C>(commands, &request).await
    })
    .await
}
