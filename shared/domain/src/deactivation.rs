//! Deactivation: what must happen in other systems when a user is deactivated
//! (docs/contract/http.md, "PATCH /admin/users/{id}/deactivate";
//! docs/adr/0010-a-deactivation-is-one-transaction.md).
//!
//! | module | what lives there |
//! |---|---|
//! | [`outbox`] | the entries that a deactivation writes, and the commands that follow from them |
//! | [`causes`] | why commands are sent |
//! | [`own_ids`] | which user ids are an administrator's own |
//! | [`commands`] | the commands to other systems, and the events that confirm them |
//!
//! May use: [`values`](crate::values), [`storage`](crate::storage), [`events`](crate::events),
//! [`entities`](crate::entities), [`projections`](crate::projections).

pub mod causes;
pub mod commands;
pub mod outbox;
pub mod own_ids;
