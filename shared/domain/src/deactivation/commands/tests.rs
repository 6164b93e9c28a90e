use super::*;

const USER: &str = "00000000-0000-0000-0000-0000000000ad";
const AT: Timestamp = Timestamp::from_millis(1_774_953_030_500);

fn commands() -> [Command; 3] {
    let user_id = UserId::parse(USER).unwrap();
    [
        Command::PauseTask {
            task_id: TaskId::parse("22222222-0000-4000-8000-000000000001").unwrap(),
            user_id,
            schedules: known(&["schedule-22222222-0000-4000-8000-000000000001"]),
            because_of: None,
        },
        Command::RevokeKey { key_id: ApiKeyId::parse("key_1").unwrap(), user_id },
        Command::BanUser { user_id, clerk_user_id: ClerkUserId::parse("user_2abc").unwrap() },
    ]
}

fn schedule(id: &str) -> ScheduleId {
    ScheduleId::parse(id).unwrap()
}

fn known(ids: &[&str]) -> KnownSchedules {
    KnownSchedules { ids: ids.iter().map(|id| schedule(id)).collect(), all_deleted: false }
}

fn cause(event: &str) -> Cause {
    Cause {
        event: event.to_owned(),
        requested_by: USER.to_owned(),
        reason: "deactivated".to_owned(),
        trace: None,
    }
}

#[test]
fn a_trace_goes_through_a_command_to_the_events_that_confirm_it_and_changes_nothing_else() {
    let text = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
    let traced = Cause { trace: TraceParent::parse(text), ..cause("e1") };
    let [pause, ..] = commands();
    let received = Command::receive(&pause.message(&traced, AT)).unwrap();
    assert_eq!(received.trace, traced.trace);
    let paused = [schedule("s1")];
    let plain = super::tests::received(&pause).confirming_events(&paused, AT);
    for (event, plain) in received.confirming_events(&paused, AT).iter().zip(plain) {
        let mut event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(event.as_object_mut().unwrap().remove("traceparent"), Some(json!(text)));
        assert_eq!(event, serde_json::from_str::<Value>(&plain).unwrap());
    }
    let wrong = pause.message(&traced, AT).replace(text, "ann@example.com");
    assert_eq!(Command::receive(&wrong).unwrap().trace, None);
}

#[test]
fn a_command_comes_back_as_it_was_sent() {
    for command in commands() {
        let message = command.message(&cause("e1"), AT);
        let received = Command::receive(&message).unwrap();
        assert_eq!(received.id, command.id(&cause("e1")));
        assert_eq!(received.command, command);
        assert!(Command::KINDS.contains(&command.kind()));
    }
}

fn received(command: &Command) -> ReceivedCommand {
    Command::receive(&command.message(&cause("e1"), AT)).unwrap()
}

/// Types and data of the events that confirm a command.
fn confirmed(command: &Command, paused: &[ScheduleId]) -> Vec<(String, Value)> {
    let messages = received(command).confirming_events(paused, AT);
    assert_eq!(messages, received(command).confirming_events(paused, AT));
    let read = |message: &String| {
        assert!(
            matches!(events::parse(message, Some(AT)), Ok(events::ReceivedMessage::Known(_))),
            "{message}"
        );
        let event: Value = serde_json::from_str(message).unwrap();
        assert_eq!((&event["source"], &event["time"]), (&json!(SOURCE), &json!(AT)));
        (event["type"].as_str().unwrap().to_owned(), event["data"].clone())
    };
    messages.iter().map(read).collect()
}

#[test]
fn what_was_done_is_published_as_events_that_we_take_in() {
    let [pause, revoke, ban] = commands();
    let task = "22222222-0000-4000-8000-000000000001";
    let paused = ("ai.torale.task.paused".to_owned(), json!({ "task_id": task }));
    let of = |id: &str| ("ai.torale.temporal.schedule.paused".to_owned(), json!({ "schedule_id": id }));
    assert_eq!(confirmed(&pause, &[schedule("a"), schedule("b")]), [paused.clone(), of("a"), of("b")]);
    assert_eq!(confirmed(&pause, &[]), [paused], "a schedule that is not there was not paused");
    let revoked = json!({ "key_id": "key_1", "user_id": USER });
    assert_eq!(confirmed(&revoke, &[]), [("ai.torale.api_key.revoked".to_owned(), revoked)]);
    assert_eq!(confirmed(&ban, &[]), []);
}

#[test]
fn the_events_ids_follow_from_the_command_their_types_and_subjects() {
    let [pause, ..] = commands();
    let ids = |at| -> Vec<String> {
        let paused = [schedule("schedule-22222222-0000-4000-8000-000000000001")];
        let messages = received(&pause).confirming_events(&paused, at);
        let events = messages.iter().map(|message| serde_json::from_str::<Value>(message).unwrap());
        events.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(AT), ids(AT.plus(1)));
    // Computed with another program: uuid5("d894aab6-0126-598f-ac9c-392538316029", type + "\n" + subject).
    assert_eq!(ids(AT), ["68983460-7598-528e-9d6d-ab448e6441c1", "1c66d2dd-c054-5ac7-97ff-686187e62f0f"]);
}

