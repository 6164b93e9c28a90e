//! GET /admin/stats/series: what happened in each minute, hour or day of the last hours
//! (docs/contract/http.md, "GET /admin/stats/series").

use super::list_parameters::{average, last_hours};
use crate::projections::index::{Bucket, Measure, Series, Sums};
use crate::requests::parameters::{Integer, ParameterReader, QueryParameters};
use crate::storage::keys::Index;
use crate::storage::read::{ReadPlan, Reader};
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The parameters of the request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SeriesParameters {
    metric: SeriesMetric,
    bucket: SeriesBucket,
    hours: u64,
}

/// What a series counts.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum SeriesMetric {
    /// Executions by the time they began.
    Executions,
    /// Failed executions by the time they failed.
    Errors,
    /// Notifications by the time they were sent.
    Notifications,
    /// Users by the time they were created.
    NewUsers,
    /// Active users by their last login.
    LastLogins,
    /// Workflow runs by the time they began.
    Workflows,
}

/// How long a point of a series lasts.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum SeriesBucket {
    /// A minute; a series reaches back 24 hours at most.
    Minute,
    /// An hour; a series reaches back 744 hours at most.
    Hour,
    /// A day in UTC; a series reaches back 8760 hours at most.
    Day,
}

const METRICS: [(&str, SeriesMetric); 6] = [
    ("executions", SeriesMetric::Executions),
    ("errors", SeriesMetric::Errors),
    ("notifications", SeriesMetric::Notifications),
    ("new_users", SeriesMetric::NewUsers),
    ("last_logins", SeriesMetric::LastLogins),
    ("workflows", SeriesMetric::Workflows),
];
const BUCKETS: [(&str, SeriesBucket); 3] =
    [("minute", SeriesBucket::Minute), ("hour", SeriesBucket::Hour), ("day", SeriesBucket::Day)];
/// The parameter `hours`.
const SERIES_HOURS: Integer = Integer {
    name: "hours",
    about: "How many hours the series reaches back, from the start of that minute (`last_logins`: of that hour): \
            at most 24 by `minute`, 744 by `hour`.",
    min: 1,
    max: 8760,
    default: 24,
};

impl SeriesMetric {
    /// The index whose nodes count it, and the measure that does.
    const fn counted_by(self) -> (Index, Measure) {
        match self {
            Self::Executions => (Index::Executions, Measure::Rows),
            Self::Errors => (Index::Executions, Measure::Error),
            Self::Notifications => (Index::Notifications, Measure::Rows),
            Self::NewUsers => (Index::Users, Measure::Rows),
            Self::LastLogins => (Index::Logins, Measure::Rows),
            Self::Workflows => (Index::Workflows, Measure::Rows),
        }
    }

    /// The start of the window, which is that of the total that the points add up to.
    fn cut(self, now: Timestamp, hours: u64) -> Timestamp {
        let cut = last_hours(now, hours);
        match self {
            Self::LastLogins => cut.floor_to_hour(),
            Self::Executions | Self::Errors | Self::Notifications | Self::NewUsers | Self::Workflows => cut,
        }
    }
}

impl SeriesBucket {
    const fn bucket(self) -> Bucket {
        match self {
            Self::Minute => Bucket::Minute,
            Self::Hour => Bucket::Hour,
            Self::Day => Bucket::Day,
        }
    }

    /// The most hours that a series of such points reaches back.
    const fn most_hours(self) -> u64 {
        match self {
            Self::Minute => 24,
            Self::Hour => 744,
            Self::Day => SERIES_HOURS.max,
        }
    }
}

impl QueryParameters for SeriesParameters {
    fn read(params: &mut ParameterReader) -> Self {
        let metric = params.required_choice("metric", "What is counted.", &METRICS);
        let bucket = params.required_choice("bucket", "How long a point lasts.", &BUCKETS);
        // Without a metric or a bucket there is a fault, and the values do not count.
        let bucket = bucket.unwrap_or(SeriesBucket::Day);
        let hours = params.integer_up_to(&SERIES_HOURS, bucket.most_hours());
        Self { metric: metric.unwrap_or(SeriesMetric::Executions), bucket, hours }
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SeriesPage")]
pub struct SeriesAnswer {
    /// What is counted, as requested.
    pub metric: SeriesMetric,
    /// How long a point lasts, as requested.
    pub bucket: SeriesBucket,
    /// Every bucket of the window, oldest first. The last one holds now, and counts everything later
    /// too.
    pub points: Vec<SeriesPoint>,
}

/// One bucket.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SeriesPoint {
    /// When it begins.
    pub start: Timestamp,
    /// How many there are.
    pub count: i128,
    /// Those of them that failed; only for executions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i128")]
    pub failed: Option<i128>,
    /// The mean duration of those that finished, in milliseconds, 0 if there are none; only for
    /// executions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i128")]
    pub avg_duration_ms: Option<i128>,
}

/// One round trip, however much data there is.
///
/// # Errors
/// If the store does not answer.
pub async fn answer<R: Reader>(
    reader: &R,
    query: &SeriesParameters,
    now: Timestamp,
) -> Result<SeriesAnswer, R::Error> {
    let SeriesParameters { metric, bucket, hours } = *query;
    let ((index, _), cut) = (metric.counted_by(), metric.cut(now, hours));
    let mut series = Series::new(bucket.bucket(), cut, now);
    let nodes = bucket.bucket().ranges(index, reader.lanes(), cut);
    series.add(reader.read(ReadPlan::ranges(nodes)).await?.ranges.iter().flatten());
    let points = series.points().map(|(start, sums)| point(metric, start, sums)).collect();
    Ok(SeriesAnswer { metric, bucket, points })
}

fn point(metric: SeriesMetric, start: Timestamp, sums: &Sums) -> SeriesPoint {
    let (_, measure) = metric.counted_by();
    let (success, failed) = (sums.get(Measure::Success), sums.get(Measure::Failed));
    let average = average(sums.get(Measure::Duration), success + failed);
    let of_executions = matches!(metric, SeriesMetric::Executions);
    SeriesPoint {
        start,
        count: sums.get(measure),
        failed: of_executions.then_some(failed),
        avg_duration_ms: of_executions.then_some(average),
    }
}
