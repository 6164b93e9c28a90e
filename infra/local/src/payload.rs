//! API Gateway's payload format 2.0 of HTTP APIs: HTTP requests become events, results become answers.
//!
//! Source: "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway", payload format version 2.0.

use aws_smithy_types::base64;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::clock;

/// An HTTP request that has been matched to a route.
pub struct GatewayRequest<'a> {
    /// Made by the gateway.
    pub request_id: &'a str,
    /// `GET /admin/stats`: method and path template of the route.
    pub route_key: &'a str,
    /// Values of the template's parameters, percent-decoded.
    pub path_parameters: &'a [(String, String)],
    /// The request line and headers.
    pub parts: &'a axum::http::request::Parts,
    /// The caller's address.
    pub peer: SocketAddr,
    /// The whole body.
    pub body: &'a Bytes,
}

/// The event that the function receives.
#[must_use]
pub fn event(call: &GatewayRequest<'_>) -> Value {
    let path = call.parts.uri.path();
    let query = call.parts.uri.query().unwrap_or_default();
    let now = clock::now();
    let user_agent = call.parts.headers.get(header::USER_AGENT).map(text).unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": call.route_key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers(&call.parts.headers, call.peer),
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "127.0.0.1",
            "domainPrefix": "local",
            "http": {
                "method": call.parts.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": call.peer.ip().to_string(),
                "userAgent": user_agent,
            },
            "requestId": call.request_id,
            "routeKey": call.route_key,
            "stage": "$default",
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
    let cookies: Vec<String> = cookies(&call.parts.headers);
    if !cookies.is_empty() {
        add("cookies", json!(cookies));
    }
    if !query.is_empty() {
        add("queryStringParameters", Value::Object(query_parameters(query)));
    }
    if !call.path_parameters.is_empty() {
        let values: BTreeMap<_, _> = call.path_parameters.iter().cloned().collect();
        add("pathParameters", json!(values));
    }
    if !call.body.is_empty() {
        let (body, encoded) = body_text(&call.parts.headers, call.body);
        add("body", Value::String(body));
        add("isBase64Encoded", Value::Bool(encoded));
    }
    event
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Names in lower case, several values of one name joined by commas, cookies left to their own field.
fn headers(headers: &HeaderMap, peer: SocketAddr) -> Map<String, Value> {
    let mut joined: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| *name != header::COOKIE) {
        joined.entry(name.as_str()).or_default().push(text(value));
    }
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

/// Decoded, several values of one name joined by commas.
fn query_parameters(query: &str) -> Map<String, Value> {
    let mut joined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        joined.entry(form_decode(name)).or_default().push(form_decode(value));
    }
    joined.into_iter().map(|(name, values)| (name, Value::String(values.join(",")))).collect()
}

fn form_decode(part: &str) -> String {
    percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Text as it is, anything else in Base64.
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

/// What a function answers in format 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
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

/// The HTTP answer to a function's result; `None` when the result cannot be read as one.
///
/// A result without `statusCode` is a 200 with that JSON, as API Gateway infers it.
#[must_use]
pub fn answer(result: &Bytes) -> Option<Response<Body>> {
    let value: Value = serde_json::from_slice(result).ok()?;
    if value.get("statusCode").is_none() {
        let answer = Response::builder().header(header::CONTENT_TYPE, "application/json");
        return answer.body(Body::from(result.clone())).ok();
    }
    let answer: Answer = serde_json::from_value(value).ok()?;
    let status = StatusCode::from_u16(answer.status_code).ok()?;
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded { base64::decode(body).ok()? } else { body.into_bytes() };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let single = answer.headers.unwrap_or_default().into_iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name, vec![value])
    });
    let multiple = answer.multi_value_headers.unwrap_or_default().into_iter();
    let cookies = std::iter::once((header::SET_COOKIE.to_string(), answer.cookies.unwrap_or_default()));
    for (name, values) in multiple.chain(single).chain(cookies) {
        let name = HeaderName::try_from(name).ok()?;
        for (position, value) in values.into_iter().enumerate() {
            let value = HeaderValue::try_from(value).ok()?;
            // The first value replaces what another field said about the same header.
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
            route_key: "GET /admin/users/{id}",
            path_parameters: parameters,
            parts: &parts,
            peer: SocketAddr::from(([127, 0, 0, 1], 5000)),
            body: &Bytes::from_static(body),
        })
    }

    #[test]
    fn a_request_becomes_a_version_2_event() {
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
        assert_eq!(event["rawPath"], "/admin/users/a%20b");
        assert_eq!(event["rawQueryString"], "limit=1&limit=2&q=x%2By+z&flag");
        assert_eq!(event["queryStringParameters"], json!({"limit": "1,2", "q": "x+y z", "flag": ""}));
        assert_eq!(event["pathParameters"], json!({"id": "a b"}));
        assert_eq!(event["cookies"], json!(["one=1", "two=2"]));
        assert_eq!(
            event["headers"],
            json!({"authorization": "Bearer sk_1", "x-many": "a,b", "user-agent": "curl/8",
                "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http"})
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
    fn a_result_becomes_an_answer() {
        let result = json!({"statusCode": 422, "headers": {"X-Request-Id": "r1", "x-count": 3},
            "cookies": ["a=1", "b=2"], "body": "e30=", "isBase64Encoded": true});
        let answer = answer(&Bytes::from(result.to_string())).unwrap();
        assert_eq!(answer.status(), 422);
        assert_eq!(answer.headers()["x-request-id"], "r1");
        assert_eq!(answer.headers()["x-count"], "3");
        assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2);
    }

    #[test]
    fn a_bare_result_is_a_200_and_garbage_is_none() {
        assert_eq!(answer(&Bytes::from_static(b"[1]")).unwrap().status(), 200);
        assert!(answer(&Bytes::from_static(b"not json")).is_none());
        assert!(answer(&Bytes::from_static(br#"{"statusCode":"200"}"#)).is_none());
        assert!(
            answer(&Bytes::from_static(br#"{"statusCode":200,"body":"%","isBase64Encoded":true}"#)).is_none()
        );
    }
}
