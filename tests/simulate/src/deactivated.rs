//! Users who were deactivated or reactivated by a request: what must hold of them once everything is quiet.

use crate::caller::Answered;
use crate::faults;
use crate::installation::Installation;
use crate::tables::{AsOf, Tables};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use torale_domain::deactivation::causes::{self, CauseRecords, RequestedDeactivation};
use torale_domain::entities::linkage;
use torale_domain::entities::readings::User;
use torale_domain::projections::entity::Entity;
use torale_domain::projections::links;
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{self, CONTROL_TABLE, StoppableRow};
use torale_domain::storage::read::Range;
use torale_domain::values::ids::{ClerkUserId, UserId};
use torale_platform::store::GenerationPointer;

/// The type of the events that reactivate users.
const REACTIVATED: &str = "ai.torale.user.reactivated";
/// The attribute of a row that has the id of the schedule for which it stands.
const OF: &str = "of";

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// What an admin deactivated is noted; of whom a cause of commands holds, nothing is alive and every login is banned.
///
/// # Errors
/// If not.
pub fn check(
    world: &Installation,
    pointer: &GenerationPointer,
    logged: &[Value],
    answered: &Answered,
) -> Result<(), String> {
    let tables = &*world.tables.lock();
    let deactivation = |user: UserId| -> Result<Option<RequestedDeactivation>, String> {
        let item = tables.get(CONTROL_TABLE, &keys::deactivation(user), AsOf::NOW).map_err(text)?;
        item.as_ref().map(RequestedDeactivation::load).transpose().map_err(text)
    };
    let table = pointer.live.table();
    for user in users(logged) {
        let entity = entity(tables, &table, &keys::user(user))?;
        let mut records = CauseRecords::default();
        for other in causes::deactivations_of(user, &entity) {
            records.deactivations.extend(deactivation(other)?.map(|found| (other, found)));
        }
        for origin in causes::origins_of(user, &entity) {
            records.origins.insert(origin, self::entity(tables, &table, &keys::user(origin))?);
        }
        let Some(cause) = causes::effective_cause(user, &entity, &records) else { continue };
        faults::count("stays deactivated", None);
        let range = Range { pk: keys::stoppable_of(user), ..Range::default() };
        let alive = tables.query(&table, &range, None, AsOf::NOW).map_err(text)?.items;
        let effects = world.outside.lock();
        // No event says that a schedule was paused which does not exist at Temporal.
        let is_absent =
            |item: &&Item| schedule(item).is_some_and(|id| !effects.exists(id) && effects.is_paused(id));
        alive.iter().filter(is_absent).for_each(|_| faults::count("absent and alive", None));
        if let Some(item) = alive.iter().find(|item| !is_absent(item)) {
            return Err(format!("{user} is deactivated by {cause:?}, and {:?} is alive", item.key));
        }
        for login in logins(tables, &table, user, &entity)? {
            faults::count("login of the deactivated", None);
            if !effects.is_banned(login.as_str()) {
                return Err(format!("{user} is deactivated by {cause:?}, and {login:?} is not banned"));
            }
        }
    }
    for user in answered.access.deactivated() {
        let Some(noted) = deactivation(*user)? else {
            return Err(format!("the deactivation of {user} was answered with 200 and is not noted"));
        };
        if !logged.iter().any(|event| event["id"] == noted.event) {
            return Err(format!("the deactivation of {user} was answered with 200 and is not in the log"));
        }
    }
    check_reactivated(logged, &answered.reactivated)
}

