//! What can go wrong, and the one map from there to HTTP. Client text never holds internal context.

use crate::identity::Trouble;
use crate::store::StoreError;
use lambda_http::http::StatusCode;
use serde_json::{Value, json};
use torale_domain::auth::Refusal;
use torale_domain::params::Fault;

/// Seconds after which a client should try again when the store is out of reach.
const RETRY_AFTER: u32 = 2;

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Who asks may not.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// Parameters that can't be read.
    #[error("invalid parameters")]
    Invalid(Vec<Fault>),
    /// A body over its limit.
    #[error("payload too large")]
    TooLarge,
    /// There is no such user.
    #[error("user not found")]
    UserNotFound,
    /// What is asked contradicts the present state; says how.
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// The path is known, but not with this method.
    #[error("method not allowed")]
    MethodNotAllowed {
        /// The methods it has.
        allowed: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit record can't be written.
    #[error("not recorded: {0}")]
    Unrecorded(StoreError),
    /// The identity provider failed.
    #[error(transparent)]
    Identity(#[from] Trouble),
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

impl From<Vec<Fault>> for AdminError {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Invalid(faults)
    }
}

/// The HTTP form of an error.
#[derive(Debug, PartialEq)]
pub struct HttpError {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Value,
    /// Headers beside those that every answer carries.
    pub headers: Vec<(&'static str, String)>,
}

impl From<&AdminError> for HttpError {
    fn from(error: &AdminError) -> Self {
        let of =
            |status, detail: &str| Self { status, body: json!({ "detail": detail }), headers: Vec::new() };
        let unauthorized = |detail| Self {
            headers: vec![("www-authenticate", "Bearer".to_owned())],
            ..of(StatusCode::UNAUTHORIZED, detail)
        };
        let unavailable = || Self {
            headers: vec![("retry-after", RETRY_AFTER.to_string())],
            ..of(StatusCode::SERVICE_UNAVAILABLE, "Service temporarily unavailable")
        };
        match error {
            AdminError::Refused(Refusal::Missing) => unauthorized("Authorization header missing"),
            AdminError::Refused(Refusal::InvalidKey) => unauthorized("Invalid API key"),
            AdminError::Refused(Refusal::InvalidToken) => unauthorized("Could not validate credentials"),
            AdminError::Refused(Refusal::Expired) => unauthorized("Token has expired"),
            AdminError::Refused(Refusal::NotAdmin) => of(StatusCode::FORBIDDEN, "Admin access required"),
            AdminError::Invalid(faults) => {
                Self { body: json!({ "detail": faults }), ..of(StatusCode::UNPROCESSABLE_ENTITY, "") }
            }
            AdminError::TooLarge => of(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
            AdminError::UserNotFound => of(StatusCode::NOT_FOUND, "User not found"),
            AdminError::Conflict(detail) => of(StatusCode::CONFLICT, detail),
            AdminError::MethodNotAllowed { allowed } => Self {
                headers: vec![("allow", (*allowed).to_owned())],
                ..of(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            },
            AdminError::RateLimited { retry_after } => Self {
                body: json!({ "detail": "Rate limit exceeded", "retry_after": retry_after }),
                headers: vec![("retry-after", retry_after.to_string())],
                ..of(StatusCode::TOO_MANY_REQUESTS, "")
            },
            AdminError::Store(StoreError::Unavailable(_))
            | AdminError::Unrecorded(_)
            | AdminError::Identity(_)
            | AdminError::TimedOut => unavailable(),
            AdminError::Store(StoreError::Corrupt(_) | StoreError::Refused(_)) | AdminError::Internal(_) => {
                of(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
            }
        }
    }
}
