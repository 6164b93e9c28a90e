//! What a request that changes something may say: a path and a body, read once, with every fault listed.

use crate::requests::parameters::{ParameterFault, ParameterKind};
use crate::values::ids::UserId;
use crate::values::text::bytes_without_mark;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// Why a request that changes something can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidChangeRequest {
    /// The body is over its limit.
    TooLarge,
    /// Something in path or body is malformed.
    Faults(Vec<ParameterFault>),
}

/// What a request that changes something asks for.
pub trait ChangeRequest: Send + Sync + Sized {
    /// The most bytes of a body.
    const MAX_BODY: usize;

    /// What the path's parameter may be, as JSON Schema; `None` if the path has none.
    fn path() -> Option<Value>;

    /// What the body must be, as JSON Schema; `None` if it is ignored.
    fn body() -> Option<Value>;

    /// Reads the path's parameter (empty if it has none) and the body.
    fn parse(id: &str, body: &[u8]) -> Result<Self, InvalidChangeRequest>;

    /// Upon whom it is, if upon one alone: for the audit trail.
    fn target(&self) -> Option<String>;

    /// The rest of what it asks for, for the audit trail.
    fn parameters(&self) -> Value;
}

fn fault(part: &str, name: &str, kind: &'static str, msg: &str) -> InvalidChangeRequest {
    InvalidChangeRequest::Faults(vec![ParameterFault {
        loc: [part.to_owned(), name.to_owned()],
        msg: msg.to_owned(),
        kind,
    }])
}

/// One user, named by the path. A body is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserIdRequest(pub UserId);

impl ChangeRequest for UserIdRequest {
    const MAX_BODY: usize = 1024;

    fn path() -> Option<Value> {
        Some(ParameterKind::User.schema())
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

/// Some users, named by the body: `{"user_ids":[...]}`, 1 to 100. An id that is no UUID is kept as it is, so that it
/// spoils none of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserIdsRequest {
    /// The ids in the order of the request.
    pub user_ids: Vec<Result<UserId, String>>,
}

/// Users of one request at most.
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
        let Ok(Value::Object(body)) = serde_json::from_slice(bytes_without_mark(body)) else {
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
        // What is no UUID may be anything, a credential too.
        let known = self.user_ids.iter().filter_map(|id| id.as_ref().ok());
        json!({ "user_ids": known.collect::<Vec<_>>(), "malformed": self.user_ids.iter().filter(|id| id.is_err()).count() })
    }
}

/// The answer of a deactivation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Deactivated")]
pub struct DeactivateUserAnswer {
    /// That it is done.
    pub message: &'static str,
    /// The user.
    pub user_id: UserId,
    /// Its tasks that were active at that moment.
    pub tasks_paused: i128,
}

/// The answer of a reactivation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Reactivated")]
pub struct ReactivateUserAnswer {
    /// That it is done.
    pub message: &'static str,
    /// The user.
    pub user_id: UserId,
}

/// The answer of a deactivation of several users: one result for each id, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "AllDeactivated")]
pub struct DeactivateUsersAnswer {
    /// What became of each id.
    pub results: Vec<UserResult>,
}

/// What became of one id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OneResult")]
pub struct UserResult {
    /// The id; one that is no UUID as it was sent.
    pub user_id: String,
    /// What became of it.
    pub result: UserOutcome,
    /// The tasks that were active at that moment, if it is deactivated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i128")]
    pub tasks_paused: Option<i128>,
    /// Why it is not deactivated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub detail: Option<String>,
}

/// What became of one id.
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
    /// Nothing was done; `detail` says why.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000-0000-0000-0000-0000000000AD";

    #[test]
    fn one_user_is_named_by_the_path_and_a_body_is_ignored_up_to_a_kibibyte() {
        assert!(UserIdRequest::parse(ID, &[b'x'; 1024]).is_ok());
        assert_eq!(UserIdRequest::parse(ID, &[b'x'; 1025]), Err(InvalidChangeRequest::TooLarge));
        assert_eq!(
            UserIdRequest::parse("me", &[b'x'; 1025]),
            Err(InvalidChangeRequest::TooLarge),
            "before a malformed id"
        );
        let Err(InvalidChangeRequest::Faults(faults)) = UserIdRequest::parse("me", b"") else {
            panic!("read")
        };
        assert_eq!(faults[0].loc, ["path", "id"]);
    }

    #[test]
    fn of_several_users_a_malformed_id_spoils_none() {
        let parse = |body: &str| UserIdsRequest::parse("", body.as_bytes());
        let two = parse(&format!(r#"{{"user_ids":["{ID}","sk_x",5]}}"#)).unwrap();
        assert_eq!(two.user_ids[1], Err("sk_x".to_owned()));
        assert_eq!(two.parameters(), json!({ "user_ids": [ID.to_lowercase()], "malformed": 2 }));
        for (body, kind) in [
            ("", "json_invalid"),
            ("[]", "json_invalid"),
            ("{}", "missing"),
            (r#"{"user_ids":"x"}"#, "list_type"),
            (r#"{"user_ids":[]}"#, "list_length"),
            (&format!(r#"{{"user_ids":[{}]}}"#, vec!["\"x\""; 101].join(",")), "list_length"),
        ] {
            let Err(InvalidChangeRequest::Faults(faults)) = parse(body) else { panic!("read: {body}") };
            assert_eq!((faults[0].kind, faults[0].loc[0].as_str()), (kind, "body"), "{body}");
        }
        assert_eq!(parse(&"x".repeat(16 * 1024 + 1)), Err(InvalidChangeRequest::TooLarge));
    }
}
