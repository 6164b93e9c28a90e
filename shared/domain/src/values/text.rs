//! Texts from outside: made harmless for terminals, cut to a bound, freed of a byte order mark.

use std::fmt::Write;

/// Longest search query, in characters (docs/contract/events.md, "Values").
pub const MAX_QUERY_CHARS: usize = 500;

/// Whether a character can change how a terminal shows other characters, or can't be seen: control
/// characters, line separators, bidirectional controls, characters without width, fillers, tags and
/// variation selectors.
const fn is_harmful(character: char) -> bool {
    matches!(
        character,
        '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{13430}'..='\u{1345f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d159}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// A text that is safe to print to a terminal, on one line: harmful characters are written as `\u{1b}`.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            harmful if is_harmful(harmful) => safe.extend(harmful.escape_unicode()),
            other => safe.push(other),
        }
    }
    safe
}

/// JSON that is safe to print to a terminal: harmful characters are written as `\u001b`. The JSON means the
/// same, since such characters can only stand within its texts.
pub fn printable_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        // Line breaks between values are layout.
        if character == '\n' || !is_harmful(character) {
            safe.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a text does not fail.
            write!(safe, "\\u{unit:04x}").unwrap_or_default();
        }
    }
    safe
}

/// The first characters of a text; `…` stands for what was cut off, and counts as one of them.
pub fn excerpt(text: &str, characters: usize) -> String {
    if text.chars().nth(characters).is_none() {
        return text.to_owned();
    }
    text.chars().take(characters.saturating_sub(1)).chain(['…']).collect()
}

/// A text in which letters of either case are the same: Unicode's simple case folding of each character,
/// which keeps their number. No normalisation.
pub fn case_folded(text: &str) -> String {
    let fold = icu_casemap::CaseMapper::new();
    text.chars().map(|character| fold.simple_fold(character)).collect()
}

/// A text without the byte order mark that some senders put before it.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The same for bytes in UTF-8.
pub fn bytes_without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_escapes_what_a_terminal_would_obey_or_hide() {
        for (text, printed) in [
            ("plain é 漢 🙂", "plain é 漢 🙂"),
            ("\u{1b}[2J\r\nok", "\\u{1b}[2J\\u{d}\\u{a}ok"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("user\u{202e}nimda\u{2066}", "user\\u{202e}nimda\\u{2066}"),
            (
                "ann\u{200b}@x\u{ad}.com\u{3164}\u{180e}\u{e0061}",
                "ann\\u{200b}@x\\u{ad}.com\\u{3164}\\u{180e}\\u{e0061}",
            ),
            (r#"{"a":"\u001b"}"#, r#"{"a":"\u001b"}"#),
        ] {
            assert_eq!(printable(text), printed);
        }
    }

    #[test]
    fn printable_json_escapes_the_same_and_means_the_same() {
        let value = serde_json::json!({ "a\u{202e}": "\u{9b}31m \u{e0061} é\u{1b}" });
        let printed = printable_json(&value.to_string());
        assert_eq!(printed, r#"{"a\u202e":"\u009b31m \udb40\udc61 é\u001b"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap(), value);
    }

    #[test]
    fn an_excerpt_has_at_most_so_many_characters() {
        assert_eq!(excerpt("ééé", 3), "ééé");
        assert_eq!(excerpt("éééé", 3), "éé…");
        assert_eq!(excerpt("", 0), "");
    }

    #[test]
    fn one_byte_order_mark_is_skipped() {
        assert_eq!(without_mark("\u{feff}{}"), "{}");
        assert_eq!(without_mark("\u{feff}\u{feff}{}"), "\u{feff}{}");
        assert_eq!(bytes_without_mark("\u{feff}{}".as_bytes()), b"{}");
    }
}
