//! A Temporal whose answers a test writes, and a sync over it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::common::v1::{WorkflowExecution, WorkflowType};
use temporalio_common::protos::temporal::api::schedule::v1::{
    Schedule, ScheduleInfo, ScheduleListEntry, ScheduleListInfo, ScheduleSpec, ScheduleState,
};
use temporalio_common::protos::temporal::api::workflow::v1::WorkflowExecutionInfo;
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeScheduleResponse;
use tokio::time::{Duration, Instant};
use torale_domain::deactivation::commands::SchedulePattern;
use torale_platform::clock;
use torale_platform::store::{Generations, Store, Usage};
use torale_temporal::connection::TemporalError;
use torale_temporal::reads::{ReadTemporal, TemporalPage};
use torale_temporal::sync::{SyncError, SyncMemory, SyncReport, TemporalSync};
use torale_temporal::task_ids::TaskIds;
use torale_testkit::events::{task, user};
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{NOW, Stack};

pub(crate) const USER: &str = "11111111-0000-4000-8000-000000000001";

pub(crate) fn task_id(number: usize) -> String {
    format!("22222222-0000-4000-8000-{number:012}")
}

/// What the fake is asked, in order: the method and what it is asked with.
#[derive(Debug, Default)]
pub(crate) struct FakeTemporal {
    /// Start and end of each run in seconds after 2020, by the number of its task.
    pub(crate) runs: Mutex<Vec<(i64, Option<i64>, usize)>>,
    /// Whether a schedule is paused, and when it fires, by its id.
    pub(crate) schedules: Mutex<BTreeMap<String, (bool, ScheduleSpec)>>,
    /// Schedules that the list does not have yet.
    pub(crate) unlisted: Mutex<Vec<String>>,
    /// The errors of the next calls of a method.
    pub(crate) errors: Mutex<BTreeMap<&'static str, VecDeque<TemporalError>>>,
    pub(crate) asked: Mutex<Vec<String>>,
    /// Descriptions that are being asked for, and the most that were at once.
    describing: AtomicUsize,
    pub(crate) most_described_at_once: AtomicUsize,
    /// Descriptions after which Temporal says that there were too many.
    pub(crate) descriptions_left: Mutex<Option<usize>>,
    /// What happens elsewhere once a schedule is described.
    pub(crate) after_description: Option<fn()>,
    /// Rows of a page.
    pub(crate) page: usize,
}

/// 2020, in seconds.
pub(crate) const EPOCH: i64 = 1_577_836_800;

pub(crate) fn refused(code: Code) -> TemporalError {
    TemporalError::Answered(code, "refused".to_owned())
}

impl FakeTemporal {
    pub(crate) fn fail(&self, method: &'static str, error: TemporalError) {
        self.errors.lock().unwrap().entry(method).or_default().push_back(error);
    }

    pub(crate) fn set(&self, id: &str, paused: bool, cron_minute: i32) {
        let of = ScheduleSpec { structured_calendar: vec![calendar(cron_minute)], ..ScheduleSpec::default() };
        self.schedules.lock().unwrap().insert(id.to_owned(), (paused, of));
    }

    pub(crate) fn asked(&self, method: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.starts_with(method)).count()
    }

    fn ask(&self, method: &'static str, with: &str) -> Result<(), TemporalError> {
        self.asked.lock().unwrap().push(format!("{method} {with}"));
        let error = self.errors.lock().unwrap().get_mut(method).and_then(VecDeque::pop_front);
        error.map_or(Ok(()), Err)
    }

    fn found(&self, query: &str) -> Vec<WorkflowExecutionInfo> {
        let times: Vec<i64> = query.split('\'').skip(1).step_by(2).map(seconds).collect();
        let within = |at: i64| (times[0]..times[1]).contains(&(EPOCH + at));
        let runs = self.runs.lock().unwrap();
        runs.iter().filter(|(from, to, _)| within(*from) || to.is_some_and(within)).map(run).collect()
    }

    fn part<T>(&self, all: Vec<T>, token: &[u8]) -> TemporalPage<T> {
        let from: usize = std::str::from_utf8(token).unwrap().parse().unwrap_or(0);
        let size = self.page.max(1);
        let next = if all.len() > from + size { (from + size).to_string().into_bytes() } else { Vec::new() };
        TemporalPage { rows: all.into_iter().skip(from).take(size).collect(), next }
    }
}

fn seconds(text: &str) -> i64 {
    torale_domain::values::time::Timestamp::parse(text).unwrap().millis().div_euclid(1000)
}

fn run((from, to, task): &(i64, Option<i64>, usize)) -> WorkflowExecutionInfo {
    let mut run = WorkflowExecutionInfo {
        execution: Some(WorkflowExecution {
            workflow_id: if *task == 0 { "report".to_owned() } else { format!("task-{}", task_id(*task)) },
            run_id: format!("{from}"),
        }),
        r#type: Some(WorkflowType { name: "Search".to_owned() }),
        status: if to.is_some() { 2 } else { 1 },
        start_time: Some(Default::default()),
        close_time: to.map(|_| Default::default()),
        ..WorkflowExecutionInfo::default()
    };
    run.start_time.as_mut().unwrap().seconds = EPOCH + from;
    if let Some(closed) = run.close_time.as_mut() {
        closed.seconds = EPOCH + to.unwrap();
    }
    run
}

