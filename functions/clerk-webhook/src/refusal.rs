//! Why a webhook is not accepted, and what its sender is told.

use crate::signature::BadSignature;
use lambda_http::http::StatusCode;
use torale_domain::events::clerk::WebhookFault;
use torale_platform::error::{AdminError, HttpError};
use torale_platform::queue::QueueError;
use torale_platform::store::StoreError;

/// Why a webhook is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum WebhookRefusal {
    /// The body is over the limit.
    #[error("payload too large")]
    TooLarge,
    /// Nobody who knows a secret has signed it just now.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// It can't become an event.
    #[error(transparent)]
    Payload(#[from] WebhookFault),
    /// SQS has not taken the events.
    #[error(transparent)]
    MessageQueue(#[from] QueueError),
    /// What any endpoint may say.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl From<StoreError> for WebhookRefusal {
    fn from(error: StoreError) -> Self {
        Self::Admin(error.into())
    }
}

impl WebhookRefusal {
    /// The HTTP form.
    pub fn http(&self) -> HttpError {
        match self {
            Self::TooLarge => HttpError::from(&AdminError::TooLarge),
            Self::Signature(bad) => HttpError::new(StatusCode::BAD_REQUEST, &bad.to_string()),
            Self::Payload(fault) => {
                HttpError::new(StatusCode::BAD_REQUEST, &format!("Not a usable payload: {fault}"))
            }
            // Whatever SQS has against them, Svix keeps them and comes again.
            Self::MessageQueue(QueueError::Unavailable(_) | QueueError::Refused(_)) => {
                HttpError::from(&AdminError::TimedOut)
            }
            Self::Admin(error) => HttpError::from(error),
        }
    }
}
