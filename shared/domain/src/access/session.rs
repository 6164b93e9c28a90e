//! Session tokens of the identity provider: every check but that of the signature
//! (docs/contract/http.md, "Authentication").
//!
//! A token is parsed once, here, and strictly. The check of the signature in `shared/platform`
//! sees only bytes. So there are no two parsers that could disagree about a token.

pub mod jwks;

use crate::values::ids::ClerkUserId;
use crate::values::json;
use crate::values::time::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The only accepted algorithm of signatures.
pub const ALGORITHM: &str = "RS256";
/// The greatest length of a token, in bytes; a longer one is refused unread.
pub const MAX_BYTES: usize = 8 * 1024;
/// By how much the clocks of the provider and of this system may differ, in milliseconds.
pub const LEEWAY: i64 = 5_000;

/// The accepted values of the header `cat`: that of session tokens, and that of instances which do
/// not state the kind. Clerk signs tokens of all kinds with the same keys and tells the kinds
/// apart by this header. Tokens of machines and of templates are no sessions and are refused. The
/// header may be missing.
const SESSION_CATEGORIES: [&str; 2] = ["cl_B7d4PD111AAA", "cl_I7d4PD111III"];

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// It has expired and is valid otherwise.
    #[error("expired")]
    Expired,
    /// It is no valid session token for this system.
    #[error("invalid: {0:?}")]
    Invalid(TokenFault),
}

/// What makes a token invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// It is longer than [`MAX_BYTES`].
    TooLong,
    /// It does not consist of three parts in base64url without padding.
    Encoding,
    /// Header or claims are not a JSON object, or a name occurs twice in one.
    Json,
    /// The header's `alg` is not [`ALGORITHM`].
    Algorithm,
    /// The header's `typ` is another kind of token.
    Type,
    /// The header has `crit`: it demands extensions.
    Critical,
    /// The header's `cat` is another kind of token.
    Category,
    /// The header's `kid` is not a text, or no key has this id.
    UnknownKey,
    /// The signature was not made with that key.
    Signature,
    /// `iss` is not the expected issuer.
    Issuer,
    /// `azp` is none of the authorised parties.
    Party,
    /// `sts` is not `active`: the session is not complete.
    Pending,
    /// `sub` is not the id of a user.
    Subject,
    /// `exp`, `nbf` or `iat` is missing or not a whole number of seconds.
    Time,
    /// `nbf` or `iat` lies in the future.
    NotYet,
    /// `act` does not name the impersonator.
    Actor,
    /// `public_metadata` is not an object.
    Metadata,
}

impl From<TokenFault> for TokenRefusal {
    fn from(fault: TokenFault) -> Self {
        Self::Invalid(fault)
    }
}

/// Which tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRules {
    /// The expected `iss`, compared exactly.
    pub issuer: String,
    /// The accepted values of `azp`. If there are none, `azp` may be any text or be missing.
    pub authorized_parties: Vec<String>,
}

/// What a valid token states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The user at the identity provider.
    pub subject: ClerkUserId,
    /// The id of the person who acts in the user's name, if someone does.
    pub impersonator: Option<String>,
    /// Whether the token itself states a role other than admin. A token can take rights away,
    /// but give none.
    pub demoted: bool,
}

/// A parsed token with a valid header; claims and signature are not checked yet.
#[derive(Debug)]
pub struct Token<'a> {
    /// The signed part: header and claims, in base64url with a dot in between.
    pub message: &'a str,
    /// The signature, in base64url.
    pub signature: &'a str,
    /// The id of the key that it is signed with (`kid`), if it states one.
    pub key_id: Option<String>,
    claims: Map<String, Value>,
}

