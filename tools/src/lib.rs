//! What the operators' commands do, apart from reading their arguments.
#![warn(missing_docs)]

pub mod audit;
pub mod queue;
pub mod terminal;
