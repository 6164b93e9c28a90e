use super::*;

const USER: &str = "00000000-0000-0000-0000-0000000000ad";
const AT: Timestamp = Timestamp::from_millis(1_774_953_030_500);

fn commands() -> [Command; 3] {
    let user_id = UserId::parse(USER).unwrap();
    [
        Command::PauseTask {
            task_id: TaskId::parse("22222222-0000-4000-8000-000000000001").unwrap(),
            user_id,
        },
        Command::RevokeKey { key_id: KeyId::parse("key_1").unwrap(), user_id },
        Command::BanUser { user_id, clerk_user_id: ClerkUserId::parse("user_2abc").unwrap() },
    ]
}

fn cause(event: &str) -> Cause {
    Cause {
        event: event.to_owned(),
        requested_by: UserId::parse(USER).unwrap(),
        reason: "deactivated".to_owned(),
        trace: None,
    }
}

#[test]
fn a_trace_is_passed_from_a_command_to_its_confirming_events_and_changes_nothing_else() {
    let text = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
    let traced = Cause { trace: TraceParent::parse(text), ..cause("e1") };
    let [pause, ..] = commands();
    let received = Command::receive(&pause.message(&traced, AT)).unwrap();
    assert_eq!(received.trace, traced.trace);
    for (event, plain) in received
        .confirming_events(true, AT)
        .iter()
        .zip(super::tests::received(&pause).confirming_events(true, AT))
    {
        let mut event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(event.as_object_mut().unwrap().remove("traceparent"), Some(json!(text)));
        assert_eq!(event, serde_json::from_str::<Value>(&plain).unwrap());
    }
    let wrong = pause.message(&traced, AT).replace(text, "ann@example.com");
    assert_eq!(Command::receive(&wrong).unwrap().trace, None);
}

#[test]
fn a_command_is_received_as_it_was_sent() {
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
fn confirming_events(command: &Command, existed: bool) -> Vec<(String, Value)> {
    let messages = received(command).confirming_events(existed, AT);
    assert_eq!(messages, received(command).confirming_events(existed, AT));
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
fn confirming_events_are_events_of_the_contract() {
    let [pause, revoke, ban] = commands();
    let task = "22222222-0000-4000-8000-000000000001";
    let paused = ("ai.torale.task.paused".to_owned(), json!({ "task_id": task }));
    let schedule = json!({ "schedule_id": format!("task-{task}") });
    let schedule = ("ai.torale.temporal.schedule.paused".to_owned(), schedule);
    assert_eq!(confirming_events(&pause, true), [paused.clone(), schedule]);
    assert_eq!(confirming_events(&pause, false), [paused]);
    let revoked = json!({ "key_id": "key_1", "user_id": USER });
    assert_eq!(confirming_events(&revoke, true), [("ai.torale.api_key.revoked".to_owned(), revoked)]);
    assert_eq!(confirming_events(&ban, true), []);
}

#[test]
fn the_id_of_a_confirming_event_follows_from_the_command_and_the_type() {
    let [pause, ..] = commands();
    let ids = |at| -> Vec<String> {
        let messages = received(&pause).confirming_events(true, at);
        let events = messages.iter().map(|message| serde_json::from_str::<Value>(message).unwrap());
        events.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(AT), ids(AT.plus(1)));
    // Computed with another program: uuid5("d894aab6-0126-598f-ac9c-392538316029", type).
    assert_eq!(ids(AT), ["82d37c7a-2256-5e52-894e-b0d2029d9f6c", "9b77c100-a0b1-5f44-a5a0-9671113dcb10"]);
}

#[test]
fn a_note_states_reason_requester_and_command_and_is_limited_in_length() {
    let [pause, ..] = commands();
    let note = "deactivated (requested by 00000000-0000-0000-0000-0000000000ad, command \
                d894aab6-0126-598f-ac9c-392538316029)";
    assert_eq!(received(&pause).note(), note);
    let long = ReceivedCommand { reason: "é".repeat(10_000), ..received(&pause) };
    assert!(long.note().chars().count() < 700);
}

#[test]
fn the_id_of_a_command_depends_on_kind_target_and_cause() {
    let ids = |event| commands().map(|command| command.id(&cause(event)));
    assert_eq!(ids("e1"), ids("e1"));
    assert!(ids("e1").iter().all(|id| !ids("e2").contains(id)));
    // Computed with another program: uuid5(namespace,
    // "task.pause\n22222222-0000-4000-8000-000000000001\ne1").
    assert_eq!(ids("e1")[0].to_string(), "d894aab6-0126-598f-ac9c-392538316029");
}

#[test]
fn a_message_that_is_no_command_is_refused_with_a_reason() {
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
