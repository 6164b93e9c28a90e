//! What can go wrong, and the one map from there to HTTP. Client text never holds internal context.

use crate::identity::IdentityProviderError;
use crate::store::StoreError;
use lambda_http::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use std::fmt;
use torale_domain::access::credentials::AccessRefusal;
use torale_domain::requests::parameters::ParameterFault;

/// Seconds after which a client should try again when the store is out of reach.
const RETRY_AFTER: u32 = 2;

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Who asks may not.
    #[error("refused: {0:?}")]
    Refused(AccessRefusal),
    /// Parameters that can't be read.
    #[error("invalid parameters")]
    Invalid(Vec<ParameterFault>),
    /// A body over its limit.
    #[error("payload too large")]
    TooLarge,
    /// There is no such user.
    #[error("user not found")]
    UserNotFound,
    /// What is asked contradicts the present state.
    #[error("conflict: {0}")]
    Conflict(Conflict),
    /// The path is not known.
    #[error("not found")]
    NotFound,
    /// The path is known, but not with this method.
    #[error("method not allowed")]
    MethodNotAllowed {
        /// The methods it has.
        allowed: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit record can't be written.
    #[error("not recorded: {0}")]
    Unrecorded(StoreError),
    /// The identity provider failed.
    #[error(transparent)]
    Identity(#[from] IdentityProviderError),
    /// Over a limit.
    #[error("rate limit exceeded")]
    RateLimited {
        /// Seconds until the window opens.
        retry_after: i64,
    },
    /// It took too long.
    #[error("timed out")]
    TimedOut,
    /// A fault of ours.
    #[error("internal: {0}")]
    Internal(String),
}

/// How a request contradicts the present state; the text is the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Who asks would be barred.
    #[error("Administrators cannot deactivate themselves")]
    OwnId,
    /// What was commanded could still reach what the user gets afterwards.
    #[error("The user's deactivation is still being carried out")]
    StillCarriedOut,
}

impl From<Vec<ParameterFault>> for AdminError {
    fn from(faults: Vec<ParameterFault>) -> Self {
        Self::Invalid(faults)
    }
}

/// What a refusal tells its client.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ErrorBody {
    /// Why, in a sentence.
    Error(ErrorDetail),
    /// What is wrong with the parameters.
    Invalid(InvalidDetail),
    /// When to come again.
    RateLimited(RateLimitedDetail),
}

/// Why a request is not answered as asked.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorDetail {
    /// For people.
    pub detail: String,
}

/// Parameters that can't be read.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "InvalidParameters")]
pub struct InvalidDetail {
    /// Every fault.
    #[schemars(length(min = 1))]
    pub detail: Vec<ParameterFault>,
}

/// Over the limit.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "RateLimited")]
pub struct RateLimitedDetail {
    /// For people.
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
    /// Headers beside those that every answer carries.
    pub headers: Vec<(&'static str, String)>,
}

impl HttpError {
    /// With a sentence for people and no headers of its own.
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
            | AdminError::Unrecorded(_)
            | AdminError::Identity(_)
            | AdminError::TimedOut => unavailable(),
            AdminError::Store(StoreError::Corrupt(_) | StoreError::Refused(_)) | AdminError::Internal(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
            }
        }
    }
}
