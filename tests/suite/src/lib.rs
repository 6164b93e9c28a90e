//! What the test suites and benchmarks share: the embedded store, the real consumer and handlers over it, and
//! random sets of events with every nastiness that the contract allows.

pub mod clerk;
pub mod cloudwatch;
pub mod faults;
pub mod generate;
pub mod rebuild;
pub mod rights;
pub mod sqs;
pub mod stack;
pub mod svix;
pub mod tls;
pub mod world;
