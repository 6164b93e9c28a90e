//! The Clerk instance whose sessions administrators may sign in with (`docs/adr/0020-console.md`).

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use serde_json::{Value, json};

/// Where an instance's own host serves Clerk's script and the parts of itself that it loads.
const SCRIPTS: &str = "/npm/@clerk/";
/// Clerk's script: one major version, without the components that it can draw.
const SCRIPT: &str = "clerk-js@6/dist/clerk.browser.js";
/// Where the host answers the script's requests (Clerk's Frontend API).
const REQUESTS: &str = "/v1/";
/// What a publishable key begins with: of an instance for development, and of one for production.
const PREFIXES: [&str; 2] = ["pk_test_", "pk_live_"];
/// Clerk's keys have no padding; one that was made by hand may have.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The longest name of a host, in bytes (RFC 1035).
const LONGEST_HOST: usize = 253;

/// A Clerk instance, as its publishable key names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClerkInstance {
    publishable_key: String,
    host: String,
}

/// Why a publishable key can't be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadPublishableKey {
    /// It does not begin as such keys do.
    #[error("CLERK_PUBLISHABLE_KEY must begin with pk_test_ or pk_live_")]
    Prefix,
    /// The rest of it does not name a host.
    #[error("CLERK_PUBLISHABLE_KEY must end with base64 of the name of a host and a dollar sign")]
    Host,
}

impl ClerkInstance {
    /// The instance of a publishable key: `pk_live_` and base64 of its host with a dollar sign at the end.
    ///
    /// # Errors
    /// The key has another form. The host becomes part of the page's policy, so only a plain DNS name is one.
    pub fn of(publishable_key: &str) -> Result<Self, BadPublishableKey> {
        let encoded = PREFIXES.into_iter().find_map(|prefix| publishable_key.strip_prefix(prefix));
        let decoded = BASE64.decode(encoded.ok_or(BadPublishableKey::Prefix)?);
        let text = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let host = text.as_deref().and_then(|text| text.strip_suffix('$')).filter(|host| is_host(host));
        let host = host.ok_or(BadPublishableKey::Host)?.to_owned();
        Ok(Self { publishable_key: publishable_key.to_owned(), host })
    }

    /// Where its scripts are: a folder of its host, as a source of a policy.
    pub(crate) fn scripts(&self) -> String {
        format!("https://{}{SCRIPTS}", self.host)
    }

    /// Where the script's requests go: a folder of its host, as a source of a policy.
    pub(crate) fn requests(&self) -> String {
        format!("https://{}{REQUESTS}", self.host)
    }

    /// What the page needs to sign in: the key, and the address of the script.
    pub(crate) fn settings(&self) -> Value {
        json!({ "publishable_key": self.publishable_key, "script": format!("{}{SCRIPT}", self.scripts()) })
    }
}

/// Whether a text is the name of a host with a domain: letters, digits and hyphens with dots in between.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(is_allowed)
    };
    text.len() <= LONGEST_HOST && text.contains('.') && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(prefix: &str, text: &str) -> String {
        format!("{prefix}{}", BASE64.encode(text))
    }

    #[test]
    fn publishable_key_names_the_host_of_its_instance() {
        for (prefix, host) in
            [("pk_live_", "clerk.example.com"), ("pk_test_", "brave-cat-42.clerk.accounts.dev")]
        {
            let instance = ClerkInstance::of(&key(prefix, &format!("{host}$"))).unwrap();

            assert_eq!(instance.scripts(), format!("https://{host}/npm/@clerk/"));
            assert_eq!(instance.requests(), format!("https://{host}/v1/"));
        }
    }

    #[test]
    fn publishable_key_needs_no_padding() {
        for encoded in
            ["Y2xlcmsuZXhhbXBsZS5jb20k", "Y2xlcmsuYS5leGFtcGxlLmNvbSQ", "Y2xlcmsuYWJjLmV4YW1wbGUuY29tJA"]
        {
            let padded = format!("{encoded}{}", "=".repeat((4 - encoded.len() % 4) % 4));
            let instance = ClerkInstance::of(&format!("pk_live_{encoded}")).unwrap();
            assert_eq!(ClerkInstance::of(&format!("pk_live_{padded}")).unwrap().host, instance.host);
        }
    }

    #[test]
    fn publishable_key_of_another_form_is_refused() {
        for text in [
            "clerk.example.com",
            "localhost$",
            "$",
            "clerk.example.com; script-src *$",
            "clerk.example.com/path$",
            "clerk..com$",
            "-clerk.example.com$",
            "Clerk.example.com$",
            "clerk.example.com:443$",
            "*.example.com$",
        ] {
            assert_eq!(ClerkInstance::of(&key("pk_live_", text)), Err(BadPublishableKey::Host), "{text}");
        }
        let long = format!("{}com$", "a.".repeat(126));
        assert_eq!(ClerkInstance::of(&key("pk_live_", &long)), Err(BadPublishableKey::Host));
        assert_eq!(ClerkInstance::of("pk_live_%%%"), Err(BadPublishableKey::Host));
        for other in ["", "sk_live_Y2xlcms", &key("pk_", "clerk.example.com$")] {
            assert_eq!(ClerkInstance::of(other), Err(BadPublishableKey::Prefix), "{other}");
        }
    }
}
