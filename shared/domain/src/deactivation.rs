//! Deactivation: what must happen elsewhere when a user is deactivated.
//!
//! Lives here: the commands for other systems, and the outbox whose entries become commands.
//! May use: [`values`](crate::values), [`storage`](crate::storage), [`events`](crate::events),
//! [`entities`](crate::entities), [`projections`](crate::projections).

pub mod commands;
pub mod outbox;
