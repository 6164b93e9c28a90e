//! Schedules that Temporal fails to pause: which others are paused and confirmed all the same, and which commands go
//! on.

use crate::executor::{ban, body, executor_of, invoke_until, pause, pause_of, set};
use command_executor::clerk::{BanUsers, ClerkError};
use command_executor::pause::PauseSchedules;
use command_executor::rest::{REST, TemporalRest, UNANSWERED};
use command_executor::temporal::{Code, TemporalError};
use command_executor::{CommandFailure, CommandOutcome, Executor};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::time::{Duration, Instant, sleep};
use torale_domain::deactivation::commands::Command;
use torale_domain::values::ids::ClerkUserId;
use torale_platform::config::COMMAND_TIMEOUT;
use torale_platform::queue::MessageQueue;
use torale_platform::sqs::QueueMessage;
use torale_testkit::logs::LogBuffer;
use torale_testkit::sqs::FakeSqs;

/// How Temporal fails to pause a schedule.
#[derive(Debug, Clone, Copy)]
enum Failure {
    /// It does not answer within the time limit.
    TimesOut,
    /// There is no connection.
    Unreachable,
    /// It answers with an error.
    Answers(Code),
}

/// Temporal that fails for some schedules, or for all of them, and Clerk that bans whoever it should.
#[derive(Clone, Default)]
struct Outside {
    failing: Arc<Mutex<BTreeMap<String, Failure>>>,
    failing_for_all: Arc<Mutex<Option<Failure>>>,
    takes: Arc<Mutex<Duration>>,
    calls: Arc<Mutex<Vec<String>>>,
    banned: Arc<Mutex<Vec<String>>>,
}

impl Outside {
    fn executor(&self, events: &FakeSqs) -> Executor<Self, Self, MessageQueue> {
        executor_of(self.clone(), self.clone(), events)
    }

    fn fails_for(&self, schedules: &[&str], failure: Failure) {
        self.failing.lock().unwrap().extend(schedules.iter().map(|id| ((*id).to_owned(), failure)));
    }

    fn fails_for_all(&self, failure: Failure) {
        *self.failing_for_all.lock().unwrap() = Some(failure);
    }

    fn is_well(&self) {
        self.failing.lock().unwrap().clear();
        *self.failing_for_all.lock().unwrap() = None;
    }

    /// Each call takes so long.
    fn takes(&self, time: Duration) {
        *self.takes.lock().unwrap() = time;
    }

    /// The schedules that Temporal was called for since this was last called.
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

impl PauseSchedules for Outside {
    type Error = TemporalError;

    async fn pause(&self, schedule: &str, _note: &str) -> Result<bool, TemporalError> {
        self.calls.lock().unwrap().push(schedule.to_owned());
        let time = *self.takes.lock().unwrap();
        sleep(time).await;
        let of_this = self.failing.lock().unwrap().get(schedule).copied();
        let failure = of_this.or(*self.failing_for_all.lock().unwrap());
        match failure {
            None => Ok(true),
            Some(Failure::TimesOut) => {
                sleep(COMMAND_TIMEOUT).await;
                Err(TemporalError::TimedOut)
            }
            Some(Failure::Unreachable) => Err(TemporalError::Unreachable("refused".to_owned())),
            Some(Failure::Answers(code)) => Err(TemporalError::Answered(code, "no".to_owned())),
        }
    }
}

impl BanUsers for Outside {
    async fn ban(&self, user: &ClerkUserId) -> Result<bool, ClerkError> {
        self.banned.lock().unwrap().push(user.as_str().to_owned());
        Ok(true)
    }
}

async fn invoke(executor: &Executor<Outside, Outside, MessageQueue>, bodies: &[String]) -> BTreeSet<String> {
    invoke_until(executor, bodies, torale_platform::clock::system().millis() + 60_000).await
}

/// The time for a batch: that of the function, without what is reserved for the response.
const BATCH_TIME: Duration = Duration::from_secs(29);

/// What becomes of a command that is received for the n-th time.
async fn deliver(
    executor: &Executor<Outside, Outside, MessageQueue>,
    command: &Command,
    received: u32,
) -> Result<CommandOutcome, CommandFailure> {
    let message = QueueMessage { id: "m".to_owned(), body: body(command), sent_at: None, received };
    let until = Instant::now() + BATCH_TIME;
    let (_, outcome) = executor.execute_all(std::slice::from_ref(&message), until).await.remove(0);
    outcome
}

/// Types, subjects and ids of the events that were published.
fn published(events: &FakeSqs) -> Vec<(String, String, String)> {
    let read = |message: &String| {
        let event: Value = serde_json::from_str(message).unwrap();
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        (text("type"), text("subject"), text("id"))
    };
    events.taken().iter().map(read).collect()
}

fn named(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("schedule-{number:02}")).collect()
}

