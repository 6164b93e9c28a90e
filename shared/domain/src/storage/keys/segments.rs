//! Segments of keys. Each type of segment knows the most bytes that it takes, and a key is made of segments
//! alone: one that could be longer than DynamoDB allows does not compile.

use super::Lane;
use crate::storage::item::Key;
use crate::values::digest::sha256_hex;
use crate::values::ids::{ExecutionId, TaskId, UserId};
use crate::values::time::{Day, Hour, Minute, Month};
use std::fmt::Write;

/// The most bytes of a partition key: DynamoDB's limit.
pub const MAX_PK_BYTES: usize = 2048;
/// The most bytes of a sort key: DynamoDB's limit.
pub const MAX_SK_BYTES: usize = 1024;
/// The most bytes of a text id in a key: 256 characters of four bytes each. Escaping adds nothing to
/// them, since only characters of one byte are escaped, to two.
pub(super) const MAX_ID: usize = 1024;

/// A segment of a key, and the most bytes that it takes.
pub(super) trait KeySegment {
    /// The most bytes that [`KeySegment::write`] writes.
    const MAX: usize;

    /// Writes the segment at the end of a key.
    fn write(&self, key: &mut String);
}

/// A partition key, or the beginning or end of a range of sort keys: short enough by its type.
fn text<P: KeySegment>(segments: &P) -> String {
    let mut text = String::with_capacity(P::MAX.min(128));
    segments.write(&mut text);
    text
}

/// A partition key.
pub(super) fn pk<P: KeySegment>(segments: P) -> String {
    const { assert!(P::MAX <= MAX_PK_BYTES, "a partition key that could be too long") };
    text(&segments)
}

/// A sort key, or the bound of a range of sort keys.
pub(super) fn sk<P: KeySegment>(segments: P) -> String {
    const { assert!(P::MAX <= MAX_SK_BYTES, "a sort key that could be too long") };
    text(&segments)
}

/// A key.
pub(super) fn key<P: KeySegment, S: KeySegment>(partition: P, sort: S) -> Key {
    Key { pk: pk(partition), sk: sk(sort) }
}

/// A fixed text of `N` bytes, as [`fixed`] makes it.
pub(super) struct Fixed<const N: usize>(pub(super) &'static str);

impl<const N: usize> KeySegment for Fixed<N> {
    const MAX: usize = N;

    fn write(&self, key: &mut String) {
        key.push_str(self.0);
    }
}

/// The segment that is a constant text.
macro_rules! fixed {
    ($text:expr) => {
        $crate::storage::keys::segments::Fixed::<{ $text.len() }>($text)
    };
}
pub(super) use fixed;

/// An id of any characters, escaped. If that takes more than `MAX` bytes, its beginning and a hash.
pub(super) struct Id<'a, const MAX: usize>(pub(super) &'a str);

impl<const MAX: usize> KeySegment for Id<'_, MAX> {
    const MAX: usize = MAX;

    fn write(&self, key: &mut String) {
        bounded::<MAX>(self.0, self.0.chars().map(escaped), key);
    }
}

/// A text as it is. If it takes more than `MAX` bytes, its beginning and a hash.
pub(super) struct Short<'a, const MAX: usize>(pub(super) &'a str);

impl<const MAX: usize> KeySegment for Short<'_, MAX> {
    const MAX: usize = MAX;

    fn write(&self, key: &mut String) {
        bounded::<MAX>(self.0, self.0.chars().map(Escaped::Plain), key);
    }
}

/// Between two ids, and between the beginning of an id and its hash: it sorts before every id.
pub(super) const SEPARATOR: char = '\u{1}';
/// Digits of the hash in a bounded id: 128 bits, so that nobody finds two ids with the same one.
const HASH_DIGITS: usize = 32;

/// Writes the characters of a text, if they take at most `MAX` bytes; else as many of them as fit
/// before a separator and the text's hash.
fn bounded<const MAX: usize>(whole: &str, characters: impl Iterator<Item = Escaped>, key: &mut String) {
    const { assert!(MAX > HASH_DIGITS) };
    let (start, mut cut) = (key.len(), key.len());
    for character in characters {
        character.write(key);
        if key.len() - start + 1 + HASH_DIGITS <= MAX {
            cut = key.len();
        }
        if key.len() - start > MAX {
            key.truncate(cut);
            key.push(SEPARATOR);
            key.extend(sha256_hex(&[whole.as_bytes()]).chars().take(HASH_DIGITS));
            return;
        }
    }
}

