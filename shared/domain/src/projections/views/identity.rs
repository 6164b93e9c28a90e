//! Identities: a row for each user id that they may concern, so that they are found from there.

use super::{Contributions, OF};
use crate::entities::fold::State;
use crate::entities::linkage;
use crate::storage::keys;
use crate::values::ids::ClerkUserId;

pub(super) fn contributions(clerk: &ClerkUserId, state: &State, users: u64) -> Contributions {
    if state.is_empty() && users == 0 {
        return Contributions::default();
    }
    let claims = [Some(linkage::derived(clerk)), linkage::external(state)];
    claims.into_iter().flatten().fold(Contributions::default(), |all, user| {
        all.row_with(keys::identity_claim(user, clerk), OF, clerk.as_str().to_owned())
    })
}
