//! How each part of the stack is started, seeded and rebuilt.

use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::platform::PlatformParts;
use super::summary;
use crate::args::{Ports, RunOptions};
use crate::clock;
use crate::console::Console;
use crate::data::folder::{self, FolderHistory, HistoryWork, SeedProgress};
use crate::data::history::HistoryStore;
use crate::data::log_tail::{self, ProjectedUntil};
use crate::data::seed::{SeedCounts, SeedOptions, SeedPlan};
use crate::data::send::UndeliverableMessages;
use crate::data::{load, seed};
use crate::error::LocalError;
use crate::event_sources::{
    EVENT_SOURCES, EVENTS, EventSource, PLATFORM_COMMANDS, SCHEDULES, ScheduledFunction,
};
use crate::functions::build::{self, FunctionInstances};
use crate::functions::fleet::Fleet;
use crate::functions::invoke::{InvokeFunction, Invoker, TimeLimits};
use crate::functions::runtime::Runtimes;
use crate::gateway::Gateway;
use crate::project::{Project, Route};
use crate::queue::client::{self, LocalQueue};
use crate::queue::poller::{Batching, Poller};
use crate::queue::server::QueueServer;
use crate::store::{self, Database};
use crate::threads::ServerThreads;
use torale_platform::clock::system;
use torale_platform::store::Store;

/// More executions in a history than that take minutes without optimisation.
const MANY_EXECUTIONS: u32 = 20_000;

/// The parts of the stack, and what starting one of them needs.
pub(super) struct StackParts<'a> {
    pub(super) arguments: &'a RunOptions,
    pub(super) ports: &'a Ports,
    pub(super) threads: &'a ServerThreads,
    pub(super) console: &'a Console,
    /// Waits for every task when the stack stops.
    pub(super) tracker: &'a TaskTracker,
    pub(super) stop: &'a CancellationToken,
    pub(super) project: Project,
    pub(super) runtimes: Runtimes,
    pub(super) gateway: Gateway,
    pub(super) fleet: Fleet,
    /// The simulated platform, with `--platform`.
    pub(super) platform: Option<PlatformParts>,
    /// Reports that a part has ended by itself.
    pub(super) failures: mpsc::Sender<LocalError>,
}

