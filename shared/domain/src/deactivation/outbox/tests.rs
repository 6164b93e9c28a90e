use super::*;
use crate::deactivation::causes::REASON;
use crate::entities::fold::State;

const USER: &str = "00000000-0000-0000-0000-0000000000ad";

fn entry(action: OutboxAction) -> OutboxEntry {
    let cause = Cause {
        event: "e1".to_owned(),
        requested_by: USER.to_owned(),
        reason: REASON.to_owned(),
        trace: None,
    };
    let at = Timestamp::parse("2026-03-31T10:30:30.500Z").unwrap();
    OutboxEntry { cause, at, generation: "g1".to_owned(), action, request: String::new() }
}

fn stop_user() -> OutboxEntry {
    let clerk_user_id = ClerkUserId::parse("user_1").unwrap();
    entry(OutboxAction::StopUser { user_id: UserId::parse(USER).unwrap(), clerk_user_id })
}

fn stored(entry: &OutboxEntry) -> StoredOutboxEntry {
    StoredOutboxEntry::load(&entry.item().unwrap()).unwrap()
}

/// Entries that a release before has written must be read.
#[test]
fn the_stored_form_of_an_entry_stays_what_it_is() {
    let cause = format!(
        r#""cause":{{"event":"e1","requested_by":"{USER}","reason":"user deactivated by an administrator"}}"#
    );
    let at = r#""at":"2026-03-31T10:30:30.500Z","generation":"g1""#;
    let user = format!(r#"{{"everything":{{"user_id":"{USER}","clerk_user_id":"user_1"}}}}"#);
    let key = format!(
        r#"{{"late":{{"command":{{"key_id":"key_1","user_id":"{USER}"}},"since":"2026-03-31T10:30:31Z"}}}}"#
    );
    let command = Command::RevokeKey {
        key_id: ApiKeyId::parse("key_1").unwrap(),
        user_id: UserId::parse(USER).unwrap(),
    };
    let since = Timestamp::parse("2026-03-31T10:30:31Z").unwrap();

    for (entry, action) in [(stop_user(), user), (entry(OutboxAction::StopResumed { command, since }), key)] {
        let text = format!("{{{cause},{at},\"what\":{action}}}");
        assert_eq!(entry.item().unwrap().text("order"), Some(text.as_str()));
        assert_eq!(stored(&entry).entry, entry);
    }
}

const TASK: &str = "22222222-0000-4000-8000-000000000001";

fn row(key: Key, attributes: &[(&str, &str)]) -> Item {
    let texts = attributes.iter();
    let texts = texts.map(|(name, text)| ((*name).to_owned(), Value::Text((*text).to_owned())));
    Item { key, attributes: texts.collect() }
}

/// Kinds, targets and schedules of the commands of a step.
fn commands(step: &OutboxStep) -> Vec<(&'static str, String, Vec<String>)> {
    let read = |message: &String| {
        let subject = serde_json::from_str::<serde_json::Value>(message).unwrap()["subject"].clone();
        let command = Command::receive(message).unwrap().command;
        let schedules = match &command {
            Command::PauseTask { schedules, .. } => schedules.ids.clone(),
            Command::RevokeKey { .. } | Command::BanUser { .. } => Vec::new(),
        };
        let schedules = schedules.iter().map(|id| id.as_str().to_owned()).collect();
        (command.kind(), subject.as_str().unwrap().to_owned(), schedules)
    };
    step.messages.iter().map(read).collect()
}

fn ids() -> (UserId, TaskId) {
    (UserId::parse(USER).unwrap(), TaskId::parse(TASK).unwrap())
}

fn schedule(id: &str) -> (ScheduleId, Item) {
    let id = ScheduleId::parse(id).unwrap();
    let item = row(keys::task_schedule(ids().1, &id), &[("of", id.as_str())]);
    (id, item)
}

#[test]
fn the_first_step_of_a_user_blocks_the_logins_before_it_stops_tasks() {
    let (user, task) = ids();
    let entry = stored(&stop_user());
    let rows =
        OutboxRows { stoppable: vec![row(keys::active_task(user, task), &[])], ..OutboxRows::default() };
    assert_eq!(entry.details(&rows).unwrap().ranges[0].pk, keys::task_schedules(task));
    let details =
        ReadResult { ranges: vec![vec![schedule("b").1, schedule("a").1]], ..ReadResult::default() };

    let step = entry.step(&rows, details).unwrap();

    let expected = [
        ("user.ban", "user_1".to_owned(), vec![]),
        ("task.pause", TASK.to_owned(), vec!["a".to_owned(), "b".to_owned()]),
    ];
    assert_eq!((commands(&step), step.cursor), (expected.to_vec(), None));
}

#[test]
fn every_login_of_a_user_is_blocked_but_for_those_of_deleted_identities() {
    let (user, _) = ids();
    let link = |clerk: &str, state: &str| {
        let clerk = ClerkUserId::parse(clerk).unwrap();
        row(keys::user_link(user, &clerk), &[("of", clerk.as_str()), ("state", state)])
    };
    let deleted = stored_deletion("user_1");
    let links = vec![link("user_1", &deleted), link("user_2", "[]")];
    let rows = OutboxRows { links, ..OutboxRows::default() };

    let step = stored(&stop_user()).step(&rows, ReadResult::default()).unwrap();

    assert_eq!(commands(&step), [("user.ban", "user_2".to_owned(), vec![])]);
}

fn stored_deletion(clerk: &str) -> String {
    let body = serde_json::json!({ "specversion": "1.0", "id": "e", "source": "/c", "time": "2026-03-31T10:30:30Z",
        "type": "ai.torale.identity.deleted", "data": { "clerk_user_id": clerk } });
    let mut state = State::default();
    match crate::events::parse(&body.to_string(), None).unwrap() {
        crate::events::ReceivedMessage::Known(event) => state.fold(*event),
        crate::events::ReceivedMessage::Unknown { .. } => panic!("known"),
    };
    state.store().unwrap()
}

#[test]
fn an_unpaused_schedule_of_a_task_that_is_not_active_gets_a_command_of_its_own() {
    let (user, task) = ids();
    let (id, of_task) = schedule("nightly");
    let unpaused = row(keys::unpaused_schedule(user, &id), &[("of", "nightly"), ("task", TASK)]);
    let rows = OutboxRows { stoppable: vec![unpaused], ..OutboxRows::default() };
    let entry = StoredOutboxEntry { cursor: Some("s".to_owned()), ..stored(&stop_user()) };
    let found = |active: bool| {
        let active = active.then(|| row(keys::active_task(user, task), &[]));
        let items = active.map(|item| (item.key.clone(), item)).into_iter().collect();
        ReadResult { items, ranges: vec![vec![of_task.clone()]] }
    };

    let own = entry.step(&rows, found(false)).unwrap();
    let covered = entry.step(&rows, found(true)).unwrap();

    assert_eq!(commands(&own), [("task.pause", "nightly".to_owned(), vec!["nightly".to_owned()])]);
    let of_task = ("task.pause", TASK.to_owned(), vec!["nightly".to_owned()]);
    assert_eq!(commands(&covered), [of_task], "the task may be completed when its own row is read");
}

/// Otherwise what a step reads would grow with the square of their number.
#[test]
fn the_schedules_of_a_task_are_read_once_for_all_rows_about_it() {
    let (user, task) = ids();
    let (first, second) = (schedule("a"), schedule("b"));
    let unpaused = |(id, _): &(ScheduleId, Item)| {
        row(keys::unpaused_schedule(user, id), &[("of", id.as_str()), ("task", TASK)])
    };
    let stoppable = vec![unpaused(&first), unpaused(&second), row(keys::active_task(user, task), &[])];
    let rows = OutboxRows { stoppable, ..OutboxRows::default() };
    let entry = StoredOutboxEntry { cursor: Some("s".to_owned()), ..stored(&stop_user()) };

    let details = entry.details(&rows).unwrap();
    let found = ReadResult { ranges: vec![vec![first.1, second.1]], ..ReadResult::default() };
    let step = entry.step(&rows, found).unwrap();

    assert_eq!((details.ranges.len(), details.gets), (1, vec![keys::active_task(user, task)]));
    let targets = commands(&step).into_iter().map(|(_, target, _)| target);
    assert_eq!(targets.collect::<Vec<_>>(), ["a", "b", TASK]);
}

#[test]
fn a_task_that_is_resumed_late_is_paused_with_its_schedules() {
    let (user_id, task_id) = ids();
    let schedules = KnownSchedules::default();
    let command = Command::PauseTask { task_id, user_id, schedules, because_of: None };
    let since = Timestamp::parse("2026-03-31T10:30:31Z").unwrap();
    let entry = stored(&entry(OutboxAction::StopResumed { command, since }));
    assert_eq!(entry.reads().ranges[0].pk, keys::task_schedules(task_id));
    let rows = OutboxRows { stoppable: vec![schedule("a").1], links: Vec::new() };

    assert_eq!(entry.details(&rows).unwrap(), ReadPlan::default(), "nothing more is to be read");
    let step = entry.step(&rows, ReadResult::default()).unwrap();

    assert_eq!(commands(&step), [("task.pause", TASK.to_owned(), vec!["a".to_owned()])]);
}

#[test]
fn a_command_is_later_than_the_event_whose_effect_it_undoes() {
    let at = Timestamp::from_millis(1_000);
    assert_eq!(command_time(at, Timestamp::from_millis(999)), at);
    assert_eq!(command_time(at, Timestamp::from_millis(5_000)), Timestamp::from_millis(5_001));
}
