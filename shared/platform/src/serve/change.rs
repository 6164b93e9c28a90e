//! Around endpoints that change something: admitted first, then heard, and recorded with what they did.

use super::{App, AuthContext, Endpoint, RequestScope};
use crate::config;
use crate::deactivation::{Deactivating, UserStatusWriter};
use crate::error::AdminError;
use crate::outbox::{Relay, Relayed};
use crate::queue::MessageQueue;
use crate::routes;
use crate::start::Parts;
use crate::store::Usage;
use futures::FutureExt;
use lambda_http::http::StatusCode;
use lambda_http::http::header::{AUTHORIZATION, HeaderValue};
use lambda_http::{Body, Request, Response, service_fn};
use serde::Serialize;
use serde_json::{Value, json};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::access::credentials::AccessRefusal;
use torale_domain::audit::{AuditEntry, AuthMethod, Principal};
use torale_domain::deactivation::outbox::StoredOutboxEntry;
use torale_domain::requests::changes::{
    ChangeRequest, DeactivateUserAnswer, DeactivateUsersAnswer, InvalidChangeRequest, ReactivateUserAnswer,
    UserIdRequest, UserIdsRequest, UserOutcome, UserResult,
};
use torale_domain::values::ids::UserId;

/// An endpoint that changes something: a declaration and a short handler. It is heard only once who asks was admitted.
pub trait Change: 'static {
    /// The declaration.
    const ENDPOINT: Endpoint;
    /// What is asked for.
    type Request: ChangeRequest;
    /// The body of a good answer.
    type Answer: Serialize + Send;

    /// Does what an admitted request asks for.
    fn handle(
        changing: &ChangeContext<'_>,
        input: Self::Request,
    ) -> impl Future<Output = Result<Self::Answer, AdminError>> + Send;
}

/// One admitted request that changes something, as a handler sees it.
pub struct ChangeContext<'a> {
    app: &'a App,
    exchange: &'a RequestScope<'a>,
    commands: &'a MessageQueue,
    method: AuthMethod,
    principal: Principal,
    caller: UserId,
    /// The answer to a change that took effect: its record was written with it.
    committed: &'a Mutex<Option<String>>,
}

impl App {
    /// Answers a request that changes something.
    pub async fn change<C: Change>(&self, commands: &MessageQueue, request: &Request) -> Response<Body> {
        let exchange = RequestScope::new(C::ENDPOINT, request, (self.clock)());
        let id = routes::parameter(C::ENDPOINT.path, request.uri().path());
        let input = C::Request::parse(id, body(request));
        let (target, parameters) = asked_for(&input);
        let (mut seen, committed) = (AuthContext::default(), Mutex::new(None));
        // Boxed: with the client's own futures inside, the compiler would run into its limit of depth.
        let work = Box::pin(self.changed::<C>(&exchange, commands, input, &mut seen, &committed));
        let work = AssertUnwindSafe(work).catch_unwind();
        let result = match tokio::time::timeout(config::REQUEST_TIMEOUT, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(AdminError::Internal("panic".to_owned())),
            Err(_elapsed) => Err(AdminError::TimedOut),
        };
        // What took effect has its record and its answer, whatever came after.
        let result = match committed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(answer) => {
                self.note_key_use(&exchange, &seen).await;
                Ok(answer)
            }
            None => self.recorded(&exchange, &seen, target, parameters, result).await,
        };
        exchange.answer(&result, &seen)
    }

    /// The order of refusals is the contract's: method, 401, 403, 429, 413, 422, then 404 or 409 of the id.
    async fn changed<C: Change>(
        &self,
        exchange: &RequestScope<'_>,
        commands: &MessageQueue,
        input: Result<C::Request, InvalidChangeRequest>,
        seen: &mut AuthContext,
        committed: &Mutex<Option<String>>,
    ) -> Result<String, AdminError> {
        if exchange.request.method() != exchange.endpoint.method {
            return Err(AdminError::MethodNotAllowed { allowed: exchange.endpoint.method.to_string() });
        }
        let header = exchange.request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let asked = self.asked(exchange, &exchange.usage);
        let found = self.identity.look_up(&asked, header, seen).await?;
        seen.generation = Some(found.generation.name.clone());
        let caller = found.user_id;
        self.identity.admit(&asked, found, seen).await?;
        let input = input.map_err(|unreadable| match unreadable {
            InvalidChangeRequest::TooLarge => AdminError::TooLarge,
            InvalidChangeRequest::Faults(faults) => AdminError::Invalid(faults),
        })?;
        let (method, principal) = seen.who.clone().unwrap_or((AuthMethod::Session, Principal::default()));
        let changing = ChangeContext { app: self, exchange, commands, method, principal, caller, committed };
        let answer = C::handle(&changing, input).await?;
        serde_json::to_string(&answer).map_err(|e| AdminError::Internal(e.to_string()))
    }
}

