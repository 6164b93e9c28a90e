//! API keys: a key can be looked up by the hash of its text, a revoked one too, so that it is known who still uses it.

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
        Some(created) => Contributions::default().row_with(
            keys::key_lookup(&created.key_hash, id, key.revoked),
            OWNER,
            created.user_id.to_string(),
        ),
        None => Contributions::default(),
    }
}
