//! Random schedules and runs on a real server: what the API answers equals what Temporal says.

use crate::fake::{USER, sync_over, task_id};
use crate::server::Namespace;
use serde_json::Value;
use std::collections::BTreeMap;
use temporal_schedules::Schedules;
use temporal_workflows::Workflows;
use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::schedule::v1::{IntervalSpec, ScheduleSpec};
use tokio::time::{Duration, Instant};
use torale_domain::values::time::Timestamp;
use torale_platform::clock;
use torale_platform::config::TemporalSettings;
use torale_platform::consume::Consumer;
use torale_platform::store::Usage;
use torale_temporal::connection::{TemporalConnection, TemporalError};
use torale_temporal::reads::ReadTemporal;
use torale_temporal::sync::{SyncError, SyncReport, TemporalSync};
use torale_testkit::events::{self, task, user};
use torale_testkit::request::{ApiRequest, get};
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{InstanceBuilder, Stack, consume, messages};

const TASKS: usize = 12;

/// A product that is fed by a namespace and nothing else.
struct Product {
    stack: Stack,
    sqs: FakeSqs,
    sync: TemporalSync<TemporalConnection>,
    consumed: usize,
}

impl Product {
    /// Some tasks exist and have a user.
    async fn of(settings: &TemporalSettings) -> Self {
        let (stack, sqs) = (Stack::start().await, FakeSqs::default());
        let earlier = clock::system().plus(-60_000);
        let mut known = events::admin();
        known.push(user(USER).created().at(earlier).message());
        known.extend((1..=TASKS).map(|n| task(&task_id(n)).created(USER, "q").at(earlier).message()));
        let connection = TemporalConnection::new(settings.clone());
        let sync = sync_over(connection, &settings.namespace, stack.store(), &sqs);
        let mut this = Self { stack, sqs, sync, consumed: 0 };
        this.consume(&known).await;
        this
    }

    async fn consume(&mut self, bodies: &[String]) {
        let consumer = Consumer::new(self.stack.store(), clock::system);
        assert_eq!(consume(&consumer, &messages(bodies)).await.failed, Vec::<String>::new());
    }

    async fn run(&mut self) -> Result<SyncReport, SyncError> {
        let until = Instant::now() + Duration::from_secs(600);
        let report = self.sync.run(until, until, &Usage::default()).await;
        let sent = self.sqs.taken().split_off(self.consumed);
        self.consumed += sent.len();
        self.consume(&sent).await;
        report
    }

    async fn read(&self, request: ApiRequest, list: &str) -> Vec<Value> {
        let app = InstanceBuilder::over(self.stack.store()).clock(clock::system).start();
        let answer = request.send(&app).await.with_status(200).json();
        answer[list].as_array().unwrap().clone()
    }

    /// Whether each schedule is paused and when it fires next, by its id.
    async fn schedules(&self) -> BTreeMap<String, (bool, Option<String>)> {
        let rows = self.read(get::<Schedules>("include_paused=true"), "schedules").await;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let row = |row: &Value| {
            let state = (row["is_paused"] == true, text(&row["next_run_time"]));
            (text(&row["schedule_id"]).unwrap(), state)
        };
        rows.iter().map(row).collect()
    }
}

/// The same as Temporal describes it, of the schedules that belong to a task; a paused one has no next time.
async fn described(namespace: &Namespace, product: &Product) -> BTreeMap<String, (bool, Option<String>)> {
    let mut all = BTreeMap::new();
    let listed = namespace.connection().schedules(Vec::new()).await.unwrap().rows;
    for id in listed.into_iter().map(|entry| entry.schedule_id).filter(|id| !id.starts_with("other")) {
        let Some(found) = namespace.connection().schedule(&id).await.unwrap() else { continue };
        let paused = found.schedule.unwrap().state.unwrap().paused;
        let next = found.info.unwrap().future_action_times.first().map(|at| {
            Timestamp::from_millis(at.seconds * 1000 + i64::from(at.nanos) / 1_000_000).to_string()
        });
        all.insert(id, (paused, next.filter(|_| !paused)));
    }
    assert!(product.consumed > 0);
    all
}

