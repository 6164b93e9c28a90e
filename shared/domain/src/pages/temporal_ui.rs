//! Links to Temporal's web pages.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The address of Temporal's web interface.
#[derive(Debug, Clone)]
pub struct TemporalUi {
    /// Its URL, without a slash at the end.
    pub url: String,
    /// The namespace of the platform's workflows.
    pub namespace: String,
}

/// The characters to percent-encode: all but the unreserved ones of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl TemporalUi {
    /// The URL of the page with these path segments, within the namespace.
    pub(super) fn page(&self, segments: &[&str]) -> String {
        let segments = segments
            .iter()
            .flat_map(|segment| ["/".to_owned(), utf8_percent_encode(segment, SEGMENT).to_string()]);
        let namespace = utf8_percent_encode(&self.namespace, SEGMENT);
        format!("{}/namespaces/{namespace}{}", self.url, segments.collect::<String>())
    }
}
