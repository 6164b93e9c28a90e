//! What can go wrong with a request, and the one map from there to HTTP (`docs/contract/http.md`, "Errors").
//!
//! The texts that clients read are in the map and nowhere else: an [`AdminError`] may hold table names and the texts of
//! other systems, which are for logs only.

use crate::queue::QueueError;
use crate::store::StoreError;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use std::fmt;
use torale_domain::access::credentials::AccessRefusal;
use torale_domain::requests::parameters::ParameterFault;

/// Seconds after which a client should retry when the store or the identity provider can't be reached.
const RETRY_AFTER: u32 = 2;

/// Why a request is not answered with a 200.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The caller is not authenticated, or is not an administrator.
    #[error("refused: {0:?}")]
    Refused(AccessRefusal),
    /// The parameters are invalid.
    #[error("invalid parameters")]
    Invalid(Vec<ParameterFault>),
    /// The body is over the endpoint's limit.
    #[error("payload too large")]
    TooLarge,
    /// There is no such user.
    #[error("user not found")]
    UserNotFound,
    /// There is no such task, or it is deleted.
    #[error("task not found")]
    TaskNotFound,
    /// There is no such execution.
    #[error("execution not found")]
    ExecutionNotFound,
    /// The request contradicts the current state.
    #[error("conflict: {0}")]
    Conflict(Conflict),
    /// The path is unknown.
    #[error("not found")]
    NotFound,
    /// The path is known, but not with this method.
    #[error("method not allowed")]
    MethodNotAllowed {
        /// The methods of the path, as an `Allow` header lists them.
        allowed: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event queue can't be asked what it holds.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The audit record could not be written, so there is no answer either.
    #[error("not recorded: {0}")]
    Unrecorded(StoreError),
    /// The identity provider failed.
    #[error(transparent)]
    IdentityProvider(#[from] IdentityProviderError),
    /// The user is over a rate limit.
    #[error("rate limit exceeded")]
    RateLimited {
        /// Seconds until a request is within the limit again, at least 1.
        retry_after: i64,
    },
    /// The request took longer than it may.
    #[error("timed out")]
    TimedOut,
    /// A defect of ours.
    #[error("internal: {0}")]
    Internal(String),
}

/// How a request contradicts the current state. The client reads this text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The caller would be deactivated.
    #[error("Administrators cannot deactivate themselves")]
    OwnId,
    /// Commands of the deactivation could still reach what the user creates after a reactivation.
    #[error("The user's deactivation is still being carried out")]
    StillCarriedOut,
}

/// Why the identity provider gave no usable response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityProviderError {
    /// It did not respond in time.
    #[error("identity provider timed out")]
    TimedOut,
    /// There is no connection to it.
    #[error("identity provider unreachable: {0}")]
    Unreachable(String),
    /// It responded with an unexpected status; redirections are not followed.
    #[error("identity provider answered {0}")]
    Status(StatusCode),
    /// Its response is not what was requested.
    #[error("identity provider's answer can't be read")]
    UnreadableResponse,
    /// The key set could not be fetched a moment ago, and the next attempt is not due yet.
    #[error("identity provider had no keys a moment ago")]
    NoKeys,
}

impl From<Vec<ParameterFault>> for AdminError {
    fn from(faults: Vec<ParameterFault>) -> Self {
        Self::Invalid(faults)
    }
}

/// The body of every answer that is not a 200.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ErrorBody {
    /// Why, in a sentence.
    Error(ErrorDetail),
    /// What is wrong with the parameters.
    Invalid(InvalidDetail),
    /// When to retry.
    RateLimited(RateLimitedDetail),
}

/// Why a request failed.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorDetail {
    /// The reason, in a sentence for people.
    pub detail: String,
}

/// Why the parameters of a request are invalid.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "InvalidParameters")]
pub struct InvalidDetail {
    /// Every fault, one entry each.
    #[schemars(length(min = 1))]
    pub detail: Vec<ParameterFault>,
}

/// The user is over a rate limit.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "RateLimited")]
pub struct RateLimitedDetail {
    /// The reason, in a sentence for people.
    pub detail: String,
    /// Seconds until the next request may be made.
    pub retry_after: i64,
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json!(self).fmt(f)
    }
}

/// The HTTP form of an error.
#[derive(Debug, PartialEq)]
pub struct HttpError {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: ErrorBody,
    /// Headers in addition to those of every answer.
    pub headers: Vec<(&'static str, String)>,
}

impl HttpError {
    /// An error with a sentence for people and no headers of its own.
    pub fn new(status: StatusCode, detail: &str) -> Self {
        let body = ErrorBody::Error(ErrorDetail { detail: detail.to_owned() });
        Self { status, body, headers: Vec::new() }
    }

    fn with(self, header: &'static str, value: impl ToString) -> Self {
        Self { headers: vec![(header, value.to_string())], ..self }
    }
}

impl From<&AdminError> for HttpError {
    fn from(error: &AdminError) -> Self {
        let unauthorized =
            |detail| Self::new(StatusCode::UNAUTHORIZED, detail).with("www-authenticate", "Bearer");
        let unavailable = || {
            let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "Service temporarily unavailable");
            error.with("retry-after", RETRY_AFTER)
        };
        match error {
            AdminError::Refused(AccessRefusal::Missing) => unauthorized("Authorization header missing"),
            AdminError::Refused(AccessRefusal::InvalidKey) => unauthorized("Invalid API key"),
            AdminError::Refused(AccessRefusal::InvalidToken) => {
                unauthorized("Could not validate credentials")
            }
            AdminError::Refused(AccessRefusal::Expired) => unauthorized("Token has expired"),
            AdminError::Refused(AccessRefusal::NotAdmin) => {
                Self::new(StatusCode::FORBIDDEN, "Admin access required")
            }
            AdminError::Invalid(faults) => {
                let body = ErrorBody::Invalid(InvalidDetail { detail: faults.clone() });
                Self { status: StatusCode::UNPROCESSABLE_ENTITY, body, headers: Vec::new() }
            }
            AdminError::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
            AdminError::NotFound => Self::new(StatusCode::NOT_FOUND, "Not Found"),
            AdminError::UserNotFound => Self::new(StatusCode::NOT_FOUND, "User not found"),
            AdminError::TaskNotFound => Self::new(StatusCode::NOT_FOUND, "Task not found"),
            AdminError::ExecutionNotFound => Self::new(StatusCode::NOT_FOUND, "Execution not found"),
            AdminError::Conflict(conflict) => Self::new(StatusCode::CONFLICT, &conflict.to_string()),
            AdminError::MethodNotAllowed { allowed } => {
                Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").with("allow", allowed)
            }
            AdminError::RateLimited { retry_after } => {
                let (detail, retry_after) = ("Rate limit exceeded".to_owned(), *retry_after);
                let body = ErrorBody::RateLimited(RateLimitedDetail { detail, retry_after });
                let error = Self { status: StatusCode::TOO_MANY_REQUESTS, body, headers: Vec::new() };
                error.with("retry-after", retry_after)
            }
            AdminError::Store(StoreError::Unavailable(_))
            | AdminError::Queue(QueueError::Unavailable(_))
            | AdminError::Unrecorded(_)
            | AdminError::IdentityProvider(_)
            | AdminError::TimedOut => unavailable(),
            AdminError::Store(StoreError::Corrupt(_) | StoreError::Refused(_))
            | AdminError::Queue(QueueError::Refused(_))
            | AdminError::Internal(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
            }
        }
    }
}
