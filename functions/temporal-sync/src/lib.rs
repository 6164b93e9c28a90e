//! The sync of the platform's Temporal: every minute its runs and schedules become events on the event queue
//! (`docs/adr/0026-events-from-temporal.md`).

use tokio::time::Instant;
use torale_platform::metrics::{self, MetricSet};
use torale_platform::store::Usage;
use torale_temporal::reads::ReadTemporal;
use torale_temporal::sync::{SyncError, SyncReport, TemporalSync};

/// Runs the sync: schedules until `half`, runs until `deadline`; and emits metrics of what it did and left.
///
/// # Errors
/// If Temporal, the store or the queue fails. The next run goes on where this one ended.
pub async fn handle<R: ReadTemporal>(
    sync: &TemporalSync<R>,
    half: Instant,
    deadline: Instant,
) -> Result<SyncReport, SyncError> {
    let usage = Usage::default();
    let report = sync.run(half, deadline, &usage).await?;
    metrics::emit(&[counters(&report)], (sync.clock)());
    let (read_units, write_units) = (usage.read_units(), usage.write_units());
    tracing::info!(?report, read_units, write_units, "synced");
    Ok(report)
}

/// The metrics of a run. A run that fails emits none, so that the lag's alarm takes their absence for a lag.
pub fn counters(report: &SyncReport) -> MetricSet {
    let troubles = report.invalid + report.recreated + report.unproven + report.undescribed;
    let metrics = vec![
        ("TemporalEvents", "Count", report.sent),
        ("TemporalLag", "Milliseconds", report.lag_ms),
        ("TemporalPending", "Count", report.pending),
        ("TemporalWithoutTask", "Count", report.without_task),
        ("TemporalTroubles", "Count", troubles),
    ];
    MetricSet { namespace: "Torale/Temporal", metrics }
}
