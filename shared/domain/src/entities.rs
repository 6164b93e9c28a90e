//! Entities: what is known of one user, key, task, execution, notification, workflow run or schedule.
//!
//! Lives here: [`fold`], which merges the events of an entity into its state, and [`readings`], the typed view of a
//! state. May use: [`values`](crate::values), [`events`](crate::events).

pub mod fold;
pub mod linkage;
pub mod readings;
