//! Describes answers: statuses, headers, bodies and examples, from the errors themselves.

use http::StatusCode;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use torale_platform::error::{ErrorBody, ErrorDetail, HttpError, InvalidDetail, RateLimitedDetail};
use torale_platform::respond;
use torale_platform::serve::{RATE_LIMIT_HEADERS, USER_ID_HEADER};

/// Whether an answer has the headers about its caller: the rate limits and [`USER_ID_HEADER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitHeaders {
    /// The endpoint has no rate limits.
    Never,
    /// Only if the caller was authenticated before the error.
    Sometimes,
    /// The caller is authenticated.
    Always,
}

/// Whether an answer of this status has the rate limit headers.
pub(crate) const fn limit_headers_of(status: StatusCode) -> LimitHeaders {
    match status {
        StatusCode::UNAUTHORIZED => LimitHeaders::Never,
        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::SERVICE_UNAVAILABLE => LimitHeaders::Sometimes,
        _ => LimitHeaders::Always,
    }
}

/// The schema of an answer's body, as a reference by name.
pub(crate) fn body_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// A 200.
pub(crate) fn ok(schema: Value, examples: Value, limits: LimitHeaders) -> Value {
    response("OK", headers(&[], limits), schema, examples)
}

/// Errors by status, each with the bodies that it may have.
pub(crate) fn errors(
    generator: &mut SchemaGenerator,
    errors: &[HttpError],
    limits: impl Fn(StatusCode) -> LimitHeaders,
) -> Map<String, Value> {
    let mut by_status: BTreeMap<StatusCode, Vec<&HttpError>> = BTreeMap::new();
    for error in errors {
        by_status.entry(error.status).or_default().push(error);
    }
    let mut responses = Map::new();
    for (status, errors) in by_status {
        let Some(first) = errors.first() else { continue };
        let schema = match first.body {
            ErrorBody::Error(_) => body_of::<ErrorDetail>(generator),
            ErrorBody::Invalid(_) => body_of::<InvalidDetail>(generator),
            ErrorBody::RateLimited(_) => body_of::<RateLimitedDetail>(generator),
        };
        let examples = errors.iter().map(|error| (name(&error.body), json!({ "value": error.body })));
        let own: Vec<&str> = first.headers.iter().map(|(name, _)| *name).collect();
        let about = status.canonical_reason().unwrap_or_default();
        let response = response(about, headers(&own, limits(status)), schema, examples.collect());
        responses.insert(status.as_u16().to_string(), response);
    }
    responses
}

/// The name of an example: its sentence, in lower case with hyphens.
fn name(body: &ErrorBody) -> String {
    let sentence = match body {
        ErrorBody::Error(ErrorDetail { detail })
        | ErrorBody::RateLimited(RateLimitedDetail { detail, .. }) => detail,
        ErrorBody::Invalid(_) => "invalid",
    };
    let words = sentence.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

fn response(about: &str, headers: Map<String, Value>, schema: Value, examples: Value) -> Value {
    let content = json!({ "application/json": { "schema": schema, "examples": examples } });
    json!({ "description": about, "headers": headers, "content": content })
}

fn headers(own: &[&str], limits: LimitHeaders) -> Map<String, Value> {
    let always = respond::ALWAYS.iter().map(|(name, _)| *name).chain([respond::REQUEST_ID]);
    let mut headers: Map<String, Value> = always.chain(own.iter().copied()).map(reference).collect();
    match limits {
        LimitHeaders::Never => {}
        LimitHeaders::Sometimes => headers.extend(caller_headers(false)),
        LimitHeaders::Always => {
            headers.extend(RATE_LIMIT_HEADERS.into_iter().chain([USER_ID_HEADER]).map(reference));
        }
    }
    headers
}

fn reference(name: &str) -> (String, Value) {
    (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
}

/// The headers about the caller, each in full.
fn caller_headers(required: bool) -> impl Iterator<Item = (String, Value)> {
    let abouts = [
        "Requests that are allowed in the window that is nearest to its limit.",
        "Requests that remain in that window.",
        "When the oldest requests leave that window, in seconds since 1970.",
    ];
    let header = move |about| json!({ "description": about, "required": required, "schema": { "type": "integer", "minimum": 0 } });
    let limits =
        RATE_LIMIT_HEADERS.into_iter().zip(abouts).map(move |(name, about)| (name.to_owned(), header(about)));
    let user_id = json!({ "description": "The id of the user who called.", "required": required,
        "schema": { "type": "string", "format": "uuid" } });
    limits.chain([(USER_ID_HEADER.to_owned(), user_id)])
}

/// Every header that an answer may have.
pub(crate) fn all_headers() -> Map<String, Value> {
    let header =
        |about: &str, schema: Value| json!({ "description": about, "required": true, "schema": schema });
    let fixed = |(name, value): (&str, &str)| {
        (name.to_owned(), header("Always the same.", json!({ "type": "string", "const": value })))
    };
    let id = header(
        "The id of the request, also in logs and in the audit trail.",
        json!({ "type": "string", "minLength": 1 }),
    );
    let bearer = header("The authentication scheme.", json!({ "type": "string", "const": "Bearer" }));
    let seconds = header("Seconds after which to retry.", json!({ "type": "integer", "minimum": 0 }));
    let named = [(respond::REQUEST_ID, id), ("www-authenticate", bearer), ("retry-after", seconds)];
    let named = named.into_iter().map(|(name, header)| (name.to_owned(), header));
    respond::ALWAYS.into_iter().map(fixed).chain(named).chain(caller_headers(true)).collect()
}
