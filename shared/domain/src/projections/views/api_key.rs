//! API keys: a key can be looked up by the hash of its text, a revoked one too, so that it is known who still
//! uses it; live ones have a row among what is to be stopped when their user is deactivated.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::readings::ApiKey;
use crate::storage::keys;
use crate::values::ids::KeyId;

/// The attribute that names a key's owner.
pub(crate) const OWNER: &str = "user";

pub(super) fn contributions(id: &KeyId, state: &State) -> Contributions {
    let key = ApiKey::of(state);
    let Some(created) = key.created else { return Contributions::default() };
    let look_up = keys::key_lookup(&created.key_hash, id, key.revoked);
    let found = Contributions::default().row_with(look_up, OWNER, created.user_id.to_string());
    if key.revoked { found } else { found.row(keys::live_key(created.user_id, id)) }
}
