//! Requests that change something: their path and body (docs/contract/http.md, "PATCH
//! /admin/users/{id}/deactivate", "POST /admin/users/deactivate", "PATCH
//! /admin/users/{id}/reactivate").

use crate::requests::parameters::{ParameterFault, ParameterKind};
use crate::values::ids::UserId;
use crate::values::json;
use crate::values::text::bytes_without_mark;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// Why a request that changes something is refused before it is handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidChangeRequest {
    /// The body is larger than the endpoint allows: a 413.
    TooLarge,
    /// Path or body are malformed: a 422 with every fault.
    Faults(Vec<ParameterFault>),
}

/// A request that changes something.
pub trait ChangeRequest: Send + Sync + Sized {
    /// The greatest size of the body, in bytes.
    const MAX_BODY: usize;

    /// The JSON Schema of the path's parameter `id`; `None` if the path has none.
    fn path() -> Option<Value>;

    /// The JSON Schema of the body; `None` if the body is ignored.
    fn body() -> Option<Value>;

    /// Parses the path's parameter (empty if the path has none) and the body.
    ///
    /// # Errors
    /// If the body is too large, or path or body are malformed.
    fn parse(id: &str, body: &[u8]) -> Result<Self, InvalidChangeRequest>;

    /// The id of the target user, for requests about a single user; recorded in the audit trail.
    fn target(&self) -> Option<String>;

    /// The other parameters of the request; recorded in the audit trail.
    fn parameters(&self) -> Value;
}

fn fault(part: &str, name: &str, kind: &'static str, msg: &str) -> InvalidChangeRequest {
    InvalidChangeRequest::Faults(vec![ParameterFault {
        loc: [part.to_owned(), name.to_owned()],
        msg: msg.to_owned(),
        kind,
    }])
}

/// A request about the user that the path names. The body is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserIdRequest(pub UserId);

impl ChangeRequest for UserIdRequest {
    const MAX_BODY: usize = 1024;

    fn path() -> Option<Value> {
        Some(ParameterKind::Uuid.schema())
    }

    fn body() -> Option<Value> {
        None
    }

    fn parse(id: &str, body: &[u8]) -> Result<Self, InvalidChangeRequest> {
        if body.len() > Self::MAX_BODY {
            return Err(InvalidChangeRequest::TooLarge);
        }
        let wrong = || fault("path", "id", "uuid_parsing", "Input should be a UUID with hyphens");
        UserId::parse(id).map(Self).ok_or_else(wrong)
    }

    fn target(&self) -> Option<String> {
        Some(self.0.to_string())
    }

    fn parameters(&self) -> Value {
        json!({})
    }
}

/// A request about the users that the body names: `{"user_ids":[...]}`, 1 to 100. A malformed id
/// is kept as it was sent, so that it alone is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserIdsRequest {
    /// The ids in the order of the request; `Err` holds the text of one that is no UUID.
    pub user_ids: Vec<Result<UserId, String>>,
}

/// The most users of one request.
pub const MAX_USERS: usize = 100;

impl ChangeRequest for UserIdsRequest {
    const MAX_BODY: usize = 16 * 1024;

    fn path() -> Option<Value> {
        None
    }

    fn body() -> Option<Value> {
        let about =
            "Ids of users. Each is answered by itself: one that is no UUID with hyphens is refused alone.";
        let ids = json!({ "type": "array", "description": about, "minItems": 1, "maxItems": MAX_USERS, "items": {} });
        Some(json!({
            "type": "object", "required": ["user_ids"], "properties": { "user_ids": ids },
            "examples": [{ "user_ids": ["660e8400-e29b-41d4-a716-446655440000"] }],
        }))
    }

    fn parse(_id: &str, body: &[u8]) -> Result<Self, InvalidChangeRequest> {
        if body.len() > Self::MAX_BODY {
            return Err(InvalidChangeRequest::TooLarge);
        }
        let Ok(Value::Object(body)) = json::parse_bytes(bytes_without_mark(body)) else {
            return Err(fault("body", "user_ids", "json_invalid", "The body should be a JSON object"));
        };
        let wrong = |kind, msg| fault("body", "user_ids", kind, msg);
        let ids = match body.get("user_ids") {
            Some(Value::Array(ids)) => ids,
            Some(_) => return Err(wrong("list_type", "Input should be a list")),
            None => return Err(wrong("missing", "Field required")),
        };
        if ids.is_empty() || ids.len() > MAX_USERS {
            return Err(wrong("list_length", &format!("The list should have 1 to {MAX_USERS} items")));
        }
        let read = |id: &Value| {
            let text = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
            UserId::parse(&text).ok_or(text)
        };
        Ok(Self { user_ids: ids.iter().map(read).collect() })
    }

