//! The functions: built by cargo, run as processes, invoked as the Lambda service would.
//!
//! | file | what lives there |
//! |---|---|
//! | [`build`] | which functions there are, and their binaries |
//! | [`environment`] | the variables that every process receives |
//! | [`fleet`] | starts the processes, restarts them, replaces them after a build |
//! | [`runtime`] | the Lambda service between a caller and the processes: queued and running invocations |
//! | [`invoke`] | how queues and schedules reach a function: in this stack, or through `cargo lambda watch` |
//!
//! Uses none of the other folders: what runs here does not know who calls it.

pub mod build;
pub mod environment;
pub mod fleet;
pub mod invoke;
pub mod runtime;
