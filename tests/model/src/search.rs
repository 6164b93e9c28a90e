//! The search for users by the beginning of their email, by brute force: every email is folded.

use std::cmp::Reverse;
use std::num::NonZeroU32;

use unicode_case_mapping::case_folded;

use crate::people::{Listing, ModelUser};

pub(crate) type ModelUserRow<'a> = (&'a String, &'a ModelUser, &'a Listing);

/// "A search goes as far as 1,000 matches".
const MOST_MATCHES: usize = 1000;

/// Leaves the users whose email begins with `q`, in the order of a search and no more than 1,000.
/// Returns whether there are more.
pub(crate) fn search(rows: &mut Vec<ModelUserRow<'_>>, q: &str) -> bool {
    let wanted = folded(q);
    // Without an email nobody matches.
    rows.retain(|(_, user, _)| user.email.as_deref().is_some_and(|email| folded(email).starts_with(&wanted)));
    // "by folded email in code points ascending, then id descending"
    rows.sort_by_cached_key(|(id, user, _)| (user.email.as_deref().map(folded), Reverse((*id).clone())));
    let more = rows.len() > MOST_MATCHES;
    rows.truncate(MOST_MATCHES);
    more
}

/// "Unicode simple folding, no normalisation": code point by code point, as many as before.
fn folded(text: &str) -> Vec<char> {
    text.chars().map(folded_char).collect()
}

fn folded_char(c: char) -> char {
    let point = u32::from(c);
    let other = match c {
        // The letters that Unicode 17.0 added; the crate knows 16.0.
        '\u{a7ce}' | '\u{a7d2}' | '\u{a7d4}' => Some(point + 1),
        '\u{16ea0}'..='\u{16eb8}' => Some(point + 0x1b),
        _ => case_folded(c).map(NonZeroU32::get),
    };
    other.map_or(c, |point| char::from_u32(point).expect("a letter folds to a letter"))
}
