//! The platform's Temporal: how it is reached, and its runs and schedules as events
//! (`docs/adr/0026-events-from-temporal.md`).
//!
//! | module | question it answers |
//! |---|---|
//! | [`connection`] | how is Temporal reached? |
//! | [`reads`] | which runs and schedules does it have? |
//! | [`task_ids`] | to which task does a run or schedule belong? |
//! | [`cron`] | which cron expression fires as a schedule does? |
//! | [`runs`] | which events is a run? |
//! | [`schedules`] | which events lead from what is known of a schedule to what Temporal says? |
//! | [`sync`] | in which order is all of that done, and how far is it? |
#![warn(missing_docs)]

pub mod connection;
pub mod cron;
mod message;
pub mod reads;
pub mod runs;
pub mod schedules;
pub mod sync;
pub mod task_ids;
