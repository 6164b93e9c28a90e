//! Stand-ins for Clerk and Temporal, to which the commands go, on loopback. They report each
//! command and change nothing.
//!
//! | file | what lives there |
//! |---|---|
//! | [`clerk`] | Clerk's Backend API: banning a user |
//! | [`temporal`] | Temporal's gRPC API: pausing a schedule |
//!
//! Their answers are functions, which tests replace. Uses none of the other folders.

pub mod clerk;
mod server;
pub mod temporal;

use clerk::ClerkStandin;
use temporal::TemporalStandin;
use torale_platform::config::{CLERK_API_URL, CLERK_SECRET_KEY, TEMPORAL_ADDRESS, TEMPORAL_SCHEDULE_ID};

use crate::console::Console;
use crate::error::LocalError;

/// Both stand-ins; they listen until this is dropped.
pub struct Standins {
    clerk: ClerkStandin,
    temporal: TemporalStandin,
}

impl Standins {
    /// Starts stand-ins that accept every command and report it on the console.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(console: &Console) -> Result<Self, LocalError> {
        let output = console.clone();
        let clerk = ClerkStandin::start(move |request| {
            let (report, answer) = clerk::accept_bans(request);
            output.line("clerk", &report);
            answer
        });
        let output = console.clone();
        let temporal = TemporalStandin::start(move |pause| {
            output.line("temporal", &format!("schedule {} paused: {}", pause.schedule_id, pause.note));
            temporal::TemporalAnswer::Done
        });
        let (clerk, temporal) = (clerk.await, temporal.await);
        Ok(Self {
            clerk: clerk.map_err(LocalError::io("the stand-in for Clerk"))?,
            temporal: temporal.map_err(LocalError::io("the stand-in for Temporal"))?,
        })
    }

    /// The variables that lead the command executor to the stand-ins, and the platform's name of
    /// schedules.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            (CLERK_API_URL, self.clerk.url()),
            (CLERK_SECRET_KEY, clerk::SECRET.to_owned()),
            (TEMPORAL_ADDRESS, self.temporal.address()),
            (TEMPORAL_SCHEDULE_ID, "schedule-{task_id}".to_owned()),
        ]
    }
}
