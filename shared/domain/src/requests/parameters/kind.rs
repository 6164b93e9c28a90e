//! What a parameter may be, as its parser accepts it and as the OpenAPI document describes it.

use crate::access::credentials::KEY_PREFIX;
use crate::values::ids::UUID_PATTERN;
use serde_json::{Value, json};

/// The declaration of an integer in plain digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer {
    /// The name.
    pub name: &'static str,
    /// What it means, for the API documentation.
    pub about: &'static str,
    /// The least value, inclusive.
    pub min: u64,
    /// The greatest value, inclusive.
    pub max: u64,
    /// The value if the request does not have the parameter.
    pub default: u64,
}

/// The parameter `page`: which page of a list, from 1.
pub(super) const PAGE: Integer =
    Integer { name: "page", about: "Which page of the list, from 1.", min: 1, max: u64::MAX, default: 1 };
/// The most characters of the name of an action.
pub(super) const ACTION_CHARS: usize = 64;
/// The spellings of a boolean.
pub(super) const FLAGS: [(&str, bool); 4] = [("true", true), ("false", false), ("1", true), ("0", false)];

/// The declaration of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The name.
    pub name: &'static str,
    /// What it means, for the API documentation.
    pub about: &'static str,
    /// Which values it may have.
    pub kind: ParameterKind,
    /// Where it stands, and whether a request must have it.
    pub place: ParameterPlace,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterPlace {
    /// In the query string; the request may leave it out.
    Query,
    /// In the query string; a request without it is a 422.
    RequiredQuery,
    /// In the path: every request has it.
    Path,
}

/// Which values a parameter may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterKind {
    /// An integer in plain digits.
    Integer {
        /// The least value, inclusive.
        min: u64,
        /// The greatest value, inclusive.
        max: u64,
        /// The value if the request does not have the parameter; `None` if that depends on
        /// other parameters.
        default: Option<u64>,
    },
    /// A boolean; false if the request does not have the parameter.
    Flag,
    /// The id of a user, a task or an execution: a UUID with hyphens.
    Uuid,
    /// The name of an action, such as `stats.read`.
    Action,
    /// An error type: 1 to 64 of letters, digits, `_`, `.`, `-`.
    ErrorType,
    /// Any text of so many characters.
    Text {
        /// The fewest characters.
        min: usize,
        /// The most characters.
        max: usize,
    },
    /// One of these names.
    Choice(Vec<&'static str>),
}

impl ParameterKind {
    /// The accepted values as JSON Schema.
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
            Self::Uuid => json!({ "type": "string", "format": "uuid", "pattern": UUID_PATTERN }),
            Self::Action => json!({
                "type": "string", "maxLength": ACTION_CHARS, "pattern": "^[a-z._]+$", "not": { "pattern": KEY_PREFIX },
            }),
            Self::ErrorType => json!({ "type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$" }),
            Self::Text { min, max } => json!({ "type": "string", "minLength": min, "maxLength": max }),
            Self::Choice(names) => json!({ "type": "string", "enum": names }),
        }
    }
}
