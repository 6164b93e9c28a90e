//! Query parameters: declared once, by the parser that reads them; every fault is listed.

use crate::values::ids::{UUID_PATTERN, UserId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The parameters of an endpoint: what the server understood, and nothing else, is what the audit trail records.
pub trait QueryParameters: Serialize + Sized + Send + Sync {
    /// Reads the parameters that the endpoint has.
    fn read(params: &mut ParameterReader) -> Self;

    /// Reads a query string; every fault is listed.
    fn parse(query: &str) -> Result<Self, Vec<ParameterFault>> {
        let mut params = ParameterReader::parse(query);
        let read = Self::read(&mut params);
        params.finish(read)
    }

    /// The parameters that the endpoint has, in the order of their reading.
    fn parameters() -> Vec<Parameter> {
        let mut params = ParameterReader::parse("");
        Self::read(&mut params);
        params.known
    }
}

/// Of an endpoint without parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NoParameters {}

impl QueryParameters for NoParameters {
    fn read(_params: &mut ParameterReader) -> Self {
        Self {}
    }
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Fault")]
pub struct ParameterFault {
    /// Where: `query`, `path` or `body`, then the name.
    pub loc: [String; 2],
    /// What is wrong, for people.
    pub msg: String,
    /// What is wrong, for programs.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// A whole number in plain digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// The least.
    pub min: u64,
    /// The greatest.
    pub max: u64,
    /// What it is where a request does not say.
    pub default: u64,
}

/// Which page of a list.
const PAGE: Integer =
    Integer { name: "page", about: "Which page of the list, from 1.", min: 1, max: u64::MAX, default: 1 };
/// Longest name of an action, in characters.
const ACTION_CHARS: usize = 64;
/// What could be a key must not get into the audit trail.
const NO_ACTION: &str = crate::access::credentials::KEY_PREFIX;
/// Spellings of yes and no.
const FLAGS: [(&str, bool); 4] = [("true", true), ("false", false), ("1", true), ("0", false)];

/// A parameter as its parser takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// What it may be.
    pub kind: ParameterKind,
}

/// What a parameter may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterKind {
    /// A whole number.
    Integer {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
        /// What it is where a request does not say, if that does not depend on the others.
        default: Option<u64>,
    },
    /// Yes or no; no where a request does not say.
    Flag,
    /// The id of a user.
    User,
    /// The name of an action.
    Action,
    /// One of some names.
    Choice(Vec<&'static str>),
}

impl ParameterKind {
    /// As JSON Schema.
    pub fn schema(&self) -> Value {
        match self {
            Self::Integer { min, max, default: Some(default) } => {
                json!({ "type": "integer", "minimum": min, "maximum": max, "default": default })
            }
            Self::Integer { min, max, default: None } => {
                json!({ "type": "integer", "minimum": min, "maximum": max })
            }
            Self::Flag => {
                let names = FLAGS.map(|(name, _)| name);
                json!({ "type": "string", "enum": names, "default": "false" })
            }
            Self::User => json!({ "type": "string", "format": "uuid", "pattern": UUID_PATTERN }),
            Self::Action => json!({
                "type": "string", "maxLength": ACTION_CHARS, "pattern": "^[a-z._]+$", "not": { "pattern": NO_ACTION },
            }),
            Self::Choice(names) => json!({ "type": "string", "enum": names }),
        }
    }
}

/// The parameters of a request, those that its endpoint has, and the faults found so far.
#[derive(Debug)]
pub struct ParameterReader {
    values: BTreeMap<String, Vec<String>>,
    known: Vec<Parameter>,
    faults: Vec<ParameterFault>,
}

impl ParameterReader {
    /// Takes a query string apart.
    pub fn parse(query: &str) -> Self {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            values.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        Self { values, known: Vec::new(), faults: Vec::new() }
    }

    fn fault(&mut self, name: &str, kind: &'static str, msg: String) {
        self.faults.push(ParameterFault { loc: ["query".to_owned(), name.to_owned()], msg, kind });
    }

    /// The one value of a parameter. Its absence is no fault; its repetition is.
    fn single(&mut self, name: &'static str, about: &'static str, kind: ParameterKind) -> Option<String> {
        self.known.push(Parameter { name, about, kind });
        let mut values = self.values.remove(name)?;
        if values.len() > 1 {
            self.fault(name, "repeated", "The parameter may be given only once".to_owned());
            return None;
        }
        values.pop()
    }

    /// A whole number.
    pub fn integer(&mut self, of: &Integer) -> u64 {
        self.given_integer(of, Some(of.default)).unwrap_or(of.default)
    }

    fn given_integer(&mut self, of: &Integer, default: Option<u64>) -> Option<u64> {
        let Integer { name, about, min, max, .. } = *of;
        let text = self.single(name, about, ParameterKind::Integer { min, max, default })?;
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            self.fault(name, "int_parsing", "Input should be a valid integer".to_owned());
            return None;
        }
        let number = text.parse().ok();
        if number.is_some_and(|number: u64| number < min) {
            self.fault(name, "greater_than_equal", format!("Input should be greater than or equal to {min}"));
        } else if number.is_none_or(|number| number > max) {
            self.fault(name, "less_than_equal", format!("Input should be less than or equal to {max}"));
        } else {
            return number;
        }
        None
    }

    /// Yes or no, and no where the request does not say.
    pub fn flag(&mut self, name: &'static str, about: &'static str) -> bool {
        let Some(text) = self.single(name, about, ParameterKind::Flag) else { return false };
        let found = FLAGS.iter().find(|(spelling, _)| *spelling == text).map(|(_, value)| *value);
        if found.is_none() {
            self.fault(name, "bool_parsing", "Input should be true, false, 1 or 0".to_owned());
        }
        found.unwrap_or_default()
    }

    /// The id of a user.
    pub fn user(&mut self, name: &'static str, about: &'static str) -> Option<UserId> {
        let user = UserId::parse(&self.single(name, about, ParameterKind::User)?);
        if user.is_none() {
            self.fault(name, "uuid_parsing", "Input should be a UUID with hyphens".to_owned());
        }
        user
    }

    /// The name of an action, such as `stats.read`.
    pub fn action(&mut self, name: &'static str, about: &'static str) -> Option<String> {
        let text = self.single(name, about, ParameterKind::Action)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_');
        if (1..=ACTION_CHARS).contains(&text.len()) && text.bytes().all(plain) && !text.contains(NO_ACTION) {
            return Some(text);
        }
        self.fault(name, "string_pattern", "Input should be the name of an action".to_owned());
        None
    }

    /// One of some names.
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

    /// The page asked for.
    pub fn page(&mut self, limit: &Integer) -> PageRequest {
        self.page_of(limit, |of| Some(of.default))
    }

    /// The page asked for, if one was: the defaults hold where the request names the other of the two.
    pub fn optional_page(&mut self, limit: &Integer) -> PageRequest {
        self.page_of(limit, |_| None)
    }

    fn page_of(&mut self, limit_of: &Integer, default: impl Fn(&Integer) -> Option<u64>) -> PageRequest {
        let page = self.given_integer(&PAGE, default(&PAGE));
        let limit = self.given_integer(limit_of, default(limit_of));
        PageRequest {
            requested: page.is_some() || limit.is_some(),
            page: page.unwrap_or(PAGE.default),
            limit: limit.unwrap_or(limit_of.default),
        }
    }

    /// The value, if no fault was found.
    pub fn finish<T>(self, value: T) -> Result<T, Vec<ParameterFault>> {
        if self.faults.is_empty() { Ok(value) } else { Err(self.faults) }
    }
}

/// Which rows of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PageRequest {
    /// Whether the request named a page or a limit.
    #[serde(skip)]
    pub requested: bool,
    /// From 1.
    pub page: u64,
    /// Rows a page.
    pub limit: u64,
}

impl PageRequest {
    /// Rows before the page.
    pub fn offset(&self) -> usize {
        usize::try_from((self.page - 1).saturating_mul(self.limit)).unwrap_or(usize::MAX)
    }

    /// Rows on the page.
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
        let seen: Vec<_> = faults.iter().map(|fault| (fault.loc[1].as_str(), fault.kind)).collect();
        let expected = [
            ("page", "greater_than_equal"),
            ("limit", "int_parsing"),
            ("hours", "repeated"),
            ("active", "bool_parsing"),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn values_are_percent_decoded() {
        assert_eq!(ParameterReader::parse("li%6Dit=%31%30").integer(&LIMIT), 10);
    }
}
