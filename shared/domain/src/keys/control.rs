//! Keys of the control table.

use super::{Key, escaped, key, short_enough};
use crate::ids::{KeyId, UserId};

/// The rate limits of a principal.
pub fn limit(user: UserId) -> Key {
    key(format!("limit#{user}"), "requests")
}

/// The last deactivation of a user that an admin asked for.
pub fn deactivation(user: UserId) -> Key {
    key(format!("deactivation#{user}"), "patch")
}

/// The partition of what is still to be commanded.
pub const OUTBOX: &str = "outbox";

/// An order of the outbox: of a whole deactivation, or of one thing (`target`) that appeared after it.
pub fn outbox(cause: &str, target: &str) -> Key {
    key(OUTBOX.to_owned(), format!("{}#{}", escaped(cause), short_enough(target)))
}

/// When an API key was used last.
pub fn key_used(id: &KeyId) -> Key {
    key(format!("key#{}", escaped(id.as_str())), "used")
}

/// The pointer to the live generation.
pub fn live_generation() -> Key {
    key("generation".to_owned(), "live")
}
