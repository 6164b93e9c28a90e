//! What the benchmarks share: a platform's history at any size, the embedded store and a fast way to fill it, the real
//! function binaries, and reports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise, computes with rounded numbers and talks to its user"
)]

pub mod cases;
pub mod cost;
pub mod http;
pub mod lambda;
pub mod report;
pub mod runtime;
pub mod serving;
pub mod share;
pub mod stack;
pub mod world;

use torale_domain::values::time::Timestamp;

/// The present of all that runs in this process: 2026-03-31T10:30:30.500Z.
pub const NOW: Timestamp = torale_testkit::stack::NOW;

/// Two decimals at most.
pub fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The value below which a share of some values lies.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}