/// A schedule that fires hours from now at the earliest, so that nothing fires while the test reads: fields of a
/// calendar in a zone, several of them, an interval, or one with an end.
fn any_spec(random: &mut fastrand::Rng) -> ScheduleSpec {
    let cron = |random: &mut fastrand::Rng| {
        let minute = ["0", "*/15", "7,22-24", "59"][random.usize(..4)];
        let (day, month) = (random.u8(1..29), ["*", "1-6/2", "JUL-DEC", "2"][random.usize(..4)]);
        let weekday = ["*", "MON-FRI", "0,6", "3"][random.usize(..4)];
        let year = ["", " 2031-2040/3", " 2030"][random.usize(..3)];
        format!("{minute} {} {day},31 {month} {weekday}{year}", random.u8(..24))
    };
    let zone = ["", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"][random.usize(..4)];
    let mut spec = ScheduleSpec { timezone_name: zone.to_owned(), ..ScheduleSpec::default() };
    match random.u8(..6) {
        0 => {
            let mut of = IntervalSpec { interval: Some(Default::default()), phase: Some(Default::default()) };
            of.interval.as_mut().unwrap().seconds = random.i64(1000..2000) * 86_400;
            of.phase.as_mut().unwrap().seconds = random.i64(0..86_400);
            spec.interval = vec![of];
        }
        1 => spec.cron_string = vec![cron(random), cron(random)],
        2 => {
            spec.cron_string = vec![cron(random)];
            spec.end_time = Some(Default::default());
            spec.end_time.as_mut().unwrap().seconds = 2_000_000_000;
        }
        _ => spec.cron_string = vec![cron(random)],
    }
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_of_a_real_server_are_listed_as_it_says_through_edits_pauses_and_deletions() {
    let Some(namespace) = Namespace::named("one").await else { return };
    let mut product = Product::of(&namespace.settings).await;
    for seed in 0..3 {
        let random = &mut fastrand::Rng::with_seed(seed);
        for number in 1..=TASKS {
            let task = task_id(number);
            let (id, argument) = match number % 3 {
                0 => (format!("schedule-{task}"), "7".to_owned()),
                1 => (format!("task-{task}"), "7".to_owned()),
                _ => (format!("nightly-{number}"), format!(r#"{{"task_id":"{task}","user_id":"{USER}"}}"#)),
            };
            let (spec, paused) = (any_spec(random), random.bool());
            match (seed, random.u8(..4)) {
                (0, _) => namespace.create(&id, &spec, paused, &argument).await,
                _ if namespace.connection().schedule(&id).await.unwrap().is_none() => {}
                (_, 0) => namespace.delete(&id).await,
                (_, 1) => namespace.toggle(&id, paused).await,
                (_, 2) => namespace.edit(&id, &spec, paused, &argument).await,
                (_, _) => {}
            }
        }
        if seed == 0 {
            namespace.create("other", &any_spec(random), false, "{}").await;
        }
        // The list lags behind the schedules by moments; the next run of the sync would find it.
        let mut attempts = 0;
        loop {
            let report = product.run().await.unwrap();
            assert_eq!(
                (report.invalid, report.recreated, report.unproven, report.throttled),
                (0, 0, 0, false)
            );
            let (ours, theirs) = (product.schedules().await, described(&namespace, &product).await);
            attempts += 1;
            if ours == theirs {
                assert!(seed > 0 || ours.len() == TASKS, "{ours:#?}");
                break;
            }
            assert!(attempts < 50, "{ours:#?}\nTemporal: {theirs:#?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_a_real_server_are_listed_as_it_says() {
    let Some(namespace) = Namespace::named("two").await else { return };
    let mut product = Product::of(&namespace.settings).await;
    let random = &mut fastrand::Rng::with_seed(7);
    for step in 0..4 {
        for number in 1..=TASKS {
            let id = format!("schedule-{}-2026-01-0{}T00:00:00Z", task_id(number), step + 1);
            namespace.start(&id).await;
            if random.bool() {
                namespace.terminate(&id).await;
            }
        }
        namespace.start(&format!("report-{step}")).await;
        let mut attempts = 0;
        loop {
            let report = product.run().await.unwrap();
            let rows = product.read(get::<Workflows>("limit=100"), "workflows").await;
            let (ours, theirs) = (listed(&rows), runs(&namespace).await);
            attempts += 1;
            if ours == theirs && ours.len() >= TASKS {
                assert!(report.without_task > 0 && report.invalid == 0, "{report:?}");
                break;
            }
            assert!(attempts < 50, "{ours:#?}\nTemporal: {theirs:#?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// How often each workflow has run with each status, and when it began and ended.
type Runs = BTreeMap<(String, String, String, Option<String>), usize>;

fn listed(rows: &[Value]) -> Runs {
    let text = |row: &Value, name: &str| row[name].as_str().map(str::to_owned);
    let mut runs = Runs::new();
    for row in rows {
        let of = |name| text(row, name).unwrap();
        *runs
            .entry((of("workflow_id"), of("status"), of("start_time"), text(row, "close_time")))
            .or_default() += 1;
    }
    runs
}

async fn runs(namespace: &Namespace) -> Runs {
    let mut runs = Runs::new();
    let all = namespace.connection().runs("", Vec::new()).await.unwrap().rows;
    for run in all {
        let id = run.execution.unwrap().workflow_id;
        if id.starts_with("report") {
            continue;
        }
        let time = |seconds: i64, nanos: i32| {
            Timestamp::from_millis(seconds * 1000 + i64::from(nanos) / 1_000_000).to_string()
        };
        let status = if run.status == 1 { "RUNNING" } else { "TERMINATED" };
        let started = run.start_time.map(|at| time(at.seconds, at.nanos)).unwrap();
        let closed = run.close_time.map(|at| time(at.seconds, at.nanos));
        *runs.entry((id, status.to_owned(), started, closed)).or_default() += 1;
    }
    runs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_does_not_exist_deletes_nothing_and_is_an_error() {
    let Some(namespace) = Namespace::named("three").await else { return };
    let nowhere = TemporalSettings { namespace: "nowhere".to_owned(), ..namespace.settings.clone() };
    let mut product = Product::of(&nowhere).await;

    let failed = product.run().await.unwrap_err();

    assert!(matches!(failed, SyncError::Temporal(TemporalError::Answered(Code::NotFound, _))), "{failed}");
    let missing = TemporalConnection::new(nowhere).schedule("schedule-1").await.unwrap_err();
    assert!(matches!(missing, TemporalError::Answered(Code::NotFound, _)), "{missing}");
}
