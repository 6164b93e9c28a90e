//! Requests: what a caller may send, and how it is read.
//!
//! | module | what lives there |
//! |---|---|
//! | [`parameters`] | query parameters with their bounds and faults |
//! | [`changes`] | path, body and answers of requests that change something |
//!
//! May use: [`values`](crate::values), [`access`](crate::access) (the form of an API key, which no
//! parameter may have).

pub mod changes;
pub mod parameters;
