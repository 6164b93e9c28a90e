//! The reader of a query string: the values of the parameters, their declarations,
//! and every fault.

use super::kind::{ACTION_CHARS, FLAGS, Integer, PAGE, Parameter, ParameterKind, ParameterPlace};
use super::recorded::{Recorded, RecordedText};
use crate::access::credentials::KEY_PREFIX;
use crate::values::ids::{TaskId, UserId};
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// A fault of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Fault")]
pub struct ParameterFault {
    /// Where the fault is: `query`, `path` or `body`, then the name.
    pub loc: [String; 2],
    /// What is wrong, for people.
    pub msg: String,
    /// What is wrong, for programs.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// What is wrong with an id that is not of the form of a UUID.
const NOT_A_UUID: &str = "Input should be a UUID with hyphens";

/// What a query string gives a parameter.
type ParameterValue = Result<String, NotUtf8>;

/// The percent-encoded bytes are no UTF-8.
#[derive(Debug)]
struct NotUtf8;

/// Decodes a name or a value of a query string; a `+` is a blank.
fn decoded(text: &str) -> ParameterValue {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().map(String::from).map_err(|_invalid| NotUtf8)
}

/// Reads the parameters of an endpoint from a path and a query string. It collects the declarations of the
/// parameters that were read and the faults that were found.
#[derive(Debug)]
pub struct ParameterReader {
    /// What the path has where the route has a parameter; empty if it has none.
    segment: String,
    values: BTreeMap<String, Vec<ParameterValue>>,
    declared: Vec<Parameter>,
    faults: Vec<ParameterFault>,
}

impl ParameterReader {
    /// Splits a query string into names and values and percent-decodes them. The path has no
    /// parameter.
    pub fn parse(query: &str) -> Self {
        Self::parse_at("", query)
    }

    /// As [`ParameterReader::parse`], of a request whose path has this segment where its route has a
    /// parameter.
    pub fn parse_at(segment: &str, query: &str) -> Self {
        let mut values: BTreeMap<String, Vec<ParameterValue>> = BTreeMap::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // No parameter has a name that is no UTF-8.
            if let Ok(name) = decoded(name) {
                values.entry(name).or_default().push(decoded(value));
            }
        }
        Self { segment: segment.to_owned(), values, declared: Vec::new(), faults: Vec::new() }
    }

    /// The declarations of the parameters that were read.
    pub(super) fn declared(self) -> Vec<Parameter> {
        self.declared
    }

    /// Reports a fault of a parameter of the query string.
    fn fault(&mut self, name: &str, kind: &'static str, msg: String) {
        self.faults.push(ParameterFault { loc: ["query".to_owned(), name.to_owned()], msg, kind });
    }

    /// The parameter `id` of the path, a UUID with hyphens, which `parse` makes an id; `None` only if
    /// there is a fault.
    pub fn path_id<T>(&mut self, about: &'static str, parse: fn(&str) -> Option<T>) -> Option<T> {
        let (name, kind, place) = ("id", ParameterKind::Uuid, ParameterPlace::Path);
        self.declared.push(Parameter { name, about, kind, place });
        let id = parse(&self.segment);
        if id.is_none() {
            let loc = ["path".to_owned(), name.to_owned()];
            self.faults.push(ParameterFault { loc, msg: NOT_A_UUID.to_owned(), kind: "uuid_parsing" });
        }
        id
    }

    /// Declares a parameter and returns its value, if the request has it once. A repeated
    /// parameter is a fault, and so is one that is no UTF-8.
    fn single(&mut self, name: &'static str, about: &'static str, kind: ParameterKind) -> Option<String> {
        self.declared.push(Parameter { name, about, kind, place: ParameterPlace::Query });
        let mut values = self.values.remove(name)?;
        if values.len() > 1 {
            self.fault(name, "repeated", "The parameter may be given only once".to_owned());
            return None;
        }
        let value = values.pop()?;
        if value.is_err() {
            self.fault(name, "string_unicode", "Input should be percent-encoded UTF-8".to_owned());
        }
        value.ok()
    }

    /// An integer; its default if the request does not have it.
    pub fn integer(&mut self, declaration: &Integer) -> u64 {
        let default = declaration.default;
        self.optional_integer(declaration, Some(default)).unwrap_or(default)
    }

    /// An integer as [`ParameterReader::integer`] reads it, of which other parameters allow only values
    /// up to `most`.
    pub fn integer_up_to(&mut self, declaration: &Integer, most: u64) -> u64 {
        let number = self.integer(declaration);
        if number > most {
            self.too_great(declaration.name, most);
        }
        number
    }

