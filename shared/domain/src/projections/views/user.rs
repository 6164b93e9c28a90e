//! Users: a row in the list of users, a login in the window of active ones; they name an identity as their own.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::linkage;
use crate::entities::readings::User;
use crate::projections::index::{Measure, Sums};
use crate::storage::keys::{self, Index, Lanes, StatusPartition};
use crate::values::ids::UserId;

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
            &Sums::population(1).with(Measure::Active, i128::from(user.active)),
        );
    listed.names = linkage::created(own).map(|(_, created)| created.clerk_user_id.clone());
    match user.last_login {
        Some(login) if user.active => {
            listed.counted((Index::Logins, lane), login, None, &Sums::population(1))
        }
        Some(_) | None => listed,
    }
}
