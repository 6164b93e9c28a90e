//! Requests: what a caller may send, and how it is read.
//!
//! Lives here: query parameters with their bounds, and the path and body of requests that change something.
//! May use: [`values`](crate::values).

pub mod changes;
pub mod parameters;
