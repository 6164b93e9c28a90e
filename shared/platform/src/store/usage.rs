//! What calls of the store cost.

use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use std::sync::atomic::{AtomicU64, Ordering};

/// Every call asks for the capacity that it consumed.
pub(super) const CAPACITY: ReturnConsumedCapacity = ReturnConsumedCapacity::Total;

/// The capacity and the round trips that the calls of one request or batch have used so far.
#[derive(Debug, Default)]
pub struct Usage {
    read_halves: AtomicU64,
    write_halves: AtomicU64,
    round_trips: AtomicU64,
}

impl Usage {
    /// Read capacity units.
    pub fn read_units(&self) -> f64 {
        f64::from(u32::try_from(self.read_halves.load(Ordering::Relaxed)).unwrap_or(u32::MAX)) / 2.0
    }

    /// Write capacity units.
    pub fn write_units(&self) -> f64 {
        f64::from(u32::try_from(self.write_halves.load(Ordering::Relaxed)).unwrap_or(u32::MAX)) / 2.0
    }

    /// Write capacity in half units, as an exact integer.
    pub fn write_halves(&self) -> u64 {
        self.write_halves.load(Ordering::Relaxed)
    }

    /// Round trips that followed one another; parallel calls count as one.
    pub fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed)
    }

    /// Adds the usage of flows that ran in parallel: capacity is summed, and of the round trips the longest flow's
    /// count.
    pub fn add_parallel(&self, flows: &[&Self]) {
        for flow in flows {
            self.read_halves.fetch_add(flow.read_halves.load(Ordering::Relaxed), Ordering::Relaxed);
            self.write_halves.fetch_add(flow.write_halves.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.add_round_trips(flows.iter().map(|flow| flow.round_trips()).max().unwrap_or(0));
    }

    pub(super) fn add_read(&self, capacity: Option<&ConsumedCapacity>) {
        self.add_read_units(units(capacity));
    }

    pub(super) fn add_read_units(&self, units: f64) {
        self.read_halves.fetch_add(halves(units), Ordering::Relaxed);
    }

    pub(super) fn add_write(&self, capacity: &[ConsumedCapacity]) {
        self.write_halves.fetch_add(capacity.iter().map(|c| halves(units(Some(c)))).sum(), Ordering::Relaxed);
    }

    pub(super) fn add_round_trips(&self, round_trips: u64) {
        self.round_trips.fetch_add(round_trips, Ordering::Relaxed);
    }
}

fn units(capacity: Option<&ConsumedCapacity>) -> f64 {
    capacity.and_then(ConsumedCapacity::capacity_units).unwrap_or(0.0)
}

/// Units come in halves and are counted as integers.
fn halves(units: f64) -> u64 {
    format!("{:.0}", units * 2.0).parse().unwrap_or(0)
}