#[test]
fn a_late_schedule_is_the_target_of_its_command_and_its_task_is_not_paused() {
    let [pause, ..] = commands();
    let Command::PauseTask { task_id, user_id, schedules, .. } = pause else { panic!() };
    let id = schedule("schedule-22222222-0000-4000-8000-000000000001");
    let late = Command::PauseTask { task_id, user_id, schedules, because_of: Some(id.clone()) };
    let message: Value = serde_json::from_str(&late.message(&cause("e1"), AT)).unwrap();
    assert_eq!(message["subject"], id.as_str());
    // Computed with another program, as the one of the task below.
    assert_eq!(message["id"], "be0c31b3-cddd-5aab-9a66-cfe138e66398");
    let received = Command::receive(&message.to_string()).unwrap();
    assert_eq!(received.command, late);
    let paused = ("ai.torale.temporal.schedule.paused".to_owned(), json!({ "schedule_id": id }));
    assert_eq!(confirmed(&late, std::slice::from_ref(&id)), [paused]);
}

/// The platform may call a schedule by the bare id of its task, or even by that of another one.
#[test]
fn command_for_a_schedule_that_is_called_like_a_task_is_not_mistaken_for_that_of_the_task() {
    let [pause, ..] = commands();
    let Command::PauseTask { task_id, user_id, .. } = pause else { panic!() };
    let pause = |task_id, because_of| Command::PauseTask {
        task_id,
        user_id,
        schedules: known(&["22222222-0000-4000-8000-00000000000a"]),
        because_of,
    };
    for of in ["22222222-0000-4000-8000-00000000000a", "22222222-0000-4000-8000-00000000000b"] {
        for called in ["22222222-0000-4000-8000-00000000000a", "22222222-0000-4000-8000-00000000000A"] {
            let (id, task) = (schedule(called), TaskId::parse(called).unwrap());
            let late = pause(TaskId::parse(of).unwrap(), Some(id.clone()));
            let of_task = pause(task, None);
            assert_ne!(late.id(&cause("e1")), of_task.id(&cause("e1")));
            let message: Value = serde_json::from_str(&late.message(&cause("e1"), AT)).unwrap();
            assert_eq!((&message["subject"], &message[SCHEDULE_TARGET]), (&json!(called), &json!(true)));
            assert_eq!(Command::receive(&message.to_string()).unwrap().command, late);
            let paused = ("ai.torale.temporal.schedule.paused".to_owned(), json!({ "schedule_id": id }));
            assert_eq!(confirmed(&late, std::slice::from_ref(&id)), [paused], "the task stays as it is");
            assert_eq!(received(&of_task).command, of_task);
        }
    }
    let ordinary = pause(task_id, Some(schedule("nightly"))).message(&cause("e1"), AT);
    assert!(!ordinary.contains(SCHEDULE_TARGET), "{ordinary}");
}

#[test]
fn a_command_says_if_all_schedules_of_its_task_are_deleted() {
    let [pause, ..] = commands();
    let message = |all_deleted| {
        let none = pause.with_schedules(KnownSchedules { ids: Vec::new(), all_deleted });
        let message: Value = serde_json::from_str(&none.message(&cause("e1"), AT)).unwrap();
        assert_eq!(Command::receive(&message.to_string()).unwrap().command, none);
        assert!(message["data"].get("all_deleted").is_none(), "{message}");
        message.get(SCHEDULES_DELETED).cloned()
    };
    assert_eq!((message(true), message(false)), (Some(json!(true)), None));
}

#[test]
fn a_command_of_an_earlier_release_names_no_schedules() {
    let [pause, ..] = commands();
    let mut message: Value = serde_json::from_str(&pause.message(&cause("e1"), AT)).unwrap();
    message["data"].as_object_mut().unwrap().remove("schedule_ids");
    let received = Command::receive(&message.to_string()).unwrap();
    assert_eq!(received.command, pause.with_schedules(KnownSchedules::default()));
}

#[test]
fn a_schedule_that_nobody_named_has_its_id_by_a_pattern() {
    let task = TaskId::parse("22222222-0000-4000-8000-000000000001").unwrap();
    let of = |pattern| SchedulePattern::parse(pattern)?.id(&task).map(|id| id.as_str().to_owned());
    assert_eq!(of("task-{task_id}").as_deref(), Some("task-22222222-0000-4000-8000-000000000001"));
    assert_eq!(of("everything"), None, "one schedule for all tasks");
    assert_eq!(of(""), None);
}

#[test]
fn a_note_says_why_who_and_which_command_and_has_an_end() {
    let [pause, ..] = commands();
    let note = "deactivated (requested by 00000000-0000-0000-0000-0000000000ad, command \
                d894aab6-0126-598f-ac9c-392538316029)";
    assert_eq!(received(&pause).note(), note);
    let long = ReceivedCommand { reason: "é".repeat(10_000), ..received(&pause) };
    assert!(long.note().chars().count() < 700);
}

