//! What an endpoint declares about itself.

pub use http::Method as HttpMethod;

/// The declaration of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its method.
    pub method: HttpMethod,
    /// Its path, with parameters in braces.
    pub path: &'static str,
    /// What it does, as logs and audit records name it.
    pub action: &'static str,
}
