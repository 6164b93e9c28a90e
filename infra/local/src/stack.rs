//! Starts everything in order, rebuilds the functions when their source changes, and stops
//! everything again.
//!
//! | file | what lives there |
//! |---|---|
//! | this one | the order of the start |
//! | `listeners` | the ports |
//! | `parts` | how each part is started |
//! | `platform` | the simulated platform: what of it runs on a schedule, and its commands |
//! | `watch` | notices changes of the source |
//! | `summary` | the text that ends the start: addresses, key, commands to try |
//!
//! Uses all other folders; none uses this one.

mod listeners;
mod parts;
mod platform;
mod summary;
mod watch;

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args::{Ports, RunOptions};
use crate::console::Console;
use crate::data::folder::{self, FolderHistory, HistoryWork};
use crate::error::LocalError;
use crate::event_sources::EVENTS;
use crate::functions::environment::Addresses;
use crate::functions::fleet::Fleet;
use crate::functions::runtime::Runtimes;
use crate::gateway::{API_TIMEOUT, Gateway};
use crate::project::Project;
use crate::queue::{client, server};
use crate::standins::Standins;
use crate::threads::ServerThreads;
use listeners::Listeners;
use parts::StackParts;
use platform::PlatformParts;
use watch::WatchedSources;

/// How long a start that is interrupted may take to clean up.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the stack until `stop` or until a part of it fails; then nothing of it is left.
///
/// # Errors
/// Whatever kept it from starting or going on.
pub async fn run(
    arguments: &RunOptions,
    ports: &Ports,
    threads: &ServerThreads,
    console: &Console,
    stop: &CancellationToken,
) -> Result<(), LocalError> {
    let tracker = TaskTracker::new();
    let context = StackContext { arguments, ports, threads, console, tracker: &tracker, stop };
    let mut serving = std::pin::pin!(serve(context));
    let result = tokio::select! {
        result = &mut serving => result,
        // Parts that are just being started are stopped in order, too.
        () = stop.cancelled() => tokio::time::timeout(GRACE, serving).await.unwrap_or(Ok(())),
    };
    let was_stopped = stop.is_cancelled();
    stop.cancel();
    tracker.close();
    tracker.wait().await;
    // An error after the user's stop is a consequence of it.
    if was_stopped { Ok(()) } else { result }
}

/// What every part is started with.
#[derive(Clone, Copy)]
struct StackContext<'a> {
    arguments: &'a RunOptions,
    ports: &'a Ports,
    threads: &'a ServerThreads,
    console: &'a Console,
    /// Waits for every task when the stack stops.
    tracker: &'a TaskTracker,
    stop: &'a CancellationToken,
}

async fn serve(context: StackContext<'_>) -> Result<(), LocalError> {
    let StackContext { arguments, ports, threads, console, stop, .. } = context;
    let listeners = Listeners::bind(arguments, ports, threads)?;
    let history = match &arguments.data {
        Some(folder) => FolderHistory::new(folder).prepare(arguments.wanted_history())?,
        None => HistoryWork::Make,
    };
    let project = Project::find().await?;
    let audit_key = folder::audit_key(arguments.data.as_deref(), &project.stack_files())?;
    let standins = Standins::start(console).await?;
    let (failures, mut failure) = mpsc::channel(1);
    let parts = prepare(context, project, &audit_key, &standins, failures).await?;

    let mut sources = rebuilds(arguments).then(|| WatchedSources::watch(&parts.project.root)).transpose()?;
    tokio::select! {
        text = start(context, &parts, listeners, history, (&audit_key, &standins)) => console.print(&text?),
        // A part that ends while another one is started, as functions are that are being built.
        Some(error) = failure.recv() => return Err(error),
    }
    loop {
        tokio::select! {
            () = changed(sources.as_mut()) => parts.rebuild().await?,
            () = stop.cancelled() => return Ok(()),
            Some(error) = failure.recv() => return Err(error),
        }
    }
}

/// Whether the functions are built, again after each change of the source.
fn rebuilds(arguments: &RunOptions) -> bool {
    !arguments.no_functions && !arguments.built
}

/// Starts all parts and seeds them. Returns what there is to say about it.
async fn start(
    context: StackContext<'_>,
    parts: &StackParts<'_>,
    listeners: Listeners,
    history: HistoryWork,
    (audit_key, standins): (&Path, &Standins),
) -> Result<String, LocalError> {
    let StackContext { arguments, ports, console, stop, .. } = context;
    let routes = parts.project.routes().await?;
    let database = parts.start_store(listeners.dynamodb).await?;
    let is_tail_projected = parts.fold_log_tail().await?;
    server::install(&parts.project, console, stop).await?;
    if rebuilds(arguments) {
        parts.build(&routes).await?;
    }
    tokio::select! {
        made = parts.make_history(database, history) => made?,
        () = stop.cancelled() => return Err(LocalError::Stopped),
    }
    parts.start_queue().await?;
    match listeners.http {
        Some(http) => {
            parts.start_gateway(http, &routes);
            parts.fleet.replace(&parts.functions(&routes));
        }
        None => parts.wait_for_lambda_watch(audit_key, &standins.environment()).await?,
    }
    let events = parts.start_pollers().await?;
    parts.start_schedules();
    let key = tokio::select! {
        key = parts.seed(&events, is_tail_projected) => key?,
        () = stop.cancelled() => return Err(LocalError::Stopped),
    };
    let servers = summary::platform(parts.platform.as_ref().map_or(&[], |it| &it.variables));
    Ok(summary::text(arguments, ports, &routes, &key, audit_key) + &servers)
}

/// The parts that run in this process, and the simulated platform: it comes before all that takes long, since it may
/// lack something.
async fn prepare<'a>(
    context: StackContext<'a>,
    project: Project,
    audit_key: &Path,
    standins: &Standins,
    failures: mpsc::Sender<LocalError>,
) -> Result<StackParts<'a>, LocalError> {
    let StackContext { arguments, ports, threads, console, tracker, stop } = context;
    let runtimes = Runtimes::default();
    let gateway = Gateway::new(runtimes.clone(), API_TIMEOUT, console.clone());
    let gateway = match &arguments.stage {
        Some(name) => gateway.with_stage(name),
        None => gateway,
    };
    let binaries = project.target.join(torale_launcher::build_folder(arguments.release));
    let platform = match arguments.platform {
        true => Some(PlatformParts::start(context, &binaries, &failures).await?),
        false => None,
    };
    let addresses = Addresses {
        http: ports.http_port,
        sqs: ports.sqs_port,
        dynamodb: ports.dynamodb_port,
        events_queue_url: client::url(ports.sqs_port, EVENTS.queue),
        audit_key: audit_key.to_owned(),
        standins: standins.environment(),
        platform: platform.as_ref().map(|platform| platform.variables.clone()).unwrap_or_default(),
    };
    let fleet =
        Fleet::new(&binaries, addresses, runtimes.clone(), console.clone(), tracker.clone(), stop.clone());
    Ok(StackParts {
        arguments,
        ports,
        threads,
        console,
        tracker,
        stop,
        project,
        runtimes,
        gateway,
        fleet,
        platform,
        failures,
    })
}

/// Waits for a change of the watched sources; for ever if none are watched.
async fn changed(sources: Option<&mut WatchedSources>) {
    match sources {
        Some(sources) => drop(sources.changed().await),
        None => std::future::pending().await,
    }
}