    fn too_great(&mut self, name: &str, max: u64) {
        self.fault(name, "less_than_equal", format!("Input should be less than or equal to {max}"));
    }

    /// An integer; `None` if the request does not have it. `default` is declared, but not applied.
    fn optional_integer(&mut self, declaration: &Integer, default: Option<u64>) -> Option<u64> {
        let Integer { name, about, min, max, .. } = *declaration;
        let text = self.single(name, about, ParameterKind::Integer { min, max, default })?;
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            self.fault(name, "int_parsing", "Input should be a valid integer".to_owned());
            return None;
        }
        let number = text.parse().ok();
        if number.is_some_and(|number: u64| number < min) {
            self.fault(name, "greater_than_equal", format!("Input should be greater than or equal to {min}"));
        } else if number.is_none_or(|number| number > max) {
            self.too_great(name, max);
        } else {
            return number;
        }
        None
    }

    /// A boolean; false if the request does not have it.
    pub fn flag(&mut self, name: &'static str, about: &'static str) -> bool {
        let Some(text) = self.single(name, about, ParameterKind::Flag) else { return false };
        let found = FLAGS.iter().find(|(spelling, _)| *spelling == text).map(|(_, value)| *value);
        if found.is_none() {
            self.fault(name, "bool_parsing", "Input should be true, false, 1 or 0".to_owned());
        }
        found.unwrap_or_default()
    }

    /// The id of a user; `None` if the request does not have it.
    pub fn user(&mut self, name: &'static str, about: &'static str) -> Option<UserId> {
        self.id(name, about, UserId::parse)
    }

    /// The id of a task; `None` if the request does not have it.
    pub fn task(&mut self, name: &'static str, about: &'static str) -> Option<TaskId> {
        self.id(name, about, TaskId::parse)
    }

    fn id<T>(&mut self, name: &'static str, about: &'static str, parse: fn(&str) -> Option<T>) -> Option<T> {
        let id = parse(&self.single(name, about, ParameterKind::Uuid)?);
        if id.is_none() {
            self.fault(name, "uuid_parsing", NOT_A_UUID.to_owned());
        }
        id
    }

    /// The name of an action, such as `stats.read`; `None` if the request does not have it. A text
    /// that could contain an API key is refused, because the audit trail records it.
    pub fn action(&mut self, name: &'static str, about: &'static str) -> Option<String> {
        let text = self.single(name, about, ParameterKind::Action)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_');
        if (1..=ACTION_CHARS).contains(&text.len()) && text.bytes().all(plain) && !text.contains(KEY_PREFIX) {
            return Some(text);
        }
        self.fault(name, "string_pattern", "Input should be the name of an action".to_owned());
        None
    }

    /// An error type; `None` if the request does not have it.
    pub fn error_type(&mut self, name: &'static str, about: &'static str) -> Option<RecordedText> {
        let text = self.single(name, about, ParameterKind::ErrorType)?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(legal) {
            let recorded = if text.contains(KEY_PREFIX) { Recorded::Hash } else { Recorded::Plain };
            return Some(RecordedText { text, recorded });
        }
        self.fault(
            name,
            "string_pattern",
            "Input should be 1 to 64 of letters, digits, '_', '.', '-'".to_owned(),
        );
        None
    }

    /// A text of 1 to `max` characters; `None` if the request does not have it. The audit trail records
    /// its hash: it may be personal.
    pub fn text(&mut self, name: &'static str, about: &'static str, max: usize) -> Option<RecordedText> {
        let text = self.single(name, about, ParameterKind::Text { min: 1, max })?;
        if text.is_empty() {
            self.fault(name, "string_too_short", "Input should have at least 1 character".to_owned());
            return None;
        }
        if text.chars().count() > max {
            self.fault(name, "string_too_long", format!("Input should have at most {max} characters"));
            return None;
        }
        Some(RecordedText { text, recorded: Recorded::Hash })
    }

    /// Refuses more than one of some parameters, with one fault for each that the request has, whatever
    /// its value. To be called before they are read.
    pub fn at_most_one(&mut self, names: &[&'static str]) {
        let given: Vec<&str> = names.iter().copied().filter(|name| self.values.contains_key(*name)).collect();
        if given.len() < 2 {
            return;
        }
        let together = given.join(", ");
        for name in given {
            self.values.remove(name);
            self.fault(name, "conflicting", format!("Only one of {together} may be given"));
        }
    }

    /// The value of one of some names; `None` if the request does not have it.
    pub fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        about: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let names = choices.iter().map(|(choice, _)| *choice).collect();
        let text = self.single(name, about, ParameterKind::Choice(names))?;
        let found = choices.iter().find(|(choice, _)| *choice == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(choice, _)| format!("'{choice}'")).collect();
            self.fault(name, "enum", format!("Input should be {}", names.join(", ")));
        }
        found
    }

    /// The value of one of some names, which the request must have; `None` only if there is a fault.
    pub fn required_choice<T: Copy>(
        &mut self,
        name: &'static str,
        about: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        if !self.values.contains_key(name) {
            self.fault(name, "missing", "Field required".to_owned());
        }
        let found = self.choice(name, about, choices);
        if let Some(declared) = self.declared.last_mut() {
            declared.place = ParameterPlace::RequiredQuery;
        }
        found
    }

    /// The requested page, with the parameters `page` and `limit`. `limit` declares the latter.
    pub fn page(&mut self, limit: &Integer) -> PageRequest {
        self.read_page(limit, |declaration| Some(declaration.default))
    }

    /// The requested page of a list that need not be paged: the defaults of `page` and `limit`
    /// only apply if the request has the other of the two, and are not declared.
    pub fn optional_page(&mut self, limit: &Integer) -> PageRequest {
        self.read_page(limit, |_| None)
    }

    fn read_page(
        &mut self,
        limit_declaration: &Integer,
        default: impl Fn(&Integer) -> Option<u64>,
    ) -> PageRequest {
        let page = self.optional_integer(&PAGE, default(&PAGE));
        let limit = self.optional_integer(limit_declaration, default(limit_declaration));
        PageRequest {
            requested: page.is_some() || limit.is_some(),
            page: page.unwrap_or(PAGE.default),
            limit: limit.unwrap_or(limit_declaration.default),
        }
    }

    /// Returns `value`, which was made from what was read.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn finish<T>(self, value: T) -> Result<T, Vec<ParameterFault>> {
        if self.faults.is_empty() { Ok(value) } else { Err(self.faults) }
    }
}

