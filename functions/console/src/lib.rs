//! GET /admin and GET /admin/console/{file}: the administrators' console, a page and its files.
//!
//! They are the same for everyone and hold no data, so they need no credentials. The page itself calls the API with its
//! user's key, or with the user's session where a Clerk instance is configured (`docs/adr/0020-console.md`).
//! `clients/console` builds the files; they are part of the binary.

mod assets;
mod clerk;
mod encoding;

use assets::Asset;
pub use clerk::{BadPublishableKey, ClerkInstance};
use encoding::Encoding;
use http::header::{self, HeaderValue};
use http::{HeaderName, Response, StatusCode};
use serde_json::json;
use torale_domain::requests::payload::HttpRequest;
use torale_platform::error::{AdminError, HttpError};
use torale_platform::{respond, routes};

/// The folder of the files, below the stage.
const FOLDER: &str = "/admin/console/";

/// The file that is not built: which Clerk instance one may sign in with, if any.
const SETTINGS: &str = "settings.json";

/// Headers of the page, in addition to its policy and those of every file.
const PAGE_HEADERS: [(HeaderName, &str); 4] = [
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// The console: the page, its files, and how one may sign in.
pub struct ConsoleSite {
    clerk: Option<ClerkInstance>,
    policy: String,
}

impl ConsoleSite {
    /// A console that one signs in to with an API key, or also with a session of a Clerk instance.
    pub fn new(clerk: Option<ClerkInstance>) -> Self {
        let policy = content_security_policy(clerk.as_ref());
        Self { clerk, policy }
    }

    /// A console with the instance of a publishable key. With a key of another form, which is logged, there is none.
    pub fn configured(publishable_key: Option<&str>) -> Self {
        let clerk = publishable_key.map(ClerkInstance::of).transpose().unwrap_or_else(|bad| {
            tracing::warn!(%bad, "nobody can sign in with a Clerk session");
            None
        });
        Self::new(clerk)
    }

    /// Answers a request for the page or a file: 200, 304, 404 or 405.
    pub fn answer(&self, request: &HttpRequest) -> Response<Vec<u8>> {
        let request_id = request.request_id();
        let refused = |error| respond::error(&HttpError::from(&error), request_id).map(String::into_bytes);
        let response = self.respond_to(request).unwrap_or_else(refused);
        respond::log(request, "console", &response);
        response
    }

    fn respond_to(&self, request: &HttpRequest) -> Result<Response<Vec<u8>>, AdminError> {
        if !routes::PAGE_METHODS.contains(&request.method()) {
            return Err(AdminError::MethodNotAllowed { allowed: routes::PAGE_METHODS.join(", ") });
        }
        let name = request.path().split_once(FOLDER).map_or(assets::PAGE, |(_, name)| name);
        if name == SETTINGS {
            return Ok(self.settings(request));
        }
        let is_page = !request.path().contains(FOLDER);
        // The page has one address: below the folder its relative links would lead nowhere.
        let asset = assets::find(name).filter(|asset| is_page == (asset.name == assets::PAGE));
        let mut response = found(request, asset.ok_or(AdminError::NotFound)?);
        if is_page {
            let page_headers = PAGE_HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value)));
            response.headers_mut().extend(page_headers);
            set(&mut response, header::CONTENT_SECURITY_POLICY, &self.policy);
        }
        Ok(response)
    }

    /// `{"clerk": null}`, or the instance's publishable key and the address of its script.
    fn settings(&self, request: &HttpRequest) -> Response<Vec<u8>> {
        let body = json!({ "clerk": self.clerk.as_ref().map(ClerkInstance::settings) });
        let mut response =
            Response::new(if request.method() == "GET" { body.to_string().into() } else { Vec::new() });
        set(&mut response, header::CONTENT_TYPE, "application/json");
        set(&mut response, header::CACHE_CONTROL, "no-cache");
        set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(&mut response, HeaderName::from_static(respond::REQUEST_ID), request.request_id());
        response
    }
}

/// What the page may do: run and show what comes from this host, and talk to this host. No script is inline, no text
/// becomes markup (Trusted Types without any policy), and no other page shows this one in a frame.
///
/// A Clerk instance adds two folders of its own host, one for scripts and one for requests, and the one policy of
/// Trusted Types that lets the page load a script from there.
fn content_security_policy(clerk: Option<&ClerkInstance>) -> String {
    let also = |source: fn(&ClerkInstance) -> String| {
        clerk.map(|clerk| format!(" {}", source(clerk))).unwrap_or_default()
    };
    let (scripts, requests) = (also(ClerkInstance::scripts), also(ClerkInstance::requests));
    let types = if clerk.is_some() { "default" } else { "'none'" };
    format!(
        "default-src 'none'; script-src 'self'{scripts}; style-src 'self'; img-src 'self'; \
         connect-src 'self'{requests}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types {types}"
    )
}

/// Sets a header; a value that can't be one is left out.
fn set(response: &mut Response<Vec<u8>>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn found(request: &HttpRequest, asset: &Asset) -> Response<Vec<u8>> {
    let header = |name: HeaderName| request.header(name.as_str());
    let encoding = Encoding::choose(header(header::ACCEPT_ENCODING).unwrap_or_default());
    let tag = format!("\"{}{}\"", asset.hash, encoding.suffix());
    let is_known = header(header::IF_NONE_MATCH).is_some_and(|known| matches_tag(known, &tag));
    let mut response = Response::new(Vec::new());
    let caching = if asset.has_hashed_name() { "public, max-age=31536000, immutable" } else { "no-cache" };
    set(&mut response, header::CACHE_CONTROL, caching);
    set(&mut response, header::VARY, "accept-encoding");
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(&mut response, header::ETAG, &tag);
    set(&mut response, HeaderName::from_static(respond::REQUEST_ID), request.request_id());
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    set(&mut response, header::CONTENT_TYPE, asset.content_type());
    if let Some(encoding) = encoding.name() {
        set(&mut response, header::CONTENT_ENCODING, encoding);
    }
    if request.method() == "GET" {
        *response.body_mut() = asset.bytes(encoding).to_vec();
    }
    response
}

/// Whether an `If-None-Match` header lists a tag. Tags are compared weakly, as RFC 9110 says.
fn matches_tag(header: &str, tag: &str) -> bool {
    header.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}