impl StackParts<'_> {
    /// The functions of these routes, and the others.
    pub(super) fn functions(&self, routes: &[Route]) -> Vec<FunctionInstances> {
        let (http, consumers) = (self.arguments.instances.into(), self.arguments.consumers.into());
        build::all_functions(routes, &self.schedules(), http, consumers)
    }

    /// What is invoked on a schedule.
    fn schedules(&self) -> Vec<ScheduledFunction> {
        let of_platform = self.platform.as_ref().map_or(&[][..], |platform| &platform.schedules);
        [SCHEDULES, of_platform].concat()
    }

    /// Builds the functions' binaries.
    pub(super) async fn build(&self, routes: &[Route]) -> Result<(), LocalError> {
        self.console.note("building the functions");
        build::build(&self.project, &self.functions(routes), self.arguments.release, self.stop).await
    }

    /// Starts the store and creates its tables.
    pub(super) async fn start_store(&self, listener: TcpListener) -> Result<Database, LocalError> {
        let database = store::open(self.arguments.data.as_deref())?;
        let serving = store::serve(listener, database.clone(), self.console.clone(), self.stop.clone());
        self.tracker.spawn_on(serving, self.threads.store());
        store::create_tables(&store::client(self.ports.dynamodb_port)).await?;
        Ok(database)
    }

    /// Makes the history of `--history`, unless the folder of `--data` has kept it. Nothing else may write meanwhile.
    pub(super) async fn make_history(&self, database: Database, work: HistoryWork) -> Result<(), LocalError> {
        let Some(wanted) = self.arguments.wanted_history() else { return Ok(()) };
        let SeedOptions { seed, days, executions } = wanted;
        if work == HistoryWork::Kept {
            self.console
                .note(format!("the folder holds the history of {executions} executions, seed {seed}"));
            return Ok(());
        }
        self.console.note(format!("making a history of {executions} executions in {days} days, seed {seed}"));
        if cfg!(debug_assertions) && executions > MANY_EXECUTIONS {
            self.console.note("this takes long; an optimised build (--release) is some ten times as fast");
        }
        let store = Store::new(store::client_config(self.ports.dynamodb_port));
        let place = HistoryStore { store, database, clock: system };
        let made = place.make(SeedPlan::until(clock::now(), wanted), self.console).await?;
        if let Some(folder) = self.arguments.data.as_deref() {
            ProjectedUntil::new(folder).record_at_rest()?;
            FolderHistory::new(folder).finish()?;
        }
        let SeedCounts { users, tasks, executions } = made.counts;
        self.console.note(format!(
            "made {users} users, {tasks} tasks, {executions} executions: {} events, of seed {seed}; the log took {:.1} s, \
             the projections {:.1} s",
            made.events,
            made.log.as_secs_f64(),
            made.build.as_secs_f64()
        ));
        Ok(())
    }

    /// Projects the events that an earlier run received before it was killed. Returns whether all of them are
    /// projected.
    pub(super) async fn fold_log_tail(&self) -> Result<bool, LocalError> {
        let Some(folder) = self.arguments.data.as_deref() else { return Ok(true) };
        let store = Store::new(store::client_config(self.ports.dynamodb_port));
        let report = log_tail::fold(store, &ProjectedUntil::new(folder)).await?;
        if report.events > 0 {
            self.console.note(format!("projected the tail of the log: {} events", report.events));
        }
        if report.failed > 0 {
            let failed = report.failed;
            self.console
                .note(format!("of these, up to {failed} could not be projected; the next start tries again"));
        }
        Ok(report.failed == 0)
    }

    /// Starts the queue's process, which ends with the stack.
    pub(super) async fn start_queue(&self) -> Result<(), LocalError> {
        let mut server = QueueServer::start(&self.project, self.ports.sqs_port, self.stop).await?;
        let (failures, stop) = (self.failures.clone(), self.stop.clone());
        self.tracker.spawn(async move {
            tokio::select! {
                error = server.ended() => drop(failures.send(error).await),
                () = stop.cancelled() => {}
            }
            server.stop().await;
        });
        Ok(())
    }

    /// Starts the gateway.
    pub(super) fn start_gateway(&self, listener: TcpListener, routes: &[Route]) {
        self.gateway.set_routes(routes.to_vec());
        let (gateway, console, stop) = (self.gateway.clone(), self.console.clone(), self.stop.clone());
        let serving = async move {
            tokio::select! {
                served = gateway.serve(listener) => {
                    if let Err(error) = served {
                        console.note(format!("the gateway: {error}"));
                    }
                }
                () = stop.cancelled() => {}
            }
        };
        self.tracker.spawn_on(serving, self.threads.gateway());
    }

    /// Prints how to start `cargo lambda watch` and waits until something listens on its port.
    pub(super) async fn wait_for_lambda_watch(
        &self,
        audit_key: &Path,
        standins: &[(&'static str, String)],
    ) -> Result<(), LocalError> {
        self.console.print(&summary::lambda_watch(self.ports, audit_key, standins));
        while TcpStream::connect(("127.0.0.1", self.ports.http_port)).await.is_err() {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                () = self.stop.cancelled() => return Err(LocalError::Stopped),
            }
        }
        Ok(())
    }

    /// Creates the queues and starts their pollers. Returns the queue of events.
    pub(super) async fn start_pollers(&self) -> Result<LocalQueue, LocalError> {
        let client = client::connect(self.ports.sqs_port);
        for source in EVENT_SOURCES {
            let queue = LocalQueue::create(&client, source).await?;
            for _ in 0..self.arguments.consumers {
                self.spawn_poller(queue.clone(), source, self.invoker(source.into()));
            }
        }
        if let Some(platform) = &self.platform {
            let queue = LocalQueue::create(&client, &PLATFORM_COMMANDS).await?;
            self.spawn_poller(queue, &PLATFORM_COMMANDS, platform.commands.clone());
        }
        LocalQueue::find(&client, EVENTS.queue).await
    }

    /// Hands the messages of a queue to a target until the stack stops.
    fn spawn_poller(&self, queue: LocalQueue, source: &EventSource, target: impl InvokeFunction + 'static) {
        let batching = Batching {
            size: self.arguments.batch_size.min(source.batch_size).into(),
            window: Duration::from_secs(self.arguments.batching_window),
            retry_after: source.retry_after,
        };
        let (console, stop) = (self.console.clone(), self.stop.clone());
        let poller = Poller { name: source.queue, source: queue, target, batching, console };
        self.tracker.spawn(async move {
            tokio::select! {
                () = poller.run() => {}
                () = stop.cancelled() => {}
            }
        });
    }

    fn invoker(&self, target: TimeLimits) -> Invoker {
        let console = self.console.clone();
        if self.arguments.no_functions {
            Invoker::LambdaWatch { port: self.ports.http_port, target, console }
        } else {
            Invoker::Own { runtimes: self.runtimes.clone(), target, console }
        }
    }

    /// Starts invoking the functions that run on a schedule.
    pub(super) fn start_schedules(&self) {
        for schedule in &self.schedules() {
            let (invoker, stop, every) = (self.invoker(schedule.into()), self.stop.clone(), schedule.every);
            self.tracker.spawn(async move {
                while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
                    // A failure is on the console; the next run makes up for it.
                    drop(stop.run_until_cancelled(invoker.invoke(Bytes::from_static(b"{}"))).await);
                }
            });
        }
    }

    /// Sends the admin, their key and the history through the queue. Returns the key.
    pub(super) async fn seed(
        &self,
        events: &LocalQueue,
        is_tail_projected: bool,
    ) -> Result<String, LocalError> {
        let data = self.arguments.data.as_deref();
        let key = folder::admin_key(self.arguments.admin_key.as_deref(), data)?;
        load::send_and_wait(events, &seed::admin(&key), "adding the admin", self.console).await?;
        let progress = data.map(SeedProgress::new);
        let RunOptions { empty, platform, history, .. } = self.arguments;
        let is_seeded = !empty && !platform && history.is_none();
        if is_seeded && !progress.as_ref().is_some_and(SeedProgress::is_finished) {
            self.seed_history(events, progress.as_ref()).await?;
        }
        let undeliverable = UndeliverableMessages::count(self.ports).await?;
        undeliverable.report(self.console);
        // The queue is empty now: each message is projected, quarantined or a dead letter.
        if let (Some(folder), 0, true) = (data, undeliverable.dead_letters, is_tail_projected) {
            ProjectedUntil::new(folder).record()?;
        }
        Ok(key)
    }

    async fn seed_history(
        &self,
        events: &LocalQueue,
        progress: Option<&SeedProgress>,
    ) -> Result<(), LocalError> {
        let now = clock::now();
        let today = now.date_naive();
        let day = progress.map_or(Ok(today), |progress| progress.begin(today))?;
        let &RunOptions { seed, days, executions, .. } = self.arguments;
        let history = seed::history(SeedPlan::of_day(day, now, SeedOptions { seed, days, executions }));
        let count = history.len();
        self.console.note(format!("seeding {days} days of history: {count} events"));
        load::send_and_wait(events, &history, "seeding", self.console).await?;
        progress.map_or(Ok(()), SeedProgress::finish)
    }

    /// Builds the changed functions and replaces their processes. If they do not compile, the old
    /// ones go on.
    pub(super) async fn rebuild(&self) -> Result<(), LocalError> {
        let routes = match self.project.routes().await {
            Ok(routes) => routes,
            Err(error) => {
                self.console.note(error.to_string());
                return Ok(());
            }
        };
        match self.build(&routes).await {
            Ok(()) => {
                self.fleet.replace(&self.functions(&routes));
                self.gateway.set_routes(routes);
                self.console.note("the functions are up to date");
                Ok(())
            }
            Err(LocalError::Stopped) => Err(LocalError::Stopped),
            Err(error) => {
                self.console.note(format!("{error}; the previous build keeps running"));
                Ok(())
            }
        }
    }
}
