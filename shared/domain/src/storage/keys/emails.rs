//! Keys of the rows of users by email, for the search by the beginning of an email.

use super::lists::StatusPartition;
use super::segments::{SEPARATOR, escaped};
use super::{Key, KeyRange, KeySegment, fixed, following, key, next, pk, unescaped};
use crate::values::ids::UserId;
use uuid::Uuid;

/// The most characters of an email in a sort key: four bytes each, with separator and id, stay below the
/// limit. Users whose emails agree in so many characters are one group, in no order.
pub const EMAIL_CHARS: usize = 243;

/// The row of a user, ordered by folded email, then id, the greatest first. `list` is
/// [`StatusPartition::All`], or [`StatusPartition::Active`] for a row of active users.
pub fn user_by_email(list: StatusPartition, folded: &str, user: UserId) -> Key {
    key(emails_part(list, folded), (FirstCharacters(folded), fixed!("\u{1}"), Descending(user)))
}

/// The rows of the users whose folded emails begin with at most the first [`EMAIL_CHARS`] characters of
/// this text.
pub fn users_by_email(list: StatusPartition, folded: &str) -> KeyRange {
    let mut from = String::new();
    FirstCharacters(folded).write(&mut from);
    let to = following(&from);
    KeyRange { pk: pk(emails_part(list, folded)), from, to }
}

/// The rest of the group of users whose emails agree with that of this row in [`EMAIL_CHARS`]
/// characters; `None` if its email is shorter.
pub fn rest_of_group(row: &Key) -> Option<KeyRange> {
    let email = email_part(row)?;
    (unescaped(email).chars().count() == EMAIL_CHARS).then(|| KeyRange {
        pk: row.pk.clone(),
        from: next(&row.sk),
        to: following(&format!("{email}{SEPARATOR}")),
    })
}

/// The first [`EMAIL_CHARS`] characters of the folded email of a row, and its user.
pub fn parse_user_by_email(row: &Key) -> Option<(String, UserId)> {
    let inverted = row.sk.get(email_part(row)?.len() + 1..)?;
    let id = u128::from_str_radix(inverted, 16).ok()?;
    Some((unescaped(email_part(row)?), UserId(Uuid::from_u128(!id))))
}

fn email_part(row: &Key) -> Option<&str> {
    row.sk.get(..row.sk.len().checked_sub(1 + Descending::MAX)?)
}

/// A partition for each first character: the emails of a platform are spread, and a search reads one.
fn emails_part(list: StatusPartition, folded: &str) -> impl KeySegment {
    (fixed!("r#emails#"), list, fixed!("#"), folded.chars().next())
}

/// The first [`EMAIL_CHARS`] characters of a text, escaped.
struct FirstCharacters<'a>(&'a str);

impl KeySegment for FirstCharacters<'_> {
    const MAX: usize = EMAIL_CHARS * char::MAX.len_utf8();

    fn write(&self, key: &mut String) {
        self.0.chars().take(EMAIL_CHARS).for_each(|character| escaped(character).write(key));
    }
}

impl KeySegment for char {
    const MAX: usize = Self::MAX.len_utf8();

    fn write(&self, key: &mut String) {
        escaped(*self).write(key);
    }
}

/// An id as 32 digits that sort the greatest id first.
struct Descending(UserId);

impl KeySegment for Descending {
    const MAX: usize = 32;

    fn write(&self, key: &mut String) {
        key.push_str(&format!("{:032x}", !self.0.0.as_u128()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: StatusPartition = StatusPartition::All;

    fn user(id: u128) -> UserId {
        UserId(Uuid::from_u128(id))
    }

    fn sk(folded: &str, id: u128) -> String {
        user_by_email(ALL, folded, user(id)).sk
    }

    #[test]
    fn rows_are_ordered_by_email_then_by_id_with_the_greatest_first() {
        let ordered = [
            sk("a", 2),
            sk("a", 1),
            sk("a\u{0}", 1),
            sk("a\u{1}b", 1),
            sk("ab", 9),
            sk("ab", 3),
            sk("a\u{ffff}", 1),
            sk("a\u{10000}", 1),
        ];
        assert!(ordered.is_sorted(), "{ordered:?}");
    }

    #[test]
    fn a_row_gives_back_what_it_stands_for() {
        for folded in ["ada@example.com", "\u{0}\u{1}\u{2}", "🙂"] {
            let row = user_by_email(ALL, folded, user(7));
            assert_eq!(parse_user_by_email(&row), Some((folded.to_owned(), user(7))));
            assert_eq!(rest_of_group(&row), None);
        }
    }

    #[test]
    fn a_search_finds_what_begins_with_a_text_and_nothing_else() {
        let found = |text: &str, folded: &str| {
            let KeyRange { pk, from, to } = users_by_email(ALL, text);
            let row = user_by_email(ALL, folded, user(7));
            row.pk == pk && (from..=to).contains(&row.sk)
        };
        assert!(found("a", "ada@example.com") && found("ada@example.com", "ada@example.com"));
        assert!(!found("ada@example.com", "ada@example.co") && !found("b", "ada@example.com"));
        assert!(found("\u{10ffff}", "\u{10ffff}\u{10ffff}a") && !found("\u{10ffff}", "a"));
        assert!(!found("ad%", "ada@example.com") && found("🙂", "🙂a") && found("a\u{0}", "a\u{0}b"));
    }

    /// Emails have up to 2,000 characters.
    #[test]
    fn emails_that_agree_in_their_first_characters_are_one_group() {
        let shared = "🙂".repeat(EMAIL_CHARS);
        let row = |end: &str, id| user_by_email(ALL, &format!("{shared}{end}"), user(id));
        let (first, second) = (row("z", 2), row("a", 1));
        let KeyRange { pk, from, to } = rest_of_group(&first).unwrap();

        assert!(first.pk == pk && (&from..=&to).contains(&&second.sk) && first.sk < from);
        assert!(sk(&format!("{}🙃", "🙂".repeat(EMAIL_CHARS - 1)), 1) > to);
        assert_eq!(first.sk.len(), 1005);
        let whole = users_by_email(ALL, &shared.repeat(2));
        assert!((&whole.from..=&whole.to).contains(&&first.sk));
    }
}