/// Whether an id with this escaped text is written as a whole.
pub(super) fn is_whole<const MAX: usize>(id: &str) -> bool {
    id.chars().map(|character| escaped(character).bytes()).sum::<usize>() <= MAX
}

/// How a character of an id is written.
#[derive(Clone, Copy)]
pub(super) enum Escaped {
    Plain(char),
    /// After [`ESCAPE`].
    Pair(char),
}

impl Escaped {
    /// Writes the character at the end of a key.
    pub(super) fn write(self, key: &mut String) {
        match self {
            Self::Plain(character) => key.push(character),
            Self::Pair(second) => key.extend([ESCAPE, second]),
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Plain(character) => character.len_utf8(),
            Self::Pair(_) => 2,
        }
    }
}

const ESCAPE: char = '\u{2}';

/// Keeps the order of texts and frees the lowest characters, so that [`SEPARATOR`] sorts before every
/// id.
pub(super) const fn escaped(character: char) -> Escaped {
    match character {
        '\u{0}' => Escaped::Pair('\u{1}'),
        '\u{1}' => Escaped::Pair('\u{2}'),
        '\u{2}' => Escaped::Pair('\u{3}'),
        other => Escaped::Plain(other),
    }
}

/// The id whose escaped text this is.
pub(super) fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut id = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        match (character, character == ESCAPE) {
            (_, true) => match characters.next() {
                Some('\u{1}') => id.push('\u{0}'),
                Some('\u{2}') => id.push('\u{1}'),
                Some(_) | None => id.push('\u{2}'),
            },
            (other, false) => id.push(other),
        }
    }
    id
}

/// A number in decimal with at least `DIGITS` digits.
pub(super) struct Digits<const DIGITS: usize>(pub(super) i128);

impl<const DIGITS: usize> KeySegment for Digits<DIGITS> {
    /// Of a number of 64 bits, with its sign.
    const MAX: usize = if DIGITS > 20 { DIGITS } else { 20 };

    fn write(&self, key: &mut String) {
        let number = self.0.clamp(i64::MIN.into(), u64::MAX.into());
        // Writing to a text does not fail.
        write!(key, "{number:0DIGITS$}").unwrap_or_default();
    }
}

/// A segment that another text follows, if there is one.
impl<P: KeySegment> KeySegment for Option<P> {
    const MAX: usize = P::MAX;

    fn write(&self, key: &mut String) {
        if let Some(segment) = self {
            segment.write(key);
        }
    }
}

/// Ids of one index's row: one, or two with a separator between them.
impl<P: KeySegment> KeySegment for [Option<P>; 2] {
    const MAX: usize = 2 * P::MAX + 1;

    fn write(&self, key: &mut String) {
        let mut segments = self.iter().flatten();
        if let Some(first) = segments.next() {
            first.write(key);
        }
        for segment in segments {
            key.push(SEPARATOR);
            segment.write(key);
        }
    }
}

macro_rules! displayed {
    ($($kind:ty: $max:expr, $text:expr;)*) => {$(
        impl KeySegment for $kind {
            const MAX: usize = $max;

            fn write(&self, key: &mut String) {
                let text: fn(&$kind) -> String = $text;
                key.push_str(&text(self));
            }
        }
    )*};
}

/// Digits of the longest year that a date can have, with its sign.
const YEAR: usize = 7;

displayed! {
    UserId: 36, UserId::to_string;
    TaskId: 36, TaskId::to_string;
    ExecutionId: 36, ExecutionId::to_string;
    Lane: 10, |lane| lane.0.to_string();
    Month: YEAR + 2, |month| format!("{:04}{:02}", month.year, month.month);
    Day: YEAR + 4, |day| day.digits();
    Hour: YEAR + 6, |hour| hour.digits();
    Minute: YEAR + 8, |minute| minute.digits();
}

macro_rules! tuples {
    ($(($($part:ident $index:tt),+))*) => {$(
        impl<$($part: KeySegment),+> KeySegment for ($($part,)+) {
            const MAX: usize = 0 $(+ $part::MAX)+;

            fn write(&self, key: &mut String) {
                $(self.$index.write(key);)+
            }
        }
    )*};
}

tuples! {
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}
