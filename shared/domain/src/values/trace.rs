//! W3C trace context: the id that a request, its commands and the events that follow from them
//! share in all logs.

use crate::values::text::without_mark;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The `traceparent` of a request, a command or an event: `00-<trace>-<span>-<flags>`, in
/// lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent(String);

/// Where the id of the trace lies in the text.
const TRACE: std::ops::Range<usize> = 3..35;

impl TraceParent {
    /// Reads version 00 of the W3C's form; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('-').collect();
        let [version, trace, span, flags] = parts.as_slice() else { return None };
        let sound = *version == "00" && is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2);
        sound.then(|| Self(text.to_owned()))
    }

    /// Reads X-Ray's header: `Root=1-<8 digits>-<24 digits>;Parent=<16 digits>;Sampled=<0 or 1>`,
    /// in any order.
    pub fn from_xray(header: &str) -> Option<Self> {
        let field = |name| {
            let fields = header.split(';').filter_map(|field| field.trim().split_once('='));
            fields.filter(|(found, _)| *found == name).map(|(_, value)| value).next()
        };
        let mut root = field("Root")?.split('-');
        let (Some("1"), Some(seconds), Some(rest), None) =
            (root.next(), root.next(), root.next(), root.next())
        else {
            return None;
        };
        let flags = if field("Sampled") == Some("1") { "01" } else { "00" };
        Self::parse(&format!("00-{seconds}{rest}-{}-{flags}", field("Parent")?))
    }

    /// The trace of a message, if it carries one. Other faults of the message are ignored here.
    pub fn of_message(body: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Extension<'a> {
            #[serde(borrow)]
            traceparent: Option<std::borrow::Cow<'a, str>>,
        }
        // Saves most messages a second parse.
        if !body.contains("\"traceparent\"") {
            return None;
        }
        let Extension { traceparent } = serde_json::from_str(without_mark(body)).ok()?;
        Self::parse(&traceparent?)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the trace, as it stands in logs. X-Ray writes it as `1-`, 8 digits, `-`, 24
    /// digits.
    pub fn trace_id(&self) -> &str {
        self.0.get(TRACE).unwrap_or_default()
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// An id that is all zeros is invalid.
fn is_id(text: &str, length: usize) -> bool {
    is_hex(text, length) && text.bytes().any(|b| b != b'0')
}

impl TryFrom<String> for TraceParent {
    type Error = InvalidTraceParent;

    fn try_from(text: String) -> Result<Self, InvalidTraceParent> {
        Self::parse(&text).ok_or(InvalidTraceParent)
    }
}

impl From<TraceParent> for String {
    fn from(trace: TraceParent) -> Self {
        trace.0
    }
}

/// The text is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTraceParent;

impl fmt::Display for InvalidTraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a traceparent")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";

    #[test]
    fn a_traceparent_is_taken_as_the_w3c_writes_it_and_in_no_other_form() {
        let trace = TraceParent::parse(GOOD).unwrap();
        assert_eq!(trace.trace_id(), "5759e988bd862e3fe1be46a994272793");
        for wrong in [
            "",
            "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8",
            "01-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
            "00-00000000000000000000000000000000-53995c3f42cd8ad8-01",
            "00-5759e988bd862e3fe1be46a994272793-0000000000000000-01",
            "00-5759E988BD862E3FE1BE46A994272793-53995c3f42cd8ad8-01",
            "00-5759e988bd862e3fe1be46a99427279-53995c3f42cd8ad8-01",
            "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01-x",
            "00-ann@example.com-53995c3f42cd8ad8-01",
        ] {
            assert_eq!(TraceParent::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn x_rays_header_gives_the_same_trace() {
        let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
        let sampled = format!("{root};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a8:0");
        assert_eq!(TraceParent::from_xray(&sampled).unwrap().as_str(), GOOD);
        let not = TraceParent::from_xray(&format!("Parent=53995c3f42cd8ad8;{root};Sampled=0")).unwrap();
        assert!(not.as_str().ends_with("-00"));
        for wrong in [root, "", "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8"] {
            assert_eq!(TraceParent::from_xray(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_trace_of_a_message_is_read_from_its_traceparent() {
        assert_eq!(
            TraceParent::of_message(&format!(r#"{{"traceparent":"{GOOD}","x":1}}"#)).unwrap().as_str(),
            GOOD
        );
        for none in
            ["{", "{}", r#"{"traceparent":7}"#, r#"{"traceparent":"x"}"#, r#"{"data":{"traceparent":"x"}}"#]
        {
            assert_eq!(TraceParent::of_message(none), None, "{none}");
        }
    }
}
