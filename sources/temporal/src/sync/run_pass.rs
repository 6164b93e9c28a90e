//! Runs: window after window of time, from where the last run of the sync ended.

use super::{SyncError, SyncMemory, SyncReport, TemporalSync, count, id_of};
use crate::reads::ReadTemporal;
use crate::runs::{RunWindow, run_events};
use std::collections::HashSet;
use tokio::time::Instant;
use torale_domain::values::time::{DAY, MINUTE, Timestamp};
use torale_platform::store::Usage;
use torale_platform::store::temporal::TemporalSyncState;

/// Temporal's index of runs is behind, by seconds mostly: what is younger than this is looked for again.
const OVERLAP: i64 = 5 * MINUTE;
/// Runs that are read in one window, at most; a shorter window is taken if there are more.
const MANY: u64 = 5_000;
/// A window with fewer runs is followed by one that is twice as long.
const FEW: u64 = 1_000;
/// The shortest window, and the longest.
const SHORTEST: i64 = MINUTE;
const LONGEST: i64 = 366 * DAY;

impl<R: ReadTemporal> TemporalSync<R> {
    /// Reads windows until there is none left or the deadline has passed. What was read is noted window by window.
    pub(super) async fn sync_runs(
        &self,
        memory: &mut SyncMemory,
        state: &mut TemporalSyncState,
        deadline: Instant,
        usage: &Usage,
        report: &mut SyncReport,
    ) -> Result<(), SyncError> {
        let now = (self.clock)();
        report.lag_ms = lag(state.until, now);
        let (mut from, settled) = (state.until, now.plus(-OVERLAP));
        let mut found_again = HashSet::new();
        while from < now && Instant::now() < deadline {
            let window = RunWindow { from, to: from.plus(state.window).min(now) };
            let runs = self.temporal.count(&window.query()).await?;
            if runs > MANY && state.window > SHORTEST {
                state.window = (state.window / 2).max(SHORTEST);
                continue;
            }
            let sent = self.send_window(&window, &memory.sent, report).await?;
            // Only what the next run finds again, in its overlap, is worth remembering.
            found_again.extend(sent);
            if runs < FEW && window.to < now {
                state.window = state.window.saturating_mul(2).min(LONGEST);
                found_again.clear();
            }
            (from, state.until) = (window.to, window.to.min(settled).max(state.until));
            report.lag_ms = lag(from, now);
            self.store.save_temporal_sync(&self.source, state, usage).await?;
        }
        if from >= now {
            memory.sent = found_again;
        }
        Ok(())
    }

    /// Sends the events of all runs of a window but those that were sent before; returns the ids of all.
    async fn send_window(
        &self,
        window: &RunWindow,
        before: &HashSet<String>,
        report: &mut SyncReport,
    ) -> Result<HashSet<String>, SyncError> {
        let (mut ids, mut token) = (HashSet::new(), Vec::new());
        loop {
            let page = self.temporal.runs(&window.query(), token).await?;
            let found: Vec<_> = page.rows.iter().map(|run| run_events(run, window, &self.tasks)).collect();
            report.without_task += count(found.iter().filter(|events| events.is_none()).count());
            let mut events: Vec<String> = found.into_iter().flatten().flatten().collect();
            events.retain(|event| {
                let id = id_of(event).unwrap_or_default();
                let is_new = !before.contains(&id);
                ids.insert(id);
                is_new
            });
            self.send(events, report).await?;
            token = page.next;
            if token.is_empty() {
                return Ok(ids);
            }
        }
    }
}

fn lag(until: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.millis() - until.millis()).unwrap_or(0)
}
