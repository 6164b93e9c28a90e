//! Users: a row in the list of users, a login in the window of active ones, a look-up by login.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::readings::User;
use crate::projections::index::{Measure, Sums};
use crate::storage::keys::{self, Index, Lanes, StatusPartition};
use crate::values::ids::UserId;

pub(super) fn contributions(id: UserId, state: &State, lanes: Lanes) -> Contributions {
    let user = User::of(state);
    let (Some(created), Some(created_at)) = (user.created, user.created_at) else {
        return Contributions::default();
    };
    let text = id.to_string();
    let lane = lanes.of(text.as_bytes());
    let stream = if user.active { StatusPartition::Active } else { StatusPartition::Inactive };
    let listed = Contributions::default()
        .row(keys::row(Index::Users, stream, lane, created_at, &[&text]))
        .row(keys::login_lookup(&created.clerk_user_id, id))
        .counted(
            (Index::Users, lane),
            created_at,
            None,
            &Sums::population(1).with(Measure::Active, i128::from(user.active)),
        );
    match user.last_login {
        Some(login) if user.active => {
            listed.counted((Index::Logins, lane), login, None, &Sums::population(1))
        }
        Some(_) | None => listed,
    }
}
