//! Starts everything in order, watches the source, and stops everything again.

use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args::{Ports, RunOptions};
use crate::clock;
use crate::console::Console;
use crate::data::{self, Marker};
use crate::failure::LocalError;
use crate::functions::{self, Addresses, EVENT_SOURCES, EVENTS, EventSource, Fleet, SCHEDULES};
use crate::gateway::{API_TIMEOUT, Gateway, Route};
use crate::invoke::{Called, Invoke};
use crate::load;
use crate::poller::{Batching, InvokeTarget, Poller};
use crate::project::Project;
use crate::queue::{self, LocalQueue, Server};
use crate::runtime::Runtimes;
use crate::send::UndeliverableMessages;
use crate::standins::Standins;
use crate::watch::WatchedSources;
use crate::{seed, store, summary};

/// How long a start that is interrupted may take to clean up.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the stack until `stop` or until a part of it fails; then nothing of it is left.
///
/// # Errors
/// Whatever kept it from starting or going on.
pub async fn run(
    arguments: &RunOptions,
    ports: &Ports,
    console: &Console,
    stop: &CancellationToken,
) -> Result<(), LocalError> {
    let tracker = TaskTracker::new();
    let mut serving = std::pin::pin!(serve(arguments, ports, console, &tracker, stop));
    let result = tokio::select! {
        result = &mut serving => result,
        // What was being started is stopped in order, too.
        () = stop.cancelled() => tokio::time::timeout(GRACE, serving).await.unwrap_or(Ok(())),
    };
    let was_stopped = stop.is_cancelled();
    stop.cancel();
    tracker.close();
    tracker.wait().await;
    // Whatever failed after the user had said stop failed because of it.
    if was_stopped { Ok(()) } else { result }
}

/// The ports, taken before anything else is done.
struct Listeners {
    /// None if the functions are served by somebody else.
    http: Option<TcpListener>,
    dynamodb: TcpListener,
}

impl Listeners {
    async fn bind(arguments: &RunOptions, ports: &Ports) -> Result<Self, LocalError> {
        let http = match arguments.no_functions {
            true => None,
            false => Some(bind(ports.http_port, "the HTTP API", "--http-port").await?),
        };
        let dynamodb = bind(ports.dynamodb_port, "the DynamoDB store", "--dynamodb-port").await?;
        // Another process will listen here: look, and let go.
        drop(bind(ports.sqs_port, "the SQS queue", "--sqs-port").await?);
        Ok(Self { http, dynamodb })
    }
}

/// Looks whether the ports are free, before something long is done.
///
/// # Errors
/// Names the first port that is not.
pub async fn check_ports(arguments: &RunOptions, ports: &Ports) -> Result<(), LocalError> {
    Listeners::bind(arguments, ports).await.map(drop)
}

async fn bind(port: u16, what: &'static str, flag: &'static str) -> Result<TcpListener, LocalError> {
    let bound = TcpListener::bind(("127.0.0.1", port)).await;
    bound.map_err(|source| LocalError::PortTaken { port, what, flag, source })
}

/// What is up and has to be known later.
struct Stack<'a> {
    arguments: &'a RunOptions,
    ports: &'a Ports,
    console: &'a Console,
    tracker: &'a TaskTracker,
    stop: &'a CancellationToken,
    project: Project,
    runtimes: Runtimes,
    gateway: Gateway,
    fleet: Fleet,
}

