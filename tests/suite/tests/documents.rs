//! Documents that repeat what code and schemas know are current; the tables in `docs/contract` are generated.
//!
//! `UPDATE_DOCUMENTS=1 cargo test -p torale-tests --test documents` writes them anew. A table stands between
//! `<!-- generated: NAME -->` and `<!-- end -->`; [`TABLES`] has the names.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use torale_domain::events::EventType;

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->";
/// What the headers begin with that every answer to a known caller has.
const LIMIT_HEADERS: &str = "x-ratelimit";
/// Headers that every answer has, or every answer to a known caller.
const COMMON_HEADERS: [&str; 4] = ["cache-control", "x-content-type-options", "x-request-id", "x-user-id"];

/// A table that is generated.
struct Generated {
    /// The document in `docs/contract` that has it.
    document: &'static str,
    name: &'static str,
    table: fn() -> String,
}

const fn generated(document: &'static str, name: &'static str, table: fn() -> String) -> Generated {
    Generated { document, name, table }
}

const TABLES: [Generated; 7] = [
    generated("http.md", "parameters", parameters),
    generated("http.md", "statuses", statuses),
    generated("http.md", "errors", errors),
    generated("events.md", "envelope", envelope),
    generated("events.md", "kinds", kinds),
    generated("events.md", "events", events),
    generated("events.md", "commands", commands),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[allow(clippy::disallowed_methods, reason = "a switch of the tests, not of the product")]
fn updating() -> bool {
    std::env::var("UPDATE_DOCUMENTS").is_ok()
}

/// The document with one table made anew.
fn with_table(document: &str, name: &str, table: &str) -> String {
    let begin = format!("{BEGIN}{name} -->\n");
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("no table {name}"));
    let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("the table {name} has no end"));
    format!("{before}{begin}{table}{END}{after}")
}

#[test]
fn contract_documents_are_current() {
    for document in ["http.md", "events.md"] {
        let path = format!("docs/contract/{document}");
        let found = read(&path);
        let tables: Vec<_> = TABLES.iter().filter(|one| one.document == document).collect();
        let expected =
            tables.iter().fold(found.clone(), |text, one| with_table(&text, one.name, &(one.table)()));
        if updating() {
            fs::write(root().join(&path), &expected).unwrap();
        } else {
            assert!(
                found == expected,
                "{path} is out of date: see the head of tests/suite/tests/documents.rs"
            );
        }
        assert_eq!(expected.matches(BEGIN).count(), tables.len(), "{path}: a table that nothing generates");
    }
}

