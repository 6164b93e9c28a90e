//! cargo source: turns the rows of the platform's PostgreSQL into events.

mod arguments;
mod print;

use arguments::{BackfillOptions, ConnectionOptions, RelayOptions, SourceArguments, SourceCommand};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use torale_platform::clock;
use torale_platform::queue::MessageQueue;
use torale_platform::store::Store;
use torale_replay::{Replay, StopSignal};
use torale_source::BackfillError;
use torale_source::backfill::{BackfillMeter, BackfillOutcome, BackfillProgress, BackfillSink};
use torale_source::generation::build_and_promote;
use torale_source_outbox::connect::{ANSWER_TIME, SourceDatabase};
use torale_source_outbox::relay;
use torale_tools::audit::local_store;
use torale_tools::queue::local_queue;
use torale_tools::settle_time;
use torale_tools::terminal::print_failure;

const TICK: Duration = Duration::from_millis(250);
/// The exit status by which shells report an interrupt.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let result = match SourceArguments::parse().command {
        SourceCommand::Backfill(arguments) => backfill(&arguments).await,
        SourceCommand::Relay(arguments) => relay_outbox(&arguments).await,
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            print_failure("cargo source", failure);
            ExitCode::from(2)
        }
    }
}

/// How long a relay that runs once goes on.
const RELAY_TIME: Duration = Duration::from_secs(3600);

async fn relay_outbox(arguments: &RelayOptions) -> Result<u8, BackfillError> {
    let database = database(&arguments.connection)?;
    let queue = queue(arguments.sqs_endpoint.as_deref()).await;
    if let Some(seconds) = arguments.every {
        let each = |result| {
            match result {
                Ok(report) => print::relayed(arguments.json, &report),
                Err(failure) => print_failure("cargo source", failure),
            }
            true
        };
        relay::follow(&database, &queue, Duration::from_secs(seconds), each).await;
    }
    let deadline = Instant::now() + RELAY_TIME;
    let report = relay::run(&database, &queue, deadline, deadline + ANSWER_TIME).await?;
    print::relayed(arguments.json, &report);
    Ok(u8::from(report.troubles > 0))
}

fn database(connection: &ConnectionOptions) -> Result<SourceDatabase, BackfillError> {
    let read = |file: &PathBuf| read_file(&file.display().to_string());
    let certificates = connection.certificates.as_ref().map(read).transpose()?;
    Ok(SourceDatabase::new(&url(connection)?, certificates.as_deref(), &connection.schema)?)
}

async fn queue(local: Option<&str>) -> MessageQueue {
    match local {
        Some(url) => local_queue(url),
        None => MessageQueue::connect().await,
    }
}

async fn backfill(arguments: &BackfillOptions) -> Result<u8, BackfillError> {
    let database = database(&arguments.connection)?;
    let (sink, mut progress) = sink(arguments).await?;
    let (meter, stop) = (Arc::new(BackfillMeter::default()), StopSignal::default());
    listen(Arc::clone(&meter), stop.clone());
    let work = torale_source::backfill::run(&database, &sink, &mut progress, &meter, clock::system);
    let outcome = watch(&meter, arguments.json, work).await?;
    if outcome == BackfillOutcome::Stopped {
        print::interrupted(arguments.json);
        return Ok(INTERRUPTED);
    }
    let mut folded = None;
    if let BackfillSink::Log(replay) = &sink {
        print::building(arguments.json, replay.settle);
        folded = build_and_promote(replay, &mut progress, &stop).await?;
        if folded.is_none() {
            print::interrupted(arguments.json);
            return Ok(INTERRUPTED);
        }
    }
    print::report(arguments, progress.tables(), folded.as_ref());
    let complete = progress.tables().values().all(|table| table.problems.is_empty());
    progress.forget()?;
    Ok(u8::from(!complete))
}

fn url(connection: &ConnectionOptions) -> Result<String, BackfillError> {
    let Some(file) = connection.database_url.strip_prefix('@') else {
        return Ok(connection.database_url.clone());
    };
    Ok(read_file(file)?.trim().to_owned())
}

fn read_file(file: &str) -> Result<String, BackfillError> {
    std::fs::read_to_string(file).map_err(|error| BackfillError::File(file.to_owned(), error))
}

/// Where the events go, and how far an earlier call has come.
async fn sink(arguments: &BackfillOptions) -> Result<(BackfillSink, BackfillProgress), BackfillError> {
    if arguments.dry_run {
        return Ok((BackfillSink::Nowhere, BackfillProgress::unsaved()));
    }
    if !arguments.into_log {
        let queue = queue(arguments.sqs_endpoint.as_deref()).await;
        let progress = BackfillProgress::open(&arguments.progress, &queue.url().await?)?;
        return Ok((BackfillSink::Queue(queue), progress));
    }
    let (store, target) = match &arguments.endpoint {
        Some(url) => (local_store(url), url.as_str()),
        // Which account's, the log itself says.
        None => (Store::connect().await, "the account's log"),
    };
    let settle = settle_time(arguments.settle, arguments.endpoint.is_some());
    let replay = Replay { settle, ..Replay::new(store, clock::system) };
    let progress = BackfillProgress::open(&arguments.progress, target)?;
    Ok((BackfillSink::into_log(replay, &progress).await?, progress))
}

/// Ctrl-C: the first one ends the backfill after the present page, the second one at once.
fn listen(meter: Arc<BackfillMeter>, stop: StopSignal) {
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if stop.is_due() {
                std::process::exit(i32::from(INTERRUPTED));
            }
            meter.stop();
            stop.request();
        }
    });
}

/// Shows rate and time left on standard error, if that is a terminal.
async fn watch<T>(meter: &BackfillMeter, quiet: bool, work: impl Future<Output = T>) -> T {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(0) };
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} rows, {per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    let mut ticks = tokio::time::interval(TICK);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            _ = ticks.tick() => show(&bar, meter.rows(), meter.total()),
        }
    }
}

/// Shows how far it is. What an earlier call has done says nothing about the rate of this one.
fn show(bar: &ProgressBar, rows: u64, total: u64) {
    let is_first = bar.length() == Some(0) && total > 0;
    bar.set_length(total);
    bar.set_position(rows);
    if is_first {
        bar.reset_eta();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::ProgressDrawTarget;

    #[test]
    fn rate_of_a_continued_backfill_leaves_out_what_was_done_before() {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());

        show(&bar, 0, 0);
        show(&bar, 286_000, 1_006_000);
        let at_first = bar.per_sec();
        show(&bar, 288_000, 1_006_000);

        assert!(at_first.abs() < 0.1, "{at_first}");
        assert!(bar.per_sec() > 0.1 && bar.position() == 288_000);
    }
}
