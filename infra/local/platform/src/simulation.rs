//! The platform at work: schedules start searches, searches become rows, and now and then a user changes something.

use crate::SimulationError;
use crate::postgres::PostgresServer;
use crate::schedules;
use crate::searches::{PlatformDatabase, PlatformTask, SearchOutcome};
use crate::temporal::TemporalServer;
use crate::worker::{self, WaitingRun};
use std::convert::Infallible;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::schedule::v1::ScheduleSpec;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use torale_domain::deactivation::commands::{Command, InvalidCommand, ReceivedCommand, SchedulePattern};
use torale_platform::{clock, config};
use torale_temporal::connection::{TemporalConnection, TemporalError};

const NAMESPACE: &str = "default";
/// How the platform calls the schedule of a task, and its workflow. The local stack tells the executor the same.
const SCHEDULE_ID: &str = "schedule-{task_id}";
/// Longest time for a call of Temporal.
const CALL_TIME: Duration = Duration::from_secs(30);
/// Longest time for a call that waits for a run; Temporal itself answers after a minute.
const POLL_TIME: Duration = Duration::from_secs(90);
/// Between two changes that a user makes.
const CHANGE_EVERY: Duration = Duration::from_secs(8);
/// A search takes so many milliseconds.
const SEARCH_MS: std::ops::Range<u64> = 1000..4000;
const FAILURES: [&str; 4] = [
    "RateLimitError: the search engine allows no more searches",
    "TimeoutError: the search engine did not answer within 30 s",
    "httpx.HTTPStatusError: 503 Service Unavailable",
    "the answer failed validation",
];
const QUERIES: [&str; 4] = [
    "new release of the compiler",
    "concert tickets in Lisbon",
    "vacancies at the observatory",
    "price of copper",
];

/// The platform's servers, and what it needs to work over them. All of it ends when this is dropped.
#[derive(Debug)]
pub struct PlatformSimulation {
    postgres: PostgresServer,
    database: Arc<PlatformDatabase>,
    temporal: Option<PlatformTemporal>,
}

/// The platform's Temporal.
struct PlatformTemporal {
    program: PathBuf,
    server: TemporalServer,
    calls: Arc<TemporalConnection>,
    polls: TemporalConnection,
}

impl std::fmt::Debug for PlatformTemporal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlatformTemporal").field("server", &self.server).finish_non_exhaustive()
    }
}

impl PlatformTemporal {
    fn start() -> Result<Option<Self>, SimulationError> {
        let Some(program) = TemporalServer::program() else { return Ok(None) };
        let server = TemporalServer::start(&program, &[])?;
        let connection = |timeout| TemporalConnection::new(server.settings(NAMESPACE, timeout));
        let (calls, polls) = (Arc::new(connection(CALL_TIME)), connection(POLL_TIME));
        Ok(Some(Self { program, server, calls, polls }))
    }

    async fn create_schedule(&self, task: &PlatformTask) -> Result<(), TemporalError> {
        let (id, spec, argument) = (schedule_id(task), spec(task), argument(task));
        patiently(|| schedules::create(&self.calls, &id, &spec, false, &argument)).await
    }
}

/// A search that a task's schedule asks for.
struct DueSearch {
    task: String,
    /// The run that Temporal has started for it.
    run: Option<WaitingRun>,
}

impl PlatformSimulation {
    /// Starts the servers, with the platform's first rows and a schedule for each task. Without a Temporal server on
    /// this machine it has none, and starts searches by itself.
    ///
    /// # Errors
    /// If there is no PostgreSQL on this machine, or something does not start.
    pub async fn start() -> Result<Self, SimulationError> {
        let missing = "PostgreSQL is missing (initdb, pg_ctl, psql): install it, on Debian with sources/postgres/need-server";
        let bin = PostgresServer::programs().ok_or_else(|| SimulationError::Server(missing.to_owned()))?;
        let temporal = PlatformTemporal::start()?;
        let postgres = PostgresServer::start(&bin, &private_folder()?, "")?;
        let database = PlatformDatabase::create(&postgres).await?;
        if let Some(temporal) = &temporal {
            TemporalServer::wait(&temporal.calls).await?;
            for task in database.active_tasks().await? {
                temporal.create_schedule(&task).await?;
            }
        }
        Ok(Self { postgres, database: Arc::new(database), temporal })
    }

