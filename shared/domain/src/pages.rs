//! Pages: which items answer a request, and what the answer is. One file for each endpoint.
//!
//! A page has the parameters of its endpoint, the types of its answer, and a function `answer`,
//! which plans the reads and renders the result. An `answer` awaits its
//! [`Reader`](crate::storage::read::Reader) once for each round trip, so its cost is visible in
//! the code (docs/adr/0005-pages-await-a-reader.md).
//!
//! Shared by the pages: `list_parameters` (`hours` and `limit`), `listing` (one page of a list by
//! time), `referenced_entities` (what the rows stand for, and the users and tasks that they name),
//! `execution_list` (lists whose rows stand for executions), `history` (which events say what an
//! answer shows).
//!
//! May use: [`values`](crate::values), [`storage`](crate::storage), [`entities`](crate::entities),
//! [`projections`](crate::projections), [`requests`](crate::requests), [`audit`](crate::audit),
//! [`calendar`](crate::calendar), [`deactivation`](crate::deactivation).

pub mod audit;
pub mod errors;
pub mod execution;
mod execution_list;
pub mod executions;
pub mod health;
mod history;
mod list_parameters;
mod listing;
pub mod metrics;
pub mod queries;
mod referenced_entities;
pub mod schedules;
pub mod series;
pub mod stats;
pub mod task;
pub mod tasks;
mod temporal_ui;
pub mod user;
mod user_search;
pub mod users;
pub mod workflows;

pub use history::HistoryEntry;
pub use temporal_ui::TemporalUi;
