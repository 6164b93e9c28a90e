use super::*;
use temporalio_common::protos::temporal::api::common::v1::{Payload, Payloads};
use temporalio_common::protos::temporal::api::schedule::v1::{
    Schedule, ScheduleAction, ScheduleInfo, ScheduleState,
};
use temporalio_common::protos::temporal::api::workflow::v1::NewWorkflowExecutionInfo;
use torale_domain::deactivation::commands::SchedulePattern;

const TASK: &str = "22222222-0000-4000-8000-000000000001";
const USER: &str = "11111111-0000-4000-8000-000000000001";
const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
const CREATED: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn observed(cron: &str, paused: bool) -> ObservedSchedule {
    let spec = CronSpec { cron: cron.to_owned(), timezone: "Europe/Berlin".to_owned(), is_next_time: false };
    let task = TaskId::parse(TASK);
    ObservedSchedule { id: "s".to_owned(), task, user: None, spec, paused, created_at: CREATED, next: None }
}

/// An observation that began then and took a second.
const fn at(time: Timestamp) -> ObservationTime {
    ObservationTime { asked_at: time, known_by: time.plus(1000) }
}

fn owner() -> (TaskId, UserId) {
    (TaskId::parse(TASK).unwrap(), UserId::parse(USER).unwrap())
}

/// Folds events into what is known; returns their types and times.
fn fold(state: &mut State, events: &[String]) -> Vec<(String, Timestamp)> {
    let mut facts = Vec::new();
    for event in events {
        let event = known_event(event).unwrap_or_else(|| panic!("{event}"));
        facts.push((event.event_type().name().to_owned(), event.time));
        state.fold(event);
    }
    facts
}

fn kinds(facts: &[(String, Timestamp)]) -> Vec<&str> {
    facts.iter().map(|(kind, _)| kind.strip_prefix("temporal.schedule.").unwrap()).collect()
}

#[test]
fn a_new_schedule_is_created_when_temporal_says_and_nothing_else_is_said() {
    let mut state = State::default();
    let (first, again) = (observed("0 9 * * *", true), observed("0 9 * * *", true));

    let events = first.events(&state, owner(), at(NOW));

    assert_eq!(events, again.events(&state, owner(), at(NOW.plus(60_000))), "ids follow from the content");
    assert_eq!(fold(&mut state, &events), [("temporal.schedule.created".to_owned(), CREATED)]);
    assert_eq!(first.events(&state, owner(), at(NOW)), [""; 0]);
}

#[test]
fn edits_and_pauses_both_ways_are_said_once() {
    let mut state = State::default();
    let steps = [
        (observed("0 9 * * *", false), vec!["created"]),
        (observed("0 10 * * *", false), vec!["updated"]),
        (observed("0 10 * * *", true), vec!["paused"]),
        (observed("0 11 * * *", false), vec!["updated", "unpaused"]),
    ];

    for (schedule, expected) in steps {
        let facts = schedule.events(&state, owner(), at(NOW));
        assert_eq!(kinds(&fold(&mut state, &facts)), expected);
        assert_eq!(schedule.events(&state, owner(), at(NOW)), [""; 0]);
        let reading = readings::Schedule::of(&state);
        assert_eq!((reading.cron, reading.paused), (Some(schedule.spec.cron.as_str()), schedule.paused));
    }
}

/// What was said before it was created, as by the executor of commands, is known; what Temporal says wins.
#[test]
fn a_pause_that_is_known_before_the_schedule_is_undone_if_it_runs() {
    let mut state = State::default();
    let paused = message("temporal.schedule.paused", "s", NOW, &json!({ "schedule_id": "s" }));
    fold(&mut state, &[paused]);

    let events = observed("0 9 * * *", false).events(&state, owner(), at(NOW));

    let facts = fold(&mut state, &events);
    assert_eq!(kinds(&facts), ["created", "unpaused"]);
    assert_eq!(facts[1].1, NOW.plus(1), "later than what is known");
    assert!(!readings::Schedule::of(&state).paused);
}

