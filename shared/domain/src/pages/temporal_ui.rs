//! Links to Temporal's web pages.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Where Temporal's web pages are.
#[derive(Debug, Clone)]
pub struct TemporalUi {
    /// Without a slash at its end.
    pub url: String,
    /// The namespace of the platform's workflows.
    pub namespace: String,
}

/// All but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl TemporalUi {
    pub(super) fn page(&self, segments: &[&str]) -> String {
        let segments = segments
            .iter()
            .flat_map(|segment| ["/".to_owned(), utf8_percent_encode(segment, SEGMENT).to_string()]);
        let namespace = utf8_percent_encode(&self.namespace, SEGMENT);
        format!("{}/namespaces/{namespace}{}", self.url, segments.collect::<String>())
    }
}
