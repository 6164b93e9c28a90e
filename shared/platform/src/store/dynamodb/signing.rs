//! Signatures of direct reads: AWS Signature Version 4.
//!
//! Direct reads are all alike: a POST to `/` with the same headers. So what is signed is written as one text, and the
//! key that signs it is derived once for each day and secret. The SDK's `aws-sigv4` derives the key and signs; what it
//! has for requests of any form takes a multiple of that time.

use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use chrono::{DateTime, Datelike, Timelike, Utc};
use http::Uri;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use torale_domain::values::digest::sha256_hex;

/// The service, as its signatures name it.
const SERVICE: &str = "dynamodb";
/// What the body of a direct read is.
pub(super) const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// Signs the direct reads of a client.
pub(super) struct Signer {
    host: String,
    region: String,
    /// The key that signed last.
    key: Mutex<Arc<SigningKey>>,
}

/// A key that signs, and what it was derived from.
#[derive(Default)]
struct SigningKey {
    secret: String,
    day: String,
    /// Day, region and service, as signatures name them.
    scope: String,
    key: Vec<u8>,
}

/// The headers that sign a request.
pub(super) struct SignatureHeaders {
    /// `x-amz-date`: when it was signed.
    pub(super) date: String,
    /// `authorization`.
    pub(super) authorization: String,
}

/// A key shows nowhere.
impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signer").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Signer {
    /// Signs requests to an endpoint; `None` if that has a path.
    pub(super) fn of(endpoint: &Uri, region: &str) -> Option<Self> {
        let host = endpoint.host().filter(|_| endpoint.path() == "/" && endpoint.query().is_none())?;
        // A default port is not sent.
        let default = if endpoint.scheme_str() == Some("http") { 80 } else { 443 };
        let port = endpoint.port_u16().filter(|port| *port != default);
        let host = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Some(Self { host, region: region.to_owned(), key: Mutex::default() })
    }

    /// Signs a request with this `x-amz-target` and this body.
    pub(super) fn sign(
        &self,
        credentials: &Credentials,
        at: SystemTime,
        target: &str,
        body: &[u8],
    ) -> SignatureHeaders {
        let time = DateTime::<Utc>::from(at);
        let day = format!("{:04}{:02}{:02}", time.year(), time.month(), time.day());
        let date = format!("{day}T{:02}{:02}{:02}Z", time.hour(), time.minute(), time.second());
        let (signed, token) = match credentials.session_token() {
            None => ("content-type;host;x-amz-date;x-amz-target", String::new()),
            Some(token) => (
                "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
                format!("x-amz-security-token:{token}\n"),
            ),
        };
        let (host, payload) = (&self.host, sha256_hex(&[body]));
        let request = format!(
            "POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{host}\nx-amz-date:{date}\n{token}x-amz-target:{target}\n\n\
             {signed}\n{payload}"
        );
        let key = self.key(credentials, day, at);
        let (id, scope, request) =
            (credentials.access_key_id(), &key.scope, sha256_hex(&[request.as_bytes()]));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{request}");
        let signature = calculate_signature(&key.key, text.as_bytes());
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}"
        );
        SignatureHeaders { date, authorization }
    }

    /// The key of a day: the last one, if it fits.
    fn key(&self, credentials: &Credentials, day: String, at: SystemTime) -> Arc<SigningKey> {
        let mut last = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = credentials.secret_access_key();
        if last.day != day || last.secret != secret {
            let key = generate_signing_key(secret, at, &self.region, SERVICE).as_ref().to_vec();
            let scope = format!("{day}/{}/{SERVICE}/aws4_request", self.region);
            *last = Arc::new(SigningKey { secret: secret.to_owned(), day, scope, key });
        }
        last.clone()
    }
}
