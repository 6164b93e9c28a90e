//! The pure core of the Torale admin plane.
//!
//! Nothing in this crate does I/O, reads a clock, the environment or randomness. What it needs from the
//! outside arrives as arguments: events as text, time as a [`Timestamp`](values::time::Timestamp), stored items
//! through the [`Reader`](storage::read::Reader) port.
//!
//! The folders read as the story of an event that becomes an answer:
//!
//! | folder | question it answers |
//! |---|---|
//! | [`values`] | what are times, ids and digests? |
//! | [`storage`] | what do stored items and their keys look like? |
//! | [`events`] | is this message one of our events, and which? |
//! | [`entities`] | what is known of an entity, given its events? |
//! | [`projections`] | which writes turn the stored items into the new ones? |
//! | [`requests`] | what does a caller ask for? |
//! | [`calendar`] | when does a schedule fire next, by Temporal's rule? |
//! | [`pages`] | which items answer a request, and what is the answer? |
//! | [`access`] | who is the caller, and may they? |
//! | [`audit`] | what is recorded of a request, and is the trail intact? |
//! | [`deactivation`] | what must happen elsewhere when a user is deactivated? |
//! | [`replay`] | how are projections rebuilt and tables restored? |
#![warn(missing_docs)]

pub mod access;
pub mod audit;
pub mod calendar;
pub mod deactivation;
pub mod entities;
pub mod events;
pub mod pages;
pub mod projections;
pub mod replay;
pub mod requests;
pub mod storage;
pub mod values;
