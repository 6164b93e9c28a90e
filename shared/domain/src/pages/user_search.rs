//! The search for users by the beginning of their email, without regard to case.

use crate::projections::views;
use crate::requests::parameters::PageRequest;
use crate::storage::item::Item;
use crate::storage::keys::{self, StatusPartition};
use crate::storage::read::{Corrupt, Range, ReadPlan, Reader};
use crate::values::ids::UserId;
use crate::values::text::case_folded;
use std::cmp::Reverse;
use std::collections::HashSet;

/// The most matches that a search counts and lists.
const MAX_MATCHES: usize = 1000;

/// A page of matches.
pub(super) struct Matches {
    /// The users on the page, by folded email, then by id, the greatest first.
    pub(super) users: Vec<UserId>,
    /// The number of matches, at most [`MAX_MATCHES`].
    pub(super) total: usize,
    /// Whether there are more.
    pub(super) capped: bool,
}

/// Reads the matches: one round trip, one more where emails of many users agree in more characters than a
/// key holds. Strongly consistent.
pub(super) async fn read<R: Reader>(
    reader: &R,
    text: &str,
    active_only: bool,
    page: PageRequest,
) -> Result<Matches, R::Error> {
    let text = case_folded(text);
    let list = if active_only { StatusPartition::Active } else { StatusPartition::All };
    let range = Range { limit: Some(MAX_MATCHES + 1), ..keys::users_by_email(list, &text).into() };
    let mut rows = read_range(reader, range).await?;
    // Within a group the rows are in no order, so all of it must be known.
    let group =
        rows.last().filter(|_| rows.len() > MAX_MATCHES).and_then(|row| keys::rest_of_group(&row.key));
    if let Some(group) = group {
        rows.extend(read_range(reader, group.into()).await?);
    }

    let matches = rows.iter().map(found).collect::<Result<Vec<_>, Corrupt>>()?.into_iter();
    let mut matches: Vec<_> = matches.filter(|(email, _)| email.starts_with(&text)).collect();
    matches.sort_by(|a, b| (&a.0, Reverse(a.1)).cmp(&(&b.0, Reverse(b.1))));
    // One whose email changes while they are read may be there with both.
    let mut seen = HashSet::new();
    matches.retain(|(_, user)| seen.insert(*user));
    let capped = matches.len() > MAX_MATCHES;
    matches.truncate(MAX_MATCHES);
    let users = matches.iter().skip(page.offset()).take(page.rows()).map(|(_, user)| *user).collect();
    Ok(Matches { users, total: matches.len(), capped })
}

/// Whether a search for a text finds an email.
pub(super) fn finds(text: &str, email: &str) -> bool {
    case_folded(email).starts_with(&case_folded(text))
}

async fn read_range<R: Reader>(reader: &R, range: Range) -> Result<Vec<Item>, R::Error> {
    Ok(reader.read(ReadPlan::ranges(vec![range]).consistent()).await?.ranges.into_iter().flatten().collect())
}

/// The folded email and the user of a row.
fn found(row: &Item) -> Result<(String, UserId), Corrupt> {
    let parsed = keys::parse_user_by_email(&row.key);
    let (beginning, user) = parsed.ok_or_else(|| Corrupt::new(&row.key, "no user by email"))?;
    Ok((row.text(views::EMAIL).map_or(beginning, str::to_owned), user))
}
