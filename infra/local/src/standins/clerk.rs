//! Clerk's Backend API, as far as a ban goes.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Served, authorization};

/// The secret key that the stand-in takes.
pub const SECRET: &str = "sk_test_of_the_local_stack";

/// A request as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClerkRequest {
    /// In capitals.
    pub method: String,
    /// As it was sent.
    pub path: String,
    /// The whole header.
    pub authorization: Option<String>,
}

/// What it answers.
#[derive(Debug, Clone)]
pub enum ClerkAnswer {
    /// This status, these headers and this text.
    With(u16, Vec<(&'static str, &'static str)>, String),
    /// Nothing, ever.
    Silent,
}

/// The stand-in.
pub struct ClerkStandin(Served);

type Answers = Arc<dyn Fn(&ClerkRequest) -> ClerkAnswer + Send + Sync>;

impl ClerkStandin {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start(
        answers: impl Fn(&ClerkRequest) -> ClerkAnswer + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let answers: Answers = Arc::new(answers);
        Served::start(Router::new().fallback(answer).with_state(answers)).await.map(Self)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }
}

async fn answer(State(answers): State<Answers>, request: Request) -> Response {
    let asked = ClerkRequest {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        authorization: authorization(request.headers()),
    };
    match answers(&asked) {
        ClerkAnswer::Silent => std::future::pending().await,
        ClerkAnswer::With(status, headers, text) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut answer = (status, text).into_response();
            for (name, value) in headers {
                answer.headers_mut().insert(name, axum::http::HeaderValue::from_static(value));
            }
            answer
        }
    }
}

/// Bans whomever it is told to: what to say of it, and the answer.
#[must_use]
pub fn willing(asked: &ClerkRequest) -> (String, ClerkAnswer) {
    if asked.authorization.as_deref() != Some(&format!("Bearer {SECRET}")) {
        let refused =
            error("Invalid Authentication", "The secret key is not mine.", "authentication_invalid");
        return ("a wrong secret key".to_owned(), json(401, refused));
    }
    let user = asked.path.strip_prefix("/v1/users/").and_then(|path| path.strip_suffix("/ban"));
    match user.filter(|_| asked.method == "POST") {
        Some(user) => {
            let banned = json!({ "id": user, "object": "user", "banned": true, "locked": false });
            (format!("user {user} banned"), json(200, banned.to_string()))
        }
        None => {
            let unknown = error("not found", "The stand-in knows bans only.", "resource_not_found");
            (format!("{} {}: not known here", asked.method, asked.path), json(404, unknown))
        }
    }
}

/// A body in the shape of Clerk's errors.
#[must_use]
pub fn error(message: &str, long_message: &str, code: &str) -> String {
    json!({ "errors": [{ "message": message, "long_message": long_message, "code": code }] }).to_string()
}

fn json(status: u16, text: String) -> ClerkAnswer {
    ClerkAnswer::With(status, vec![("content-type", "application/json")], text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(method: &str, path: &str, key: &str) -> (String, u16) {
        let authorization = Some(format!("Bearer {key}"));
        let asked = ClerkRequest { method: method.to_owned(), path: path.to_owned(), authorization };
        match willing(&asked) {
            (told, ClerkAnswer::With(status, ..)) => (told, status),
            (told, ClerkAnswer::Silent) => panic!("silent: {told}"),
        }
    }

    #[test]
    fn it_says_whom_it_banned() {
        assert_eq!(told("POST", "/v1/users/user_2x/ban", SECRET), ("user user_2x banned".to_owned(), 200));
        assert_eq!(told("GET", "/v1/users/user_2x/ban", SECRET).1, 404);
        assert_eq!(told("POST", "/v1/users/user_2x/ban", "sk_live_other").1, 401);
    }
}
