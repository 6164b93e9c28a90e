//! Runs a step of a request so that neither a hanging call nor a panic can take the answer with it.

use crate::error::AdminError;
use futures::FutureExt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use tokio::time::Instant;

/// Runs a step until a deadline.
///
/// # Errors
/// [`AdminError::TimedOut`] if the deadline passes first, [`AdminError::Internal`] if the step panics, else the step's
/// own error. A step that is abandoned at the deadline may have taken effect.
pub async fn guarded<T, E>(
    deadline: Instant,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, AdminError>
where
    E: Into<AdminError>,
{
    match tokio::time::timeout_at(deadline, AssertUnwindSafe(step).catch_unwind()).await {
        Ok(Ok(result)) => result.map_err(Into::into),
        Ok(Err(_panic)) => Err(AdminError::Internal("panic".to_owned())),
        Err(_elapsed) => Err(AdminError::TimedOut),
    }
}
