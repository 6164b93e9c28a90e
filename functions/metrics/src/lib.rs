//! Publishes metrics of the platform and of this system to CloudWatch, every minute.
//!
//! A value that can't be read is left out and never estimated. The others are published all the same, and the run
//! fails, so that an alarm reports it.

pub mod cloudwatch;

use aws_sdk_cloudwatch::types::StandardUnit;
use cloudwatch::{CloudWatch, CloudWatchError, MetricValue};
use serde::Serialize;
use std::future::Future;
use tokio::time::{Duration, Instant};
use torale_domain::pages::metrics;
use torale_domain::values::time::Timestamp;
use torale_platform::clock::Clock;
use torale_platform::config;
use torale_platform::queue::{MessageQueue, QueueError};
use torale_platform::store::{Generations, Store, StoreError, TableReader, Usage};

/// Longest time to read a value.
const READING: Duration = Duration::from_secs(10);

/// Where the values are read from, and where they are published.
#[derive(Debug)]
pub struct MetricSources {
    /// The store.
    pub store: Store,
    /// Which generation of projections is live.
    pub generations: Generations,
    /// The event queue.
    pub events: MessageQueue,
    /// CloudWatch.
    pub cloudwatch: CloudWatch,
    /// The current time.
    pub clock: Clock,
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Some values could not be read. The others were published.
    #[error("not known: {}", .0.join(", "))]
    Incomplete(Vec<&'static str>),
    /// CloudWatch has not taken the values.
    #[error(transparent)]
    Unpublished(#[from] CloudWatchError),
}

/// Why a value could not be read.
#[derive(Debug, thiserror::Error)]
enum MetricSourceError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    CloudWatch(#[from] CloudWatchError),
    #[error("out of time")]
    OutOfTime,
}

/// The response of a run.
#[derive(Debug, Serialize)]
pub struct MetricsAnswer {
    /// Values that were published.
    pub values: usize,
    /// The read capacity units that reading them has consumed.
    pub read_units: f64,
}

type MetricValues = Result<Vec<MetricValue>, MetricSourceError>;

/// Reads and publishes all values.
///
/// # Errors
/// If a value could not be read, or CloudWatch has not taken the others.
pub async fn handle(sources: &MetricSources) -> Result<MetricsAnswer, MetricsError> {
    let (now, usage) = ((sources.clock)(), Usage::default());
    let until = Instant::now() + READING;
    let (platform, [lag, age], outbox, quarantine, audit) = futures::join!(
        in_time(until, sources.platform(now, &usage)),
        sources.lag(now, until),
        in_time(until, sources.outbox(now, &usage)),
        in_time(until, sources.quarantine(&usage)),
        in_time(until, sources.audit(now, &usage)),
    );
    let (mut values, mut unknown) = (Vec::new(), Vec::new());
    for (what, found) in [
        ("platform", platform),
        ("lag", lag),
        ("lag in seconds", age),
        ("outbox", outbox),
        ("quarantine", quarantine),
        ("audit", audit),
    ] {
        match found {
            Ok(found) => values.extend(found),
            Err(error) => {
                tracing::error!(what, %error, "not known");
                unknown.push(what);
            }
        }
    }
    if !values.is_empty() {
        sources.cloudwatch.put(&values, now).await?;
    }
    let answer = MetricsAnswer { values: values.len(), read_units: usage.read_units() };
    tracing::info!(values = answer.values, ?unknown, read_units = answer.read_units, "told");
    if unknown.is_empty() { Ok(answer) } else { Err(MetricsError::Incomplete(unknown)) }
}

async fn in_time<T>(
    until: Instant,
    value: impl Future<Output = Result<T, impl Into<MetricSourceError>>>,
) -> Result<T, MetricSourceError> {
    tokio::time::timeout_at(until, value)
        .await
        .map_or(Err(MetricSourceError::OutOfTime), |found| found.map_err(Into::into))
}

impl MetricSources {
    async fn platform(&self, now: Timestamp, usage: &Usage) -> MetricValues {
        let live = self.generations.read(&self.store, usage).await?;
        let found = metrics::answer(&TableReader::of(&self.store, &live, usage), now).await?;
        Ok(vec![
            of("ErrorRate", StandardUnit::Percent, number(found.error_rate) / 100.0),
            of("AvgDurationMs", StandardUnit::Milliseconds, number(found.avg_duration_ms)),
            count("FailedExecutionsPerHour", found.failed_executions),
            count("NewErrorsPerHour", found.new_errors),
            count("NewUsers7d", found.new_users_7d),
            count("ActiveTasks", found.active_tasks),
        ])
    }

    /// How far log and projections lag behind. Both are written together, so this is what waits in the queue: new
    /// messages and returned ones.
    async fn lag(&self, now: Timestamp, until: Instant) -> [MetricValues; 2] {
        match in_time(until, self.events.waiting()).await {
            Ok(waiting) => {
                let age = in_time(until, self.age(waiting, now)).await;
                [Ok(vec![count("ProjectionLagEvents", waiting)]), age]
            }
            Err(error) => [Err(error), Ok(Vec::new())],
        }
    }

    async fn age(&self, waiting: u64, now: Timestamp) -> MetricValues {
        let oldest = match waiting {
            0 => Some(0.0),
            _ => {
                let waits = self.cloudwatch.oldest_message(config::EVENTS_QUEUE, now);
                let (waits, stuck) = futures::try_join!(waits, self.cloudwatch.stuck(now))?;
                waits.into_iter().chain(stuck).reduce(f64::max)
            }
        };
        let seconds = oldest.map(|age| of("ProjectionLagSeconds", StandardUnit::Seconds, age));
        Ok(seconds.into_iter().collect())
    }

    async fn outbox(&self, now: Timestamp, usage: &Usage) -> MetricValues {
        let oldest = self.store.outbox_backlog(usage).await?.oldest;
        Ok(vec![of("OutboxAgeSeconds", StandardUnit::Seconds, oldest.map_or(0.0, |at| seconds(at, now)))])
    }

    async fn quarantine(&self, usage: &Usage) -> MetricValues {
        Ok(vec![count("QuarantinedMessages", self.store.quarantined_items(usage).await?.count)])
    }

    async fn audit(&self, now: Timestamp, usage: &Usage) -> MetricValues {
        let sealing = self.store.sealing(now, usage).await?;
        let age = sealing.last.map(|at| of("AuditSealAgeSeconds", StandardUnit::Seconds, seconds(at, now)));
        Ok([count("AuditUnsealedRecords", sealing.unsealed)].into_iter().chain(age).collect())
    }
}

const fn of(name: &'static str, unit: StandardUnit, value: f64) -> MetricValue {
    MetricValue { name, unit, value }
}

fn count<N: TryInto<u32> + Ord + Default>(name: &'static str, value: N) -> MetricValue {
    of(name, StandardUnit::Count, number(value))
}

/// A count as a float. Counts are far below 2^32. A generation that is older than a measure may have subtracted what it
/// never added, which counts as 0.
fn number<N: TryInto<u32> + Ord + Default>(value: N) -> f64 {
    f64::from(value.max(N::default()).try_into().unwrap_or(u32::MAX))
}

/// The seconds that have passed, to the millisecond.
fn seconds(since: Timestamp, now: Timestamp) -> f64 {
    number((now.millis() - since.millis()).max(0)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn number_is_never_negative() {
        assert_eq!([-1, 0, 7].map(number), [0.0, 0.0, 7.0]);
        assert_eq!(number(i128::MAX), f64::from(u32::MAX));
    }
}
