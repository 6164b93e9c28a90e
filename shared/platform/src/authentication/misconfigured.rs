//! Checks of the identity settings that several parts share.

/// Why the identity settings are invalid. A function that finds them does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityProviderMisconfigured {
    /// An issuer is set, but no keys to verify its tokens with.
    #[error("CLERK_ISSUER needs CLERK_JWKS_URL or CLERK_JWT_KEY")]
    NoKeys,
    /// The key can't verify signatures.
    #[error("CLERK_JWT_KEY is not the PEM of an RSA public key of 2,048 bits or more")]
    Key,
    /// Responses of an address could be forged.
    #[error("{0} is not an https address")]
    Address(&'static str),
    /// The list of authorized parties has no entries.
    #[error("CLERK_AUTHORIZED_PARTIES is set but names none; * accepts any")]
    NoParties,
    /// The list of authorized parties accepts any, and has other entries.
    #[error("CLERK_AUTHORIZED_PARTIES is either * or a list without it")]
    AnyPartyAndOthers,
    /// The role source is unknown.
    #[error("ROLE_SOURCE is neither projection nor clerk")]
    RoleSource,
    /// The secret key is missing or can't be sent in a header.
    #[error("Clerk's Backend API needs a CLERK_SECRET_KEY")]
    SecretKey,
}

/// Checks that responses of an address can't be forged: it is reached over TLS or on this machine.
pub(super) fn trusted_url(
    url: &str,
    variable: &'static str,
) -> Result<String, IdentityProviderMisconfigured> {
    let trusted = ["https://", "http://127.0.0.1:", "http://localhost:"];
    let trusted = trusted.iter().any(|prefix| url.starts_with(prefix)) && !url.contains('@');
    if trusted { Ok(url.to_owned()) } else { Err(IdentityProviderMisconfigured::Address(variable)) }
}
