//! Answers as text for people, and as JSON.

use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use torale_domain::projections::repair::Difference;
use torale_domain::replay::rebuild::{Tally, UnwritableEntity};
use torale_domain::storage::item::{Attributes, Value};
use torale_replay::compare::Comparison;
use torale_replay::restore::RestoreReport;
use torale_replay::status::{GenerationRole, GenerationStatus, ReplayStatus};
use torale_tools::print_line;
use torale_tools::terminal::{json_line, print_json};

/// Prints an answer as JSON, or by `text`.
pub(crate) fn answer(json: bool, answer: &impl Serialize, text: impl FnOnce()) {
    if json {
        print_json(answer);
    } else {
        text();
    }
}

pub(crate) fn status(status: &ReplayStatus) {
    let columns = ["generation", "role", "lanes", "items", "bytes", "through", "lag", "units"];
    let mut table = vec![columns.map(str::to_owned)];
    table.extend(status.generations.iter().map(row));
    let width =
        |column: usize| table.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    for row in &table {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        print_line!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    print_line!("log since {}; {} messages in quarantine", status.log_since, status.quarantined);
    if status.generations.iter().any(|one| one.role == GenerationRole::Shadow) {
        print_line!("every event is written twice until the shadow generation is dropped");
    }
}

fn row(one: &GenerationStatus) -> [String; 8] {
    let lag = one.lag_events.zip(one.lag_seconds);
    let none = || "-".to_owned();
    [
        one.name.clone(),
        name(&one.role),
        one.lanes.map_or_else(none, |lanes| lanes.to_string()),
        one.items.to_string(),
        one.bytes.to_string(),
        one.through.map_or_else(none, |through| through.to_string()),
        lag.map_or_else(none, |(events, seconds)| format!("{events} events, {seconds} s")),
        one.units.map_or_else(none, |(done, all)| format!("{done}/{all}")),
    ]
}

pub(crate) fn tally(tally: &Tally) {
    for (event_type, count) in &tally.unknown {
        print_line!("{count} events of unknown type {event_type}");
    }
    if tally.undecodable > 0 {
        print_line!("{} records or messages of the log CAN'T BE READ, in:", tally.undecodable);
        tally.undecodable_in.iter().for_each(|key| print_line!("  {key}"));
    }
    if tally.unwritable > 0 {
        print_line!("{} entities CAN'T BE WRITTEN and are left out:", tally.unwritable);
        for UnwritableEntity { pk, reason } in &tally.unwritable_entities {
            print_line!("  {pk}: {reason}");
        }
    }
}

pub(crate) fn comparison(comparison: &Comparison, limit: usize) {
    let Comparison { expected, found, differences, in_motion, more, known, tally: found_in_log, .. } =
        comparison;
    print_line!("expected: {} items, digest {}", expected.0, expected.1);
    print_line!("found:    {} items, digest {}", found.0, found.1);
    tally(found_in_log);
    differences.iter().take(limit).for_each(difference);
    if !known.is_empty() {
        print_line!("{} items of entities that can't be written are left as they are", known.len());
    }
    if *in_motion > 0 {
        print_line!("{in_motion} items changed in every pass and could not be compared");
    }
    match (differences.len(), more) {
        (0, false) => print_line!("no differences"),
        (count, false) => print_line!("{count} items differ"),
        (count, true) => print_line!("{count} items differ, and there are more"),
    }
}

fn difference(Difference { key, expected, found }: &Difference) {
    print_line!("{} / {}", key.pk, key.sk);
    print_line!("  expected {}", shown(expected.as_ref()));
    print_line!("  found    {}", shown(found.as_ref()));
}

/// How a copy and a table differ: `expected` is the copy's item.
pub(crate) fn restored(restored: &RestoreReport) {
    let RestoreReport { compared, missing, different, superseded, differences, left_out, foreign, .. } =
        restored;
    differences.iter().for_each(difference);
    print_line!("{compared} items of the copy compared: {missing} missing, {different} different");
    if *superseded > 0 {
        print_line!("left out: {superseded} SEALS that don't continue the table's seals");
    }
    for (kind, count) in left_out {
        print_line!("left out: {count} {}s", name(kind).replace('_', " "));
    }
    if *foreign > 0 {
        print_line!(
            "left out: {foreign} items that DON'T BELONG TO THIS TABLE, or hold values that are never written"
        );
    }
}

/// The name that a value has in JSON.
fn name(of: &impl Serialize) -> String {
    serde_json::to_value(of).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

fn shown(attributes: Option<&Attributes>) -> String {
    attributes.map_or_else(|| "nothing".to_owned(), |attributes| json_line(&json_of(attributes)))
}

fn json_of(attributes: &Attributes) -> Json {
    let value = |value: &Value| match value {
        Value::Text(text) => json!(text),
        Value::Number(number) => {
            i64::try_from(*number).map_or_else(|_| json!(number.to_string()), |n| json!(n))
        }
        Value::Bytes(bytes) if bytes.len() <= 64 => json!({ "hex": hex::encode(bytes) }),
        Value::Bytes(bytes) => json!({ "bytes": bytes.len() }),
    };
    Json::Object(attributes.iter().map(|(name, of)| (name.clone(), value(of))).collect::<Map<_, _>>())
}

/// A comparison as JSON.
pub(crate) fn comparison_json(comparison: &Comparison, limit: usize) -> Json {
    let Comparison { expected, found, differences, in_motion, more, known, tally, .. } = comparison;
    json!({ "equal": comparison.is_equal(), "expected": { "items": expected.0, "digest": expected.1 },
        "found": { "items": found.0, "digest": found.1 }, "differing": differences.len(), "more": more,
        "in_motion": in_motion, "differences": differences_json(differences, limit), "known": known.len(), "log": tally })
}

/// The first `limit` differences as JSON.
pub(crate) fn differences_json(differences: &[Difference], limit: usize) -> Json {
    let shown = differences.iter().take(limit).map(|one| {
        json!({ "pk": one.key.pk, "sk": one.key.sk, "expected": one.expected.as_ref().map(json_of),
            "found": one.found.as_ref().map(json_of) })
    });
    Json::Array(shown.collect())
}
