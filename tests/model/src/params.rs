//! Query strings: decoding, checking, and the list of faults of a 422.

use serde_json::{Value, json};

use crate::fields::{is_error_type, uuid_text};

#[derive(Clone, Copy)]
pub(crate) enum ParameterRule {
    Page,
    Limit {
        most: u64,
    },
    Hours,
    Flag,
    Uuid,
    ErrorType,
    /// 1 to `most` Unicode code points, whichever they are.
    Text {
        most: usize,
    },
    /// One of some words.
    Word(&'static [&'static str]),
    /// One of some words, which must be there.
    Needed(&'static [&'static str]),
}

/// The filters of `/admin/tasks`: "at most one of the three".
const EXCLUSIVE: [&str; 3] = ["state", "user_id", "search_query"];

pub(crate) struct Params {
    values: Vec<(&'static str, String)>,
}

impl Params {
    /// The known parameters, or the body of the 422.
    pub(crate) fn read(query: &str, known: &[(&'static str, ParameterRule)]) -> Result<Params, Value> {
        let sent = pairs(query);
        let mut values = Vec::new();
        let mut faults = too_many_filters(&sent, known);
        for (name, kind) in known {
            let mine: Vec<Option<&String>> = sent
                .iter()
                .filter(|(n, _)| n.as_deref() == Some(name))
                .map(|(_, value)| value.as_ref())
                .collect();
            match mine[..] {
                [] if !matches!(kind, ParameterRule::Needed(_)) => {}
                [Some(value)] if is_right(*kind, value) => values.push((*name, value.clone())),
                // Malformed, out of range, or "a known one that is repeated": one entry for this
                // name.
                _ => faults.push(*name),
            }
        }
        let read = Params { values };
        // "`bucket`: `minute` (hours <= 24), `hour` (<= 744), `day` (<= 8760)"
        let most = match read.text("bucket") {
            Some("minute") => 24,
            Some("hour") => 744,
            _ => 8760,
        };
        if read.number("hours").is_some_and(|hours| hours > most) {
            faults.push("hours");
        }
        if faults.is_empty() {
            return Ok(read);
        }
        // A name is listed once, whatever is wrong with it.
        faults.sort_unstable();
        faults.dedup();
        let detail: Vec<Value> = faults.iter().map(|name| json!({"loc": ["query", name]})).collect();
        Err(json!({ "detail": detail }))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(number)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), Some("true" | "1"))
    }

    /// "`page` (integer >= 1, default 1)"
    pub(crate) fn page(&self) -> u64 {
        self.number("page").unwrap_or(1)
    }

    /// "`limit` (1..100, default 50)"
    pub(crate) fn limit(&self) -> u64 {
        self.number("limit").unwrap_or(50)
    }

    /// "`hours`: 1..8760, default 24"
    pub(crate) fn hours(&self) -> i64 {
        i64::try_from(self.number("hours").unwrap_or(24)).unwrap()
    }

    /// The rows of the asked page, in the order given.
    pub(crate) fn page_of<T>(&self, rows: Vec<T>) -> Vec<T> {
        let before = u128::from(self.page() - 1) * u128::from(self.limit());
        let before = usize::try_from(before).unwrap_or(usize::MAX);
        rows.into_iter().skip(before).take(usize::try_from(self.limit()).unwrap()).collect()
    }
}

/// "At most one of the three filters (two are a 422 with an entry for each)": those that were
/// given, well-formed or not.
fn too_many_filters(sent: &[Pair], known: &[(&'static str, ParameterRule)]) -> Vec<&'static str> {
    let names = known.iter().map(|(name, _)| *name).filter(|name| EXCLUSIVE.contains(name));
    let given: Vec<&str> =
        names.filter(|name| sent.iter().any(|(n, _)| n.as_deref() == Some(*name))).collect();
    if given.len() > 1 { given } else { Vec::new() }
}

/// The answer of an id in a path: 422 if it is malformed, 404 if there is nothing.
pub(crate) fn about(id: &str, missing: &str, find: impl Fn(&str) -> Option<Value>) -> (u16, Value) {
    let Some(id) = uuid_text(id) else { return (422, json!({"detail": [{"loc": ["path", "id"]}]})) };
    find(&id).map_or_else(|| (404, json!({ "detail": missing })), |body| (200, body))
}

fn is_right(kind: ParameterRule, value: &str) -> bool {
    match kind {
        ParameterRule::Page => number(value).is_some_and(|n| n >= 1),
        ParameterRule::Limit { most } => number(value).is_some_and(|n| (1..=most).contains(&n)),
        ParameterRule::Hours => number(value).is_some_and(|n| (1..=8760).contains(&n)),
        ParameterRule::Flag => matches!(value, "true" | "false" | "1" | "0"),
        ParameterRule::Uuid => uuid_text(value).is_some(),
        ParameterRule::ErrorType => is_error_type(value),
        ParameterRule::Text { most } => (1..=most).contains(&value.chars().count()),
        ParameterRule::Word(words) | ParameterRule::Needed(words) => words.contains(&value),
    }
}

/// Plain ASCII decimal digits: no sign, not empty, leading zeros are fine.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// A name and its value; `None` for one that is not UTF-8.
type Pair = (Option<String>, Option<String>);

fn pairs(query: &str) -> Vec<Pair> {
    query
        .split('&')
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// Percent-decoding, `+` is a space; a `%` without two hex digits after it stays as it is.
fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        match (bytes[at], hex) {
            (b'%', Some(two)) => {
                out.push(u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap());
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).ok()
}
