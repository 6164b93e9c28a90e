//! Users: a row in the list of users, one among all users by email and one among the active ones, a login in the window
//! of active ones; they name an identity as their own.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::linkage;
use crate::entities::readings::User;
use crate::projections::index::{Measure, Sums};
use crate::storage::item::{Attributes, Value};
use crate::storage::keys::{self, Index, Lanes, StatusPartition};
use crate::values::ids::{ClerkUserId, UserId};
use crate::values::text::case_folded;

/// The attribute with the whole folded email, where the key has only its beginning.
pub(crate) const EMAIL: &str = "email";

pub(super) fn contributions(id: UserId, own: &State, linked: &State, lanes: Lanes) -> Contributions {
    let user = User::of(own, linked);
    let Some(created_at) = user.created_at else { return Contributions::default() };
    let text = id.to_string();
    let lane = lanes.of(text.as_bytes());
    let partition = if user.active { StatusPartition::Active } else { StatusPartition::Inactive };
    let mut listed =
        Contributions::default().row(keys::row(Index::Users, partition, lane, created_at, &[&text])).counted(
            (Index::Users, lane),
            created_at,
            None,
            &Sums::of_rows(1).with(Measure::Active, i128::from(user.active)),
        );
    if let Some(email) = user.email {
        let folded = case_folded(email);
        let whole = (folded.chars().nth(keys::EMAIL_CHARS).is_some())
            .then(|| (EMAIL.to_owned(), Value::Text(folded.clone())));
        let active = user.active.then_some(StatusPartition::Active);
        for list in [Some(StatusPartition::All), active].into_iter().flatten() {
            let row = keys::user_by_email(list, &folded, id);
            listed.rows.insert(row, Attributes::from_iter(whole.clone()));
        }
    }
    listed.names = named_by(own);
    match user.last_login {
        Some(login) if user.active => listed.counted((Index::Logins, lane), login, None, &Sums::of_rows(1)),
        Some(_) | None => listed,
    }
}

/// The identity that a user names as its own.
pub(crate) fn named_by(own: &State) -> Option<ClerkUserId> {
    linkage::created(own).map(|(_, created)| created.clerk_user_id.clone())
}
