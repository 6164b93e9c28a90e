//! The consumer of `torale-events`: writes every message to the event log and the projections, or to the quarantine.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::LambdaEvent;
use std::collections::BTreeSet;
use tokio::time::Instant;
use torale_domain::values::time::Timestamp;
use torale_platform::consume::{BatchOutcome, Consumer};
use torale_platform::metrics::{self, MetricSet};
use torale_platform::sqs::{self, QueueMessage};
use torale_platform::store::Usage;

/// Consumes one batch. The response names the messages that must come again.
pub async fn handle(consumer: &Consumer, event: LambdaEvent<SqsEvent>) -> SqsBatchResponse {
    let started = Instant::now();
    let left = sqs::time_left(event.context.deadline);
    let messages = sqs::messages(event.payload);
    let usage = Usage::default();
    let outcome = consumer.consume(&messages, started + left, &usage).await;
    let batch_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let now = consumer.now();
    metrics::emit(&counters(&outcome, &messages, batch_ms, now), now);
    tracing::info!(
        messages = messages.len(),
        failed = outcome.failed.len(),
        without_effect = outcome.without_effect,
        transactions = outcome.transactions,
        lost_races = outcome.lost_races,
        late_orders = outcome.late_entries,
        events = ?outcome.events,
        quarantined = ?outcome.quarantined,
        write_units = usage.write_units(),
        read_units = usage.read_units(),
        traces = Vec::from_iter(outcome.traces.iter().map(String::as_str)).join(","),
        batch_ms,
        "batch"
    );
    sqs::return_to_queue(outcome.failed)
}

/// The metrics of a batch. `Torale/Events` has one for each event type.
pub fn counters(
    outcome: &BatchOutcome,
    messages: &[QueueMessage],
    batch_ms: u64,
    now: Timestamp,
) -> [MetricSet; 2] {
    let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
    let counted = [
        ("Messages", number(messages.len())),
        ("HandedBack", number(outcome.failed.len())),
        ("SetAside", outcome.quarantined.values().sum()),
        // Events that changed nothing: they had been folded before, or later ones had.
        ("Duplicates", outcome.without_effect),
        // Transactions that lost a race against another consumer and were planned again.
        ("Conflicts", outcome.lost_races),
        ("Transactions", outcome.transactions),
    ];
    let counted = counted.map(|(name, count)| (name, "Count", count)).into_iter();
    let failed: BTreeSet<&String> = outcome.failed.iter().collect();
    let returned = messages.iter().filter(|message| failed.contains(&message.id));
    let age = ("StuckAge", "Seconds", sqs::stuck(returned, now));
    let metrics = counted.chain([age, ("BatchTime", "Milliseconds", batch_ms)]).collect();
    let events = outcome.events.iter().map(|(kind, count)| (*kind, "Count", *count)).collect();
    [
        MetricSet { namespace: "Torale/Consumer", metrics },
        MetricSet { namespace: "Torale/Events", metrics: events },
    ]
}
