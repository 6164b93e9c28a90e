//! What tables and queues take a second, and how long they take for it.

use tokio::time::{Duration, Instant, sleep};

/// The limits of an account. Units are DynamoDB's: 1 KB written, 4 KB read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AccountLimits {
    /// Write units a second of one partition, which is one partition key at best.
    pub partition_writes: f64,
    /// Read units a second of one partition.
    pub partition_reads: f64,
    /// Write units a second of one table: the quota.
    pub table_writes: f64,
    /// Read units a second of one table.
    pub table_reads: f64,
    /// Milliseconds of a transaction on average: from half of it to half as much again. Its items are locked meanwhile.
    pub transaction_ms: u64,
    /// Milliseconds of any other call, likewise.
    pub call_ms: u64,
    /// Milliseconds of receiving ten messages.
    pub receive_ms: u64,
    /// Messages that are received and not deleted, at most.
    pub in_flight: usize,
}

impl AccountLimits {
    /// What AWS documents as defaults, with times that are assumed.
    pub const AWS: Self = Self {
        partition_writes: 1_000.0,
        partition_reads: 3_000.0,
        table_writes: 40_000.0,
        table_reads: 40_000.0,
        transaction_ms: 10,
        call_ms: 4,
        receive_ms: 10,
        in_flight: 120_000,
    };
    /// No limits, and no time: for what is there before a run begins.
    pub const NONE: Self = Self {
        partition_writes: f64::INFINITY,
        partition_reads: f64::INFINITY,
        table_writes: f64::INFINITY,
        table_reads: f64::INFINITY,
        transaction_ms: 0,
        call_ms: 0,
        receive_ms: 0,
        in_flight: usize::MAX,
    };
}

/// Passes a random time around a mean.
pub async fn pass(mean_ms: u64) {
    if mean_ms > 0 {
        sleep(Duration::from_millis(fastrand::u64(mean_ms.div_ceil(2)..=mean_ms + mean_ms / 2))).await;
    }
}

/// The capacity of a second, which fills again all the time. It may be overdrawn by one request, as DynamoDB's may:
/// what a request costs is known only once it is served.
#[derive(Debug, Clone, Copy, Default)]
pub struct CapacityBucket {
    used: f64,
    at: Option<Instant>,
}

impl CapacityBucket {
    fn refill(&mut self, rate: f64) {
        let now = Instant::now();
        if let Some(at) = self.at.filter(|_| rate.is_finite()) {
            self.used = (self.used - rate * (now - at).as_secs_f64()).max(0.0);
        }
        self.at = Some(now);
    }

    /// Whether anything is left of the capacity of a second.
    pub fn has_some(&mut self, rate: f64) -> bool {
        self.refill(rate);
        self.used < rate
    }

    /// Takes units.
    pub fn take(&mut self, rate: f64, units: f64) {
        self.refill(rate);
        self.used += units;
    }
}
