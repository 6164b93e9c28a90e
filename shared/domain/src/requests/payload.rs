//! HTTP requests as API Gateway passes them to a function: payload format version 2.0.
//!
//! Everything is read from the payload's own fields: the path from `rawPath`, its parameters from `pathParameters`, the
//! query from `rawQueryString`. No URL is put together from them, so no header has a say in what a request is about
//! (`docs/adr/0018-raw-payloads.md`). Reading never fails: a field that is missing or of the wrong kind counts as
//! empty. So whoever invokes a function by other means than API Gateway gets an answer in the contract's form as well.

use crate::values::trace::TraceParent;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;

/// The stage that API Gateway does not put before the path.
const DEFAULT_STAGE: &str = "$default";
/// The most characters of a request's id; API Gateway's have some 16.
const MAX_REQUEST_ID: usize = 128;

/// A request.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    method: String,
    path: String,
    /// Whether a mapping of a custom domain can have put a base path before the route.
    can_have_base_path: bool,
    path_parameters: BTreeMap<String, String>,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    request_id: String,
    source_address: Option<String>,
    trace: Option<TraceParent>,
}

/// What the Lambda runtime says of an invocation.
#[derive(Debug, Clone, Copy, Default)]
pub struct InvocationContext<'a> {
    /// Its id.
    pub request_id: &'a str,
    /// The header of X-Ray's trace.
    pub xray: Option<&'a str>,
}

impl HttpRequest {
    /// Reads a payload. `new_id` makes the id of a request that has none.
    pub fn read(payload: &str, invocation: InvocationContext<'_>, new_id: impl FnOnce() -> String) -> Self {
        let payload = members(payload);
        let gateway = payload.object("requestContext");
        let http = gateway.object("http");
        let headers = headers(&payload.object("headers"));
        let path = payload.text("rawPath").unwrap_or_default();
        let ids = [gateway.text("requestId"), Some(invocation.request_id.to_owned())];
        Self {
            method: http.text("method").unwrap_or_default(),
            path: without_stage(&path, gateway.text("stage").as_deref()).to_owned(),
            can_have_base_path: is_custom_domain(&gateway),
            path_parameters: payload.object("pathParameters").texts(),
            query: payload.text("rawQueryString").unwrap_or_default(),
            body: body(payload.text("body").unwrap_or_default(), payload.is_true("isBase64Encoded")),
            request_id: ids.into_iter().flatten().find(|id| is_request_id(id)).unwrap_or_else(new_id),
            source_address: http.text("sourceIp").filter(|address| address.parse::<IpAddr>().is_ok()),
            trace: trace(invocation.xray, headers.get("traceparent").map(String::as_str)),
            headers,
        }
    }

    /// The method, as it was sent.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path, percent-encoded as it was sent, without the name of the stage.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The paths that the route of this request may have: its path, and behind a custom domain, of which API Gateway
    /// does not say which base path it maps, also what follows the first segments, the longest first. Anybody may send
    /// any path, so the number of them is bounded: no route has more than [`MAX_ROUTE_SEGMENTS`].
    pub fn possible_routes(&self) -> impl Iterator<Item = &str> {
        let slashes = self.path.rmatch_indices('/').take(MAX_ROUTE_SEGMENTS);
        let ends: Vec<&str> = slashes.filter_map(|(at, _)| self.path.get(at..)).collect();
        let shorter = ends.into_iter().rev().filter(|end| end.len() < self.path.len());
        std::iter::once(self.path()).chain(shorter.filter(|_| self.can_have_base_path))
    }

    /// The decoded value of a route's parameter, as API Gateway states it, else as the path has it; empty if the route
    /// has none. What precedes the route in the path (the mapping of a custom domain) does not matter.
    pub fn path_parameter(&self, route: &str) -> String {
        let parameter = |segment: &str| Some(segment.strip_prefix('{')?.strip_suffix('}')?.to_owned());
        let named = route.rsplit('/').enumerate().find_map(|(at, segment)| Some((at, parameter(segment)?)));
        let Some((from_end, name)) = named else { return String::new() };
        if let Some(value) = self.path_parameters.get(&name) {
            return value.clone();
        }
        let segment = self.path.rsplit('/').nth(from_end).unwrap_or_default();
        percent_decode_str(segment).decode_utf8_lossy().into_owned()
    }

    /// The query, percent-encoded as it was sent; empty without one.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The value of a header, by its name in lower case. Several values are joined by commas.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The body; empty without one.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The id of the request: API Gateway's, else the Lambda runtime's, else a new one. It can be sent in a header.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The client's address, as API Gateway states it.
    pub fn source_address(&self) -> Option<&str> {
        self.source_address.as_deref()
    }

