//! What the console's function answers: its headers, its encodings, its refusals.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails by panicking")]

use console::ConsoleSite;
use http::{HeaderMap, Response};
use serde_json::{Map, Value, json};
use torale_domain::requests::payload::{HttpRequest, InvocationContext};

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Vec<u8>> {
    request_of(&ConsoleSite::new(None), method, path, headers)
}

fn request_of(
    console: &ConsoleSite,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Response<Vec<u8>> {
    let headers: Map<String, Value> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let payload = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": headers,
        "requestContext": { "requestId": "r1", "stage": "$default", "http": { "method": method, "path": path } },
        "isBase64Encoded": false,
    });
    console
        .answer(&HttpRequest::read(&payload.to_string(), InvocationContext::default(), || "made".to_owned()))
}

fn get(path: &str, headers: &[(&str, &str)]) -> Response<Vec<u8>> {
    request("GET", path, headers)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

/// The path of the script that the page loads.
fn script() -> String {
    let page = get("/admin", &[]);
    let page = String::from_utf8(page.body().to_vec()).unwrap();
    let rest = page.split("src=\".").nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn page_is_revalidated_and_allows_scripts_of_this_host_only() {
    let page = get("/admin", &[]);

    assert_eq!(page.status(), 200);
    let policy = header(page.headers(), "content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ] {
        assert!(policy.split("; ").any(|found| found == part), "{part}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-cache"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("vary", "accept-encoding"),
    ] {
        assert_eq!(header(page.headers(), name), value, "{name}");
    }
    assert!(!header(page.headers(), "x-request-id").is_empty());
}

#[test]
fn file_with_a_hashed_name_is_cached_for_ever_and_other_files_are_not() {
    let script = get(&script(), &[]);
    assert_eq!(header(script.headers(), "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(header(script.headers(), "content-type"), "text/javascript; charset=utf-8");
    assert_eq!(header(script.headers(), "x-content-type-options"), "nosniff");

    let notices = get("/admin/console/notices.txt", &[]);
    assert_eq!(notices.status(), 200);
    assert_eq!(header(notices.headers(), "cache-control"), "no-cache");
}

#[test]
fn file_is_sent_in_the_encoding_that_the_client_accepts_with_a_tag_of_its_own() {
    let answers = [("br, gzip", "br"), ("gzip", "gzip"), ("", "")].map(|(accepted, encoding)| {
        let answer = get(&script(), &[("accept-encoding", accepted)]);
        assert_eq!(header(answer.headers(), "content-encoding"), encoding);
        answer
    });

    let tags = answers.each_ref().map(|answer| header(answer.headers(), "etag").to_owned());
    assert!(tags.iter().all(|tag| tag.starts_with('"') && tag.ends_with('"')), "{tags:?}");
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
    let sizes = answers.map(|answer| answer.body().len());
    assert!(sizes[0] > 0 && sizes[0] < sizes[1] && sizes[1] < sizes[2], "{sizes:?}");
}

#[test]
fn file_that_the_client_has_is_a_304_without_a_body() {
    let tag = header(get("/admin", &[("accept-encoding", "br")]).headers(), "etag").to_owned();

    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = get("/admin", &[("accept-encoding", "br"), ("if-none-match", &known)]);
        assert_eq!(answer.status(), 304, "{known}");
        assert!(answer.body().is_empty());
        assert_eq!(header(answer.headers(), "etag"), tag);
        assert!(!header(answer.headers(), "content-security-policy").is_empty());
    }
    let other_encoding = get("/admin", &[("accept-encoding", "gzip"), ("if-none-match", &tag)]);
    assert_eq!(other_encoding.status(), 200);
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let (head, get) = (request("HEAD", "/admin", &[]), get("/admin", &[]));

    assert_eq!(head.status(), 200);
    assert!(head.body().is_empty() && !get.body().is_empty());
    for name in ["etag", "content-type", "cache-control", "content-security-policy"] {
        assert_eq!(head.headers().get(name), get.headers().get(name), "{name}");
    }
}

#[test]
fn page_is_found_below_the_name_of_a_stage() {
    assert_eq!(get("/prod/admin", &[]).status(), 200);
    assert_eq!(get(&format!("/prod{}", script()), &[]).status(), 200);
}

#[test]
fn unknown_file_is_a_404_and_another_method_a_405_as_the_contract_says() {
    for path in [
        "/admin/console/",
        "/admin/console/index.html",
        "/admin/console/app.js",
        "/admin/console/notices.txt.gz",
        "/admin/console/../Cargo.toml",
    ] {
        let answer = get(path, &[]);
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!((answer.status().as_u16(), body), (404, json!({ "detail": "Not Found" })), "{path}");
        assert_eq!(header(answer.headers(), "cache-control"), "no-store");
    }

    let refused = request("POST", "/admin", &[]);
    assert_eq!(refused.status(), 405);
    assert_eq!(header(refused.headers(), "allow"), "GET, HEAD");
    let body: Value = serde_json::from_slice(refused.body()).unwrap();
    assert_eq!(body, json!({ "detail": "Method Not Allowed" }));
}

/// `pk_test_` and base64 of `clerk.example.com$`.
const PUBLISHABLE_KEY: &str = "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k";

fn settings(console: &ConsoleSite) -> Value {
    let answer = request_of(console, "GET", "/prod/admin/console/settings.json", &[]);
    assert_eq!(answer.status(), 200);
    assert_eq!(header(answer.headers(), "content-type"), "application/json");
    assert_eq!(header(answer.headers(), "cache-control"), "no-cache");
    serde_json::from_slice(answer.body()).unwrap()
}

#[test]
fn clerk_instance_adds_two_folders_of_its_host_to_the_policy_and_nothing_else() {
    let policy_of = |console: &ConsoleSite| {
        let page = request_of(console, "GET", "/admin", &[]);
        header(page.headers(), "content-security-policy").to_owned()
    };
    let (with, without) =
        (policy_of(&ConsoleSite::configured(Some(PUBLISHABLE_KEY))), policy_of(&ConsoleSite::new(None)));

    let host = "https://clerk.example.com";
    let expected = without
        .replace("script-src 'self'", &format!("script-src 'self' {host}/npm/@clerk/"))
        .replace("connect-src 'self'", &format!("connect-src 'self' {host}/v1/"))
        .replace("trusted-types 'none'", "trusted-types default");
    assert_eq!(with, expected);
    assert_eq!(with.matches(host).count(), 2);
}

#[test]
fn settings_name_the_clerk_instance_if_there_is_one() {
    let script = "https://clerk.example.com/npm/@clerk/clerk-js@6/dist/clerk.browser.js";
    let instance = json!({ "publishable_key": PUBLISHABLE_KEY, "script": script });

    assert_eq!(settings(&ConsoleSite::configured(Some(PUBLISHABLE_KEY))), json!({ "clerk": instance }));
    for none in [None, Some("pk_test_%%%"), Some("sk_test_secret")] {
        assert_eq!(settings(&ConsoleSite::configured(none)), json!({ "clerk": null }), "{none:?}");
    }
    let head = request("HEAD", "/admin/console/settings.json", &[]);
    assert_eq!((head.status().as_u16(), head.body().len()), (200, 0));
}