/// The names in the first column below a heading of a document.
fn first_column<'a>(document: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, section) = document.split_once(heading).unwrap_or_else(|| panic!("no heading {heading}"));
    let lines = section.lines().take_while(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` |")?.0)).collect()
}

#[test]
fn event_contract_describes_the_effect_of_every_type_in_the_order_of_ranks() {
    let document = read("docs/contract/events.md");
    let rows = first_column(&document, "### Effects\n").into_iter();
    // The contract may be ahead of the code.
    let described: Vec<_> = rows.filter(|name| EventType::from_name(name).is_some()).collect();
    let known: Vec<_> = EventType::ALL.iter().map(|event_type| event_type.name()).collect();
    assert_eq!(described, known);
}

#[test]
fn configuration_page_lists_exactly_the_variables_that_are_read() {
    let is_variable =
        |text: &&str| text.contains('_') && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let source = read("shared/platform/src/config.rs");
    let read_by_code: BTreeSet<&str> = source.split('"').skip(1).step_by(2).filter(is_variable).collect();
    let page = read("docs/configuration.md");
    let described: BTreeSet<&str> = first_column(&page, "# Configuration\n").into_iter().collect();
    assert!(!described.is_empty());
    assert_eq!(described, read_by_code);
}

/// A table in Markdown.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    assert!(!rows.is_empty(), "a table without rows: {head:?}");
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let rule: Vec<String> = head.iter().map(|_| "---".to_owned()).collect();
    [head, rule].iter().chain(&rows).map(|cells| line(cells)).collect()
}

/// A value as code.
fn code(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("`{}`", text.replace('|', "\\|"))
}

fn codes(values: &Value, between: &str) -> String {
    values.as_array().unwrap().iter().map(code).collect::<Vec<_>>().join(between)
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_default().replace('|', "\\|")
}

fn required(of: &Value) -> Vec<&str> {
    of["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect()
}

/// The members of an object by name, whatever the order in which the parser keeps them.
fn members(object: &Value) -> BTreeMap<&str, &Value> {
    object.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value)).collect()
}

/// The properties of a schema: required ones in the schema's own order, then the others by name.
fn properties(schema: &Value) -> Vec<(&str, &Value, bool)> {
    let (all, required) = (members(&schema["properties"]), required(schema));
    let first = required.iter().map(|&name| (name, all[name], true));
    let then = all.iter().filter(|(name, _)| !required.contains(name)).map(|(&name, &of)| (name, of, false));
    first.chain(then).collect()
}

/// What a JSON Schema allows, in words. One that there are no words for is an error, not a gap.
fn value(schema: &Value) -> String {
    let fields = schema.as_object().unwrap();
    if let Some(name) = fields.get("$ref") {
        return name.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    }
    for (name, between) in [("anyOf", " or "), ("allOf", " and ")] {
        if let Some(Value::Array(some)) = fields.get(name) {
            return some.iter().map(value).collect::<Vec<_>>().join(between);
        }
    }
    if let Some(only) = fields.get("const") {
        return code(only);
    }
    if let Some(names) = fields.get("enum") {
        return format!("one of {}", codes(names, ", "));
    }
    match fields.get("type").and_then(Value::as_str) {
        Some("string") => string(schema),
        Some("integer") => format!("integer{}", range(schema, "minimum", "maximum", "")),
        Some(plain @ ("boolean" | "object")) => plain.to_owned(),
        Some("array") => format!("list of {}", value(&schema["items"])),
        Some("null") => "`null`".to_owned(),
        None if fields.contains_key("pattern") => string(schema),
        None if fields.keys().all(|name| name == "description") => "anything".to_owned(),
        _ => panic!("no words for {schema}"),
    }
}

fn string(schema: &Value) -> String {
    let mut words = format!("text{}", range(schema, "minLength", "maxLength", " characters"));
    match (schema["format"].as_str(), schema.get("pattern")) {
        (Some("date-time"), _) => words = "time (RFC 3339)".to_owned(),
        (Some("uuid"), _) => words = "UUID".to_owned(),
        (None, Some(pattern)) => words += &format!(" matching {}", code(pattern)),
        (None, None) => {}
        (Some(_), _) => panic!("no words for {schema}"),
    }
    let not = &schema["not"];
    match not.as_object().and_then(|fields| fields.iter().next()) {
        Some((name, some)) if name == "enum" => words + &format!(", not {}", codes(some, " or ")),
        Some((name, one)) if name == "const" => words + &format!(", not {}", code(one)),
        Some((name, one)) if name == "pattern" => words + &format!(", not matching {}", code(one)),
        Some(_) => panic!("no words for {schema}"),
        None => words,
    }
}

fn range(schema: &Value, least: &str, most: &str, of: &str) -> String {
    match (schema.get(least), schema.get(most)) {
        (Some(least), Some(most)) => format!(" of {least} to {most}{of}"),
        (Some(least), None) => format!(" of {least} or more{of}"),
        (None, Some(most)) => format!(" of at most {most}{of}"),
        (None, None) => String::new(),
    }
}

/// Every operation of the HTTP API with its name, such as `GET /admin/stats`.
fn operations() -> Vec<(String, Value)> {
    let document = json("events/openapi.json");
    let mut found = Vec::new();
    for (path, methods) in members(&document["paths"]) {
        for (method, operation) in members(methods) {
            found.push((format!("`{} {path}`", method.to_uppercase()), operation.clone()));
        }
    }
    found
}

fn parameters() -> String {
    let mut rows = Vec::new();
    for (operation, of) in operations() {
        for parameter in of["parameters"].as_array().into_iter().flatten() {
            let schema = &parameter["schema"];
            let name = match text(parameter, "in").as_str() {
                "query" => format!("`{}`", text(parameter, "name")),
                place => format!("`{}` in {place}", text(parameter, "name")),
            };
            let default = schema.get("default").map(code).unwrap_or_default();
            rows.push(vec![operation.clone(), name, value(schema), default, text(parameter, "description")]);
        }
    }
    table(&["endpoint", "parameter", "value", "default", "meaning"], rows)
}

fn statuses() -> String {
    let row = |(name, of): &(String, Value)| {
        let statuses: Vec<_> = members(&of["responses"]).into_keys().collect();
        vec![name.clone(), statuses.join(", ")]
    };
    table(&["endpoint", "statuses"], operations().iter().map(row).collect())
}

/// The bodies and headers of each status that is a refusal.
fn errors() -> String {
    let shared = &json("events/openapi.json")["components"]["responses"];
    let mut found: BTreeMap<String, [BTreeSet<String>; 2]> = BTreeMap::new();
    for (_, operation) in operations() {
        for (status, of) in
            members(&operation["responses"]).into_iter().filter(|(status, _)| *status != "200")
        {
            let of = of.get("$ref").map_or(of, |_shared| &shared[status]);
            let [bodies, headers] = found.entry(status.to_owned()).or_default();
            let examples = members(&of["content"]["application/json"]["examples"]);
            bodies.extend(examples.values().map(|example| body(&example["value"])));
            let names = members(&of["headers"]).into_keys();
            let own = names.filter(|name| !name.starts_with(LIMIT_HEADERS) && !COMMON_HEADERS.contains(name));
            headers.extend(own.map(|name| format!("`{name}`")));
        }
    }
    let joined = |some: BTreeSet<String>| some.into_iter().collect::<Vec<_>>().join("<br>");
    let row = |(status, [bodies, headers]): (String, [BTreeSet<String>; 2])| {
        vec![status, joined(bodies), joined(headers)]
    };
    table(&["status", "body", "headers of its own"], found.into_iter().map(row).collect())
}

/// A body as an example; of a list of faults, their form.
fn body(example: &Value) -> String {
    match example["detail"] {
        Value::Array(_) => r#"`{"detail":[{"loc":[...],"msg":"...","type":"..."}, ...]}`"#.to_owned(),
        _ => code(example),
    }
}

fn envelope() -> String {
    let schema = json("events/schemas/envelope.json");
    let row = |(name, of, required): (&str, &Value, bool)| {
        let required = if required { "yes" } else { "" };
        vec![format!("`{name}`"), required.to_owned(), value(of), text(of, "description")]
    };
    table(&["field", "required", "value", "meaning"], properties(&schema).into_iter().map(row).collect())
}

fn kinds() -> String {
    let schema = json("events/schemas/envelope.json");
    let row = |(name, of): (&str, &Value)| vec![name.to_owned(), value(of), text(of, "description")];
    table(&["kind", "value", "meaning"], members(&schema["$defs"]).into_iter().map(row).collect())
}

/// The files of the schemas, without their ending.
fn schemas() -> BTreeSet<String> {
    let files = fs::read_dir(root().join("events/schemas")).unwrap();
    files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// The type whose schema a file is, and a version that is not the newest.
fn type_of(file: &str) -> (&str, Option<&str>) {
    match file.rsplit_once(".v") {
        Some((name, version)) if version.parse::<u32>().is_ok() => (name, Some(version)),
        _ => (file, None),
    }
}

/// A row of a table of types: the fields of `data` with their values and defaults.
fn fields(file: &str) -> Vec<String> {
    let schema = json(&format!("events/schemas/{file}.json"));
    let field = |(name, of, required): (&str, &Value, bool)| {
        let mark = if required { "" } else { "?" };
        let default =
            of.get("default").map_or_else(String::new, |default| format!(" (default {})", code(default)));
        format!("`{name}`{mark} {}{default}", value(of))
    };
    let fields: Vec<_> = properties(&schema["properties"]["data"]).into_iter().map(field).collect();
    let (name, version) = type_of(file);
    let version = version.map_or_else(String::new, |version| format!(", version {version}"));
    vec![format!("[{name}{version}](../../events/schemas/{file}.json)"), fields.join("; ")]
}

fn events() -> String {
    let files = schemas();
    let of = |event_type: &EventType| {
        let versions = files.iter().filter(|file| type_of(file).0 == event_type.name());
        versions.map(|file| fields(file)).collect::<Vec<_>>()
    };
    table(&["type", "fields of `data`"], EventType::ALL.iter().flat_map(of).collect())
}

fn commands() -> String {
    let rows =
        schemas().iter().filter(|file| file.starts_with("command.")).map(|file| fields(file)).collect();
    table(&["type", "fields of `data`"], rows)
}
