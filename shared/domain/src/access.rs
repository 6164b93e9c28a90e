//! Access: who the caller is, and whether they may, now.
//!
//! | module | what lives there |
//! |---|---|
//! | [`credentials`] | API keys, roles, and the caller behind the credentials of a request |
//! | [`session`] | session tokens of the identity provider, and the keys that sign them |
//! | [`rate_limits`] | how many requests a user may make in a minute and in an hour |
//!
//! These are the rules alone: `shared/platform` reads what they need. May use:
//! [`values`](crate::values), [`storage`](crate::storage), [`entities`](crate::entities),
//! [`projections`](crate::projections).

pub mod credentials;
pub mod rate_limits;
pub mod session;
