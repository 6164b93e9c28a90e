//! Why an attempt to change a user's status failed.

use crate::commit_reads::PlanFailure;
use crate::error::AdminError;
use crate::store::{StoreError, TransactError};
use std::fmt::Display;

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum StatusChangeError {
    /// Another writer was first: read and decide again.
    Race,
    /// Another attempt would fail too.
    Final(AdminError),
}

impl From<AdminError> for StatusChangeError {
    fn from(error: AdminError) -> Self {
        Self::Final(error)
    }
}

impl From<StoreError> for StatusChangeError {
    fn from(error: StoreError) -> Self {
        Self::Final(error.into())
    }
}

impl From<TransactError> for StatusChangeError {
    fn from(error: TransactError) -> Self {
        match error {
            TransactError::Race => Self::Race,
            TransactError::Failed(error) => error.into(),
        }
    }
}

impl From<PlanFailure> for StatusChangeError {
    fn from(failure: PlanFailure) -> Self {
        match failure {
            PlanFailure::Store(error) => error.into(),
            PlanFailure::UnreadableEvent(error) => internal(&error).into(),
        }
    }
}

/// A defect of ours.
pub(super) fn internal(error: &dyn Display) -> AdminError {
    AdminError::Internal(error.to_string())
}
