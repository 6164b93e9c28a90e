//! Events: the facts the platform sends, as CloudEvents 1.0.
//!
//! [`intake::parse`] turns a message into an [`Event`] or says why it must be quarantined; [`types`] has one
//! struct for each type; [`upcast`] keeps old versions readable; [`clerk`] turns Clerk's webhooks into events.
//! May use: [`values`](crate::values), [`storage`](crate::storage).

pub mod clerk;
pub mod event;
pub mod intake;
pub mod kinds;
pub mod types;
pub mod upcast;

pub(crate) use event::StoredEvent;
pub use event::{Data, Event, MAX_KEPT_DATA, UnreadableEvent};
pub use intake::{Excerpt, QuarantineReason, ReceivedMessage, parse};
pub use kinds::{Body, EventType, SOURCE, TYPE_PREFIX};
