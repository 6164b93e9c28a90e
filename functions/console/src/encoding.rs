//! Which of the stored encodings of a file a client gets.

/// How a file is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Brotli,
    Gzip,
    Plain,
}

impl Encoding {
    /// The smallest encoding that an `Accept-Encoding` header allows. A client that allows none of them gets the plain
    /// file, as RFC 9110 recommends.
    pub(crate) fn choose(accepted: &str) -> Self {
        [Self::Brotli, Self::Gzip]
            .into_iter()
            .find(|encoding| encoding.name().is_some_and(|name| is_accepted(accepted, name)))
            .unwrap_or(Self::Plain)
    }

    /// Its name in `Content-Encoding`; `None` for a plain file.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Plain => None,
        }
    }

    /// What distinguishes its entity tag: a tag names bytes.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => "-br",
            Self::Gzip => "-gzip",
            Self::Plain => "",
        }
    }
}

/// Whether a header such as `gzip;q=0.8, br` allows an encoding. Its own entry wins over `*`.
fn is_accepted(accepted: &str, name: &str) -> bool {
    let entries = || accepted.split(',').map(entry);
    let weight = |wanted: &str| {
        entries().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, allowed)| allowed)
    };
    weight(name).or_else(|| weight("*")).unwrap_or(false)
}

/// The name of an entry, and whether its weight is above 0. A weight that can't be read counts as 0.
fn entry(text: &str) -> (&str, bool) {
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    let weight = parameters.trim().strip_prefix("q=").map_or(parameters.trim().is_empty(), |weight| {
        weight.trim().parse::<f64>().is_ok_and(|weight| weight > 0.0)
    });
    (name.trim(), weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_is_the_smallest_one_that_the_client_accepts() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", Encoding::Brotli),
            ("GZIP", Encoding::Gzip),
            ("br;q=0, gzip;q=0.5", Encoding::Gzip),
            ("br;q=0.1, gzip;q=1.0", Encoding::Brotli),
            ("*", Encoding::Brotli),
            ("*;q=0.5, br;q=0", Encoding::Gzip),
            ("*;q=0", Encoding::Plain),
            ("identity", Encoding::Plain),
            ("br;q=much", Encoding::Plain),
            ("brotli", Encoding::Plain),
            ("", Encoding::Plain),
        ] {
            assert_eq!(Encoding::choose(accepted), expected, "{accepted}");
        }
    }
}
