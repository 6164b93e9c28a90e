//! A client of CloudWatch with time limits.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::Builder;
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Datapoint, Dimension, MetricDatum, StandardUnit, Statistic};
use std::time::Duration;
use torale_domain::values::time::{MINUTE, Timestamp};
use torale_platform::aws::causes;

/// The namespace of the metrics that this function emits.
pub const NAMESPACE: &str = "Torale/Admin";
/// Longest time for one call, retries included.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Longest time for one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// How far back to look for the age of a queue's oldest message. SQS reports it a minute or two late.
const LOOK_BACK: i64 = 5 * MINUTE;
/// How far back to look for messages that the consumer returned: they come again after `VisibilityTimeout`, 380 s.
const STUCK: i64 = 10 * MINUTE;

/// A call of CloudWatch failed.
#[derive(Debug, thiserror::Error)]
#[error("CloudWatch: {0}")]
pub struct CloudWatchError(String);

fn failed<E: std::error::Error>(error: &E) -> CloudWatchError {
    CloudWatchError(causes(error))
}

/// One value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricValue {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: StandardUnit,
    /// The value.
    pub value: f64,
}

/// A client of CloudWatch.
#[derive(Debug)]
pub struct CloudWatch {
    client: Client,
}

fn time(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.millis())
}

impl CloudWatch {
    /// A client with this configuration, to which time limits and retries are added.
    pub fn new(config: Builder) -> Self {
        let limits =
            TimeoutConfig::builder().operation_timeout(TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
        let config = config.timeout_config(limits.build());
        let config = config.retry_config(RetryConfig::standard().with_max_attempts(3)).build();
        Self { client: Client::from_conf(config) }
    }

    /// Publishes values.
    ///
    /// # Errors
    /// If CloudWatch has not taken them in time.
    pub async fn put(&self, values: &[MetricValue], now: Timestamp) -> Result<(), CloudWatchError> {
        let datum = |value: &MetricValue| {
            let datum = MetricDatum::builder().metric_name(value.name).unit(value.unit.clone());
            datum.value(value.value).timestamp(time(now)).build()
        };
        let data = values.iter().map(datum).collect();
        let call = self.client.put_metric_data().namespace(NAMESPACE).set_metric_data(Some(data));
        call.send().await.map_err(|e| failed(&e)).map(drop)
    }

    /// The age in seconds of a queue's oldest message, as SQS reported it last; `None` if it reported none lately. SQS
    /// leaves out messages that have been received three times or more.
    ///
    /// # Errors
    /// If CloudWatch does not respond in time.
    pub async fn oldest_message(&self, queue: &str, now: Timestamp) -> Result<Option<f64>, CloudWatchError> {
        let dimension = Dimension::builder().name("QueueName").value(queue).build();
        let of = ("AWS/SQS", "ApproximateAgeOfOldestMessage");
        let points = self.maxima(of, Some(dimension), now.plus(-LOOK_BACK), now).await?;
        let last = points.into_iter().max_by_key(|point| point.timestamp.map(|at| at.secs()));
        Ok(last.and_then(|point| point.maximum))
    }

    /// The greatest age in seconds of the messages that the consumer has returned three times or more, within the last
    /// ten minutes; `None` if there was none.
    ///
    /// # Errors
    /// If CloudWatch does not respond in time.
    pub async fn stuck(&self, now: Timestamp) -> Result<Option<f64>, CloudWatchError> {
        let of = ("Torale/Consumer", "StuckAge");
        let points = self.maxima(of, None, now.plus(-STUCK), now).await?;
        Ok(points.into_iter().filter_map(|point| point.maximum).filter(|age| *age > 0.0).reduce(f64::max))
    }

    /// The maxima of a metric in each minute.
    async fn maxima(
        &self,
        (namespace, name): (&str, &str),
        dimension: Option<Dimension>,
        from: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Datapoint>, CloudWatchError> {
        let call = self.client.get_metric_statistics().namespace(namespace).metric_name(name);
        let call = call.statistics(Statistic::Maximum).set_dimensions(dimension.map(|one| vec![one]));
        let call = call.start_time(time(from)).end_time(time(now)).period(60);
        Ok(call.send().await.map_err(|e| failed(&e))?.datapoints.unwrap_or_default())
    }
}
