//! API Gateway's payload format 2.0 for HTTP APIs: HTTP requests become events, results become HTTP
//! responses.
//!
//! Source: "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway", payload format
//! version 2.0.

use aws_smithy_types::base64;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::clock;

/// The stage of an API without stages in its paths.
pub const DEFAULT_STAGE: &str = "$default";
/// The domain of the API. API Gateway chooses the API by the header `Host`, so a function never sees
/// another one: what a client sends there has no effect.
const DOMAIN: &str = "127.0.0.1";

/// An HTTP request with its route.
pub struct GatewayRequest<'a> {
    /// The gateway's id of the request.
    pub request_id: &'a str,
    /// The stage; its name is part of the path unless it is [`DEFAULT_STAGE`].
    pub stage: &'a str,
    /// Method and path template of the route: `GET /admin/stats`.
    pub route_key: &'a str,
    /// The template's parameters, percent-decoded.
    pub path_parameters: &'a [(String, String)],
    /// The request line and headers.
    pub parts: &'a axum::http::request::Parts,
    /// The client's address.
    pub peer: SocketAddr,
    /// The whole body.
    pub body: &'a Bytes,
}

/// The event that the function receives. Path and query are those of the request line; like API
/// Gateway's HTTP APIs it has the path percent-decoded.
#[must_use]
pub fn event(request: &GatewayRequest<'_>) -> Value {
    let path = decode(request.parts.uri.path());
    let query = request.parts.uri.query().unwrap_or_default();
    let now = clock::now();
    let user_agent = request.parts.headers.get(header::USER_AGENT).map(text).unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": request.route_key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers(&request.parts.headers, request.peer),
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": DOMAIN,
            "domainPrefix": "local",
            "http": {
                "method": request.parts.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.peer.ip().to_string(),
                "userAgent": user_agent,
            },
            "requestId": request.request_id,
            "routeKey": request.route_key,
            "stage": request.stage,
            "time": now.format("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.timestamp_millis(),
        },
        "isBase64Encoded": false,
    });
    let mut add = |name: &str, value: Value| {
        if let Some(fields) = event.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
    };
    let cookies: Vec<String> = cookies(&request.parts.headers);
    if !cookies.is_empty() {
        add("cookies", json!(cookies));
    }
    if !query.is_empty() {
        add("queryStringParameters", Value::Object(query_parameters(query)));
    }
    if !request.path_parameters.is_empty() {
        let values: BTreeMap<_, _> = request.path_parameters.iter().cloned().collect();
        add("pathParameters", json!(values));
    }
    if !request.body.is_empty() {
        let (body, encoded) = body_text(&request.parts.headers, request.body);
        add("body", Value::String(body));
        add("isBase64Encoded", Value::Bool(encoded));
    }
    event
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Names in lower case, the values of a repeated name joined by commas; cookies have a field of
/// their own.
fn headers(headers: &HeaderMap, peer: SocketAddr) -> Map<String, Value> {
    let mut joined: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| *name != header::COOKIE) {
        joined.entry(name.as_str()).or_default().push(text(value));
    }
    joined.insert(header::HOST.as_str(), vec![DOMAIN.to_owned()]);
    joined.entry("x-forwarded-for").or_default().push(peer.ip().to_string());
    joined.insert("x-forwarded-proto", vec!["http".to_owned()]);
    joined.into_iter().map(|(name, values)| (name.to_owned(), Value::String(values.join(",")))).collect()
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let sent = headers.get_all(header::COOKIE).iter().map(text);
    sent.flat_map(|line| line.split(';').map(|cookie| cookie.trim().to_owned()).collect::<Vec<_>>())
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

/// Decoded, the values of a repeated name joined by commas.
fn query_parameters(query: &str) -> Map<String, Value> {
    let mut joined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        joined.entry(form_decode(name)).or_default().push(form_decode(value));
    }
    joined.into_iter().map(|(name, values)| (name, Value::String(values.join(",")))).collect()
}

fn form_decode(part: &str) -> String {
    decode(&part.replace('+', " "))
}

