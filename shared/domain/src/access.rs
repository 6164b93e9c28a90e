//! Access: who the caller is, and whether they may, now.
//!
//! Lives here: the rules for API keys and roles, for session tokens, and for rate limits. What is read to apply them
//! comes from `shared/platform`. May use: [`values`](crate::values), [`storage`](crate::storage),
//! [`entities`](crate::entities), [`projections`](crate::projections).

pub mod credentials;
pub mod rate_limits;
pub mod session;
