//! Replay: the rules by which projections are rebuilt from the log, and tables are restored or
//! moved.
//!
//! Lives here: how a rebuild is divided and resumed, what of a table is restored from a copy, and
//! what a scrubbed export keeps. The crate `shared/replay` does the reading and writing. May use
//! everything but [`pages`](crate::pages), [`requests`](crate::requests) and
//! [`access`](crate::access).

pub mod rebuild;
pub mod restore;
pub mod scrub;
