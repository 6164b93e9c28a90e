//! The consumer of `torale-events`: every message into the log and the projections, or set aside.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::LambdaEvent;
use tokio::time::Instant;
use torale_platform::batch;
use torale_platform::consume::Consumer;
use torale_platform::store::Usage;

/// Takes in one batch; answers with the messages that must come again.
pub async fn handle(consumer: &Consumer, event: LambdaEvent<SqsEvent>) -> SqsBatchResponse {
    let started = Instant::now();
    let left = batch::time_left(event.context.deadline);
    let messages = batch::messages(event.payload);
    let usage = Usage::default();
    let outcome = consumer.consume(&messages, started + left, &usage).await;
    tracing::info!(
        messages = messages.len(),
        failed = outcome.failed.len(),
        without_effect = outcome.without_effect,
        transactions = outcome.transactions,
        lost_races = outcome.lost_races,
        late_orders = outcome.late_orders,
        events = ?outcome.events,
        set_aside = ?outcome.set_aside,
        write_units = usage.write_units(),
        read_units = usage.read_units(),
        batch_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "batch"
    );
    batch::hand_back(outcome.failed)
}
