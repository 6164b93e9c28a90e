//! Pauses schedules by Temporal's API. Behind the feature `temporal`, since its client takes long to compile.

use crate::pause::{PauseError, PauseSchedules};
use temporalio_client::Client;
use temporalio_client::schedules::{PauseScheduleOptions, ScheduleError};
pub use temporalio_client::tonic::Code;
use torale_platform::config;
pub use torale_temporal::connection::TemporalError;
use torale_temporal::connection::{TemporalConnection, answered, is_absent};

/// Pauses schedules by Temporal's API.
pub struct TemporalPauses(TemporalConnection);

impl TemporalPauses {
    /// A client with these settings. It does not connect yet.
    pub fn new(settings: config::TemporalSettings) -> Self {
        Self(TemporalConnection::new(settings))
    }
}

impl PauseError for TemporalError {
    fn is_unanswered(&self) -> bool {
        Self::is_unanswered(self)
    }
}

impl PauseSchedules for TemporalPauses {
    type Error = TemporalError;

    async fn pause(&self, schedule: &str, note: &str) -> Result<bool, TemporalError> {
        self.0.call(|client| pause(client, schedule, note)).await
    }
}

async fn pause(client: Client, schedule: &str, note: &str) -> Result<bool, TemporalError> {
    let handle = client.get_schedule_handle(schedule);
    match handle.pause(Some(note), PauseScheduleOptions::default()).await {
        Ok(()) => Ok(true),
        Err(ScheduleError::Rpc(status)) if is_absent(&status) => Ok(false),
        Err(ScheduleError::Rpc(status)) => Err(answered(&status)),
        Err(other) => Err(TemporalError::Answered(Code::Unknown, other.to_string())),
    }
}