impl<'a> Token<'a> {
    /// Parses a token and checks its header.
    ///
    /// # Errors
    /// The first fault of the token's form or of its header.
    pub fn read(text: &'a str) -> Result<Self, TokenFault> {
        if text.len() > MAX_BYTES {
            return Err(TokenFault::TooLong);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(TokenFault::Encoding)?;
        let (header, claims) = message.split_once('.').ok_or(TokenFault::Encoding)?;
        let (header, claims, _) = (decoded(header)?, decoded(claims)?, decoded(signature)?);
        let header = json::unambiguous_object(&header).ok_or(TokenFault::Json)?;
        let claims = json::unambiguous_object(&claims).ok_or(TokenFault::Json)?;
        Ok(Self { message, signature, key_id: check_header(&header)?, claims })
    }

    /// Checks the claims. The signature must be checked as well: a token with a wrong signature is
    /// invalid, even if it has also expired.
    ///
    /// # Errors
    /// The first fault of the claims, or [`TokenRefusal::Expired`] if there is no other.
    pub fn check(&self, rules: &SessionRules, now: Timestamp) -> Result<Session, TokenRefusal> {
        if self.text("iss") != Some(&rules.issuer) {
            return Err(TokenFault::Issuer.into());
        }
        self.check_party(&rules.authorized_parties)?;
        // A pending session is not complete: the user must still do something, such as choose
        // an organisation.
        if self.claims.get("sts").is_some_and(|status| status != "active") {
            return Err(TokenFault::Pending.into());
        }
        let subject = self.text("sub").and_then(ClerkUserId::parse).ok_or(TokenFault::Subject)?;
        let session = Session { subject, impersonator: self.impersonator()?, demoted: self.demoted()? };
        let [expires, not_before, issued] =
            [self.time("exp")?, self.time("nbf")?, self.time("iat")?].map(|time| time.millis());
        if now.plus(LEEWAY).millis() < not_before.max(issued) {
            return Err(TokenFault::NotYet.into());
        }
        if now.plus(-LEEWAY).millis() >= expires { Err(TokenRefusal::Expired) } else { Ok(session) }
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    fn time(&self, claim: &str) -> Result<Timestamp, TokenFault> {
        let seconds = self.claims.get(claim).and_then(Value::as_i64).ok_or(TokenFault::Time)?;
        Ok(Timestamp::from_millis(seconds.saturating_mul(1000)))
    }

    fn check_party(&self, authorized: &[String]) -> Result<(), TokenFault> {
        let allowed = match self.claims.get("azp") {
            Some(Value::String(party)) => authorized.is_empty() || authorized.contains(party),
            Some(_) => false,
            None => authorized.is_empty(),
        };
        if allowed { Ok(()) } else { Err(TokenFault::Party) }
    }

    fn impersonator(&self) -> Result<Option<String>, TokenFault> {
        let Some(actor) = self.claims.get("act") else { return Ok(None) };
        let actor = actor.get("sub").and_then(Value::as_str).filter(|actor| !actor.is_empty());
        Ok(Some(actor.ok_or(TokenFault::Actor)?.to_owned()))
    }

    fn demoted(&self) -> Result<bool, TokenFault> {
        match self.claims.get("public_metadata") {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Object(metadata)) => {
                Ok(metadata.get("role").is_some_and(|role| role != crate::access::credentials::ADMIN))
            }
            Some(_) => Err(TokenFault::Metadata),
        }
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Encoding)
}

/// Checks the header and returns the id of the key. Other fields are ignored, among them those
/// that carry keys or addresses of keys.
fn check_header(header: &Map<String, Value>) -> Result<Option<String>, TokenFault> {
    if header.get("alg").is_none_or(|alg| alg != ALGORITHM) {
        return Err(TokenFault::Algorithm);
    }
    if header.get("typ").is_some_and(|typ| typ != "JWT") {
        return Err(TokenFault::Type);
    }
    if header.contains_key("crit") {
        return Err(TokenFault::Critical);
    }
    let session = |category: &Value| category.as_str().is_some_and(|c| SESSION_CATEGORIES.contains(&c));
    if header.get("cat").is_some_and(|category| !session(category)) {
        return Err(TokenFault::Category);
    }
    match header.get("kid") {
        Some(Value::String(kid)) => Ok(Some(kid.clone())),
        Some(_) => Err(TokenFault::UnknownKey),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
