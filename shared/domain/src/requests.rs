//! Requests: what a caller may send, and how it is read.
//!
//! | module | what lives there |
//! |---|---|
//! | [`payload`] | a request, from the payload of API Gateway |
//! | [`parameters`] | query parameters with their bounds and faults |
//! | [`changes`] | path, body and answers of requests that change something |
//!
//! May use: [`values`](crate::values), [`access`](crate::access) (the form of an API key, which no
//! parameter may have).

pub mod changes;
pub mod parameters;
pub mod payload;