/// Between the description and the look at what is known, the executor of commands may pause a schedule.
#[test]
fn nothing_is_said_of_what_is_known_from_the_time_of_the_observation() {
    let mut state = State::default();
    let running = observed("0 9 * * *", false);
    let events = running.events(&state, owner(), at(NOW));
    fold(&mut state, &events);
    let paused = message("temporal.schedule.paused", "s", NOW.plus(1), &json!({ "schedule_id": "s" }));
    fold(&mut state, &[paused]);

    assert_eq!(running.events(&state, owner(), at(NOW)), [""; 0]);
    assert!(running.differs_from(&state), "it must be looked at again");

    let edited = observed("0 10 * * *", false).events(&state, owner(), at(NOW));
    assert_eq!(fold(&mut state, &edited), [("temporal.schedule.updated".to_owned(), NOW)], "that is older");
    let later = running.events(&state, owner(), at(NOW.plus(1)));
    assert_eq!(kinds(&fold(&mut state, &later)), ["updated", "unpaused"]);
    assert!(!running.differs_from(&state));
}

/// By a clock that runs ahead, or a command for a task whose events are dated so.
#[test]
fn a_pause_that_is_dated_later_than_the_observation_is_undone_if_the_schedule_runs() {
    let mut state = State::default();
    let running = observed("0 9 * * *", false);
    let events = running.events(&state, owner(), at(NOW));
    fold(&mut state, &events);
    let paused = message("temporal.schedule.paused", "s", NOW.plus(1001), &json!({ "schedule_id": "s" }));
    fold(&mut state, &[paused]);

    let events = running.events(&state, owner(), at(NOW));

    assert_eq!(
        fold(&mut state, &events),
        [("temporal.schedule.unpaused".to_owned(), NOW.plus(1002))],
        "later than what is known"
    );
    assert!(!running.differs_from(&state));
}

#[test]
fn a_deletion_is_said_once_and_nothing_after_it() {
    let mut state = State::default();
    let schedule = observed("0 9 * * *", false);
    assert_eq!(deleted_event(&state, NOW), None, "a schedule that is not known");
    let created = schedule.events(&state, owner(), at(NOW));
    fold(&mut state, &created);

    let deleted = deleted_event(&state, NOW).unwrap();

    assert_eq!(kinds(&fold(&mut state, &[deleted])), ["deleted"]);
    assert_eq!(deleted_event(&state, NOW.plus(1)), None);
    assert_eq!(observed("0 10 * * *", true).events(&state, owner(), at(NOW)), [""; 0]);
}

/// A description as Temporal gives it.
fn described(workflow: &str, argument: &str) -> DescribeScheduleResponse {
    let payload = Payload { data: argument.as_bytes().to_vec(), ..Payload::default() };
    let start = NewWorkflowExecutionInfo {
        workflow_id: workflow.to_owned(),
        input: Some(Payloads { payloads: vec![payload] }),
        ..NewWorkflowExecutionInfo::default()
    };
    let mut info = ScheduleInfo { create_time: Some(Default::default()), ..ScheduleInfo::default() };
    info.create_time.as_mut().unwrap().seconds = CREATED.millis() / 1000;
    DescribeScheduleResponse {
        schedule: Some(Schedule {
            action: Some(ScheduleAction { action: Some(Action::StartWorkflow(start)) }),
            state: Some(ScheduleState { paused: true, ..ScheduleState::default() }),
            ..Schedule::default()
        }),
        info: Some(info),
        ..DescribeScheduleResponse::default()
    }
}

#[test]
fn a_schedules_task_is_named_by_its_id_its_workflow_or_its_arguments() {
    let tasks = TaskIds::new(SchedulePattern::parse("task-{task_id}").unwrap());
    let read = |id: &str, workflow: &str, argument: &str| {
        ObservedSchedule::read(id, &described(workflow, argument), &tasks).unwrap()
    };
    let argument = format!(r#"{{"task_id":"{TASK}","user_id":"{USER}"}}"#);

    let by_arguments = read("nightly", "report", &argument);

    assert_eq!((by_arguments.task, by_arguments.user), (TaskId::parse(TASK), UserId::parse(USER)));
    assert!(by_arguments.paused);
    assert_eq!(by_arguments.created_at, CREATED);
    assert_eq!(read(&format!("schedule-{TASK}"), "", "").task, TaskId::parse(TASK));
    assert_eq!(read("nightly", &format!("task-{TASK}"), "").task, TaskId::parse(TASK));
    assert_eq!(read("nightly", "report", "7").task, None);
    assert_eq!(ObservedSchedule::read("s", &DescribeScheduleResponse::default(), &tasks), None);
}
