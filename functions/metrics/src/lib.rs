//! Tells CloudWatch how the platform and the machinery stand, every minute.
//!
//! What can't be found out is left out, never made up; the rest is told all the same, and the run fails, so that
//! someone hears of it.

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

/// Longest time to find something out.
const FINDING: Duration = Duration::from_secs(10);

/// Where the values come from, and where they go.
#[derive(Debug)]
pub struct MetricSources {
    /// The tables.
    pub store: Store,
    /// Which projections are live.
    pub generations: Generations,
    /// The queue of events.
    pub events: MessageQueue,
    /// CloudWatch.
    pub cloudwatch: CloudWatch,
    /// The present time.
    pub clock: Clock,
}

/// Why a run failed. All that could be found out was told even so, but for the last of these.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Some values are not known.
    #[error("not known: {}", .0.join(", "))]
    Incomplete(Vec<&'static str>),
    /// CloudWatch has not taken the values.
    #[error(transparent)]
    Untold(#[from] CloudWatchError),
}

/// Why something is not known.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    MessageQueue(#[from] QueueError),
    #[error(transparent)]
    CloudWatch(#[from] CloudWatchError),
    #[error("out of time")]
    OutOfTime,
}

/// What a run answers.
#[derive(Debug, Serialize)]
pub struct MetricsAnswer {
    /// Values that were told.
    pub values: usize,
    /// What finding them out has cost.
    pub read_units: f64,
}

type MetricValues = Result<Vec<MetricValue>, Unknown>;

/// One run.
///
/// # Errors
/// If something could not be found out, or CloudWatch has not taken what was.
pub async fn handle(sources: &MetricSources) -> Result<MetricsAnswer, MetricsError> {
    let (now, usage) = ((sources.clock)(), Usage::default());
    let until = Instant::now() + FINDING;
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
    finding: impl Future<Output = Result<T, impl Into<Unknown>>>,
) -> Result<T, Unknown> {
    tokio::time::timeout_at(until, finding)
        .await
        .map_or(Err(Unknown::OutOfTime), |found| found.map_err(Into::into))
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

    /// The log and the projections are written together, so what they lag behind by is what waits in the queue: for
    /// the first time, or handed back.
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
        let oldest = self.store.oldest_order(usage).await?;
        Ok(vec![of("OutboxAgeSeconds", StandardUnit::Seconds, oldest.map_or(0.0, |at| seconds(at, now)))])
    }

    async fn quarantine(&self, usage: &Usage) -> MetricValues {
        Ok(vec![count("QuarantinedMessages", self.store.quarantined(usage).await?)])
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

/// Counts are far below 2^32. A generation that is older than a measure may have taken off what it never added.
fn number<N: TryInto<u32> + Ord + Default>(value: N) -> f64 {
    f64::from(value.max(N::default()).try_into().unwrap_or(u32::MAX))
}

/// The time that has passed, to the millisecond.
fn seconds(since: Timestamp, now: Timestamp) -> f64 {
    number((now.millis() - since.millis()).max(0)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn less_than_nothing_is_nothing() {
        assert_eq!([-1, 0, 7].map(number), [0.0, 0.0, 7.0]);
        assert_eq!(number(i128::MAX), f64::from(u32::MAX));
    }
}
