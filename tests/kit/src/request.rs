//! Requests to the endpoints, as API Gateway hands them over, and their answers.

use crate::present::ADMIN_KEY;
use crate::sqs::FakeSqs;
use futures::future::BoxFuture;
use http::{HeaderMap, Method, Response};
use serde_json::{Value, json};
use std::any::type_name;
use std::collections::BTreeMap;
use torale_domain::requests::payload::{HttpRequest, InvocationContext};
use torale_platform::clock;
use torale_platform::queue::MessageQueue;
use torale_platform::serve::{App, Change, Endpoint, Handler};

type Reading = for<'a> fn(&'a App, &'a HttpRequest) -> BoxFuture<'a, Response<String>>;
type Changing = for<'a> fn(&'a App, &'a MessageQueue, &'a HttpRequest) -> BoxFuture<'a, Response<String>>;

#[derive(Debug, Clone, Copy)]
enum Answering {
    Reading(Reading),
    Changing(Changing),
}

/// An endpoint and the function that answers at it.
#[derive(Debug, Clone)]
pub struct TestedEndpoint {
    /// What it declares.
    pub endpoint: Endpoint,
    /// The role of its function in the template.
    pub role: String,
    answering: Answering,
}

/// An endpoint that reads.
pub fn reading<H: Handler>() -> TestedEndpoint {
    TestedEndpoint {
        endpoint: H::ENDPOINT,
        role: role::<H>(),
        answering: Answering::Reading(|app, request| Box::pin(app.answer::<H>(request))),
    }
}

/// An endpoint that changes something.
pub fn changing<C: Change>() -> TestedEndpoint {
    TestedEndpoint {
        endpoint: C::ENDPOINT,
        role: role::<C>(),
        answering: Answering::Changing(|app, commands, request| Box::pin(app.change::<C>(commands, request))),
    }
}

/// A function as the template names it: by its crate, which is where its endpoint is defined.
fn role<T>() -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    type_name::<T>().split(':').next().unwrap().split('_').map(capital).collect()
}

impl TestedEndpoint {
    /// A request to it, by the admin.
    pub fn request(&self, query: &str) -> ApiRequest {
        ApiRequest {
            endpoint: self.clone(),
            method: self.endpoint.method.clone(),
            path: self.endpoint.path.to_owned(),
            query: query.to_owned(),
            parameters: BTreeMap::new(),
            headers: BTreeMap::new(),
            body: None,
        }
        .by(ADMIN_KEY)
    }

    /// Answers any request as its function does; commands go to this queue.
    pub async fn answer(
        &self,
        app: &App,
        commands: &MessageQueue,
        request: &HttpRequest,
    ) -> Response<String> {
        match self.answering {
            Answering::Reading(answer) => answer(app, request).await,
            Answering::Changing(answer) => answer(app, commands, request).await,
        }
    }
}

/// A request to one endpoint.
#[derive(Debug, Clone)]
pub struct ApiRequest {
    /// Where it goes.
    pub endpoint: TestedEndpoint,
    method: Method,
    path: String,
    parameters: BTreeMap<String, String>,
    query: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
}

/// A request without a body as API Gateway passes it to a function (payload format version 2.0). Its members can be
/// replaced.
pub fn payload(method: &str, path: &str, query: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": {},
        "requestContext": { "stage": "$default", "http": { "method": method, "path": path } },
        "isBase64Encoded": false,
    })
}

/// A payload as a function reads it.
pub fn read(payload: &Value) -> HttpRequest {
    HttpRequest::read(&payload.to_string(), InvocationContext::default(), clock::unique)
}

/// A request by the admin to an endpoint that reads.
pub fn get<H: Handler>(query: &str) -> ApiRequest {
    reading::<H>().request(query)
}

/// A request by the admin to an endpoint that changes one user.
pub fn patch<C: Change>(user: &str) -> ApiRequest {
    changing::<C>().request("").about(user)
}

/// A request by the admin to an endpoint that takes a body.
pub fn post<C: Change>(body: &Value) -> ApiRequest {
    changing::<C>().request("").body(body.to_string())
}

impl ApiRequest {
    /// With this credential: the text of a key, or a session token.
    #[must_use]
    pub fn by(self, credential: &str) -> Self {
        self.authorized(Some(&format!("Bearer {credential}")))
    }

    /// With this header `authorization`, or without one.
    #[must_use]
    pub fn authorized(mut self, authorization: Option<&str>) -> Self {
        self.headers.remove("authorization");
        match authorization {
            Some(text) => self.header("authorization", text),
            None => self,
        }
    }

    /// About this user: their id in the path.
    #[must_use]
    pub fn about(self, user: &str) -> Self {
        let parameters = match self.path.contains("{id}") {
            true => BTreeMap::from([("id".to_owned(), user.to_owned())]),
            false => BTreeMap::new(),
        };
        Self { path: self.path.replace("{id}", user), parameters, ..self }
    }

    /// With another method.
    #[must_use]
    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(self, body: impl Into<String>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    /// As API Gateway passes it to the function.
    pub fn payload(&self) -> Value {
        let mut payload = payload(self.method.as_str(), &self.path, &self.query);
        payload["headers"] = json!(self.headers);
        if !self.parameters.is_empty() {
            payload["pathParameters"] = json!(self.parameters);
        }
        if let Some(body) = &self.body {
            payload["body"] = json!(body);
        }
        payload
    }

    /// As the function reads it.
    pub fn build(&self) -> HttpRequest {
        read(&self.payload())
    }

    /// The answer of an instance to this payload instead of the request's own; nobody looks at its commands.
    pub async fn send_payload(&self, app: &App, payload: &Value) -> ApiAnswer {
        let commands = FakeSqs::default().client();
        ApiAnswer::of(self.endpoint.answer(app, &commands, &read(payload)).await)
    }

    /// The answer of an instance; commands go to this queue.
    pub async fn send_with(&self, app: &App, commands: &MessageQueue) -> ApiAnswer {
        ApiAnswer::of(self.endpoint.answer(app, commands, &self.build()).await)
    }

    /// The answer of an instance; nobody looks at its commands.
    pub async fn send(&self, app: &App) -> ApiAnswer {
        match self.endpoint.answering {
            // To make a client of the queue takes its time.
            Answering::Reading(answer) => ApiAnswer::of(answer(app, &self.build()).await),
            Answering::Changing(_) => self.send_with(app, &FakeSqs::default().client()).await,
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct ApiAnswer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub text: String,
}

impl ApiAnswer {
    /// Of a response.
    pub fn of(response: Response<String>) -> Self {
        let (parts, text) = response.into_parts();
        Self { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// Its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// What its body gives as `detail`.
    pub fn detail(&self) -> Value {
        self.json()["detail"].clone()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// It has this status; hands it on.
    #[track_caller]
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// It has this status and exactly this body.
    #[track_caller]
    pub fn then(&self, status: u16, body: &Value) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.json(), *body);
    }
}
