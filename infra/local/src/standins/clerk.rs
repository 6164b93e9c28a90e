//! Clerk's Backend API: banning a user, and nothing else.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::server::{LoopbackServer, authorization};

/// The secret key that the stand-in accepts.
pub const SECRET: &str = "sk_test_of_the_local_stack";

/// A request to Clerk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClerkRequest {
    /// In upper case.
    pub method: String,
    /// As it was sent, not decoded.
    pub path: String,
    /// The whole header.
    pub authorization: Option<String>,
}

/// An answer of the stand-in.
#[derive(Debug, Clone)]
pub enum ClerkAnswer {
    /// Status, headers and body.
    With(u16, Vec<(&'static str, &'static str)>, String),
    /// No answer, for ever.
    Silent,
}

/// The stand-in; it listens until it is dropped.
pub struct ClerkStandin(LoopbackServer);

type Answers = Arc<dyn Fn(&ClerkRequest) -> ClerkAnswer + Send + Sync>;

impl ClerkStandin {
    /// Starts a stand-in that answers with a function.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(
        answers: impl Fn(&ClerkRequest) -> ClerkAnswer + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let answers: Answers = Arc::new(answers);
        LoopbackServer::start(Router::new().fallback(answer).with_state(answers)).await.map(Self)
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }
}

async fn answer(State(answers): State<Answers>, request: Request) -> Response {
    let request = ClerkRequest {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        authorization: authorization(request.headers()),
    };
    match answers(&request) {
        ClerkAnswer::Silent => std::future::pending().await,
        ClerkAnswer::With(status, headers, text) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, text).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, axum::http::HeaderValue::from_static(value));
            }
            response
        }
    }
}

/// Bans any user: a line for the console, and the answer.
#[must_use]
pub fn accept_bans(request: &ClerkRequest) -> (String, ClerkAnswer) {
    if request.authorization.as_deref() != Some(&format!("Bearer {SECRET}")) {
        let refused = error("Invalid Authentication", "The secret key is invalid.", "authentication_invalid");
        return ("a wrong secret key".to_owned(), json(401, refused));
    }
    let user = request.path.strip_prefix("/v1/users/").and_then(|path| path.strip_suffix("/ban"));
    match user.filter(|_| request.method == "POST") {
        Some(user) => {
            let banned = json!({ "id": user, "object": "user", "banned": true, "locked": false });
            (format!("user {user} banned"), json(200, banned.to_string()))
        }
        None => {
            // Not the code of an unknown user: that would count as a ban that has nobody to ban.
            let unknown =
                error("not found", "The stand-in supports bans only.", "stand_in_supports_bans_only");
            (format!("{} {}: not supported", request.method, request.path), json(404, unknown))
        }
    }
}

/// A body in the form of Clerk's errors.
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

    fn report_and_status(method: &str, path: &str, key: &str) -> (String, u16) {
        let authorization = Some(format!("Bearer {key}"));
        let request = ClerkRequest { method: method.to_owned(), path: path.to_owned(), authorization };
        match accept_bans(&request) {
            (report, ClerkAnswer::With(status, ..)) => (report, status),
            (report, ClerkAnswer::Silent) => panic!("silent: {report}"),
        }
    }

    #[test]
    fn accept_bans_reports_the_banned_user() {
        assert_eq!(
            report_and_status("POST", "/v1/users/user_2x/ban", SECRET),
            ("user user_2x banned".to_owned(), 200)
        );
        assert_eq!(report_and_status("GET", "/v1/users/user_2x/ban", SECRET).1, 404);
        assert_eq!(report_and_status("POST", "/v1/v1/users/user_2x/ban", SECRET).1, 404);
        assert_eq!(report_and_status("POST", "/v1/users/user_2x/ban", "sk_live_other").1, 401);
    }
}
