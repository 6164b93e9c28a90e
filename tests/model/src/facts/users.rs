//! The rows of users, identities and API keys.

use super::{Fact, IdentityFact, ModelKeyListing, PersonChange};
use crate::fields::{
    ModelFields, external_id, external_id_or_null, key_hash, other_id, role, role_or_null, text, uuid,
};

pub(super) fn user(name: &str, time: i64, data: &ModelFields<'_>) -> Option<Fact> {
    let user_id = data.need("user_id", uuid)?;
    let change = match name {
        "user.created" => {
            let clerk_user_id = data.need("clerk_user_id", other_id)?;
            let email = data.need("email", text)?;
            // "role (if present)"
            let role = data.maybe("role", role)?.map(Some);
            // "`created_at` (default: `time`)"
            let created_at = data.maybe_time("created_at")?.unwrap_or(time);
            let change = PersonChange::Profile { email: Some(email), role };
            return Some(Fact::UserCreated { user_id, clerk_user_id, created_at, change });
        }
        "user.updated" => PersonChange::Profile {
            email: data.maybe("email", text)?,
            role: data.maybe("role", role_or_null)?,
        },
        "user.logged_in" => PersonChange::LoggedIn { time },
        "user.deactivated" => {
            data.maybe("reason", text)?;
            PersonChange::State { deactivated: true, at: time, by: data.maybe("by", text)? }
        }
        _ => PersonChange::State { deactivated: false, at: time, by: data.maybe("by", text)? },
    };
    Some(Fact::UserChanged { user_id, change })
}

pub(super) fn identity(name: &str, time: i64, data: &ModelFields<'_>) -> Option<Fact> {
    let clerk_user_id = data.need("clerk_user_id", other_id)?;
    let (mut created_at, mut external, mut deleted) = (None, None, false);
    let change = match name {
        "identity.created" => {
            created_at = Some(data.maybe_time("created_at")?.unwrap_or(time));
            external = data.maybe("external_id", external_id)?.map(Some);
            PersonChange::Profile {
                email: data.maybe("email", text)?,
                role: data.maybe("role", role)?.map(Some),
            }
        }
        "identity.updated" => {
            external = data.maybe("external_id", external_id_or_null)?;
            PersonChange::Profile {
                email: data.maybe("email", text)?,
                role: data.maybe("role", role_or_null)?,
            }
        }
        "identity.logged_in" => PersonChange::LoggedIn { time },
        _ => {
            deleted = true;
            // "`identity.deleted` the state as `user.deactivated` does"
            PersonChange::State { deactivated: true, at: time, by: None }
        }
    };
    Some(Fact::Identity(IdentityFact { clerk_user_id, created_at, external_id: external, deleted, change }))
}

pub(super) fn api_key(name: &str, time: i64, data: &ModelFields<'_>) -> Option<Fact> {
    let key_id = data.need("key_id", other_id)?;
    let user_id = data.need("user_id", uuid)?;
    if name == "api_key.revoked" {
        return Some(Fact::KeyRevoked { key_id });
    }
    let key_hash = data.need("key_hash", key_hash)?;
    let key_prefix = data.need("key_prefix", text)?;
    let listing = ModelKeyListing { key_prefix, name: data.maybe("name", text)?, created_at: time };
    Some(Fact::KeyCreated { key_id, user_id, key_hash, listing })
}
