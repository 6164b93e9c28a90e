//! Texts of a query string, as the audit trail records them.

use crate::values::digest::sha256_hex;
use serde::{Serialize, Serializer};

/// A text, and how the audit trail records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedText {
    /// The text.
    pub text: String,
    /// How it is recorded.
    pub(super) recorded: Recorded,
}

/// How the audit trail records a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    /// As it is.
    Plain,
    /// By the first 16 digits of its SHA-256: the trail holds no personal data and no API keys, but it can
    /// be checked what a request asked for.
    Hash,
}

/// What the audit trail records.
impl Serialize for RecordedText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.recorded {
            Recorded::Plain => serializer.serialize_str(&self.text),
            Recorded::Hash => {
                let hash = sha256_hex(&[self.text.as_bytes()]);
                serializer.serialize_str(&format!("sha256:{}", hash.get(..16).unwrap_or_default()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_may_be_personal_is_recorded_by_its_hash() {
        let text = |recorded| RecordedText { text: "ada@example.com".to_owned(), recorded };
        let json = |text| serde_json::to_string(&text).unwrap();

        assert_eq!(json(text(Recorded::Plain)), r#""ada@example.com""#);
        // As `printf ada@example.com | sha256sum` prints it.
        assert_eq!(json(text(Recorded::Hash)), r#""sha256:b5fc85e55755f9e0""#);
    }
}
