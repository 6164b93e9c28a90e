//! API keys: a key can be looked up by the hash of its text, a revoked one too, so that it is known who still
//! uses it, and has a row among those of its user; live ones have a row among what is to be stopped when their user is deactivated.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::readings::ApiKey;
use crate::storage::item::{Attributes, Value};
use crate::storage::keys;
use crate::values::ids::{EntityKey, KeyId};

/// The attribute that names a key's owner.
pub(crate) const OWNER: &str = "user";

pub(super) fn contributions(id: &KeyId, state: &State) -> Contributions {
    let key = ApiKey::of(state);
    let Some(created) = key.created else { return Contributions::default() };
    let whole = keys::whole_id(id).map(|id| (keys::WHOLE_ID.to_owned(), Value::Text(id.to_owned())));
    let whole = Attributes::from_iter(whole);
    let mut owner = whole.clone();
    owner.insert(OWNER.to_owned(), Value::Text(created.user_id.to_string()));
    let of = keys::entity(&EntityKey::ApiKey(id.clone())).pk;
    let mut rows = Contributions::default().row_with(keys::user_key(created.user_id, id), super::OF, of);
    rows.rows.insert(keys::key_lookup(&created.key_hash, id, key.revoked), owner);
    if !key.revoked {
        rows.rows.insert(keys::live_key(created.user_id, id), whole);
    }
    rows
}
