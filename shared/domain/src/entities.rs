//! Entities: what is known of one user, key, task, execution, notification, workflow run or schedule.
//!
//! Lives here: [`fold`], which merges the events of an entity into its state, [`readings`], the typed view of a state,
//! and [`history`], which events say so. May use: [`values`](crate::values), [`events`](crate::events).

pub mod fold;
pub mod history;
pub mod linkage;
pub mod readings;