fn calendar(minute: i32) -> temporalio_common::protos::temporal::api::schedule::v1::StructuredCalendarSpec {
    use temporalio_common::protos::temporal::api::schedule::v1::{Range, StructuredCalendarSpec};
    let range = |start, end| vec![Range { start, end, step: 1 }];
    StructuredCalendarSpec {
        second: range(0, 0),
        minute: range(minute, minute),
        hour: range(0, 23),
        day_of_month: range(1, 31),
        month: range(1, 12),
        day_of_week: range(0, 6),
        ..StructuredCalendarSpec::default()
    }
}

impl ReadTemporal for FakeTemporal {
    async fn count(&self, query: &str) -> Result<u64, TemporalError> {
        self.ask("count", query)?;
        Ok(u64::try_from(self.found(query).len()).unwrap())
    }

    async fn runs(
        &self,
        query: &str,
        token: Vec<u8>,
    ) -> Result<TemporalPage<WorkflowExecutionInfo>, TemporalError> {
        self.ask(if token.is_empty() { "runs" } else { "next runs" }, query)?;
        Ok(self.part(self.found(query), &token))
    }

    async fn schedules(&self, token: Vec<u8>) -> Result<TemporalPage<ScheduleListEntry>, TemporalError> {
        self.ask(if token.is_empty() { "schedules" } else { "next schedules" }, "")?;
        let unlisted = self.unlisted.lock().unwrap();
        let schedules = self.schedules.lock().unwrap();
        let listed = schedules.iter().filter(|(id, _)| !unlisted.contains(id));
        let entry = |(id, (paused, spec)): (&String, &(bool, ScheduleSpec))| ScheduleListEntry {
            schedule_id: id.clone(),
            info: Some(ScheduleListInfo {
                spec: Some(spec.clone()),
                paused: *paused,
                ..ScheduleListInfo::default()
            }),
            ..ScheduleListEntry::default()
        };
        Ok(self.part(listed.map(entry).collect(), &token))
    }

    async fn schedule(&self, id: &str) -> Result<Option<DescribeScheduleResponse>, TemporalError> {
        let at_once = self.describing.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_described_at_once.fetch_max(at_once, Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.describing.fetch_sub(1, Ordering::Relaxed);
        match self.descriptions_left.lock().unwrap().as_mut() {
            Some(0) => return Err(refused(Code::ResourceExhausted)),
            Some(left) => *left -= 1,
            None => {}
        }
        self.ask("describe", id)?;
        let Some((paused, spec)) = self.schedules.lock().unwrap().get(id).cloned() else { return Ok(None) };
        let mut info = ScheduleInfo { create_time: Some(Default::default()), ..ScheduleInfo::default() };
        info.create_time.as_mut().unwrap().seconds = EPOCH;
        let state = Some(ScheduleState { paused, ..ScheduleState::default() });
        let schedule = Some(Schedule { spec: Some(spec), state, ..Schedule::default() });
        if let Some(happens) = self.after_description {
            happens();
        }
        Ok(Some(DescribeScheduleResponse {
            schedule,
            info: Some(info),
            ..DescribeScheduleResponse::default()
        }))
    }
}

/// A sync over a fake, with a store and a queue whose events are consumed after each run.
pub(crate) struct Synced {
    pub(crate) stack: Stack,
    pub(crate) sync: TemporalSync<FakeTemporal>,
    pub(crate) sqs: FakeSqs,
    consumed: usize,
}

pub(crate) fn sync_over<R>(temporal: R, namespace: &str, store: Store, sqs: &FakeSqs) -> TemporalSync<R> {
    TemporalSync {
        temporal,
        source: namespace.to_owned(),
        tasks: TaskIds::new(SchedulePattern::parse("task-{task_id}").unwrap()),
        store,
        generations: Generations::default(),
        events: sqs.client(),
        clock: clock::system,
        memory: tokio::sync::Mutex::new(SyncMemory::default()),
    }
}

impl Synced {
    /// Tasks 1 to 9 exist and have a user.
    pub(crate) async fn start() -> Self {
        let (stack, sqs) = (Stack::start().await, FakeSqs::default());
        let mut known = vec![user(USER).created().at(NOW).message()];
        known.extend((1..10).map(|number| task(&task_id(number)).created(USER, "q").at(NOW).message()));
        stack.consume(&known).await;
        let temporal = FakeTemporal { page: 3, ..FakeTemporal::default() };
        let sync = TemporalSync { clock: || NOW, ..sync_over(temporal, "n", stack.store(), &sqs) };
        Self { stack, sync, sqs, consumed: 0 }
    }

    /// Another instance of the function, which remembers nothing.
    pub(crate) fn restart(&mut self) {
        self.sync.memory = tokio::sync::Mutex::new(SyncMemory::default());
    }

    /// One run, whose events are consumed: types and subjects of what was sent, in their order.
    pub(crate) async fn run(&mut self) -> (Result<SyncReport, SyncError>, Vec<String>) {
        let until = Instant::now() + Duration::from_secs(600);
        let result = self.sync.run(until, until, &Usage::default()).await;
        let sent: Vec<String> = self.sqs.taken().split_off(self.consumed);
        self.consumed += sent.len();
        let outcome = self.stack.consume(&sent).await;
        assert_eq!(outcome.failed, Vec::<String>::new());
        let mut facts: Vec<String> = sent.iter().map(|event| fact(event)).collect();
        facts.sort();
        (result, facts)
    }
}

fn fact(event: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    let kind = event["type"].as_str().unwrap().strip_prefix("ai.torale.temporal.").unwrap();
    let subject = event["subject"].as_str().unwrap();
    let last = subject.rsplit(['-', '0']).next().unwrap();
    format!("{kind} {last}")
}