    /// The variables that lead functions to the servers. Those of Temporal are there if it is.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![(config::POSTGRES_URL, PlatformDatabase::url(&self.postgres))];
        if let Some(temporal) = &self.temporal {
            let settings = temporal.server.settings(NAMESPACE, CALL_TIME);
            variables.push((config::TEMPORAL_ADDRESS, settings.address));
            variables.push((config::TEMPORAL_NAMESPACE, settings.namespace));
        }
        variables
    }

    /// Works until something fails. `report` is given a line for each thing that happens.
    ///
    /// # Errors
    /// If PostgreSQL or Temporal fails.
    pub async fn run(&self, report: fn(&str)) -> Result<Infallible, SimulationError> {
        match &self.temporal {
            Some(PlatformTemporal { program, server, .. }) => {
                let address = server.settings(NAMESPACE, CALL_TIME).address;
                report(&format!("schedules: {} schedule list --address {address}", program.display()));
            }
            None => report(
                "Temporal is not installed: going on without its runs and schedules (sources/temporal/need-server)",
            ),
        }
        let failed = tokio::try_join!(self.search_for_ever(report), self.change_for_ever(report));
        failed.map(|(never, _)| never)
    }

    /// Executes commands: a batch of messages, as Lambda gives it to a function. Those about keys are the platform's
    /// own, the others are executed by the product.
    ///
    /// # Errors
    /// If it is no such batch, or PostgreSQL fails.
    pub async fn execute(&self, batch: &str, report: fn(&str)) -> Result<(), SimulationError> {
        let no_batch = || SimulationError::Input(format!("no batch of commands: {batch}"));
        for command in commands(batch).ok_or_else(no_batch)? {
            match command.map(|received| received.command) {
                Ok(Command::RevokeKey { key_id, .. }) => {
                    let is_revoked = self.database.revoke_key(key_id.as_str()).await?;
                    let done = if is_revoked { "was revoked by a command" } else { "is not the platform's" };
                    report(&format!("key {} {done}", key_id.as_str()));
                }
                Ok(other) => report(&format!("command {} is not the platform's", other.kind())),
                Err(error) => report(&format!("a command can't be read: {error}")),
            }
        }
        Ok(())
    }

    async fn search_for_ever(&self, report: fn(&str)) -> Result<Infallible, SimulationError> {
        let mut searches = JoinSet::new();
        let mut seconds = interval(Duration::from_secs(1));
        // Those of a second that was missed are not searched for.
        seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let mut next = std::pin::pin!(self.next_searches(&mut seconds));
            // Temporal may have no run for a minute: a search that fails meanwhile is noticed at once.
            let all_due = loop {
                tokio::select! {
                    due = &mut next => break due?,
                    Some(ended) = searches.join_next() => {
                        ended.map_err(|panic| SimulationError::Server(format!("a search: {panic}")))??;
                    }
                }
            };
            for due in all_due {
                let connection = self.temporal.as_ref().map(|temporal| Arc::clone(&temporal.calls));
                searches.spawn(search(Arc::clone(&self.database), connection, due, report));
            }
        }
    }

    /// Waits for searches that are due: runs that Temporal has started, or the tasks of the present second.
    async fn next_searches(&self, seconds: &mut Interval) -> Result<Vec<DueSearch>, SimulationError> {
        if let Some(temporal) = &self.temporal {
            let run = patiently(|| worker::next_run(&temporal.polls)).await?;
            let due = run.and_then(|run| Some(DueSearch { task: task_of(&run.workflow)?, run: Some(run) }));
            return Ok(due.into_iter().collect());
        }
        seconds.tick().await;
        let tasks = self.database.due_tasks().await?;
        Ok(tasks.into_iter().map(|task| DueSearch { task, run: None }).collect())
    }

    async fn change_for_ever(&self, report: fn(&str)) -> Result<Infallible, SimulationError> {
        let mut ticks = interval(CHANGE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut round = 0_u64;
        loop {
            round += 1;
            ticks.tick().await;
            let name = round.to_string();
            self.database.sign_up(&name).await?;
            report(&format!("user {name} has signed up"));
            ticks.tick().await;
            let task = self.add_task(&format!("{} {name}", pick(&QUERIES))).await?;
            report(&format!("task {} was created", task.id));
            ticks.tick().await;
            self.pause(&task, true).await?;
            report(&format!("task {} was paused", task.id));
            ticks.tick().await;
            self.pause(&task, false).await?;
            report(&format!("task {} was resumed", task.id));
            ticks.tick().await;
            self.edit(&task, &format!("{} {name}", pick(&QUERIES))).await?;
            report(&format!("task {} was changed", task.id));
            // Every other one stays, so that there is more and more to look at.
            if round.is_multiple_of(2) {
                ticks.tick().await;
                self.finish_task(&task).await?;
                report(&format!("task {} was completed", task.id));
            }
        }
    }

    async fn add_task(&self, query: &str) -> Result<PlatformTask, SimulationError> {
        let task = self.database.add_task(query, &some_schedule()).await?;
        if let Some(temporal) = &self.temporal {
            temporal.create_schedule(&task).await?;
        }
        Ok(task)
    }

    async fn pause(&self, task: &PlatformTask, pause: bool) -> Result<(), SimulationError> {
        self.database.set_state(&task.id, if pause { "paused" } else { "active" }).await?;
        if let Some(temporal) = &self.temporal {
            let id = schedule_id(task);
            patiently(|| schedules::toggle(&temporal.calls, &id, pause)).await?;
        }
        Ok(())
    }

    async fn edit(&self, task: &PlatformTask, query: &str) -> Result<(), SimulationError> {
        let task = self.database.edit_task(&task.id, query, &some_schedule()).await?;
        if let Some(temporal) = &self.temporal {
            let (id, spec, argument) = (schedule_id(&task), spec(&task), argument(&task));
            patiently(|| schedules::edit(&temporal.calls, &id, &spec, false, &argument)).await?;
        }
        Ok(())
    }

    async fn finish_task(&self, task: &PlatformTask) -> Result<(), SimulationError> {
        self.database.set_state(&task.id, "completed").await?;
        if let Some(temporal) = &self.temporal {
            let id = schedule_id(task);
            match patiently(|| schedules::delete(&temporal.calls, &id)).await {
                // The first attempt may have deleted it, though its answer came too late.
                Err(TemporalError::Answered(Code::NotFound, _)) => {}
                deleted => deleted?,
            }
        }
        Ok(())
    }
}