    fn target(&self) -> Option<String> {
        None
    }

    fn parameters(&self) -> Value {
        // A text that is no UUID may be a credential, so it is counted but not recorded.
        let known = self.user_ids.iter().filter_map(|id| id.as_ref().ok());
        json!({ "user_ids": known.collect::<Vec<_>>(), "malformed": self.user_ids.iter().filter(|id| id.is_err()).count() })
    }
}

/// The answer of a deactivation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Deactivated")]
pub struct DeactivateUserAnswer {
    /// A confirmation, for people.
    pub message: &'static str,
    /// The id of the user.
    pub user_id: UserId,
    /// The number of their tasks that were active at that moment.
    pub tasks_paused: i128,
}

/// The answer of a reactivation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Reactivated")]
pub struct ReactivateUserAnswer {
    /// A confirmation, for people.
    pub message: &'static str,
    /// The id of the user.
    pub user_id: UserId,
}

/// The answer of a deactivation of several users: a result for each id, in the order of the ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "AllDeactivated")]
pub struct DeactivateUsersAnswer {
    /// The result for each id.
    pub results: Vec<UserResult>,
}

/// The result for one id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OneResult")]
pub struct UserResult {
    /// The id of the user, or the text as it was sent if it is no UUID.
    pub user_id: String,
    /// The result.
    pub result: UserOutcome,
    /// The number of their tasks that were active at that moment, if the user is deactivated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i128")]
    pub tasks_paused: Option<i128>,
    /// Why the user is not deactivated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub detail: Option<String>,
}

/// The result for one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum UserOutcome {
    /// The user is deactivated now.
    Deactivated,
    /// The user was deactivated before.
    Already,
    /// There is no such user.
    NotFound,
    /// Nothing was done, or the service was unavailable and it is not known; `detail` says why.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000-0000-0000-0000-0000000000AD";

    #[test]
    fn a_request_about_one_user_ignores_its_body_up_to_a_kibibyte() {
        assert!(UserIdRequest::parse(ID, &[b'x'; 1024]).is_ok());
        assert_eq!(UserIdRequest::parse(ID, &[b'x'; 1025]), Err(InvalidChangeRequest::TooLarge));
        assert_eq!(
            UserIdRequest::parse("me", &[b'x'; 1025]),
            Err(InvalidChangeRequest::TooLarge),
            "reported before the malformed id"
        );
        let Err(InvalidChangeRequest::Faults(faults)) = UserIdRequest::parse("me", b"") else {
            panic!("a malformed id was accepted")
        };
        assert_eq!(faults[0].loc, ["path", "id"]);
    }

    #[test]
    fn a_request_about_several_users_accepts_malformed_ids_but_no_malformed_body() {
        let parse = |body: &str| UserIdsRequest::parse("", body.as_bytes());
        let two = parse(&format!(r#"{{"user_ids":["{ID}","sk_x",5]}}"#)).unwrap();
        assert_eq!(two.user_ids[1], Err("sk_x".to_owned()));
        assert_eq!(two.parameters(), json!({ "user_ids": [ID.to_lowercase()], "malformed": 2 }));
        for (body, kind) in [
            ("", "json_invalid"),
            ("[]", "json_invalid"),
            ("{}", "missing"),
            (r#"{"user_ids":"x"}"#, "list_type"),
            (r#"{"user_ids":{"$serde_json::private::RawValue":"[]"}}"#, "list_type"),
            (r#"{"user_ids":[]}"#, "list_length"),
            (&format!(r#"{{"user_ids":[{}]}}"#, vec!["\"x\""; 101].join(",")), "list_length"),
        ] {
            let Err(InvalidChangeRequest::Faults(faults)) = parse(body) else { panic!("accepted: {body}") };
            assert_eq!((faults[0].kind, faults[0].loc[0].as_str()), (kind, "body"), "{body}");
        }
        assert_eq!(parse(&"x".repeat(16 * 1024 + 1)), Err(InvalidChangeRequest::TooLarge));
    }
}
