//! Projections: from changed entities to the writes of one transaction.
//!
//! | step | module | question it answers |
//! |---|---|---|
//! | views | [`views`] | which rows and sums does an entity contribute? |
//! | diff | [`diff`] | what changes between the contributions before and after? |
//! | plan | [`plan`] | what must be read, in which order, to write that change in one transaction? |
//!
//! Also here: the counted [`index`] and the [`ranking`] of queries that every list and window reads, [`build`] for a
//! whole generation at once, [`compare`] and [`repair`] for stored items that may be wrong, and the pointer to the
//! live [`generation`]. May use: [`values`](crate::values), [`storage`](crate::storage), [`events`](crate::events),
//! [`entities`](crate::entities).

pub mod build;
pub mod compare;
mod counter;
pub mod diff;
pub mod entity;
pub mod generation;
pub mod index;
pub mod links;
pub mod people;
pub mod plan;
pub mod ranking;
pub mod repair;
pub mod views;