/// Which page of a list is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PageRequest {
    /// Whether the request has `page` or `limit`.
    #[serde(skip)]
    pub requested: bool,
    /// The number of the page, from 1.
    pub page: u64,
    /// The number of rows on a page.
    pub limit: u64,
}

impl PageRequest {
    /// Whether the request has neither `page` nor `limit`.
    pub fn is_not_requested(&self) -> bool {
        !self.requested
    }

    /// The number of rows before the page; saturates at the greatest `usize`.
    pub fn offset(&self) -> usize {
        usize::try_from((self.page - 1).saturating_mul(self.limit)).unwrap_or(usize::MAX)
    }

    /// The number of rows on the page.
    pub fn rows(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Integer = Integer { name: "limit", about: "", min: 1, max: 100, default: 50 };

    #[test]
    fn every_fault_is_listed_and_unknown_parameters_are_ignored() {
        let mut params = ParameterReader::parse("page=0&limit=x&hours=5&hours=6&foo=1&foo=2&active=maybe");
        params.page(&LIMIT);
        params.integer(&Integer { name: "hours", about: "", min: 1, max: 8760, default: 24 });
        params.flag("active", "");
        let faults = params.finish(()).unwrap_err();
        let found: Vec<_> = faults.iter().map(|fault| (fault.loc[1].as_str(), fault.kind)).collect();
        let expected = [
            ("page", "greater_than_equal"),
            ("limit", "int_parsing"),
            ("hours", "repeated"),
            ("active", "bool_parsing"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn values_are_percent_decoded() {
        assert_eq!(ParameterReader::parse("li%6Dit=%31%30").integer(&LIMIT), 10);
        let text = |query: &str| ParameterReader::parse(query).text("q", "", 9).map(|q| q.text);
        assert_eq!(text("&&q=a+b%2B%c3%a9%&x=%ff&%ff=1"), Some("a b+é%".to_owned()));
    }

    /// A byte that is no UTF-8 was read as a replacement character, which no email has: nothing was found.
    #[test]
    fn value_that_is_no_utf_8_is_a_fault_of_its_parameter() {
        for value in ["%ff", "a%c3", "%ed%a0%80", "%00%80"] {
            let mut params = ParameterReader::parse(&format!("q={value}&active={value}&other={value}"));
            assert!(params.text("q", "", 9).is_none());
            params.flag("active", "");
            let faults = params.finish(()).unwrap_err();
            let found: Vec<_> = faults.iter().map(|fault| (fault.loc[1].as_str(), fault.kind)).collect();
            assert_eq!(found, [("q", "string_unicode"), ("active", "string_unicode")], "{value}");
        }
    }
}
