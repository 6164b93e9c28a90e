//! Pages: which items answer a request, and what the answer is. One file for each endpoint.
//!
//! A page has the parameters of its endpoint, the types of its answer, and a function `answer`,
//! which plans the reads and renders the result. An `answer` awaits its
//! [`Reader`](crate::storage::read::Reader) once for each round trip, so its cost is visible in
//! the code (docs/adr/0005-pages-await-a-reader.md).
//!
//! Shared by the pages: `window` (the last N hours), `listing` (one page of a list by
//! time), `entities` (what the rows stand for, and the names shown with them), `recent`
//! (lists of executions), `history` (which events say what an answer shows).
//!
//! May use: [`values`](crate::values), [`storage`](crate::storage), [`entities`](crate::entities),
//! [`projections`](crate::projections), [`requests`](crate::requests), [`audit`](crate::audit),
//! [`calendar`](crate::calendar), [`deactivation`](crate::deactivation).

pub mod audit;
mod entities;
pub mod errors;
pub mod execution;
pub mod executions;
pub mod health;
mod history;
mod listing;
pub mod metrics;
pub mod queries;
mod recent;
pub mod schedules;
pub mod series;
pub mod stats;
pub mod task;
pub mod tasks;
mod temporal_ui;
pub mod user;
mod user_search;
pub mod users;
mod window;
pub mod workflows;

pub use history::HistoryEntry;
pub use temporal_ui::TemporalUi;
