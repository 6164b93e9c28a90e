//! API keys: a row for each hash of a key, by which credentials are looked up, a row among the keys of its user, and a
//! row for each user of a key that no event revoked, by which it is revoked when that user is deactivated. Revoked keys
//! keep the rows of their hashes, so that the hashes stay refused and it is known whose key was presented. The rows of
//! the hashes of a key with too many claims are the same whatever else the key is given, so that those of the hashes
//! that it does not keep stay right for ever. It is refused here, but the platform may accept it: it is revoked like
//! any other.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::readings::ApiKey;
use crate::storage::item::{Attributes, Value};
use crate::storage::keys;
use crate::values::ids::{ApiKeyId, EntityKey, UserId};

/// The attribute with the users of a key: one, unless events gave the key to several, with blanks in between. A key
/// with too many claims does not have it.
pub(crate) const OWNER: &str = "user";

pub(super) fn contributions(id: &ApiKeyId, state: &State) -> Contributions {
    let key = ApiKey::of(state);
    let users: Vec<String> = key.claims.users.iter().map(UserId::to_string).collect();
    let whole = keys::whole_id(id).map(|id| (keys::WHOLE_ID.to_owned(), Value::Text(id.to_owned())));
    let whole = Attributes::from_iter(whole);
    let mut lookup = whole.clone();
    if !key.claims.is_over_limit() {
        lookup.insert(OWNER.to_owned(), Value::Text(users.join(" ")));
    }
    let mut rows = Contributions::default();
    if let Some(created) = key.created {
        let of = keys::entity(&EntityKey::ApiKey(id.clone())).pk;
        rows = rows.row_with(keys::user_key(created.user_id, id), super::OF, of);
    }
    for hash in key.claims.hashes.iter().chain(&key.claims.dropped_hashes) {
        rows.rows.insert(keys::key_lookup(hash, id, key.is_refused()), lookup.clone());
    }
    let live_for = key.claims.users.iter().filter(|_| !key.revoked);
    rows.rows.extend(live_for.map(|user| (keys::live_key(*user, id), whole.clone())));
    rows
}
