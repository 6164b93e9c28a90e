//! The parsers take exactly the parameters and bodies that the document describes, at every edge.

use super::judge::Document;
use serde_json::{Value, json};
use torale_domain::requests::changes::{ChangeRequest, UserIdRequest, UserIdsRequest};
use torale_domain::requests::parameters::{ParameterFault, QueryParameters};
use torale_platform::serve::{Endpoint, Handler};

const ID: &str = "660e8400-e29b-41d4-a716-446655440000";

/// Texts around every edge that a parameter may have; those that are no JSON number are no number on the wire either.
fn candidates(schema: &Value) -> Vec<String> {
    let mut all: Vec<String> = (b' '..=b'~').map(|byte| char::from(byte).to_string()).collect();
    for bound in ["minimum", "maximum", "default"] {
        if let Some(bound) = schema[bound].as_u64() {
            let around = [bound.checked_sub(1), Some(bound), bound.checked_add(1)];
            all.extend(around.into_iter().flatten().map(|number| number.to_string()));
        }
    }
    for name in schema["enum"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        all.extend([name.to_owned(), name.to_uppercase(), format!("{name} ")]);
    }
    let length = usize::try_from(schema["maxLength"].as_u64().unwrap_or(7)).unwrap();
    all.extend([length - 1, length, length + 1].map(|length| "a".repeat(length)));
    let others =
        ["", "-1", "+1", "1.5", "1e999", "abc", "tRue", "stats.read", "a sk_b", "sk_a", "ask_", "ä", "1_0"];
    all.extend(others.map(str::to_owned));
    all.extend([
        ID.to_owned(),
        ID.to_uppercase(),
        ID.replace('-', ""),
        format!("{{{ID}}}"),
        format!("{ID}0"),
    ]);
    all.extend([ID.replace("660", "66g"), ID.replace("e29b-4", "e29b4-"), format!("urn:uuid:{ID}")]);
    all
}

