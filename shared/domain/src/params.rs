//! Query parameters: read once, with every fault listed.

use crate::ids::UserId;
use serde::Serialize;
use std::collections::BTreeMap;

/// The parameters of an endpoint: what the server understood, and nothing else, is what the audit trail records.
pub trait Query: Serialize + Sized + Send + Sync {
    /// Reads a query string; every fault is listed.
    fn parse(query: &str) -> Result<Self, Vec<Fault>>;
}

/// Of an endpoint without parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NoQuery {}

impl Query for NoQuery {
    fn parse(_query: &str) -> Result<Self, Vec<Fault>> {
        Ok(Self {})
    }
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where: `query`, `path` or `body`, then the name.
    pub loc: [String; 2],
    /// What is wrong, for people.
    pub msg: String,
    /// What is wrong, for programs.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// The parameters of a request, and the faults found so far.
#[derive(Debug)]
pub struct Params {
    values: BTreeMap<String, Vec<String>>,
    faults: Vec<Fault>,
}

impl Params {
    /// Takes a query string apart.
    pub fn parse(query: &str) -> Self {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            values.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        Self { values, faults: Vec::new() }
    }

    fn fault(&mut self, name: &str, kind: &'static str, msg: String) {
        self.faults.push(Fault { loc: ["query".to_owned(), name.to_owned()], msg, kind });
    }

    /// The one value of a parameter. Its absence is no fault; its repetition is.
    fn single(&mut self, name: &str) -> Option<String> {
        let mut values = self.values.remove(name)?;
        if values.len() > 1 {
            self.fault(name, "repeated", "The parameter may be given only once".to_owned());
            return None;
        }
        values.pop()
    }

    /// A whole number from `min` to `max`.
    pub fn integer(&mut self, name: &str, min: u64, max: u64) -> Option<u64> {
        let text = self.single(name)?;
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

    /// `true`, `false`, `1` or `0`.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        match self.single(name)?.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => {
                self.fault(name, "bool_parsing", "Input should be true, false, 1 or 0".to_owned());
                None
            }
        }
    }

    /// The id of a user.
    pub fn user(&mut self, name: &str) -> Option<UserId> {
        let user = UserId::parse(&self.single(name)?);
        if user.is_none() {
            self.fault(name, "uuid_parsing", "Input should be a UUID with hyphens".to_owned());
        }
        user
    }

    /// The name of an action, such as `stats.read`.
    pub fn action(&mut self, name: &str) -> Option<String> {
        let text = self.single(name)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_');
        // What could be a key must not get into the audit trail.
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) && !text.contains("sk_") {
            return Some(text);
        }
        self.fault(name, "string_pattern", "Input should be the name of an action".to_owned());
        None
    }

    /// One of some names.
    pub fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.single(name)?;
        let found = choices.iter().find(|(choice, _)| *choice == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(choice, _)| format!("'{choice}'")).collect();
            self.fault(name, "enum", format!("Input should be {}", names.join(", ")));
        }
        found
    }

    /// The page asked for; `default_limit` rows unless the request says otherwise.
    pub fn page(&mut self, default_limit: u64, max_limit: u64) -> PageOf {
        let page = self.integer("page", 1, u64::MAX);
        let limit = self.integer("limit", 1, max_limit);
        PageOf {
            asked: page.is_some() || limit.is_some(),
            page: page.unwrap_or(1),
            limit: limit.unwrap_or(default_limit),
        }
    }

    /// The value, if no fault was found.
    pub fn finish<T>(self, value: T) -> Result<T, Vec<Fault>> {
        if self.faults.is_empty() { Ok(value) } else { Err(self.faults) }
    }
}

/// Which rows of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PageOf {
    /// Whether the request named a page or a limit.
    #[serde(skip)]
    pub asked: bool,
    /// From 1.
    pub page: u64,
    /// Rows a page.
    pub limit: u64,
}

impl PageOf {
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

    #[test]
    fn every_fault_is_listed_and_unknown_parameters_are_ignored() {
        let mut params = Params::parse("page=0&limit=x&hours=5&hours=6&foo=1&foo=2&active=maybe");
        params.page(50, 100);
        params.integer("hours", 1, 8760);
        params.boolean("active");
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
        assert_eq!(Params::parse("li%6Dit=%31%30").integer("limit", 1, 100), Some(10));
    }
}