    /// The trace that the request belongs to: the one of X-Ray, which Lambda continues, else the client's.
    pub const fn trace(&self) -> Option<&TraceParent> {
        self.trace.as_ref()
    }
}

/// The members of a JSON object.
#[derive(Default)]
struct Members<'a>(HashMap<String, &'a RawValue>);

/// Reads a JSON object. Anything else has no members. Of a name that occurs twice, the last value counts.
fn members(json: &str) -> Members<'_> {
    let members: HashMap<LossyText, &RawValue> = serde_json::from_str(json).unwrap_or_default();
    Members(members.into_iter().map(|(name, value)| (name.0, value)).collect())
}

impl<'a> Members<'a> {
    fn object(&self, name: &str) -> Members<'a> {
        self.0.get(name).map(|value| members(value.get())).unwrap_or_default()
    }

    fn text(&self, name: &str) -> Option<String> {
        text(self.0.get(name)?)
    }

    fn is_true(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value.get() == "true")
    }

    fn texts(&self) -> BTreeMap<String, String> {
        self.0.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
    }
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str::<LossyText>(value.get()).ok().map(|text| text.0)
}

/// A JSON text. Escapes of half a surrogate pair, which no Unicode text can hold, become replacement characters.
#[derive(PartialEq, Eq, Hash)]
struct LossyText(String);