/// A new folder that nobody else can read.
fn private_folder() -> Result<PathBuf, SimulationError> {
    let folder = std::env::temp_dir().join(format!("torale-platform-{}", clock::unique()));
    let created = DirBuilder::new().mode(0o700).create(&folder);
    let failed = |error| SimulationError::Server(format!("{}: {error}", folder.display()));
    created.map_err(failed).map(|()| folder)
}

/// The commands of a batch; `None` if it is not one.
fn commands(batch: &str) -> Option<Vec<Result<ReceivedCommand, InvalidCommand>>> {
    let batch: serde_json::Value = serde_json::from_str(batch).ok()?;
    let records = batch.get("Records")?.as_array()?;
    records.iter().map(|record| Some(Command::receive(record.get("body")?.as_str()?))).collect()
}

/// One search from beginning to end.
async fn search(
    database: Arc<PlatformDatabase>,
    temporal: Option<Arc<TemporalConnection>>,
    due: DueSearch,
    report: fn(&str),
) -> Result<(), SimulationError> {
    let mut failure = None;
    // A task that has been paused since its run began searches nothing.
    if let Some(execution) = database.begin(&due.task).await? {
        sleep(Duration::from_millis(fastrand::u64(SEARCH_MS))).await;
        let outcome = some_outcome();
        database.finish(&execution, outcome).await?;
        report(&format!("task {} has searched: {outcome}", due.task));
        if let SearchOutcome::Failed(message) = outcome {
            failure = Some(message);
        }
    }
    let (Some(temporal), Some(run)) = (temporal, due.run) else { return Ok(()) };
    match patiently(|| worker::complete(&temporal, &run, failure)).await {
        // On a machine that is too busy Temporal has handed it out again.
        Err(TemporalError::Answered(Code::NotFound, _)) => Ok(()),
        completed => Ok(completed?),
    }
}

