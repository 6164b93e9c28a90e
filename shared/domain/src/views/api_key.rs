//! API keys: a live key can be looked up by the hash of its text.

use super::Contributions;
use crate::entities::ApiKey;
use crate::fold::State;
use crate::ids::KeyId;
use crate::keys;

/// The attribute that names a key's owner.
pub(crate) const OWNER: &str = "user";

pub(super) fn contributions(id: &KeyId, state: &State) -> Contributions {
    let key = ApiKey::of(state);
    match key.created {
        Some(created) if !key.revoked => Contributions::default().row_with(
            keys::key_lookup(&created.key_hash, id),
            OWNER,
            created.user_id.to_string(),
        ),
        Some(_) | None => Contributions::default(),
    }
}
