//! Slot attributes: how a counter holds one amount for each of up to 60 slots.
//!
//! The name of such an attribute is two characters: the slot, then the letter of what is counted.
//! In the node of an hour `Us` is what minute 30 (`U`) holds of the measure with the letter `s`.

/// The characters that stand for the slots 0 to 59; one each, so that the node of an
/// hour stays small.
const SLOTS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx";

/// The attribute of a slot (0 to 59) and a letter.
pub(crate) fn attribute(slot: i64, letter: char) -> String {
    let character = usize::try_from(slot).ok().and_then(|slot| SLOTS.chars().nth(slot)).unwrap_or('?');
    String::from_iter([character, letter])
}

/// The slot and the letter of an attribute; `None` for an attribute that is no slot. Windows parse thousands
/// of them, so it does not search [`SLOTS`].
pub(crate) fn parse(attribute: &str) -> Option<(i64, char)> {
    let [slot, letter] = attribute.as_bytes() else { return None };
    let slot = match slot {
        b'0'..=b'9' => slot - b'0',
        b'A'..=b'Z' => slot - b'A' + 10,
        b'a'..=b'x' => slot - b'a' + 36,
        _no_slot => return None,
    };
    Some((i64::from(slot), char::from(*letter)))
}

/// True if no character occurs twice.
pub(crate) const fn all_distinct(letters: &[char]) -> bool {
    let mut rest = letters;
    while let [first, others @ ..] = rest {
        let mut later = others;
        while let [other, others @ ..] = later {
            if *first == *other {
                return false;
            }
            later = others;
        }
        rest = others;
    }
    true
}

/// Declares what a family of counters counts in its slots, with the letters that stand for it in
/// stored attributes.
///
/// Writing and reading come from this one table, so a letter cannot be known to only one of
/// them. A letter that occurs twice, or that stands in `retired`, fails the compilation. To
/// remove a variant, move its letter to `retired`: generations written before may still hold
/// it.
macro_rules! slot_letters {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = $letter:literal,)*
        }
        retired: [$($retired:literal),*]
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        $visibility enum $name {
            $($(#[$doc])* #[doc = ""] #[doc = concat!("Its letter is `", $letter, "`.")] $variant,)*
        }

        impl $name {
            /// All letters in use, in the order of the table.
            #[cfg(test)]
            pub(crate) const LETTERS: &[char] = &[$($letter),*];

            /// The letter in the names of stored attributes.
            pub(crate) const fn letter(self) -> char {
                match self {
                    $(Self::$variant => $letter,)*
                }
            }

            /// What a letter stands for; `None` for a letter that is not in use.
            pub(crate) const fn from_letter(letter: char) -> Option<Self> {
                match letter {
                    $($letter => Some(Self::$variant),)*
                    _not_in_use => None,
                }
            }
        }

        const _: () = assert!(
            $crate::projections::slot::all_distinct(&[$($letter,)* $($retired),*]),
            "a letter stands for two things, or is retired",
        );
    };
}
pub(crate) use slot_letters;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_60_slots_has_a_distinct_attribute_that_reads_back() {
        let attributes: std::collections::BTreeSet<String> =
            (0..60).map(|slot| attribute(slot, 's')).collect();

        assert_eq!(attributes.len(), 60);
        for slot in 0..60 {
            assert_eq!(parse(&attribute(slot, 's')), Some((slot, 's')));
        }
        assert_eq!((attribute(0, 'n'), attribute(30, 's'), attribute(59, 'd')), three("0n", "Us", "xd"));
    }

    fn three(a: &str, b: &str, c: &str) -> (String, String, String) {
        (a.to_owned(), b.to_owned(), c.to_owned())
    }

    #[test]
    fn an_attribute_that_is_not_two_characters_with_a_known_slot_is_no_slot() {
        for other in ["", "p", "?n", "yn", "0nn", "total"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_letter_that_occurs_twice_is_found() {
        assert!(all_distinct(&[]) && all_distinct(&['a']) && all_distinct(&['a', 'b', 'c']));
        assert!(!all_distinct(&['a', 'b', 'a']) && !all_distinct(&['a', 'b', 'b']));
    }
}
