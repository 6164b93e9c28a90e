//! Texts that are checked when they are read, so that a value of the type is always one.

/// Declares types of texts, each with the rule that reads it, what an error expects, and the schema that describes it
/// in the API's document, if it stands there. The rule may also change the text.
macro_rules! checked_text {
    ($($(#[$doc:meta])* $name:ident: $rule:expr, $expected:literal $(, $schema:tt)?;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            fn read(text: String) -> Option<Self> {
                let rule: fn(String) -> Option<String> = $rule;
                rule(text).map(Self)
            }

            /// Reads the text; `None` where it is outside the stated range.
            pub fn parse(text: &str) -> Option<Self> {
                Self::read(text.to_owned())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                Self::read(text).ok_or_else(|| serde::de::Error::custom($expected))
            }
        }

        $($crate::values::schema::described!($name, $schema);)?
    )*};
}

pub(crate) use checked_text;