/// One that always fails comes first: the others must not wait behind it, at no delivery.
#[tokio::test(start_paused = true)]
async fn executor_pauses_and_confirms_the_other_schedules_of_a_task_when_one_fails() {
    for failure in
        [Failure::Answers(Code::InvalidArgument), Failure::Answers(Code::Unavailable), Failure::TimesOut]
    {
        let (outside, events) = (Outside::default(), FakeSqs::default());
        let (executor, all) = (outside.executor(&events), named(30));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let command = [body(&pause_of(&all))];
        outside.fails_for(&all[..1], failure);

        assert_eq!(invoke(&executor, &command).await, set(&["0"]), "{failure:?}: it comes again");

        assert_eq!(BTreeSet::from_iter(outside.calls()), set(&all), "{failure:?}");
        let partly = published(&events);
        assert!(partly.iter().all(|(kind, ..)| kind == "ai.torale.temporal.schedule.paused"), "{partly:?}");
        let confirmed: BTreeSet<String> = partly.iter().map(|(_, subject, _)| subject.clone()).collect();
        assert_eq!(confirmed, set(&all[1..]), "{failure:?}: those that are paused, and not the task");

        outside.is_well();
        assert_eq!(invoke(&executor, &command).await, set(&[]));

        let wholly = published(&events).split_off(partly.len());
        assert_eq!(wholly.iter().filter(|(kind, ..)| kind == "ai.torale.task.paused").count(), 1);
        assert_eq!(wholly.len(), 31);
        assert!(partly.iter().all(|event| wholly.contains(event)), "the same events, so that they merge");
    }
}

/// The first failure says why, not what followed from it.
#[tokio::test(start_paused = true)]
async fn executor_reports_the_first_failure_of_a_task_whose_schedules_are_not_all_paused() {
    let (outside, events) = (Outside::default(), FakeSqs::default());
    outside.fails_for_all(Failure::Unreachable);
    let (log, executor, all) = (LogBuffer::new(), outside.executor(&events), named(30));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let guard = tracing::subscriber::set_default(log.subscriber());

    assert_eq!(invoke(&executor, &[body(&pause_of(&all))]).await, set(&["0"]));

    drop(guard);
    let line = log.line("message", "handed back");
    assert_eq!(
        (&line["outcome"], &line["failure"]),
        (&"temporal".into(), &"Temporal unreachable: refused".into())
    );
    assert_eq!(published(&events), [], "there is nothing to confirm");
}

