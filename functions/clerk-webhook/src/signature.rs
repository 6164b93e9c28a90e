//! Svix signatures: HMAC-SHA256 over `id.timestamp.body`, any of several secrets, any of several signatures.
//!
//! The crate `standardwebhooks` computes them. Its own `verify` reads the system clock and headers of other names, so
//! headers, clock and comparison are handled here.

use standardwebhooks::Webhook as Signer;
use std::fmt;
use subtle::ConstantTimeEq;
use torale_domain::values::time::Timestamp;

/// The headers of a signed request: the id of the message, the time of the signature, and the signatures.
pub const HEADERS: [&str; 3] = ["svix-id", "svix-timestamp", "svix-signature"];
const SECRET_PREFIX: &str = "whsec_";
/// Base64 of 24 bytes, the shortest key that Svix allows.
const MIN_KEY_CHARS: usize = 32;
/// How many seconds a timestamp may be in the past or in the future.
const TOLERANCE: u64 = 5 * 60;

/// The secrets are missing, or one of them does not have Svix's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "CLERK_WEBHOOK_SECRET must hold `whsec_` and base64 of at least 24 bytes, several with commas in between"
)]
pub struct BadSecret;

/// Why the signature of a request is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// A header is missing, empty or not text.
    #[error("Missing webhook signature headers")]
    Missing,
    /// The timestamp is not a number, or more than five minutes from now.
    #[error("Webhook timestamp outside of 5 minutes")]
    Timestamp,
    /// None of the signatures is valid.
    #[error("Invalid webhook signature")]
    Wrong,
}

/// Verifies signatures with any of several secrets.
pub struct SignatureVerifier {
    signers: Vec<Signer>,
}

impl fmt::Debug for SignatureVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignatureVerifier with {} secrets", self.signers.len())
    }
}

impl SignatureVerifier {
    /// Reads secrets that are separated by commas.
    ///
    /// # Errors
    /// If one of them is invalid, even if others are not: a rotation of secrets must not half work unnoticed.
    pub fn new(secrets: &str) -> Result<Self, BadSecret> {
        let signer = |secret: &str| {
            let key = secret.trim().strip_prefix(SECRET_PREFIX).ok_or(BadSecret)?;
            if key.len() < MIN_KEY_CHARS {
                return Err(BadSecret);
            }
            Signer::new(key).map_err(|_| BadSecret)
        };
        Ok(Self { signers: secrets.split(',').map(signer).collect::<Result<_, _>>()? })
    }

