//! Stand-ins for what the commands act on, on loopback: they show what they were told and change nothing.
//!
//! What they answer is a function, so that tests can have them answer otherwise.

pub mod clerk;
pub mod temporal;

use axum::Router;
use axum::http::{HeaderMap, header};
use clerk::ClerkStandin;
use temporal::TemporalStandin;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use torale_platform::config::{CLERK_API_URL, CLERK_SECRET_KEY, TEMPORAL_ADDRESS};

use crate::console::Console;
use crate::failure::LocalError;

/// Both of them, for as long as this lives.
pub struct Standins {
    clerk: ClerkStandin,
    temporal: TemporalStandin,
}

impl Standins {
    /// Starts stand-ins that do as they are told and say so on the console.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start(console: &Console) -> Result<Self, LocalError> {
        let said = console.clone();
        let clerk = ClerkStandin::start(move |asked| {
            let (told, answer) = clerk::willing(asked);
            said.line("clerk", &told);
            answer
        });
        let said = console.clone();
        let temporal = TemporalStandin::start(move |patch| {
            said.line("temporal", &format!("schedule {} paused: {}", patch.schedule_id, patch.note));
            temporal::TemporalAnswer::Done
        });
        let (clerk, temporal) = (clerk.await, temporal.await);
        let failed = LocalError::io;
        Ok(Self {
            clerk: clerk.map_err(failed("the stand-in for Clerk"))?,
            temporal: temporal.map_err(failed("the stand-in for Temporal"))?,
        })
    }

    /// The variables that lead the executor of commands to them.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            (CLERK_API_URL, self.clerk.url()),
            (CLERK_SECRET_KEY, clerk::SECRET.to_owned()),
            (TEMPORAL_ADDRESS, self.temporal.address()),
        ]
    }
}

/// Something that listens until it is dropped.
struct Served {
    address: String,
    _stop: DropGuard,
}

impl Served {
    async fn start(router: Router) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                // It accepts for ever; a connection that fails concerns only its caller.
                served = axum::serve(listener, router) => drop(served),
                () = stopped => {}
            }
        });
        Ok(Self { address, _stop: stop.drop_guard() })
    }
}

fn authorization(headers: &HeaderMap) -> Option<String> {
    headers.get(header::AUTHORIZATION)?.to_str().ok().map(str::to_owned)
}