/// Hundreds of pauses that each take their whole time limit would keep bans waiting for tens of minutes.
#[tokio::test(start_paused = true)]
async fn executor_bans_without_delay_while_temporal_does_not_answer_pauses() {
    for failure in [Failure::TimesOut, Failure::Unreachable, Failure::Answers(Code::Unavailable)] {
        let (outside, events) = (Outside::default(), FakeSqs::default());
        let (executor, log) = (outside.executor(&events), LogBuffer::new());
        outside.fails_for_all(failure);
        let pauses = vec![body(&pause()); 8];
        for _ in 0..UNANSWERED {
            assert_eq!(invoke(&executor, &pauses).await.len(), 8, "{failure:?}");
        }
        assert!(!outside.calls().is_empty(), "{failure:?}: until it was noticed");

        let (started, guard) = (Instant::now(), tracing::subscriber::set_default(log.subscriber()));
        for _ in 0..30 {
            let bodies: Vec<String> = pauses.iter().cloned().chain([body(&ban("user_2abc"))]).collect();
            assert_eq!(invoke(&executor, &bodies).await.len(), 8, "{failure:?}: the pauses come again");
        }
        drop(guard);

        assert_eq!(started.elapsed(), Duration::ZERO, "{failure:?}");
        assert_eq!((outside.calls().len(), outside.banned.lock().unwrap().len()), (0, 30), "{failure:?}");
        let line = &log.lines_with("message", "handed back")[0];
        assert_eq!(line["outcome"], "temporal");
        assert!(line["failure"].as_str().unwrap().contains("none is made for some seconds"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn executor_calls_temporal_again_after_a_rest_and_rests_again_until_it_answers() {
    let (outside, events) = (Outside::default(), FakeSqs::default());
    let executor = outside.executor(&events);
    let pause = [body(&pause())];
    outside.fails_for_all(Failure::Unreachable);
    for _ in 0..UNANSWERED {
        assert_eq!(invoke(&executor, &pause).await, set(&["0"]));
    }
    assert_eq!(outside.calls().len(), 3);

    tokio::time::advance(REST - Duration::from_millis(1)).await;
    assert_eq!(invoke(&executor, &pause).await, set(&["0"]));
    assert_eq!(outside.calls().len(), 0, "it rests");

    tokio::time::advance(Duration::from_millis(1)).await;
    for _ in 0..2 {
        assert_eq!(invoke(&executor, &pause).await, set(&["0"]));
    }
    assert_eq!(outside.calls().len(), 1, "one without an answer begins the next rest");

    tokio::time::advance(REST).await;
    outside.is_well();
    assert_eq!(invoke(&executor, &pause).await, set(&[]));
    outside.fails_for_all(Failure::Unreachable);
    for _ in 0..UNANSWERED {
        assert_eq!(invoke(&executor, &pause).await, set(&["0"]));
    }
    assert_eq!(outside.calls().len(), 4, "an answer begins the count anew");
}

/// An answer about one schedule, or one schedule that always takes too long, is not Temporal being away.
#[tokio::test(start_paused = true)]
async fn executor_goes_on_calling_temporal_that_answers_with_errors_or_is_late_now_and_then() {
    for code in [Code::InvalidArgument, Code::Internal, Code::NotFound, Code::PermissionDenied] {
        let (outside, events) = (Outside::default(), FakeSqs::default());
        let executor = outside.executor(&events);
        outside.fails_for_all(Failure::Answers(code));
        for _ in 0..10 {
            assert_eq!(invoke(&executor, &[body(&pause())]).await, set(&["0"]), "{code:?}");
        }
        assert_eq!(outside.calls().len(), 10, "{code:?}");
    }
    let (outside, events) = (Outside::default(), FakeSqs::default());
    let executor = outside.executor(&events);
    outside.fails_for(&["stuck"], Failure::TimesOut);
    for _ in 0..10 {
        assert_eq!(invoke(&executor, &[body(&pause_of(&["stuck"]))]).await, set(&["0"]));
        assert_eq!(invoke(&executor, &[body(&pause_of(&["sound"]))]).await, set(&[]));
    }
}

/// Schedules that time out at the same time are one sign that Temporal does not answer, not several.
#[tokio::test(start_paused = true)]
async fn executor_goes_on_calling_temporal_when_several_schedules_of_a_task_time_out_together() {
    let (outside, events) = (Outside::default(), FakeSqs::default());
    let executor = outside.executor(&events);
    let stuck = ["a", "b", "c"];
    outside.fails_for(&stuck, Failure::TimesOut);

    for _ in 0..10 {
        assert_eq!(invoke(&executor, &[body(&pause_of(&stuck))]).await, set(&["0"]));
        assert_eq!(invoke(&executor, &[body(&pause_of(&["sound"]))]).await, set(&[]));
    }
}

/// Of two calls that overlap, the one that was answered last says how Temporal is.
#[tokio::test(start_paused = true)]
async fn executor_calls_temporal_again_as_soon_as_it_answers_a_call_that_began_before_the_rest() {
    let rest = TemporalRest::default();
    let began = Instant::now();
    for _ in 0..UNANSWERED {
        rest.note_call(Instant::now(), false);
    }
    assert!(rest.is_on());

    rest.note_call(began, true);

    assert!(!rest.is_on());
}

/// While the first 24 of 32 never answer, a delivery calls for these alone, and then Temporal is left alone.
#[tokio::test(start_paused = true)]
async fn executor_reaches_the_schedules_of_a_task_that_come_after_many_that_never_answer() {
    let (outside, events) = (Outside::default(), FakeSqs::default());
    let (executor, all) = (outside.executor(&events), named(32));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    outside.fails_for(&all[..24], Failure::TimesOut);

    for received in 1..=2 {
        assert!(deliver(&executor, &pause_of(&all), received).await.is_err());
        sleep(Duration::from_secs(180)).await;
    }

    let confirmed: BTreeSet<String> = published(&events).into_iter().map(|(_, subject, _)| subject).collect();
    assert_eq!(confirmed, set(&all[24..]));
}

/// Ten rounds of eight calls of three seconds are more than a batch's time: what was paused by then is confirmed, and
/// each delivery begins with others.
#[tokio::test(start_paused = true)]
async fn executor_confirms_what_it_has_paused_of_a_task_whose_schedules_take_more_than_a_batchs_time() {
    let (outside, events) = (Outside::default(), FakeSqs::default());
    let (executor, all) = (outside.executor(&events), named(80));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let (command, mut confirmed) = (pause_of(&all), BTreeSet::new());
    outside.takes(Duration::from_secs(3));

    for received in 1..=3 {
        let before = events.taken().len();
        let outcome = deliver(&executor, &command, received).await;

        assert!(matches!(outcome, Err(CommandFailure::OutOfTime)), "{outcome:?}");
        let new = published(&events).split_off(before);
        assert!(new.iter().all(|(kind, ..)| kind == "ai.torale.temporal.schedule.paused"), "{new:?}");
        let new: BTreeSet<String> = new.into_iter().map(|(_, subject, _)| subject).collect();
        assert_eq!(new, BTreeSet::from_iter(outside.calls()), "those that are paused, all of them");
        confirmed.extend(new);
    }

    assert_eq!(confirmed, set(&all));
    outside.takes(Duration::from_secs(1));
    assert!(matches!(deliver(&executor, &command, 4).await, Ok(CommandOutcome::CarriedOut)));
}
