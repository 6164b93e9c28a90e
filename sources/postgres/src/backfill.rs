//! The backfill: the rows that a snapshot holds become events on the queue, or in the log of an empty installation.
//!
//! An event's id and content follow from its row, so that reading a row again, after a trigger has emitted the same,
//! or in a later backfill, changes no answer.

mod progress;
mod sink;

pub use progress::Progress;
pub use sink::{EventSink, Sink};

use crate::SourceError;
use crate::connect::Database;
use crate::pages::{Complaint, PageEntry, Snapshot, SourceTable};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::mpsc;
use torale_domain::events;
use torale_platform::clock::Clock;

/// Rows that are read at once.
const PAGE: i32 = 2_000;
/// Pages that are read ahead, so that database and sink work at the same time.
const AHEAD: usize = 2;
/// Keys of rows that are named for each complaint.
const EXAMPLES: usize = 5;

/// Counters for a progress bar, and a way to stop after the present page.
#[derive(Debug, Default)]
pub struct Meter {
    rows: AtomicU64,
    total: AtomicU64,
    stop: AtomicBool,
}

impl Meter {
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

/// What was read of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct TableReport {
    /// Rows that were read.
    pub rows: u64,
    /// Events that they became.
    pub events: u64,
    /// Rows of which no event can say something, by reason.
    pub problems: BTreeMap<String, Examples>,
    /// Rows whose events say something in part only, by reason.
    pub notes: BTreeMap<String, Examples>,
    /// The id of the last row that was read.
    pub after: Option<String>,
    /// Whether all rows were read.
    pub finished: bool,
}

/// Some rows that have something in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Examples {
    /// How many there are.
    pub count: u64,
    /// The ids of the first of them.
    pub ids: Vec<String>,
}

impl Examples {
    fn add(&mut self, id: &str) {
        self.count += 1;
        if self.ids.len() < EXAMPLES {
            self.ids.push(id.to_owned());
        }
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
    database: &Database,
    sink: &impl EventSink,
    progress: &mut Progress,
    meter: &Meter,
    clock: Clock,
) -> Result<BackfillOutcome, SourceError> {
    let snapshot = Snapshot::take(database).await?;
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
            Ok::<_, SourceError>(BackfillOutcome::Finished)
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
    snapshot: &Snapshot,
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
) -> Result<(), SourceError> {
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