    /// The id and the text of the message, if it was signed within five minutes of `now`. `header` looks up a header by
    /// its name in lower case.
    ///
    /// # Errors
    /// If the signature is not accepted.
    pub fn verify<'a>(
        &self,
        header: impl Fn(&str) -> Option<&'a str>,
        body: &'a [u8],
        now: Timestamp,
    ) -> Result<(&'a str, &'a str), BadSignature> {
        let header = |name: &str| header(name).filter(|value| !value.is_empty()).ok_or(BadSignature::Missing);
        let [id, timestamp, signatures] = HEADERS;
        let (id, timestamp, signatures) = (header(id)?, header(timestamp)?, header(signatures)?);
        let signed_at: i64 = timestamp.parse().map_err(|_| BadSignature::Timestamp)?;
        if now.millis().div_euclid(1000).abs_diff(signed_at) > TOLERANCE {
            return Err(BadSignature::Timestamp);
        }
        let text = std::str::from_utf8(body).map_err(|_| BadSignature::Wrong)?;
        for signer in &self.signers {
            let expected = signer.sign(id, signed_at, body).map_err(|_| BadSignature::Wrong)?;
            let is_valid = |one: &str| bool::from(one.as_bytes().ct_eq(expected.as_bytes()));
            if signatures.split(' ').any(is_valid) {
                return Ok((id, text));
            }
        }
        Err(BadSignature::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The example of Svix's documentation.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    type Headers<'a> = BTreeMap<&'a str, &'a str>;

    fn signed(signature: &str) -> Headers<'_> {
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        BTreeMap::from([("svix-id", id), ("svix-timestamp", "1614265330"), ("svix-signature", signature)])
    }

    fn verify_headers<'a>(
        verifier: &SignatureVerifier,
        headers: &Headers<'a>,
        body: &'a [u8],
        now: Timestamp,
    ) -> Result<(&'a str, &'a str), BadSignature> {
        verifier.verify(|name| headers.get(name).copied(), body, now)
    }

    fn verify(secrets: &str, signature: &str, body: &[u8], seconds_later: i64) -> Result<(), BadSignature> {
        let now = Timestamp::from_millis((AT + seconds_later) * 1000 + 999);
        let verifier = SignatureVerifier::new(secrets).unwrap();
        verify_headers(&verifier, &signed(signature), body, now).map(|_| ())
    }

    #[test]
    fn verify_accepts_the_example_of_svix_and_returns_id_and_text() {
        let verifier = SignatureVerifier::new(SECRET).unwrap();
        let found = verify_headers(&verifier, &signed(SIGNATURE), BODY, Timestamp::from_millis(AT * 1000));
        assert_eq!(found, Ok(("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#)));
    }

    #[test]
    fn verify_refuses_other_secrets_bodies_and_signatures() {
        let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx";
        assert_eq!(verify(other, SIGNATURE, BODY, 0), Err(BadSignature::Wrong));
        assert_eq!(verify(SECRET, SIGNATURE, br#"{"test": 2432232315}"#, 0), Err(BadSignature::Wrong));
        assert_eq!(verify(SECRET, SIGNATURE, b"\xff", 0), Err(BadSignature::Wrong));
        for signature in ["v1,", "v1", &SIGNATURE[..20], &SIGNATURE[3..], &SIGNATURE.replace("v1", "v2")] {
            assert_eq!(verify(SECRET, signature, BODY, 0), Err(BadSignature::Wrong), "{signature}");
        }
    }

    #[test]
    fn verify_accepts_one_valid_signature_with_one_of_the_secrets() {
        let several = format!("v1a,abc v1,AAAA {SIGNATURE} v2,x");
        let secrets = format!("whsec_{}, {SECRET}", "A".repeat(32));
        assert_eq!(verify(&secrets, &several, BODY, 0), Ok(()));
    }

    #[test]
    fn verify_accepts_timestamps_within_five_minutes() {
        for (later, expected) in [
            (300, Ok(())),
            (301, Err(BadSignature::Timestamp)),
            (-300, Ok(())),
            (-301, Err(BadSignature::Timestamp)),
        ] {
            assert_eq!(verify(SECRET, SIGNATURE, BODY, later), expected, "{later}");
        }
    }

    #[test]
    fn verify_refuses_missing_headers_and_unreadable_timestamps() {
        let verifier = SignatureVerifier::new(SECRET).unwrap();
        let now = Timestamp::from_millis(AT * 1000);
        for name in ["svix-id", "svix-timestamp", "svix-signature"] {
            let mut without = signed(SIGNATURE);
            without.remove(name);
            assert_eq!(verify_headers(&verifier, &without, BODY, now), Err(BadSignature::Missing), "{name}");
            without.insert(name, "");
            assert_eq!(verify_headers(&verifier, &without, BODY, now), Err(BadSignature::Missing), "{name}");
        }
        for wrong in ["soon", "1614265330.5", "-9223372036854775808", "99999999999999999999"] {
            let mut headers = signed(SIGNATURE);
            headers.insert("svix-timestamp", wrong);
            assert_eq!(
                verify_headers(&verifier, &headers, BODY, now),
                Err(BadSignature::Timestamp),
                "{wrong}"
            );
        }
    }

    #[test]
    fn missing_short_and_garbled_secrets_are_refused() {
        let short = format!("whsec_{}", "A".repeat(28));
        let trailing = format!("{SECRET},");
        for secrets in
            ["", "whsec_", &short, &trailing, &SECRET[6..], "whsec_*fKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
        {
            assert_eq!(SignatureVerifier::new(secrets).err(), Some(BadSecret), "{secrets}");
        }
        assert!(!format!("{:?}", SignatureVerifier::new(SECRET)).contains("MfKQ"));
    }
}
