//! The backfill: the rows that a snapshot holds become events on the queue, or in the log of an empty installation.
//!
//! An event's id and content follow from its row, so that reading a row again, after a trigger has emitted the same,
//! or in a later backfill, changes no answer.

mod progress;
mod report;
mod sink;

pub use progress::BackfillProgress;
pub use report::{Examples, TableReport};
pub use sink::{BackfillSink, EventSink};

use crate::BackfillError;
use crate::pages::{Complaint, PageEntry, SourceTable, TableSnapshot};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::mpsc;
use torale_domain::events;
use torale_platform::clock::Clock;
use torale_source_outbox::SourceError;
use torale_source_outbox::connect::SourceDatabase;

/// Rows that are read at once.
const PAGE: i32 = 2_000;
/// Pages that are read ahead, so that database and sink work at the same time.
const AHEAD: usize = 2;

/// Counters for a progress bar, and a way to stop after the present page.
#[derive(Debug, Default)]
pub struct BackfillMeter {
    rows: AtomicU64,
    total: AtomicU64,
    stop: AtomicBool,
}

impl BackfillMeter {
    /// Rows done so far, also by an earlier run that is continued.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Rows of all tables; 0 until they are counted.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Asks the backfill to stop after the present page.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// How a backfill ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackfillOutcome {
    /// All rows were read and delivered.
    Finished,
    /// It was stopped; called again with the same progress it continues.
    Stopped,
}

/// Reads all tables and delivers their events. What `progress` says is done is not read again; it is saved after each
/// page that was delivered.
///
/// # Errors
/// If the database or the sink fails. Pages that were delivered stay so.
pub async fn run(
    database: &SourceDatabase,
    sink: &impl EventSink,
    progress: &mut BackfillProgress,
    meter: &BackfillMeter,
    clock: Clock,
) -> Result<BackfillOutcome, BackfillError> {
    let snapshot = TableSnapshot::take(database).await?;
    progress.belong_to(&snapshot.identity().await?)?;
    let tables = snapshot.tables().await?;
    meter.total.store(tables.iter().map(|table| table.rows).sum(), Ordering::Relaxed);
    meter.rows.store(progress.tables().values().map(|table| table.rows).sum(), Ordering::Relaxed);
    for table in &tables {
        let mut report = progress.tables().get(&table.relation).cloned().unwrap_or_default();
        if report.finished {
            continue;
        }
        let (send, pages) = mpsc::channel(AHEAD);
        let reading = read(&snapshot, table, report.after.clone(), send);
        let delivering = async {
            // Owned here, so that the reader ends when nobody receives its pages any more.
            let mut pages = pages;
            while let Some(page) = pages.recv().await {
                deliver(&page, sink, &mut report, clock).await?;
                meter.rows.fetch_add(rows(&page), Ordering::Relaxed);
                progress.save(&table.relation, &report)?;
                if meter.stop.load(Ordering::Relaxed) {
                    return Ok(BackfillOutcome::Stopped);
                }
            }
            Ok::<_, BackfillError>(BackfillOutcome::Finished)
        };
        let (read, outcome) = tokio::join!(reading, delivering);
        let outcome = outcome?;
        if outcome == BackfillOutcome::Stopped {
            return Ok(outcome);
        }
        read?;
        report.finished = true;
        progress.save(&table.relation, &report)?;
    }
    Ok(BackfillOutcome::Finished)
}

async fn read(
    snapshot: &TableSnapshot,
    table: &SourceTable,
    mut after: Option<String>,
    send: mpsc::Sender<Vec<PageEntry>>,
) -> Result<(), SourceError> {
    loop {
        let page = snapshot.page(&table.relation, after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.key.clone());
        if send.send(page).await.is_err() {
            return Ok(());
        }
    }
}

/// Rows of a page: its entries are in the order of their ids.
fn rows(page: &[PageEntry]) -> u64 {
    let rows = page.chunk_by(|a, b| a.key == b.key).count();
    u64::try_from(rows).unwrap_or(u64::MAX)
}

async fn deliver(
    page: &[PageEntry],
    sink: &impl EventSink,
    report: &mut TableReport,
    clock: Clock,
) -> Result<(), BackfillError> {
    let now = clock();
    let mut next = report.clone();
    let mut bodies = Vec::with_capacity(page.len());
    for entry in page {
        match &entry.complaint {
            Some(Complaint::Problem(text)) => next.problems.entry(text.clone()).or_default().add(&entry.key),
            Some(Complaint::Note(text)) => next.notes.entry(text.clone()).or_default().add(&entry.key),
            None => {}
        }
        let Some(body) = &entry.event else { continue };
        match events::parse(body, Some(now)) {
            Ok(received) => bodies.push((body.as_str(), received)),
            Err(reason) => {
                let text = format!("the intake refuses the event: {}", reason.code());
                next.problems.entry(text).or_default().add(&entry.key);
            }
        }
    }
    next.rows += rows(page);
    next.events += u64::try_from(bodies.len()).unwrap_or(u64::MAX);
    next.after = page.last().map(|entry| entry.key.clone());
    sink.deliver(&bodies, now).await?;
    *report = next;
    Ok(())
}
