//! Pages: which items answer a request, and what the answer is. One file an endpoint.
//!
//! Each `answer` awaits its reader once a round trip, so its cost can be counted by eye. May use: everything but
//! [`replay`](crate::replay) and [`deactivation`](crate::deactivation).

pub mod audit;
mod entities;
pub mod errors;
pub mod executions;
mod listing;
pub mod metrics;
pub mod queries;
pub mod schedules;
pub mod stats;
mod temporal_ui;
pub mod users;
mod window;
pub mod workflows;

pub use temporal_ui::TemporalUi;
