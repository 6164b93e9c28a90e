//! API keys: a row for each hash of a key, by which credentials are looked up, a row among the keys of its user, and a row
//! for each user of a live key, by which it is revoked when that user is deactivated. Revoked keys keep the rows of their
//! hashes, so that the hashes stay refused and it is known whose key was presented.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::readings::ApiKey;
use crate::storage::item::{Attributes, Value};
use crate::storage::keys;
use crate::values::ids::{EntityKey, KeyId, UserId};

/// The attribute with the users of a key: one, unless events gave the key to several, with blanks in between.
pub(crate) const OWNER: &str = "user";

pub(super) fn contributions(id: &KeyId, state: &State) -> Contributions {
    let key = ApiKey::of(state);
    let users: Vec<String> = key.claims.users.iter().map(UserId::to_string).collect();
    let whole = keys::whole_id(id).map(|id| (keys::WHOLE_ID.to_owned(), Value::Text(id.to_owned())));
    let whole = Attributes::from_iter(whole);
    let mut owner = whole.clone();
    owner.insert(OWNER.to_owned(), Value::Text(users.join(" ")));
    let mut rows = Contributions::default();
    if let Some(created) = key.created {
        let of = keys::entity(&EntityKey::ApiKey(id.clone())).pk;
        rows = rows.row_with(keys::user_key(created.user_id, id), super::OF, of);
    }
    for hash in &key.claims.hashes {
        rows.rows.insert(keys::key_lookup(hash, id, key.revoked), owner.clone());
    }
    let live_for = key.claims.users.iter().filter(|_| !key.revoked);
    rows.rows.extend(live_for.map(|user| (keys::live_key(*user, id), whole.clone())));
    rows
}
