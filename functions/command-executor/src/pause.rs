//! Pauses schedules.

use std::error::Error;
use std::future::Future;

/// Pauses schedules.
pub trait PauseSchedules: Sync {
    /// Why a pause is not confirmed.
    type Error: Error + Send + Sync + 'static;

    /// Pauses a schedule with a note for people. Returns whether the schedule exists. It may be repeated.
    fn pause(&self, schedule: &str, note: &str) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}