async fn serve(
    arguments: &RunOptions,
    ports: &Ports,
    console: &Console,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), LocalError> {
    let listeners = Listeners::bind(arguments, ports).await?;
    let project = Project::find().await?;
    let runtimes = Runtimes::default();
    let gateway = Gateway::new(runtimes.clone(), API_TIMEOUT, console.clone());
    let profile = if arguments.release { "fast" } else { "debug" };
    let audit_key = data::audit_key(arguments.data.as_deref(), &project.local())?;
    let standins = Standins::start(console).await?;
    let addresses = Addresses {
        http: ports.http_port,
        sqs: ports.sqs_port,
        dynamodb: ports.dynamodb_port,
        audit_key: audit_key.clone(),
        standins: standins.environment(),
    };
    let fleet = Fleet::new(
        &project.target.join(profile),
        addresses,
        runtimes.clone(),
        console.clone(),
        tracker.clone(),
        stop.clone(),
    );
    let stack = Stack { arguments, ports, console, tracker, stop, project, runtimes, gateway, fleet };

    let mut sources = WatchedSources::look(&stack.project.root);
    let routes = stack.project.routes().await?;
    stack.start_store(listeners.dynamodb).await?;
    queue::install(&stack.project, console, stop).await?;
    if listeners.http.is_some() && !arguments.built {
        stack.build(&routes).await?;
    }
    let mut broken = stack.start_queue().await?;
    match listeners.http {
        Some(http) => {
            stack.start_gateway(http, &routes);
            stack.fleet.replace(&stack.functions(&routes));
        }
        None => stack.wait_for_functions(&audit_key, &standins.environment()).await?,
    }
    let events = stack.start_pollers().await?;
    stack.start_schedules();
    tokio::select! {
        key = stack.fill(&events) => {
            let kept = arguments.data.is_some();
            console.print(&summary::text(ports, &routes, &key?, &audit_key, kept));
        }
        Some(failure) = broken.recv() => return Err(failure),
        () = stop.cancelled() => return Ok(()),
    }
    loop {
        tokio::select! {
            () = sources.changed(), if !arguments.no_functions && !arguments.built => stack.rebuild().await?,
            () = stop.cancelled() => return Ok(()),
            Some(failure) = broken.recv() => return Err(failure),
        }
    }
}

