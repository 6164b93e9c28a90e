//! Why a call of the store failed.

use crate::aws;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use torale_domain::storage::read::Corrupt;

/// Why a call of the store failed. The texts name tables and are for logs only.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store can't be reached, does not answer in time, or has no capacity left.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// The store refused the request as invalid: a defect of ours.
    #[error("store refused: {0}")]
    Refused(String),
    /// A stored item is not what its key says.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

impl StoreError {
    /// The answer of a call that was abandoned at its deadline, or not begun for want of time.
    pub(crate) fn no_time_left() -> Self {
        Self::Unavailable("no time left".to_owned())
    }

    /// Whether the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    pub(super) fn from_sdk<E>(error: SdkError<E>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let code = error.as_service_error().and_then(|e| e.code().map(str::to_owned));
        let text = aws::causes(&error);
        match code.as_deref() {
            Some(
                "ValidationException"
                | "ResourceNotFoundException"
                | "ItemCollectionSizeLimitExceededException",
            ) => Self::Refused(text),
            Some(_) | None => Self::Unavailable(text),
        }
    }
}

/// Why a transaction was not written.
#[derive(Debug)]
pub enum TransactError {
    /// Another writer was first: read and plan again.
    Race,
    /// The store failed.
    Failed(StoreError),
}
