//! The event types of the code, the schemas and the samples under `events/` belong together.

use jsonschema::{Resource, Validator};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use torale_domain::deactivation::commands::{Cause, Command, KnownSchedules};
use torale_domain::events::{self, EventType, ReceivedMessage, TYPE_PREFIX};
use torale_domain::values::ids::{ApiKeyId, ClerkUserId, ScheduleId, TaskId, UserId};
use torale_testkit::stack::NOW;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every schema by the name of its file, able to follow references to the others.
fn schemas() -> BTreeMap<String, Validator> {
    let files = files(&folder("schemas"));
    let all: Vec<Value> = files.iter().map(|path| read(path)).collect();
    let name = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let compile = |schema: &Value| {
        let options = all.iter().fold(jsonschema::options(), |options, other| {
            options.with_resource(
                other["$id"].as_str().unwrap(),
                Resource::from_contents(other.clone()).unwrap(),
            )
        });
        options.build(schema).unwrap()
    };
    files.iter().map(name).zip(all.iter().map(compile)).collect()
}

/// The schema that describes a message, by its type and version; the envelope's where there is none.
fn schema_of<'a>(schemas: &'a BTreeMap<String, Validator>, message: &Value) -> &'a Validator {
    let name = message["type"].as_str().and_then(|name| name.strip_prefix(TYPE_PREFIX)).unwrap_or_default();
    let old = message["dataschema"].as_str().is_some_and(|schema| schema.ends_with(":0"));
    let versioned = if old { format!("{name}.v0") } else { name.to_owned() };
    schemas.get(&versioned).unwrap_or(&schemas["envelope"])
}

#[test]
fn event_types_have_a_schema_and_samples_that_schema_and_code_accept() {
    let schemas = schemas();

    for kind in EventType::ALL {
        assert!(schemas.contains_key(kind.name()), "no schema for {}", kind.name());
        let samples = files(&folder("samples").join(kind.name()));
        assert!(!samples.is_empty(), "no sample of {}", kind.name());
        for path in samples {
            let text = fs::read_to_string(&path).unwrap();
            let schema = schema_of(&schemas, &read(&path));
            assert!(schema.is_valid(&read(&path)), "{}: its schema refuses it", path.display());
            match events::parse(&text, Some(NOW)) {
                Ok(ReceivedMessage::Known(event)) => {
                    assert_eq!(event.event_type(), *kind, "{}", path.display())
                }
                other => panic!("{}: {other:?}", path.display()),
            }
        }
    }
}

#[test]
fn event_schemas_each_have_a_type() {
    let known: BTreeSet<&str> = EventType::ALL.iter().map(|kind| kind.name()).collect();

    for name in schemas().keys() {
        let event = name.strip_suffix(".v0").unwrap_or(name);
        assert!(known.contains(event) || name == "envelope" || name.starts_with("command."), "{name}");
    }
}

#[test]
fn command_samples_are_accepted_by_their_schemas_and_the_code() {
    let schemas = schemas();
    let commands =
        files(&folder("samples")).into_iter().filter(|path| path.to_str().unwrap().contains("/command."));
    let samples: Vec<PathBuf> = commands.flat_map(|path| files(&path)).collect();

    assert!(samples.len() >= 3);

    for path in samples {
        let sample = read(&path);
        let name = sample["type"].as_str().unwrap().strip_prefix(TYPE_PREFIX).unwrap();
        assert!(schemas[name].is_valid(&sample), "{}", path.display());
        let received = Command::receive(&sample.to_string()).unwrap();
        assert_eq!(format!("command.{}", received.command.kind()), name);
    }
}

#[test]
fn commands_that_are_sent_are_accepted_by_their_schemas() {
    let schemas = schemas();
    let user_id = UserId::parse("660e8400-e29b-41d4-a716-446655440000").unwrap();
    let cause = Cause {
        event: "e1".to_owned(),
        requested_by: user_id.to_string(),
        reason: "User deactivated".to_owned(),
        trace: None,
    };
    let commands = [
        Command::PauseTask {
            task_id: TaskId(user_id.0),
            user_id,
            schedules: KnownSchedules {
                ids: vec![ScheduleId::parse("schedule-1").unwrap()],
                all_deleted: false,
            },
            because_of: None,
        },
        Command::PauseTask {
            task_id: TaskId(user_id.0),
            user_id,
            schedules: KnownSchedules { ids: Vec::new(), all_deleted: true },
            because_of: None,
        },
        Command::RevokeKey { key_id: ApiKeyId::parse("key_1").unwrap(), user_id },
        Command::BanUser { user_id, clerk_user_id: ClerkUserId::parse("user_2abc").unwrap() },
    ];
    let described = schemas.keys().filter_map(|name| name.strip_prefix("command."));

    assert_eq!(described.collect::<BTreeSet<_>>(), BTreeSet::from(Command::KINDS));

    for command in commands {
        let message: Value = serde_json::from_str(&command.message(&cause, NOW)).unwrap();
        let schema = &schemas[&format!("command.{}", command.kind())];
        assert!(schema.is_valid(&message), "{message}");
    }
}

#[test]
fn invalid_samples_are_quarantined_by_the_code_and_refused_by_the_schema_where_the_table_says_so() {
    let schemas = schemas();
    let table = fs::read_to_string(folder("invalid/README.md")).unwrap();
    let listed = files(&folder("invalid")).into_iter().filter(|path| !path.ends_with("README.md"));
    let mut seen = 0;

    for path in listed {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let row = table
            .lines()
            .find(|line| line.contains(&format!("[`{name}`]")))
            .unwrap_or_else(|| panic!("{name}"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(events::parse(&text, Some(NOW)).is_err(), "{name} must be quarantined");
        let valid = serde_json::from_str(&text)
            .is_ok_and(|message: Value| schema_of(&schemas, &message).is_valid(&message));
        let schema_refuses = row.trim_end_matches([' ', '|']).ends_with("yes");
        assert!(
            schema_refuses != valid || path.extension().unwrap() == "txt",
            "{name}: the table says otherwise"
        );
        seen += 1;
    }

    assert!(seen > 80);
}

#[test]
fn unknown_types_and_versions_are_kept_without_effect() {
    for path in files(&folder("unknown")) {
        let text = fs::read_to_string(&path).unwrap();
        let received = events::parse(&text, Some(NOW));
        assert!(matches!(received, Ok(ReceivedMessage::Unknown { .. })), "{}: {received:?}", path.display());
    }
}

#[test]
fn messages_over_256_kib_are_quarantined() {
    let fits = format!("{{\"x\":\"{}\"}}", "x".repeat(events::intake::MAX_MESSAGE_BYTES - 8));

    assert_eq!(fits.len(), events::intake::MAX_MESSAGE_BYTES);

    let refused = |text: &str| events::parse(text, Some(NOW)).unwrap_err().code();
    assert_eq!(refused(&fits), "envelope");
    assert_eq!(refused(&format!("{fits} ")), "too_large");
}

#[test]
fn events_too_far_ahead_are_quarantined_by_the_intake_and_taken_by_a_replay() {
    let path = folder("samples/task.paused/minimal.json");
    let text = fs::read_to_string(path).unwrap();
    let time = read(&folder("samples/task.paused/minimal.json"))["time"].as_str().unwrap().to_owned();
    let future = text.replace(&time, &NOW.plus(25 * torale_domain::values::time::HOUR).to_string());

    assert_eq!(events::parse(&future, Some(NOW)).unwrap_err().code(), "time_out_of_range");
    assert!(events::parse(&future, None).is_ok());
}
