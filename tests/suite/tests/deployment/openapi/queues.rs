//! The description of the queues: every type of event and command has its message, every reference leads somewhere.

use super::events;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use torale_domain::deactivation::commands::{self, Command};
use torale_domain::events::{EventType, TYPE_PREFIX};

fn described() -> Value {
    serde_saphyr::from_str(&fs::read_to_string(events().join("asyncapi.yaml")).unwrap()).unwrap()
}

fn names(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn queues_document_has_a_message_with_its_schema_for_every_event_and_command() {
    let document = described();

    assert_eq!(document["asyncapi"], "3.0.0");

    let schemas = fs::read_dir(events().join("schemas")).unwrap().map(|file| file.unwrap().path());
    let schemas = schemas.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let schemas: BTreeSet<String> = schemas.filter(|name| name != "envelope").collect();
    let messages = &document["components"]["messages"];

    assert_eq!(names(messages), schemas);

    for (name, message) in messages.as_object().unwrap() {
        let payload = &message["payload"];
        assert_eq!(payload["schemaFormat"], "application/schema+json;version=draft-2020-12", "{name}");
        let file = format!("schemas/{name}.json");
        assert_eq!(payload["schema"]["$ref"], file.as_str());
        let schema: Value = serde_json::from_str(&fs::read_to_string(events().join(&file)).unwrap()).unwrap();
        assert_eq!(message["name"], schema["properties"]["type"]["const"], "{name}");
        assert_eq!(message["title"], schema["title"], "{name}");
    }
}

#[test]
fn queues_document_lists_the_messages_of_each_queue() {
    let document = described();
    let of = |channel: &str| {
        let channel = &document["channels"][channel];
        let messages = channel["messages"].as_object().unwrap();
        let named = messages.values().map(|message| {
            let message = document.pointer(&message["$ref"].as_str().unwrap()[1..]).unwrap();
            message["name"].as_str().unwrap().to_owned()
        });
        (channel["address"].as_str().unwrap().to_owned(), named.collect::<BTreeSet<String>>())
    };
    let kinds = EventType::ALL.iter().map(|kind| format!("{TYPE_PREFIX}{}", kind.name()));

    assert_eq!(of("events"), ("torale-events".to_owned(), kinds.collect()));

    let kinds = Command::KINDS.iter().map(|kind| format!("{}{kind}", commands::TYPE_PREFIX));
    assert_eq!(of("commands"), ("torale-commands".to_owned(), kinds.collect()));
}

#[test]
fn queues_document_references_lead_somewhere() {
    let document = described();
    let mut left = references(&document, &events().join("asyncapi.yaml"));
    let mut files = BTreeMap::new();
    let mut seen = 0;

    while let Some((from, reference)) = left.pop() {
        seen += 1;
        let (file, pointer) = reference.split_once('#').unwrap_or((&reference, ""));
        if file.is_empty() && from.ends_with("asyncapi.yaml") {
            assert!(document.pointer(pointer).is_some(), "{reference}");
            continue;
        }
        let path = if file.is_empty() { from } else { from.parent().unwrap().join(file) };
        let schema = files.entry(path.clone()).or_insert_with(|| {
            let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{reference}"));
            let schema: Value = serde_json::from_str(&text).unwrap();
            left.extend(references(&schema, &path));
            schema
        });
        assert!(schema.pointer(pointer).is_some(), "{}: {reference}", path.display());
    }

    assert_eq!(
        files.len(),
        names(&document["components"]["messages"]).len() + 1,
        "all schemas and the envelope"
    );
    assert!(seen > 150, "{seen}");
}

/// Every reference of a document, with the file it stands in.
fn references(document: &Value, path: &Path) -> Vec<(PathBuf, String)> {
    let (mut left, mut found) = (vec![document], Vec::new());
    while let Some(value) = left.pop() {
        let reference = value.get("$ref").and_then(Value::as_str);
        found.extend(reference.map(|reference| (path.to_owned(), reference.to_owned())));
        left.extend(value.as_object().into_iter().flat_map(|members| members.values()));
        left.extend(value.as_array().into_iter().flatten());
    }
    found
}