impl Stack<'_> {
    fn functions(&self, routes: &[Route]) -> Vec<functions::Function> {
        let (http, consumers) = (self.arguments.instances.into(), self.arguments.consumers.into());
        functions::named_by(routes, http, consumers)
    }

    async fn build(&self, routes: &[Route]) -> Result<(), LocalError> {
        self.console.note("building the functions");
        functions::build(&self.project, &self.functions(routes), self.arguments.release, self.stop).await
    }

    async fn start_store(&self, listener: TcpListener) -> Result<(), LocalError> {
        let database = store::open(self.arguments.data.as_deref())?;
        let serving = store::serve(listener, database, self.console.clone(), self.stop.clone());
        self.tracker.spawn(serving);
        store::create_tables(&store::client(self.ports.dynamodb_port)).await?;
        Ok(())
    }

    /// Starts the queue's process and holds it until the stack stops; tells when it ends by itself.
    async fn start_queue(&self) -> Result<mpsc::Receiver<LocalError>, LocalError> {
        let mut server = Server::start(&self.project, self.ports.sqs_port, self.stop).await?;
        let (broken, receiver) = mpsc::channel(1);
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                failure = server.ended() => drop(broken.send(failure).await),
                () = stop.cancelled() => {}
            }
            server.stop().await;
        });
        Ok(receiver)
    }

    fn start_gateway(&self, listener: TcpListener, routes: &[Route]) {
        self.gateway.set_routes(routes.to_vec());
        let (gateway, console, stop) = (self.gateway.clone(), self.console.clone(), self.stop.clone());
        self.tracker.spawn(async move {
            tokio::select! {
                served = gateway.serve(listener) => {
                    if let Err(error) = served {
                        console.note(format!("the gateway: {error}"));
                    }
                }
                () = stop.cancelled() => {}
            }
        });
    }

    /// Says how to start the functions and waits until something listens on their port.
    async fn wait_for_functions(
        &self,
        audit_key: &Path,
        standins: &[(&'static str, String)],
    ) -> Result<(), LocalError> {
        self.console.print(&summary::lambda_watch(self.ports, audit_key, standins));
        while tokio::net::TcpStream::connect(("127.0.0.1", self.ports.http_port)).await.is_err() {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                () = self.stop.cancelled() => return Err(LocalError::Stopped),
            }
        }
        Ok(())
    }

    /// Creates the queues and starts what brings their messages to the functions.
    async fn start_pollers(&self) -> Result<LocalQueue, LocalError> {
        let client = queue::client(self.ports.sqs_port);
        for source in EVENT_SOURCES {
            let queue = LocalQueue::create(&client, source).await?;
            for _ in 0..self.arguments.consumers {
                let poller = self.poller(queue.clone(), source);
                let stop = self.stop.clone();
                self.tracker.spawn(async move {
                    tokio::select! {
                        () = poller.run() => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
        }
        LocalQueue::find(&client, EVENTS.queue).await
    }

    fn poller(&self, queue: LocalQueue, source: &'static EventSource) -> Poller<LocalQueue, Invoke> {
        let batching = Batching {
            size: self.arguments.batch_size.min(source.batch_size).into(),
            window: Duration::from_secs(self.arguments.batching_window),
            retry_after: source.retry_after,
        };
        let console = self.console.clone();
        let target = self.way_to(source.into());
        Poller { name: source.queue, source: queue, target, batching, console }
    }

    fn way_to(&self, called: Called) -> Invoke {
        let console = self.console.clone();
        if self.arguments.no_functions {
            Invoke::Elsewhere { port: self.ports.http_port, called, console }
        } else {
            Invoke::Here { runtimes: self.runtimes.clone(), called, console }
        }
    }

    /// Starts what invokes the functions that run on a schedule.
    fn start_schedules(&self) {
        for schedule in SCHEDULES {
            let (way, stop) = (self.way_to(schedule.into()), self.stop.clone());
            self.tracker.spawn(async move {
                while stop.run_until_cancelled(tokio::time::sleep(schedule.every)).await.is_some() {
                    // A failure is on the console; the next turn does what this one could not.
                    drop(stop.run_until_cancelled(way.invoke(Bytes::from_static(b"{}"))).await);
                }
            });
        }
    }

    /// Sends the admin, its key and the history through the queue. Answers the key.
    async fn fill(&self, events: &LocalQueue) -> Result<String, LocalError> {
        let folder = self.arguments.data.as_deref();
        let key = data::admin_key(self.arguments.admin_key.as_deref(), folder)?;
        load::send_and_wait(events, &seed::admin(&key), "adding the admin", self.console).await?;
        let marker = folder.map(Marker::new);
        if !self.arguments.empty && !marker.as_ref().is_some_and(Marker::is_done) {
            let now = clock::now();
            let day =
                marker.as_ref().map_or(Ok(now.date_naive()), |marker| marker.begin(now.date_naive()))?;
            let history = seed::history(&seed::SeedPlan {
                seed: self.arguments.seed,
                day,
                until: now,
                days: self.arguments.days,
                executions: self.arguments.executions,
            });
            self.console.note(format!(
                "seeding {} days of history: {} events",
                self.arguments.days,
                history.len()
            ));
            load::send_and_wait(events, &history, "seeding", self.console).await?;
            marker.map_or(Ok(()), |marker| marker.end())?;
        }
        UndeliverableMessages::count(self.ports).await?.report(self.console);
        Ok(key)
    }

    /// Builds what changed and swaps the processes; if it does not build, the old ones go on.
    async fn rebuild(&self) -> Result<(), LocalError> {
        let next = match self.project.routes().await {
            Ok(next) => next,
            Err(error) => {
                self.console.note(error.to_string());
                return Ok(());
            }
        };
        match self.build(&next).await {
            Ok(()) => {
                self.fleet.replace(&self.functions(&next));
                self.gateway.set_routes(next);
                self.console.note("the functions are up to date");
                Ok(())
            }
            Err(LocalError::Stopped) => Err(LocalError::Stopped),
            Err(error) => {
                self.console.note(format!("{error}; the former ones keep serving"));
                Ok(())
            }
        }
    }
}
