//! What tests and benchmarks share: an embedded store with the real consumer and the real endpoints over it, scenarios
//! that read as specifications, builders of events, and fakes of what lies outside.
//!
//! | module | what it is for |
//! |---|---|
//! | [`scenario`] | `given(events).when(request).then(answer)` |
//! | [`events`] | one event: `user(ANN).created()`, `task(PHONE).paused()` |
//! | [`monitoring`] | what a platform of any size emits about executions |
//! | [`generator`] | random sets of events with everything odd that the contract allows |
//! | [`request`] | a request to one endpoint: `get::<Users>("limit=2")` |
//! | [`stack`] | store, consumers, instances; looking into tables |
//! | [`parts`] | what the simulated system has as well |
//! | [`interceptor`], [`faults`], [`rights`] | looking at store calls, failing them, refusing them as IAM would |
//! | [`sqs`], [`cloudwatch`], [`clerk`], [`svix`] | AWS and Clerk, as their clients see them |
//! | [`logs`] | the log lines of a test |
//!
//! Nothing here names a function: a test links the endpoints that it names. Without the feature `embedded`, which is on
//! by default, there is no embedded store, nor what needs it.

pub mod clerk;
pub mod cloudwatch;
pub mod events;
pub mod extremes;
pub mod fake_aws;
pub mod faults;
pub mod generator;
pub mod interceptor;
pub mod logs;
pub mod monitoring;
pub mod parts;
pub mod present;
pub mod rebuild;
pub mod request;
pub mod rights;
#[cfg(feature = "embedded")]
pub mod scenario;
pub mod sqs;
#[cfg(feature = "embedded")]
pub mod stack;
pub mod svix;
pub mod switches;
pub mod tls;