/// Of each user whose reactivation was answered with 200 after a deactivation was, one is in the log: of the user, or
/// of an id that is derived from an identity of theirs. Whoever is reactivated under such an id is active, and another
/// request has nothing to do.
fn check_reactivated(logged: &[Value], answered: &BTreeMap<UserId, bool>) -> Result<(), String> {
    let field = |event: &Value, name: &str| event["data"][name].as_str().map(str::to_owned);
    let of_type = |event: &&Value| event["type"] == REACTIVATED;
    let named = logged.iter().filter(of_type).filter_map(|event| UserId::parse(&field(event, "user_id")?));
    let reactivated: BTreeSet<UserId> = named.collect();
    for (user, _) in answered.iter().filter(|(_, was_deactivated)| **was_deactivated) {
        let is_named = |event: &Value| {
            let mut ids = ["user_id", "external_id"].into_iter().filter_map(|name| field(event, name));
            ids.any(|id| UserId::parse(&id) == Some(*user))
        };
        let logins =
            logged.iter().filter(|event| is_named(event)).filter_map(|event| field(event, "clerk_user_id"));
        let derived =
            logins.filter_map(|login| ClerkUserId::parse(&login)).map(|login| linkage::derived(&login));
        if !derived.chain([*user]).any(|id| reactivated.contains(&id)) {
            return Err(format!("the reactivation of {user} was answered with 200 and is not in the log"));
        }
        faults::count("reactivation in the log", None);
    }
    Ok(())
}

/// The logins of a user: the one that the user names, and those of identities that belong to the user, but for deleted
/// ones (docs/contract/events.md, "Commands").
fn logins(
    tables: &Tables,
    table: &str,
    user: UserId,
    entity: &Entity,
) -> Result<BTreeSet<ClerkUserId>, String> {
    let rows = tables.query(table, &links::links_of(user), None, AsOf::NOW).map_err(text)?.items;
    let linked = rows.iter().map(links::linked_identity).collect::<Result<Vec<_>, _>>().map_err(text)?;
    let named = User::of(&entity.state, &entity.linkage.linked).clerk_user_id.cloned();
    let deleted: BTreeSet<&ClerkUserId> =
        linked.iter().filter(|(_, is_deleted)| *is_deleted).map(|(login, _)| login).collect();
    let all = linked.iter().map(|(login, _)| login.clone()).chain(named);
    Ok(all.filter(|login| !deleted.contains(login)).collect())
}

/// The schedule that an item stands for which can be stopped, if it is one.
fn schedule(item: &Item) -> Option<&str> {
    let is_schedule = matches!(keys::parse_stoppable_row(item), Some(StoppableRow::Schedule));
    item.text(OF).filter(|_| is_schedule)
}

fn entity(tables: &Tables, table: &str, key: &Key) -> Result<Entity, String> {
    Entity::load(tables.get(table, key, AsOf::NOW).map_err(text)?.as_ref()).map_err(text)
}

/// The users whom events of the log name, and those in whose place an identity stands.
fn users(logged: &[Value]) -> BTreeSet<UserId> {
    let field = |event: &Value, name: &str| event["data"][name].as_str().map(str::to_owned);
    let named = |event: &Value| {
        let ids =
            ["user_id", "external_id"].into_iter().filter_map(|name| UserId::parse(&field(event, name)?));
        let login = field(event, "clerk_user_id").and_then(|login| ClerkUserId::parse(&login));
        ids.chain(login.map(|login| linkage::derived(&login))).collect::<Vec<_>>()
    };
    logged.iter().flat_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reactivation_that_is_lost_is_found_though_others_are_in_the_log() {
        let (ann, bob) = ("11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002");
        let event = |kind: &str, data: Value| json!({ "type": format!("ai.torale.{kind}"), "data": data });
        let reactivated = |id: &str| event("user.reactivated", json!({ "user_id": id }));
        let login = ClerkUserId::parse("user_ann").unwrap();
        let derived = linkage::derived(&login).to_string();
        let linked = event("identity.updated", json!({ "clerk_user_id": "user_ann", "external_id": ann }));
        let checked = |was_deactivated: bool, logged: &[Value]| {
            check_reactivated(logged, &[(UserId::parse(ann).unwrap(), was_deactivated)].into())
        };

        assert_eq!(checked(true, &[reactivated(ann)]), Ok(()));
        assert_eq!(checked(true, &[linked.clone(), reactivated(&derived)]), Ok(()));
        assert_eq!(checked(false, &[reactivated(bob)]), Ok(()), "there was nothing to do");
        assert!(checked(true, &[linked, reactivated(bob)]).is_err());
        assert!(checked(true, &[reactivated(&derived)]).is_err(), "of a stranger's identity");
    }
}
