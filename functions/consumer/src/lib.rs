//! The consumer of `torale-events`: every message into the log and the projections, or set aside.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use lambda_runtime::LambdaEvent;
use tokio::time::{Duration, Instant};
use torale_platform::clock;
use torale_platform::consume::{Consumer, Message};
use torale_platform::store::Usage;

/// Without a deadline that lies ahead (`cargo lambda watch` tells a constant one) a batch gets this long.
const DEFAULT_TIME: Duration = Duration::from_secs(25);

/// Takes in one batch; answers with the messages that must come again.
pub async fn handle(consumer: &Consumer, event: LambdaEvent<SqsEvent>) -> SqsBatchResponse {
    let started = Instant::now();
    let left = i64::try_from(event.context.deadline).unwrap_or(0) - clock::system().millis();
    let left = u64::try_from(left).ok().filter(|left| *left > 0).map_or(DEFAULT_TIME, Duration::from_millis);
    let records = event.payload.records.into_iter();
    let messages: Vec<Message> = records
        .map(|record| Message {
            id: record.message_id.unwrap_or_default(),
            body: record.body.unwrap_or_default(),
        })
        .collect();
    let usage = Usage::default();
    let outcome = consumer.consume(&messages, started + left, &usage).await;
    tracing::info!(
        messages = messages.len(),
        failed = outcome.failed.len(),
        without_effect = outcome.without_effect,
        transactions = outcome.transactions,
        lost_races = outcome.lost_races,
        events = ?outcome.events,
        set_aside = ?outcome.set_aside,
        write_units = usage.write_units(),
        read_units = usage.read_units(),
        batch_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "batch"
    );
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = outcome.failed.into_iter().map(failure).collect();
    response
}

fn failure(id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = id;
    failure
}
