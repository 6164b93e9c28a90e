//! The pure core of the Torale admin plane: `event -> fold -> views -> diff -> commit -> page`.
//!
//! Nothing in this crate does I/O, reads a clock, the environment or randomness. What it needs from the
//! outside arrives as arguments: events as text, time as a [`time::Timestamp`], stored items through the
//! [`read::Reader`] port.
//!
//! | step | module | question it answers |
//! |---|---|---|
//! | event | [`events`] | is this message one of our events, and which? |
//! | fold | [`fold`] | what is known of an entity, given its events? |
//! | views | [`views`] | which rows and sums does an entity contribute? |
//! | diff, commit | [`commit`] | which writes turn the stored items into the new ones? |
//! | page | [`pages`] | which items answer a request, and what is the answer? |
#![warn(missing_docs)]

pub mod audit;
pub mod auth;
pub mod calendar;
pub mod changes;
pub mod clerk;
pub mod commands;
pub mod commit;
pub mod compare;
pub mod entities;
pub mod events;
pub mod fold;
pub mod generation;
pub mod ids;
pub mod index;
pub mod item;
pub mod keys;
pub mod limits;
pub mod outbox;
pub mod pages;
pub mod params;
pub mod read;
pub mod rebuild;
pub mod restore;
pub mod scrub;
pub mod session;
pub mod time;
pub mod trace;
pub mod views;
