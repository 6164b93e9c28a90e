//! Signatures of direct reads: AWS Signature Version 4.
//!
//! Direct reads are all alike: a POST to `/` with the same headers. So the text to sign is written at once, and the key
//! that signs it is derived once for each day and secret. The SDK's `aws-sigv4` derives keys and computes signatures;
//! its form of a request, which fits any service, is left out for the time that it takes.

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
pub(super) struct ReadSigner {
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

/// Prints no secret.
impl fmt::Debug for ReadSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReadSigner").field("host", &self.host).finish_non_exhaustive()
    }
}

impl ReadSigner {
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

    /// The key of a day and secret: the last one, if it was derived from these.
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

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4;
    use aws_smithy_runtime_api::client::identity::Identity;
    use std::time::{Duration, UNIX_EPOCH};

    const TARGET: &str = "DynamoDB_20120810.Query";
    const BODY: &[u8] = b"{}";

    /// The signature that the SDK's signer makes.
    fn expected(endpoint: &str, credentials: &Credentials, at: SystemTime) -> String {
        let identity = Identity::from(credentials.clone());
        let params = v4::SigningParams::builder().identity(&identity).region("eu-west-1").name(SERVICE);
        let params = params.time(at).settings(SigningSettings::default()).build().unwrap().into();
        let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", TARGET)].into_iter();
        let request = SignableRequest::new("POST", endpoint, headers, SignableBody::Bytes(BODY)).unwrap();
        sign(request, &params).unwrap().into_parts().1
    }

    #[test]
    fn one_signer_signs_as_the_sdk_does_whatever_day_secret_token_and_port() {
        let day = |days: u64| UNIX_EPOCH + Duration::from_secs(days * 86_400 + 3_723);
        let with = |secret: &str, token| Credentials::new("id", secret, token, None, "test");
        let (first, other) = (with("a", None), with("b", Some("a token".to_owned())));
        for endpoint in [
            "https://dynamodb.eu-west-1.amazonaws.com/",
            "https://localhost:443/",
            "http://localhost:80/",
            "http://127.0.0.1:8000/",
        ] {
            let signer = ReadSigner::of(&endpoint.parse().unwrap(), "eu-west-1").unwrap();
            for (credentials, at) in [
                (&first, day(20_000)),
                (&first, day(20_000)),
                (&first, day(20_001)),
                (&other, day(20_001)),
                (&first, day(20_000)),
            ] {
                let signed = signer.sign(credentials, at, TARGET, BODY).authorization;
                let expected = format!("Signature={}", expected(endpoint, credentials, at));
                assert!(signed.ends_with(&expected), "{endpoint}: {signed} does not end with {expected}");
            }
        }
    }

    #[test]
    fn an_endpoint_with_a_path_has_no_signer() {
        assert!(ReadSigner::of(&"http://localhost:8000/store".parse().unwrap(), "eu-west-1").is_none());
    }
}