#[test]
fn the_id_tells_action_target_and_cause_apart() {
    let ids = |event| commands().map(|command| command.id(&cause(event)));
    assert_eq!(ids("e1"), ids("e1"));
    assert!(ids("e1").iter().all(|id| !ids("e2").contains(id)));
    // Computed with another program: uuid5(namespace, "task.pause\n22222222-0000-4000-8000-000000000001\ne1").
    assert_eq!(ids("e1")[0].to_string(), "d894aab6-0126-598f-ac9c-392538316029");
}

#[test]
fn what_is_no_command_is_refused_with_a_reason() {
    let [.., ban] = commands();
    let without_reason = ban.message(&cause("e1"), AT).replace("\"reason\"", "\"raisin\"");
    for (body, reason) in [
        ("{", "not a command"),
        ("{}", "not a command: id"),
        (
            r#"{"id":"00000000-0000-0000-0000-0000000000ad","type":"ai.torale.command.user.ban","data":{}}"#,
            "user_id",
        ),
        (r#"{"id":"00000000-0000-0000-0000-0000000000ad","type":"ai.torale.command.dance"}"#, "unknown type"),
        (&without_reason, "reason"),
    ] {
        let refused = Command::receive(body).unwrap_err().to_string();
        assert!(refused.contains(reason), "{body}: {refused}");
    }
}

/// A task with more schedules than a message can name: the first are named by the task's command, each other one by its
/// own. JSON writes a control character as six.
#[test]
fn a_command_fits_the_queue_whatever_characters_its_schedules_have() {
    let task_id = TaskId::parse("22222222-0000-4000-8000-000000000001").unwrap();
    let user_id = UserId::parse("11111111-0000-4000-8000-000000000001").unwrap();
    let pause =
        Command::PauseTask { task_id, user_id, schedules: KnownSchedules::default(), because_of: None };
    let lengths = |character: &str, repeated: usize, count: usize| {
        let id = |n| ScheduleId::parse(&format!("{n:04}{}", character.repeat(repeated))).unwrap();
        let all = KnownSchedules { ids: (0..count).map(id).collect(), all_deleted: false };
        let commands = pause.and_rest(all);
        let named = |command: &Command| match command {
            Command::PauseTask { schedules, .. } => schedules.ids.len(),
            other @ (Command::RevokeKey { .. } | Command::BanUser { .. }) => panic!("{other:?}"),
        };
        assert_eq!(commands.iter().map(named).sum::<usize>(), count);
        let at = Timestamp::from_millis(0);
        assert!(commands.iter().all(|command| command.message(&cause("e1"), at).len() < 256 * 1024));
        named(&commands[0])
    };

    assert_eq!(lengths("\u{1}", 252, 400), 67, "1,516 bytes each");
    assert_eq!(lengths("\"", 252, 400), 201, "508 bytes each");
    assert_eq!(lengths("", 0, 2000), 500, "as many as one receipt of the message can pause");
}

#[test]
fn schedules_that_do_not_fit_into_the_command_for_their_task_get_commands_of_their_own() {
    let task_id = TaskId::parse("22222222-0000-4000-8000-000000000001").unwrap();
    let user_id = UserId::parse("11111111-0000-4000-8000-000000000001").unwrap();
    let mut ids: Vec<ScheduleId> =
        (0..2000).map(|n| ScheduleId::parse(&format!("{}{n:04}", "🙂".repeat(252))).unwrap()).collect();
    ids.sort();
    let all = KnownSchedules { ids: ids.clone(), all_deleted: false };
    let pause = |because_of| Command::PauseTask {
        task_id,
        user_id,
        schedules: KnownSchedules::default(),
        because_of,
    };
    let cause =
        Cause { event: "e".to_owned(), requested_by: "a".to_owned(), reason: "r".to_owned(), trace: None };

    let commands = pause(None).and_rest(all.clone());

    let named = |command: &Command| match command {
        Command::PauseTask { schedules, .. } => schedules.ids.clone(),
        other @ (Command::RevokeKey { .. } | Command::BanUser { .. }) => panic!("{other:?}"),
    };
    let at = Timestamp::from_millis(0);
    assert!(commands.iter().all(|command| command.message(&cause, at).len() < 256 * 1024));
    assert_eq!(commands.iter().flat_map(named).collect::<Vec<_>>(), ids);
    assert_eq!(named(&commands[0]).len(), 101, "1,012 bytes each");
    assert!(commands[1..].iter().all(|command| named(command).len() == 1));
    assert!(commands[1..].iter().all(|command| command.target() == named(command)[0].as_str()));
    assert_eq!(named(&pause(Some(ids[1999].clone())).with_schedules(all)), [ids[1999].clone()]);
    let few = KnownSchedules { ids: ids[..100].to_vec(), all_deleted: false };
    assert_eq!(pause(None).and_rest(few.clone()), [pause(None).with_schedules(few)]);
}
