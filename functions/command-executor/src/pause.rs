//! Pauses schedules.

use std::error::Error;
use std::future::Future;

/// Why a pause is not confirmed.
pub trait PauseError: Error + Send + Sync + 'static {
    /// Whether Temporal did not answer, or answered that it is unavailable. Any other answer is about this schedule,
    /// and says nothing about others.
    fn is_unanswered(&self) -> bool;
}

/// Pauses schedules.
pub trait PauseSchedules: Sync {
    /// Why a pause is not confirmed.
    type Error: PauseError;

    /// Pauses a schedule with a note for people. Returns whether the schedule exists. It may be repeated.
    fn pause(&self, schedule: &str, note: &str) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}
