//! The changes that handlers can make: deactivates and reactivates users.

use super::change::{ChangeContext, ChangeEffects, ChangeOutcome};
use crate::config;
use crate::deactivation::{DeactivationResult, UserStatusWriter};
use crate::error::AdminError;
use http::StatusCode;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::access::credentials::AccessRefusal;
use torale_domain::audit::{AuditedRequest, AuthMethod};
use torale_domain::deactivation::outbox::StoredOutboxEntry;
use torale_domain::requests::changes::{
    DeactivateUserAnswer, DeactivateUsersAnswer, ReactivateUserAnswer, UserIdRequest, UserIdsRequest,
    UserOutcome, UserResult,
};
use torale_domain::values::ids::UserId;

/// The longest time for one of several users.
const TIME_FOR_ONE: Duration = Duration::from_secs(3);

/// What deactivating one of several users has changed.
enum BulkEffect {
    /// Nothing.
    Unchanged,
    /// The user is deactivated now; the commands of this outbox entry are due.
    Deactivated(Box<StoredOutboxEntry>),
    /// It has taken effect, or may have: the answer of the store was lost. What is due is in the outbox.
    MayHaveChanged,
}

impl ChangeContext<'_> {
    /// Deactivates one user.
    ///
    /// # Errors
    /// If there is no such user, the user is the caller, the caller is not an active administrator any more, or the
    /// store fails.
    pub async fn deactivate(
        &self,
        UserIdRequest(user_id): UserIdRequest,
    ) -> Result<ChangeOutcome<DeactivateUserAnswer>, AdminError> {
        let entry = || self.audit_entry(self.scope.endpoint.action, user_id);
        let answer = |tasks_paused| DeactivateUserAnswer {
            message: "User deactivated successfully",
            user_id,
            tasks_paused,
        };
        Ok(match self.writer().deactivate(user_id, entry).await? {
            DeactivationResult::AlreadyDeactivated { tasks, is_own: _ } => {
                ChangeOutcome::unchanged(answer(tasks))
            }
            DeactivationResult::Deactivated { tasks, entry } => {
                let effects = ChangeEffects { recorded: true, outbox: vec![*entry] };
                ChangeOutcome { answer: answer(tasks), effects }
            }
        })
    }

    /// Reactivates one user. Their tasks stay paused and their API keys revoked.
    ///
    /// # Errors
    /// If there is no such user, their deactivation is still being carried out, the caller is not an active
    /// administrator any more, or the store fails.
    pub async fn reactivate(
        &self,
        UserIdRequest(user_id): UserIdRequest,
    ) -> Result<ChangeOutcome<ReactivateUserAnswer>, AdminError> {
        let entry = || self.audit_entry(self.scope.endpoint.action, user_id);
        let answer = ReactivateUserAnswer { message: "User reactivated successfully", user_id };
        let recorded = self.writer().reactivate(user_id, entry).await?;
        Ok(ChangeOutcome { answer, effects: ChangeEffects { recorded, outbox: Vec::new() } })
    }

    /// Deactivates several users, each in a transaction with an audit record of its own. A user who can't be
    /// deactivated does not keep the others from it. If the caller is no active administrator any more after some were
    /// deactivated, the others are refused, so that the answer says what was done.
    ///
    /// # Errors
    /// If the caller is no active administrator any more before anything was done.
    pub async fn deactivate_all(
        &self,
        users: UserIdsRequest,
    ) -> Result<ChangeOutcome<DeactivateUsersAnswer>, AdminError> {
        let (mut results, mut outbox, mut may_have_changed) = (Vec::new(), Vec::new(), false);
        let deadline = self.scope.deadline - config::SENDING_TIME - config::ANSWERING_TIME;
        let mut ids = users.user_ids.into_iter();
        for id in ids.by_ref() {
            let deadline = deadline.min(Instant::now() + TIME_FOR_ONE);
            match self.deactivate_one_of_many(id.clone(), deadline).await {
                Ok((result, effect)) => {
                    results.push(result);
                    may_have_changed |= !matches!(effect, BulkEffect::Unchanged);
                    if let BulkEffect::Deactivated(entry) = effect {
                        outbox.push(*entry);
                    }
                }
                // What was changed, or may have been, must be in the answer.
                Err(refused) if !may_have_changed => return Err(refused),
                Err(_refused) => {
                    results.push(refused_with_the_caller(id));
                    break;
                }
            }
        }
        results.extend(ids.map(refused_with_the_caller));
        let effects = ChangeEffects { recorded: false, outbox };
        Ok(ChangeOutcome { answer: DeactivateUsersAnswer { results }, effects })
    }

    async fn deactivate_one_of_many(
        &self,
        id: Result<UserId, String>,
        deadline: Instant,
    ) -> Result<(UserResult, BulkEffect), AdminError> {
        let unchanged = |result| (result, BulkEffect::Unchanged);
        let user = match id {
            Ok(user) => user,
            Err(text) => return Ok(unchanged(refused(text, "Input should be a UUID with hyphens"))),
        };
        let (id, entry) = (user.to_string(), || self.audit_entry("users.deactivate", user));
        let writer = self.writer();
        let deactivated = tokio::time::timeout_at(deadline, writer.deactivate(user, entry)).await;
        let changed =
            |user_id, result, tasks| UserResult { user_id, result, tasks_paused: Some(tasks), detail: None };
        Ok(match deactivated.unwrap_or(Err(AdminError::TimedOut)) {
            Ok(DeactivationResult::AlreadyDeactivated { tasks, is_own }) => {
                if is_own {
                    (changed(id, UserOutcome::Deactivated, tasks), BulkEffect::MayHaveChanged)
                } else {
                    (changed(id, UserOutcome::Already, tasks), BulkEffect::Unchanged)
                }
            }
            Ok(DeactivationResult::Deactivated { tasks, entry }) => {
                (changed(id, UserOutcome::Deactivated, tasks), BulkEffect::Deactivated(entry))
            }
            Err(AdminError::UserNotFound) => {
                unchanged(UserResult { result: UserOutcome::NotFound, ..refused(id, "User not found") })
            }
            Err(refused @ AdminError::Refused(_)) => return Err(refused),
            Err(AdminError::Conflict(conflict)) => unchanged(refused(id, &conflict.to_string())),
            Err(error) => {
                tracing::error!(%error, user = id, "one of several users was not deactivated");
                (refused(id, "Service temporarily unavailable"), BulkEffect::MayHaveChanged)
            }
        })
    }

    fn writer(&self) -> UserStatusWriter<'_> {
        let refusal = match self.caller.method {
            AuthMethod::ApiKey => AccessRefusal::InvalidKey,
            AuthMethod::Session => AccessRefusal::InvalidToken,
        };
        UserStatusWriter {
            store: &self.app.store,
            generations: &self.app.generations,
            trail: &self.app.trail,
            usage: &self.scope.usage,
            now: self.scope.now,
            caller: self.caller_id,
            refusal,
            trace: self.scope.request.trace().cloned(),
            uses_projected_roles: self.app.authenticator.uses_projected_roles(),
        }
    }

    /// The audit entry of a change to one user, as it is recorded if the change takes effect.
    fn audit_entry(&self, action: &str, target: UserId) -> AuditedRequest {
        let (at, target) = ((self.app.clock)(), Some(target.to_string()));
        let entry = self.scope.audit_entry(at, self.caller.clone(), target, json!({}), StatusCode::OK);
        AuditedRequest { action: action.to_owned(), ..entry }
    }
}

/// The result for a user to whom nothing was done since the caller is no active administrator any more.
fn refused_with_the_caller(id: Result<UserId, String>) -> UserResult {
    refused(id.map_or_else(|text| text, |user| user.to_string()), "Admin access required")
}

/// The result for a user who was not deactivated, as far as is known.
fn refused(user_id: String, detail: &str) -> UserResult {
    UserResult { user_id, result: UserOutcome::Refused, tasks_paused: None, detail: Some(detail.to_owned()) }
}
