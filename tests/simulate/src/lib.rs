//! The system under a seeded scheduler that fails everything, over tables and a queue in memory (docs/guide/simulation.md).
//!
//! | module | what it does |
//! |---|---|
//! | [`schedule`] | what a seed makes happen, and what must hold afterwards |
//! | [`tables`] | DynamoDB's rules, in memory |
//! | [`network`] | the calls of a process: retries, loss, delay, staleness |
//! | [`operator`] | builds, promotes, rolls back and drops generations |
//! | [`queue`] | SQS's rules, in memory |
//! | [`faults`] | what goes wrong, how often, and what has |
//! | [`defects`] | defects that are planted on purpose |
//! | [`shrink`] | a smaller schedule that fails as well |
//! | [`trace`] | what happened, in order |

pub mod defects;
pub mod faults;
pub mod network;
pub mod operator;
pub mod queue;
pub mod schedule;
pub mod shrink;
pub mod tables;
pub mod trace;