impl<'de> Deserialize<'de> for LossyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = LossyText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<LossyText, E> {
                Ok(LossyText(String::from_utf8_lossy(bytes).into_owned()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<LossyText, E> {
                Ok(LossyText(text.to_owned()))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

/// Headers by their names in lower case; values of names that differ in case only are joined by commas.
fn headers(members: &Members<'_>) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in members.texts() {
        let values = headers.entry(name.to_ascii_lowercase()).or_default();
        if !values.is_empty() {
            values.push(',');
        }
        values.push_str(&value);
    }
    headers
}

/// The path without the name of the stage, which API Gateway puts before it.
fn without_stage<'a>(path: &'a str, stage: Option<&str>) -> &'a str {
    let stage = stage.filter(|stage| !stage.is_empty() && *stage != DEFAULT_STAGE);
    let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    rest.filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// Whether a request came by another domain than the one that API Gateway gives to each API: `<API id>.execute-api.`,
/// and the region's.
fn is_custom_domain(gateway: &Members<'_>) -> bool {
    let default = gateway.text("apiId").map(|id| format!("{id}.execute-api."));
    let domain = gateway.text("domainName").filter(|domain| !domain.is_empty());
    domain.is_some_and(|domain| default.is_none_or(|default| !domain.starts_with(&default)))
}

/// The bytes of a body. One that says it is Base64 but is not is taken as it is.
fn body(text: String, is_base64: bool) -> Vec<u8> {
    let decoded = if is_base64 { STANDARD.decode(&text).ok() } else { None };
    decoded.unwrap_or_else(|| text.into_bytes())
}

/// Whether a text can be an id: it is sent back in a header.
fn is_request_id(text: &str) -> bool {
    (1..=MAX_REQUEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn trace(xray: Option<&str>, sent: Option<&str>) -> Option<TraceParent> {
    xray.and_then(TraceParent::from_xray).or_else(|| TraceParent::parse(sent?))
}

/// The most segments of a route's path; a test of the routes holds it.
pub const MAX_ROUTE_SEGMENTS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(payload: &Value) -> HttpRequest {
        read_text(&payload.to_string())
    }

    fn read_text(payload: &str) -> HttpRequest {
        let invocation = InvocationContext { request_id: "runtime", ..InvocationContext::default() };
        HttpRequest::read(payload, invocation, || "made".to_owned())
    }

    #[test]
    fn fields_of_the_payload_are_the_request() {
        let request = read(&json!({
            "version": "2.0", "rawPath": "/admin/users", "rawQueryString": "limit=5&q=a%20b",
            "headers": { "Authorization": "Bearer x", "x-many": "a" },
            "requestContext": { "requestId": "gw", "stage": "$default",
                "http": { "method": "GET", "path": "/elsewhere", "sourceIp": "203.0.113.7" } },
            "body": "e30=", "isBase64Encoded": true,
        }));
        assert_eq!(
            (request.method(), request.path(), request.query()),
            ("GET", "/admin/users", "limit=5&q=a%20b")
        );
        assert_eq!((request.header("authorization"), request.header("host")), (Some("Bearer x"), None));
        assert_eq!((request.body(), request.request_id()), (b"{}".as_slice(), "gw"));
        assert_eq!(request.source_address(), Some("203.0.113.7"));
    }

    #[test]
    fn whatever_is_no_payload_is_an_empty_request() {
        for payload in [
            "",
            "null",
            "[]",
            "7",
            "\"x\"",
            "{",
            "{}",
            r#"{"rawPath":5,"headers":[],"requestContext":{"http":7}}"#,
        ] {
            let request = read_text(payload);
            assert_eq!((request.method(), request.path(), request.query()), ("", "", ""), "{payload}");
            assert_eq!((request.body(), request.request_id()), (b"".as_slice(), "runtime"), "{payload}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced_in_names_and_values() {
        let request = read_text(
            r#"{"\ud800":1,"rawQueryString":"a\udc00b","headers":{"\ud800":"x","user-agent":"\ud83d"}}"#,
        );
        assert!(request.query().starts_with('a') && request.query().ends_with('b'));
        assert!(request.header("user-agent").is_some_and(|agent| agent.contains('\u{fffd}')));
    }

    #[test]
    fn path_parameter_comes_from_the_gateway_or_else_from_the_end_of_the_path() {
        const ROUTE: &str = "/admin/users/{id}/deactivate";
        let given =
            read(&json!({ "rawPath": "/v1/admin/users/B/deactivate", "pathParameters": { "id": "A" } }));
        assert_eq!(given.path_parameter(ROUTE), "A");
        let mapped = read(&json!({ "rawPath": "/v1/admin/users/a%2Db/deactivate" }));
        assert_eq!(mapped.path_parameter(ROUTE), "a-b");
        assert_eq!(mapped.path_parameter("/admin/users/deactivate"), "");
        assert_eq!(read(&json!({ "rawPath": "/" })).path_parameter(ROUTE), "");
    }

    #[test]
    fn name_of_the_stage_is_no_part_of_the_path() {
        let path = |path: &str, stage: Value| {
            read(&json!({ "rawPath": path, "requestContext": { "stage": stage } })).path().to_owned()
        };
        assert_eq!(path("/prod/admin/stats", json!("prod")), "/admin/stats");
        assert_eq!(path("/production/admin/stats", json!("prod")), "/production/admin/stats");
        assert_eq!(path("/admin/stats", json!("admin")), "/stats", "the gateway always puts it there");
        assert_eq!(path("/$default/admin", json!("$default")), "/$default/admin");
        assert_eq!(path("/admin/stats", json!(null)), "/admin/stats");
    }

    #[test]
    fn base_path_can_precede_the_route_behind_a_custom_domain_alone() {
        let routes = |domain: Value| {
            let context = json!({ "apiId": "a1b2", "domainName": domain, "stage": "$default" });
            let request = read(&json!({ "rawPath": "/v1/x/admin/stats", "requestContext": context }));
            request.possible_routes().map(str::to_owned).collect::<Vec<_>>()
        };
        let all = ["/v1/x/admin/stats", "/x/admin/stats", "/admin/stats", "/stats"];
        assert_eq!(routes(json!("admin-api.example.com")), all);
        for domain in [json!("a1b2.execute-api.eu-west-1.amazonaws.com"), json!(""), json!(null)] {
            assert_eq!(routes(domain), all[..1]);
        }
        assert_eq!(read(&json!({})).possible_routes().collect::<Vec<_>>(), [""]);
    }

    /// Nobody has to sign in to send a path.
    #[test]
    fn paths_of_any_length_have_few_possible_routes() {
        let context = json!({ "apiId": "a1b2", "domainName": "admin-api.example.com", "stage": "$default" });
        let request = read(&json!({ "rawPath": "/a".repeat(5_000), "requestContext": context }));
        assert_eq!(request.possible_routes().count(), 1 + MAX_ROUTE_SEGMENTS);
    }

    #[test]
    fn request_id_and_address_are_what_they_should_be_or_left_out() {
        for id in ["", "a b", "a\nb", "é", &"x".repeat(129)] {
            assert_eq!(
                read(&json!({ "requestContext": { "requestId": id } })).request_id(),
                "runtime",
                "{id}"
            );
        }
        for address in ["", "somewhere", "203.0.113.7:80"] {
            let request = read(&json!({ "requestContext": { "http": { "sourceIp": address } } }));
            assert_eq!(request.source_address(), None, "{address}");
        }
    }

    #[test]
    fn request_without_any_id_gets_a_new_one() {
        let request = HttpRequest::read("{}", InvocationContext::default(), || "made".to_owned());
        assert_eq!(request.request_id(), "made");
    }

    #[test]
    fn headers_that_differ_in_case_are_one() {
        let request =
            read(&json!({ "headers": { "Authorization": "Bearer a", "authorization": "Bearer b" } }));
        assert_eq!(request.header("authorization"), Some("Bearer a,Bearer b"));
    }

    #[test]
    fn body_that_is_no_base64_is_taken_as_it_is() {
        assert_eq!(read(&json!({ "body": "%", "isBase64Encoded": true })).body(), b"%");
        assert_eq!(read(&json!({ "body": "e30=" })).body(), b"e30=");
    }
}
