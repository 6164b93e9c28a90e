//! The parameters of every page: the same text says the same, and what is wrong is told by name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use torale_domain::pages::{audit, errors, executions, queries, schedules, series, tasks, users, workflows};
use torale_domain::requests::parameters::{NoParameters, ParameterFault, QueryParameters};

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    read::<NoParameters>(&text, &[]);
    read::<queries::QueriesParameters>(&text, &["page", "limit"]);
    read::<workflows::WorkflowsParameters>(&text, &["page", "limit"]);
    read::<errors::ErrorsParameters>(&text, &["error_type", "task_id", "hours", "page", "limit"]);
    read::<series::SeriesParameters>(&text, &["metric", "bucket", "hours"]);
    read::<tasks::TasksParameters>(&text, &["state", "user_id", "search_query", "page", "limit"]);
    read::<executions::ExecutionsParameters>(&text, &["status", "task_id", "hours", "page", "limit"]);
    read::<schedules::SchedulesParameters>(&text, &["include_paused", "include_timezone", "page", "limit"]);
    read::<users::UsersParameters>(&text, &["q", "active_only", "page", "limit"]);
    read::<audit::AuditParameters>(&text, &["principal", "action", "hours", "page", "limit"]);
});

/// What was understood, by name.
fn understood<Q: QueryParameters>(text: &str) -> Result<Map<String, Value>, Vec<ParameterFault>> {
    let query = Q::parse(text)?;
    match serde_json::to_value(&query).expect("a query is plain data") {
        Value::Object(values) => Ok(values),
        other => panic!("{other}"),
    }
}

fn read<Q: QueryParameters>(text: &str, names: &[&str]) {
    let read = understood::<Q>(text);
    assert_eq!(read, understood::<Q>(text));
    assert_eq!(read, understood::<Q>(&format!("%7E=1&{text}&~=2")), "unknown parameters are ignored");
    match &read {
        Ok(values) => taken::<Q>(text, values, names),
        Err(faults) => faulty(faults, names),
    }
}

/// What was understood says the same again, and no parameter may be given twice.
fn taken<Q: QueryParameters>(text: &str, values: &Map<String, Value>, names: &[&str]) {
    assert!(values.keys().all(|name| names.contains(&name.as_str())), "{values:?}");
    let sent: BTreeMap<_, _> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    let mut spelled = form_urlencoded::Serializer::new(String::new());
    for (name, value) in values {
        match value {
            // What is recorded by its hash.
            Value::String(value) if value.starts_with("sha256:") => spelled.append_pair(name, &sent[name]),
            Value::String(value) => spelled.append_pair(name, value),
            other => spelled.append_pair(name, &other.to_string()),
        };
    }
    assert_eq!(understood::<Q>(&spelled.finish()).as_ref(), Ok(values));
    for name in given(text).iter().filter(|name| names.contains(&name.as_str())) {
        let faults = understood::<Q>(&format!("{text}&{name}=1")).expect_err("given twice");
        assert!(faults.iter().any(|fault| fault.kind == "repeated" && fault.loc[1] == *name), "{faults:?}");
    }
}

fn given(text: &str) -> BTreeSet<String> {
    form_urlencoded::parse(text.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

/// There is a fault, each is in a parameter that the page has, and none has two.
fn faulty(faults: &[ParameterFault], names: &[&str]) {
    assert!(!faults.is_empty());
    for fault in faults {
        assert_eq!(fault.loc[0], "query");
        assert!(names.contains(&fault.loc[1].as_str()), "{fault:?}");
        assert!(!fault.msg.is_empty() && !fault.kind.is_empty());
    }
    let faulty: BTreeSet<&str> = faults.iter().map(|fault| fault.loc[1].as_str()).collect();
    assert_eq!(faulty.len(), faults.len());
}