/// Makes a call of Temporal once more if its time was over: a process that was stopped, or a computer that slept, finds
/// that the time of whatever it waited for is over.
async fn patiently<T, F>(call: impl Fn() -> F) -> Result<T, TemporalError>
where
    F: Future<Output = Result<T, TemporalError>>,
{
    match call().await {
        Err(TemporalError::TimedOut) => call().await,
        answer => answer,
    }
}

/// Of ten searches one or two fail, and three find something.
fn some_outcome() -> SearchOutcome {
    match fastrand::u8(0..20) {
        0..3 => SearchOutcome::Failed(pick(&FAILURES)),
        3..9 => SearchOutcome::Found("It has changed."),
        _ => SearchOutcome::NothingNew,
    }
}

fn pick(texts: &[&'static str]) -> &'static str {
    fastrand::choice(texts).copied().unwrap_or_default()
}

/// Some second of every minute, as a cron expression of seven fields.
fn some_schedule() -> String {
    format!("{} * * * * * *", fastrand::u8(0..60))
}

fn spec(task: &PlatformTask) -> ScheduleSpec {
    ScheduleSpec { cron_string: vec![task.schedule.clone()], ..ScheduleSpec::default() }
}

fn argument(task: &PlatformTask) -> String {
    format!(r#"{{"task_id":"{}","user_id":"{}"}}"#, task.id, task.user)
}

fn schedule_id(task: &PlatformTask) -> String {
    SCHEDULE_ID.replace("{task_id}", &task.id)
}

/// The task that a run's workflow is called after.
fn task_of(workflow: &str) -> Option<String> {
    SchedulePattern::parse(SCHEDULE_ID)?.task_of(workflow).map(|task| task.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn call_whose_time_was_over_is_made_once_more() {
        let calls = std::cell::Cell::new(0);
        let late_until = |number| {
            calls.set(0);
            let calls = &calls;
            patiently(move || async move {
                calls.set(calls.get() + 1);
                if calls.get() < number { Err(TemporalError::TimedOut) } else { Ok(calls.get()) }
            })
        };

        assert_eq!(late_until(2).await.ok(), Some(2));
        assert!(matches!(late_until(9).await, Err(TemporalError::TimedOut)));
        assert_eq!(calls.get(), 2);
    }

    #[test]
    fn run_of_a_schedule_names_the_task_of_the_schedule() {
        let id = "22222222-0000-4000-8000-000000000001";
        let task = PlatformTask { id: id.to_owned(), user: String::new(), schedule: String::new() };

        assert_eq!(task_of(&format!("{}-2026-11-29T03:00:05Z", schedule_id(&task))).as_deref(), Some(id));
        assert_eq!(task_of("report"), None);
    }

    #[test]
    fn commands_of_a_batch_are_read_and_what_is_none_is_an_error() {
        let user = "11111111-0000-4000-8000-000000000001";
        let body = format!(
            r#"{{"specversion":"1.0","id":"{user}","source":"/torale/admin","type":"ai.torale.command.api_key.revoke",
            "time":"2026-01-01T00:00:00Z","data":{{"key_id":"k","user_id":"{user}","reason":"r","requested_by":"{user}"}}}}"#
        );
        let batch = serde_json::json!({ "Records": [{ "body": body }, { "body": "{}" }] }).to_string();

        let commands = commands(&batch).unwrap();

        assert!(
            matches!(&commands[0].as_ref().unwrap().command, Command::RevokeKey { key_id, .. } if key_id.as_str() == "k")
        );
        assert!(commands[1].is_err() && commands.len() == 2);
        assert!(super::commands("nothing").is_none());
        assert!(super::commands(r#"{"Records":[{}]}"#).is_none());
    }
}
