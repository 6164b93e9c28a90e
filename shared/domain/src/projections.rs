//! Projections: from changed entities to the writes of one transaction.
//!
//! | step | module | question it answers |
//! |---|---|---|
//! | views | [`views`] | which rows and sums does an entity contribute? |
//! | diff | [`diff`] | what changes between the contributions before and after? |
//! | plan | [`plan`] | what must be read, in which order, to write it in one transaction? |
//!
//! Also here:
//!
//! - what lists and windows read: the counted [`index`], the [`ranking`] of queries, and `user_day`.
//!   All three are counters (`counter`) with slots (`slot`); a [`descent`] finds a page in them. What rows
//!   carry of an execution is its [`summary`]
//! - [`build`], which makes a whole generation at once, and the pointer to the live [`generation`]
//! - [`compare`] and [`repair`], which find and correct stored items that are wrong
//!
//! May use: [`values`](crate::values), [`storage`](crate::storage), [`events`](crate::events),
//! [`entities`](crate::entities).

pub mod build;
pub mod compare;
mod counter;
pub mod descent;
pub mod diff;
pub mod entity;
pub mod generation;
pub mod index;
pub mod links;
pub mod people;
pub mod plan;
pub mod ranking;
pub mod repair;
mod slot;
pub mod summary;
pub(crate) mod user_day;
pub mod views;