fn body(request: &Request) -> &[u8] {
    match Some(request.body()) {
        Some(Body::Text(text)) => text.as_bytes(),
        Some(Body::Binary(bytes)) => bytes,
        _empty => &[],
    }
}

/// Target and parameters for the audit trail; of what is malformed the names.
fn asked_for<I: ChangeRequest>(input: &Result<I, InvalidChangeRequest>) -> (Option<String>, Value) {
    match input {
        Ok(input) => (input.target(), input.parameters()),
        Err(InvalidChangeRequest::TooLarge) => (None, json!({ "invalid": ["body"] })),
        Err(InvalidChangeRequest::Faults(faults)) => {
            (None, json!({ "invalid": faults.iter().map(|fault| &fault.loc[1]).collect::<Vec<_>>() }))
        }
    }
}

impl ChangeContext<'_> {
    fn changes(&self) -> UserStatusWriter<'_> {
        let App { store, generations, trail, .. } = self.app;
        let (usage, now) = (&self.exchange.usage, self.exchange.now);
        let by_projected_role = self.app.identity.has_projected_roles();
        let trace = self.exchange.trace.clone();
        let refusal = match self.method {
            AuthMethod::ApiKey => AccessRefusal::InvalidKey,
            AuthMethod::Session => AccessRefusal::InvalidToken,
        };
        let caller = self.caller;
        UserStatusWriter { store, generations, trail, usage, now, caller, refusal, trace, by_projected_role }
    }

    /// The record of a change to one user, as it will be if it takes effect.
    fn entry(&self, action: &str, target: UserId) -> AuditEntry {
        let (at, who) = ((self.app.clock)(), self.principal.clone());
        let entry =
            self.exchange.entry(at, self.method, who, Some(target.to_string()), json!({}), StatusCode::OK);
        AuditEntry { action: action.to_owned(), ..entry }
    }

    /// Sends the commands of a deactivation for as long as there is time; the relay sends what is left.
    async fn send(&self, pending: StoredOutboxEntry, deadline: Instant) {
        let usage = Usage::default();
        let relay = Relay::new(&self.app.store, &self.app.generations, self.commands, &usage);
        let mut relayed = Relayed::default();
        let sent = Box::pin(relay.work_off(pending, deadline, &mut relayed)).await;
        tracing::info!(commands = relayed.commands, left = sent.is_err(), "commands sent at once");
    }

    /// Keeps the answer to a change that took effect.
    fn has_taken_effect(&self, answer: &impl Serialize) -> Result<(), AdminError> {
        let answer = serde_json::to_string(answer).map_err(|e| AdminError::Internal(e.to_string()))?;
        *self.committed.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        Ok(())
    }

    /// Until when commands are sent before the answer leaves.
    fn sending_deadline(&self) -> Instant {
        let end = self.exchange.started + config::REQUEST_TIMEOUT - config::ANSWERING_TIME;
        end.min(Instant::now() + config::SENDING_TIME)
    }

    /// Deactivates one user.
    pub async fn deactivate(
        &self,
        UserIdRequest(user_id): UserIdRequest,
    ) -> Result<DeactivateUserAnswer, AdminError> {
        let entry = || self.entry(self.exchange.endpoint.action, user_id);
        let answer = |tasks_paused| DeactivateUserAnswer {
            message: "User deactivated successfully",
            user_id,
            tasks_paused,
        };
        match self.changes().deactivate(user_id, entry).await? {
            Deactivating::Already { tasks } => Ok(answer(tasks)),
            Deactivating::Done { tasks, pending } => {
                self.has_taken_effect(&answer(tasks))?;
                self.send(*pending, self.sending_deadline()).await;
                Ok(answer(tasks))
            }
        }
    }

    /// Makes one user active again; its tasks stay paused and its keys revoked.
    pub async fn reactivate(
        &self,
        UserIdRequest(user_id): UserIdRequest,
    ) -> Result<ReactivateUserAnswer, AdminError> {
        let entry = || self.entry(self.exchange.endpoint.action, user_id);
        let answer = ReactivateUserAnswer { message: "User reactivated successfully", user_id };
        if self.changes().reactivate(user_id, entry).await? {
            self.has_taken_effect(&answer)?;
        }
        Ok(answer)
    }

    /// Deactivates several users, each by itself: what becomes of one touches none of the others.
    pub async fn deactivate_all(&self, users: UserIdsRequest) -> Result<DeactivateUsersAnswer, AdminError> {
        let (mut results, mut orders) = (Vec::new(), Vec::new());
        let spare = config::SENDING_TIME + config::ANSWERING_TIME;
        let end = self.exchange.started + config::REQUEST_TIMEOUT - spare;
        for id in users.user_ids {
            let until = end.min(Instant::now() + TIME_FOR_ONE);
            results.push(self.one_of_many(id, until, &mut orders).await?);
        }
        for pending in orders {
            self.send(pending, self.sending_deadline()).await;
        }
        Ok(DeactivateUsersAnswer { results })
    }

    /// Who asks and is no admin any more is refused; everything else is a result.
    async fn one_of_many(
        &self,
        id: Result<UserId, String>,
        until: Instant,
        orders: &mut Vec<StoredOutboxEntry>,
    ) -> Result<UserResult, AdminError> {
        let result = |user_id, result, tasks_paused, detail: Option<&str>| UserResult {
            user_id,
            result,
            tasks_paused,
            detail: detail.map(str::to_owned),
        };
        let user = match id {
            Ok(user) => user,
            Err(text) => {
                return Ok(result(
                    text,
                    UserOutcome::Refused,
                    None,
                    Some("Input should be a UUID with hyphens"),
                ));
            }
        };
        let entry = || self.entry("users.deactivate", user);
        let id = user.to_string();
        let changes = self.changes();
        let changed = tokio::time::timeout_at(until, changes.deactivate(user, entry)).await;
        Ok(match changed.unwrap_or(Err(AdminError::TimedOut)) {
            Ok(Deactivating::Already { tasks }) => result(id, UserOutcome::Already, Some(tasks), None),
            Ok(Deactivating::Done { tasks, pending }) => {
                orders.push(*pending);
                result(id, UserOutcome::DeactivateUserAnswer, Some(tasks), None)
            }
            Err(AdminError::UserNotFound) => result(id, UserOutcome::NotFound, None, Some("User not found")),
            Err(refused @ AdminError::Refused(_)) => return Err(refused),
            Err(AdminError::Conflict(why)) => result(id, UserOutcome::Refused, None, Some(&why.to_string())),
            Err(error) => {
                tracing::error!(%error, user = id, "one of several users was not deactivated");
                result(id, UserOutcome::Refused, None, Some("Service temporarily unavailable"))
            }
        })
    }
}

/// The longest time for one of several users.
const TIME_FOR_ONE: Duration = Duration::from_secs(3);

/// Runs an endpoint that changes something as a Lambda function.
pub async fn run_change<C: Change>() -> Result<(), lambda_http::Error> {
    config::start_logging();
    let build = || async { Ok((App::connect().await?, MessageQueue::connect_commands().await)) };
    let parts = &Parts::build(build);
    lambda_http::run(service_fn(|request: Request| async move {
        let (app, commands) = parts.get().await;
        Ok::<_, lambda_http::Error>(app.change::<C>(commands, &request).await)
    }))
    .await
}
