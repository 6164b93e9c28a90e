//! GET /admin and GET /admin/console/{file}: the administrators' console, a page and its files.
//!
//! They are the same for everyone and hold no data, so they need no credentials. The page itself calls the API with its
//! user's key (`docs/adr/0020-console.md`). `clients/console` builds the files; they are part of the binary.

mod assets;
mod encoding;

use assets::Asset;
use encoding::Encoding;
use http::header::{self, HeaderValue};
use http::{HeaderName, Response, StatusCode};
use torale_domain::requests::payload::HttpRequest;
use torale_platform::error::{AdminError, HttpError};
use torale_platform::{respond, routes};

/// The folder of the files, below the stage.
const FOLDER: &str = "/admin/console/";

/// What the page may do: run and show what comes from this host, and talk to this host. No script is inline, no text
/// becomes markup (Trusted Types without any policy), and no other page shows this one in a frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// Headers of the page, in addition to those of every file.
const PAGE_HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// Answers a request for the page or a file: 200, 304, 404 or 405.
pub fn answer(request: &HttpRequest) -> Response<Vec<u8>> {
    let request_id = request.request_id();
    let refused = |error| respond::error(&HttpError::from(&error), request_id).map(String::into_bytes);
    let response = respond_to(request).unwrap_or_else(refused);
    respond::log(request, "console", &response);
    response
}

fn respond_to(request: &HttpRequest) -> Result<Response<Vec<u8>>, AdminError> {
    if !routes::PAGE_METHODS.contains(&request.method()) {
        return Err(AdminError::MethodNotAllowed { allowed: routes::PAGE_METHODS.join(", ") });
    }
    let name = request.path().split_once(FOLDER).map_or(assets::PAGE, |(_, name)| name);
    let is_page = !request.path().contains(FOLDER);
    // The page has one address: below the folder its relative links would lead nowhere.
    let asset = assets::find(name).filter(|asset| is_page == (asset.name == assets::PAGE));
    Ok(found(request, asset.ok_or(AdminError::NotFound)?))
}

fn found(request: &HttpRequest, asset: &Asset) -> Response<Vec<u8>> {
    let header = |name: HeaderName| request.header(name.as_str());
    let encoding = Encoding::choose(header(header::ACCEPT_ENCODING).unwrap_or_default());
    let tag = format!("\"{}{}\"", asset.hash, encoding.suffix());
    let is_known = header(header::IF_NONE_MATCH).is_some_and(|known| matches_tag(known, &tag));
    let mut response = Response::new(Vec::new());
    let headers = response.headers_mut();
    let caching = if asset.has_hashed_name() { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in
        [(header::ETAG, tag.as_str()), (HeaderName::from_static(respond::REQUEST_ID), request.request_id())]
    {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    if asset.name == assets::PAGE {
        headers.extend(PAGE_HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    }
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type()));
    headers.extend(encoding.name().map(|name| (header::CONTENT_ENCODING, HeaderValue::from_static(name))));
    if request.method() == "GET" {
        *response.body_mut() = asset.bytes(encoding).to_vec();
    }
    response
}

/// Whether an `If-None-Match` header lists a tag. Tags are compared weakly, as RFC 9110 says.
fn matches_tag(header: &str, tag: &str) -> bool {
    header.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}
