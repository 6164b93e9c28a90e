//! Session tokens of the identity provider: everything about them but the signature.
//!
//! A token is read once and strictly, here; what checks the signature sees bytes only. So no two parsers can
//! disagree about a token.

mod json;
pub mod jwks;

use crate::values::ids::ClerkUserId;
use crate::values::time::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The one algorithm that tokens are signed with.
pub const ALGORITHM: &str = "RS256";
/// Longest token that is looked at, in bytes.
pub const MAX_BYTES: usize = 8 * 1024;
/// How far the provider's clock and ours may differ, in milliseconds.
pub const LEEWAY: i64 = 5_000;

/// Clerk signs tokens of all kinds with the same keys; the header `cat` tells them apart. Every kind but this one,
/// and the mark of instances that don't tell, is refused: tokens of machines and of templates are no sessions.
const SESSION_CATEGORIES: [&str; 2] = ["cl_B7d4PD111AAA", "cl_I7d4PD111III"];

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing is wrong with it but its age.
    #[error("expired")]
    Expired,
    /// It is not a session token for this system.
    #[error("invalid: {0:?}")]
    Invalid(TokenFault),
}

/// What makes a token invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// Over [`MAX_BYTES`].
    TooLong,
    /// Not three parts of base64url without padding.
    Encoding,
    /// Header or claims are not a JSON object, or a name occurs twice in one.
    Json,
    /// The header's `alg` is not [`ALGORITHM`].
    Algorithm,
    /// The header's `typ` is another kind of token.
    Type,
    /// The header demands extensions.
    Critical,
    /// The header's `cat` is another kind of token.
    Category,
    /// The header's `kid` is not a text, or no key has it.
    UnknownKey,
    /// The signature is not that key's.
    Signature,
    /// `iss` is not the instance.
    Issuer,
    /// `azp` is none of the parties that may ask.
    Party,
    /// `sts` says that the session is not active yet.
    Pending,
    /// `sub` is not a user's id.
    Subject,
    /// `exp`, `nbf` or `iat` is missing or not a whole number of seconds.
    Time,
    /// `nbf` or `iat` lies in the future.
    NotYet,
    /// `act` does not name who acts.
    Actor,
    /// `public_metadata` is not an object.
    Metadata,
}

impl From<TokenFault> for Refused {
    fn from(fault: TokenFault) -> Self {
        Self::Invalid(fault)
    }
}

/// Whose tokens count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// `iss`, exactly.
    pub issuer: String,
    /// `azp` is one of these; where there are none, any token's `azp` will do, and none too.
    pub authorized_parties: Vec<String>,
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose session it is.
    pub subject: ClerkUserId,
    /// Who acts in that user's name, if another does.
    pub impersonator: Option<String>,
    /// Whether the token itself says that the user is no admin.
    pub demoted: bool,
}

/// A token that has the form of one.
#[derive(Debug)]
pub struct Token<'a> {
    /// What is signed.
    pub message: &'a str,
    /// The signature, in base64url.
    pub signature: &'a str,
    /// The name of the key that it is signed with.
    pub key_id: Option<String>,
    claims: Map<String, Value>,
}

impl<'a> Token<'a> {
    /// Reads a token and checks its header.
    pub fn read(text: &'a str) -> Result<Self, TokenFault> {
        if text.len() > MAX_BYTES {
            return Err(TokenFault::TooLong);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(TokenFault::Encoding)?;
        let (header, claims) = message.split_once('.').ok_or(TokenFault::Encoding)?;
        let (header, claims, _) = (decoded(header)?, decoded(claims)?, decoded(signature)?);
        let header = json::object(&header).ok_or(TokenFault::Json)?;
        let claims = json::object(&claims).ok_or(TokenFault::Json)?;
        Ok(Self { message, signature, key_id: check_header(&header)?, claims })
    }

    /// Checks the claims. The signature must be checked beside, and an expired token is only one if it is good.
    pub fn check(&self, rules: &Rules, now: Timestamp) -> Result<Session, Refused> {
        if self.text("iss") != Some(&rules.issuer) {
            return Err(TokenFault::Issuer.into());
        }
        self.check_party(&rules.authorized_parties)?;
        // A session that still has something to do before it counts, such as choosing an organisation.
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
        if now.plus(-LEEWAY).millis() >= expires { Err(Refused::Expired) } else { Ok(session) }
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

/// The name of the key. Fields of no meaning here are ignored, keys and addresses of keys among them.
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
