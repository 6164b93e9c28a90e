//! Why a webhook is not accepted, and the answer to it.

use crate::signature::BadSignature;
use http::StatusCode;
use torale_domain::events::clerk::WebhookFault;
use torale_platform::error::{AdminError, HttpError};
use torale_platform::queue::QueueError;

/// Why a webhook is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum WebhookRefusal {
    /// The body is over the limit.
    #[error("payload too large")]
    TooLarge,
    /// No valid signing secret is configured, so no webhook can be verified.
    #[error("no valid signing secret is configured")]
    NotConfigured,
    /// The signature is missing, too old or invalid.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The payload can't be mapped to an event.
    #[error(transparent)]
    Payload(#[from] WebhookFault),
    /// SQS has not taken the event.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// An error that any endpoint may have.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl WebhookRefusal {
    /// The HTTP form of this refusal.
    pub fn http(&self) -> HttpError {
        match self {
            Self::TooLarge => HttpError::from(&AdminError::TooLarge),
            Self::Signature(bad) => HttpError::new(StatusCode::BAD_REQUEST, &bad.to_string()),
            Self::Payload(fault) => {
                HttpError::new(StatusCode::BAD_REQUEST, &format!("Not a usable payload: {fault}"))
            }
            // Svix keeps the webhook and retries, whatever the reason.
            Self::NotConfigured | Self::Queue(QueueError::Unavailable(_) | QueueError::Refused(_)) => {
                HttpError::from(&AdminError::TimedOut)
            }
            Self::Admin(error) => HttpError::from(error),
        }
    }
}