/// The value that a text on the wire stands for.
fn value(schema: &Value, text: &str) -> Value {
    let number = || serde_json::from_str::<Value>(text).ok().filter(Value::is_number);
    let number = if schema["type"] == "integer" { number() } else { None };
    number.unwrap_or_else(|| json!(text))
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What a request must have: of each parameter that is required, a value that is taken.
fn required(parameters: &[Value]) -> Vec<(&str, &Value, String)> {
    let required = parameters.iter().filter(|one| one["required"] == true);
    let last = |schema: &Value| schema["enum"].as_array()?.last()?.as_str().map(str::to_owned);
    // The longest bucket of a series takes all hours that are described.
    let taken = |schema: &Value| last(schema).unwrap_or_else(|| ID.to_owned());
    required.map(|one| (one["name"].as_str().unwrap(), &one["in"], taken(&one["schema"]))).collect()
}

/// Whether a request is taken that has these values in its query and everything else that is required;
/// or `segment` in its path.
fn parse<H: Handler>(
    required: &[(&str, &Value, String)],
    segment: Option<&str>,
    query: &str,
) -> Result<Value, Vec<ParameterFault>> {
    let has = |name: &str| query.split('&').any(|pair| pair.starts_with(&format!("{name}=")));
    let others = required.iter().filter(|(name, place, _)| *place == "query" && !has(name));
    let others: Vec<String> = others.map(|(name, _, value)| format!("{name}={value}")).collect();
    let in_path = required.iter().find(|(_, place, _)| *place == "path").map(|(.., value)| value.as_str());
    let query = [&others[..], &[query.to_owned()]].concat().join("&");
    let taken = H::Parameters::parse_at(segment.or(in_path).unwrap_or_default(), &query)?;
    Ok(serde_json::to_value(taken).unwrap())
}

fn read<H: Handler>(document: &Document) -> usize {
    let Endpoint { method, path, .. } = H::ENDPOINT;
    let operation = document.operation(method.as_str(), path);
    let parameters = operation["parameters"].as_array().unwrap();
    let required = required(parameters);
    let understood = parse::<H>(&required, None, "").ok().unwrap();
    for parameter in parameters {
        let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
        let in_path = parameter["in"] == "path";
        assert!(in_path || parameter["in"] == "query", "{path}: {name}");
        assert_eq!(path.contains(&format!("{{{name}}}")), in_path, "{path}: {name}");
        for text in candidates(schema) {
            let taken = if in_path {
                parse::<H>(&required, Some(&text), "")
            } else {
                parse::<H>(&required, None, &format!("{name}={}", encoded(&text)))
            };
            let described = jsonschema::is_valid(schema, &value(schema, &text));
            assert_eq!(taken.is_ok(), described, "{path}: {name}={text:?}: {:?}", taken.err());
        }
        if let Some(default) = schema.get("default") {
            let default = default.as_str().map_or(default.clone(), |text| json!(text == "true"));
            // An addition: the audit trail records it where it is asked for, so that other records stay as they were.
            let recorded = if name == "include_timezone" { Value::Null } else { default };
            assert_eq!(understood[name], recorded, "{path}: {name}");
        }
        if !in_path {
            let twice = parse::<H>(&required, None, &format!("{name}=1&{name}=1")).err().unwrap();
            assert_eq!(twice[0].kind, "repeated");
        }
    }
    let missing = H::Parameters::parse("").err().unwrap_or_default();
    assert_eq!(missing.len(), required.len(), "{path}: each that is required");
    let all: Vec<String> =
        parameters.iter().map(|one| format!("{}=", one["name"].as_str().unwrap())).collect();
    let faults = H::Parameters::parse(&all.join("&")).err().unwrap_or_default();
    assert_eq!(faults.len(), parameters.len(), "{path}: each is read");
    assert_eq!(operation["responses"].get("422").is_some(), !parameters.is_empty(), "{path}");
    parameters.len()
}

#[test]
fn query_parameters_are_taken_as_described() {
    let document = &Document::new();
    let seen = [
        read::<stats::Stats>(document),
        read::<stats_series::StatsSeries>(document),
        read::<queries::Queries>(document),
        read::<executions::Executions>(document),
        read::<execution::ReadExecution>(document),
        read::<errors::Errors>(document),
        read::<users::Users>(document),
        read::<user::ReadUser>(document),
        read::<tasks::Tasks>(document),
        read::<task::ReadTask>(document),
        read::<temporal_workflows::Workflows>(document),
        read::<temporal_schedules::Schedules>(document),
        read::<health::Health>(document),
        read::<audit::Audit>(document),
    ];

    assert_eq!(seen, [0, 3, 2, 5, 1, 5, 4, 1, 5, 1, 2, 4, 0, 5]);
}

#[test]
fn path_ids_are_taken_as_described() {
    let document = Document::new();

    for path in ["/admin/users/{id}/deactivate", "/admin/users/{id}/reactivate"] {
        let parameter = &document.operation("PATCH", path)["parameters"][0];
        assert_eq!((&parameter["name"], &parameter["in"]), (&json!("id"), &json!("path")));
        for text in candidates(&parameter["schema"]) {
            let described = jsonschema::is_valid(&parameter["schema"], &json!(text));
            assert_eq!(UserIdRequest::parse(&text, b"").is_ok(), described, "{text:?}");
        }
    }
}

#[test]
fn body_lists_of_ids_are_taken_as_described() {
    let document = Document::new();
    let body = &document.operation("POST", "/admin/users/deactivate")["requestBody"];
    let schema = &body["content"]["application/json"]["schema"];

    assert_eq!(body["required"], true);
    assert!(body["description"].as_str().unwrap().contains(&UserIdsRequest::MAX_BODY.to_string()));

    let most = usize::try_from(schema["properties"]["user_ids"]["maxItems"].as_u64().unwrap()).unwrap();
    let lists = [0, 1, most, most + 1].map(|length| json!({ "user_ids": vec![ID; length] }));
    let odd = [
        json!({ "user_ids": [1, null, "x", {}] }),
        json!({ "user_ids": [ID], "more": 1 }),
        json!({ "user_ids": ID }),
        json!({ "user_ids": null }),
        json!({}),
        json!([]),
        json!(null),
        json!("x"),
    ];

    for body in lists.into_iter().chain(odd) {
        let taken = UserIdsRequest::parse("", body.to_string().as_bytes());
        assert_eq!(taken.is_ok(), jsonschema::is_valid(schema, &body), "{body}");
    }
}