fn decode(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// The body, and whether it is in Base64: text stays as it is.
fn body_text(headers: &HeaderMap, body: &Bytes) -> (String, bool) {
    let kind = headers.get(header::CONTENT_TYPE).map(text).unwrap_or_default().to_lowercase();
    let is_text = kind.is_empty()
        || kind.starts_with("text/")
        || ["json", "xml", "javascript"].iter().any(|known| kind.contains(known));
    match (is_text, std::str::from_utf8(body)) {
        (true, Ok(body)) => (body.to_owned(), false),
        (false, _) | (_, Err(_)) => (base64::encode(body), true),
    }
}

/// A function's result in format 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionResult {
    status_code: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// The HTTP response of JSON without `statusCode`.
fn inferred(result: &Bytes) -> Option<Response<Body>> {
    let value: Value = serde_json::from_slice(result).ok()?;
    if value.get("statusCode").is_some() {
        return None;
    }
    let inferred = Response::builder().header(header::CONTENT_TYPE, "application/json");
    inferred.body(Body::from(result.clone())).ok()
}

/// The HTTP response of a function's result; `None` if the result is not in format 2.0.
///
/// A result without `statusCode` becomes a 200 with that JSON, as API Gateway infers it. One that has a name twice is
/// in no format.
#[must_use]
pub fn response(result: &Bytes) -> Option<Response<Body>> {
    // An array is no result in this form, though its elements could be read as one.
    let is_object = result.trim_ascii_start().starts_with(b"{");
    let read = is_object.then(|| serde_json::from_slice::<FunctionResult>(result)).transpose();
    let Some(result) = read.ok().flatten() else { return inferred(result) };
    let status = StatusCode::from_u16(result.status_code).ok()?;
    let body = result.body.unwrap_or_default();
    let body = if result.is_base64_encoded { base64::decode(body).ok()? } else { body.into_bytes() };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let single = result.headers.unwrap_or_default().into_iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name, vec![value])
    });
    let multiple = result.multi_value_headers.unwrap_or_default().into_iter();
    let cookies = std::iter::once((header::SET_COOKIE.to_string(), result.cookies.unwrap_or_default()));
    for (name, values) in multiple.chain(single).chain(cookies) {
        let name = HeaderName::try_from(name).ok()?;
        for (position, value) in values.into_iter().enumerate() {
            let value = HeaderValue::try_from(value).ok()?;
            // The first value replaces values of the same header from another field.
            if position == 0 && name != header::SET_COOKIE {
                response.headers_mut().insert(name.clone(), value);
            } else {
                response.headers_mut().append(name.clone(), value);
            }
        }
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn event_of(request: Request<&'static [u8]>, parameters: &[(String, String)]) -> Value {
        let (parts, body) = request.into_parts();
        event(&GatewayRequest {
            request_id: "r1",
            stage: DEFAULT_STAGE,
            route_key: "GET /admin/users/{id}",
            path_parameters: parameters,
            parts: &parts,
            peer: SocketAddr::from(([127, 0, 0, 1], 5000)),
            body: &Bytes::from_static(body),
        })
    }

    #[test]
    fn request_becomes_a_version_2_event() {
        let request = Request::builder()
            .uri("/admin/users/a%20b?limit=1&limit=2&q=x%2By+z&flag")
            .header("Authorization", "Bearer sk_1")
            .header("X-Many", "a")
            .header("X-Many", "b")
            .header("Cookie", "one=1; two=2")
            .header("User-Agent", "curl/8")
            .body(&b""[..])
            .unwrap();
        let event = event_of(request, &[("id".to_owned(), "a b".to_owned())]);
        assert_eq!(event["version"], "2.0");
        assert_eq!(event["routeKey"], "GET /admin/users/{id}");
        assert_eq!(event["rawPath"], "/admin/users/a b");
        assert_eq!(event["requestContext"]["http"]["path"], "/admin/users/a b");
        assert_eq!(event["rawQueryString"], "limit=1&limit=2&q=x%2By+z&flag");
        assert_eq!(event["queryStringParameters"], json!({"limit": "1,2", "q": "x+y z", "flag": ""}));
        assert_eq!(event["pathParameters"], json!({"id": "a b"}));
        assert_eq!(event["cookies"], json!(["one=1", "two=2"]));
        assert_eq!(
            event["headers"],
            json!({"authorization": "Bearer sk_1", "x-many": "a,b", "user-agent": "curl/8",
                "host": "127.0.0.1", "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http"})
        );
        let context = &event["requestContext"];
        assert_eq!(context["requestId"], "r1");
        assert_eq!(context["http"]["method"], "GET");
        assert_eq!(context["http"]["sourceIp"], "127.0.0.1");
        assert_eq!(context["http"]["userAgent"], "curl/8");
        assert_eq!(event["isBase64Encoded"], false);
        assert!(event.get("body").is_none());
    }

    #[test]
    fn text_bodies_stay_text_and_others_are_encoded() {
        let sent = |kind: &str, body: &'static [u8]| {
            let request = Request::builder().header("content-type", kind).body(body).unwrap();
            let event = event_of(request, &[]);
            (event["body"].clone(), event["isBase64Encoded"].clone())
        };
        assert_eq!(sent("application/json; charset=utf-8", b"{}"), (json!("{}"), json!(false)));
        assert_eq!(sent("application/octet-stream", b"{}"), (json!("e30="), json!(true)));
        assert_eq!(sent("text/plain", b"\xff"), (json!("/w=="), json!(true)));
    }

    #[test]
    fn result_becomes_a_response() {
        let result = json!({"statusCode": 422, "headers": {"X-Request-Id": "r1", "x-count": 3},
            "cookies": ["a=1", "b=2"], "body": "e30=", "isBase64Encoded": true});
        let response = response(&Bytes::from(result.to_string())).unwrap();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["x-request-id"], "r1");
        assert_eq!(response.headers()["x-count"], "3");
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    }

    #[test]
    fn bare_json_is_a_200_and_anything_else_is_none() {
        for (bare, status) in [("[404]", 200), (r#"{"body":"x"}"#, 200), (r#" {"statusCode":404}"#, 404)] {
            assert_eq!(response(&Bytes::from(bare)).unwrap().status(), status, "{bare}");
        }
        assert!(response(&Bytes::from_static(b"not json")).is_none());
        assert!(response(&Bytes::from_static(br#"{"statusCode":"200"}"#)).is_none());
        assert!(
            response(&Bytes::from_static(br#"{"statusCode":200,"body":"%","isBase64Encoded":true}"#))
                .is_none()
        );
    }
}
