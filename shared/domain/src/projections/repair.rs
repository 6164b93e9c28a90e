//! Repair: the write that corrects one stored item.

use crate::entities::fold::State;
use crate::events::Event;
use crate::projections::compare::FOREIGN;
use crate::projections::counter;
use crate::projections::entity::{AMOUNT_ATTRIBUTES, ENTITY_ATTRIBUTES, Entity};
use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys;
use crate::storage::write::{Action, Condition, Write, unchanged};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A key under which the expected item and the stored one differ, or only one of them exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: Key,
    /// The attributes that the item should have; `None` if it should not exist.
    pub expected: Option<Attributes>,
    /// The attributes that the stored item has; `None` if it does not exist.
    pub found: Option<Attributes>,
}

impl Difference {
    /// The write that corrects the stored item. To a counter it adds what is missing, so that no
    /// amount is lost that a consumer adds meanwhile. Any other item is replaced, on condition
    /// that it is still as it was found.
    pub fn repair(&self) -> Write {
        let none = Attributes::new();
        let (expected, found) = (self.expected.as_ref(), self.found.as_ref().unwrap_or(&none));
        if let Some(write) = expected.and_then(|expected| counter_repair(&self.key, expected, found)) {
            return write;
        }
        let mut names: BTreeSet<&str> =
            found.keys().chain(expected.into_iter().flat_map(BTreeMap::keys)).map(String::as_str).collect();
        if keys::is_entity(&self.key) {
            names.extend(ENTITY_ATTRIBUTES);
        }
        let conditions = match &self.found {
            // Many rows have no attributes but their key.
            Some(found) if found.is_empty() => vec![Condition::Present(keys::PK.to_owned())],
            Some(_) | None => unchanged(found, &Vec::from_iter(names)),
        };
        let action = expected.cloned().map_or(Action::Delete, Action::Put);
        let conditions = conditions.into_iter().map(comparable).collect();
        Write { key: self.key.clone(), action, conditions }
    }

    /// The entity that one of the items holds; `None` without an item, or if it cannot be read.
    fn entity(&self, attributes: Option<&Attributes>) -> Option<Entity> {
        let item = Item { key: self.key.clone(), attributes: attributes?.clone() };
        Entity::load(Some(&item)).ok()
    }

    /// By how much each amount of a counter, or of a task's totals, differs: expected less found.
    /// `None` if the items differ in more than amounts, or are rows: their numbers are facts. An
    /// item that consumers change during a comparison may differ for a moment, but a difference
    /// that stays the same in two passes is an error.
    pub fn drift(&self) -> Option<BTreeMap<String, i128>> {
        if keys::is_row(&self.key) {
            return None;
        }
        drift(&self.amounts(self.expected.as_ref()?)?, &self.amounts(self.found.as_ref()?)?)
    }

    /// The attributes of an item with the totals of a task, which are texts, as numbers. `None` if they cannot be read.
    fn amounts(&self, attributes: &Attributes) -> Option<Attributes> {
        let mut amounts = attributes.clone();
        if keys::is_entity(&self.key) {
            amounts.retain(|name, _| !AMOUNT_ATTRIBUTES.contains(&name.as_str()));
            let Entity { totals, .. } = self.entity(Some(attributes))?;
            amounts.extend(totals.amounts().map(|(name, number)| (name, Value::Number(number))));
        }
        Some(amounts)
    }
}

fn entities(differences: &[Difference]) -> impl Iterator<Item = &Difference> {
    differences.iter().filter(|one| keys::is_entity(&one.key))
}

/// The identities of which stored users hold events, and that are none of these differences themselves.
pub fn linked_identities(differences: &[Difference]) -> BTreeSet<Key> {
    let found = entities(differences).filter_map(|one| one.entity(one.found.as_ref()));
    let events = found.flat_map(|found| found.linkage.linked.events().to_vec());
    let differing: BTreeSet<&Key> = entities(differences).map(|one| &one.key).collect();
    events.map(|event| keys::entity(&event.entity())).filter(|key| !differing.contains(key)).collect()
}

/// The first entity that a repair may set back, as the log may have lost some of its events: the log knows nothing of
/// it, or less than its item. An item that is missing, empty or unreadable shows nothing of that: then it depends on
/// whether all of the log can be read. `same` are the [identities](linked_identities) that are as the log says.
pub fn may_set_back<'a>(
    differences: &'a [Difference],
    same: &HashMap<Key, Item>,
    log_is_readable: bool,
) -> Option<&'a Difference> {
    let expected = |one: &Difference| one.entity(one.expected.as_ref()).unwrap_or_default().state;
    let mut logged: HashMap<&Key, State> =
        entities(differences).map(|one| (&one.key, expected(one))).collect();
    logged.extend(same.iter().filter_map(|(key, item)| Some((key, Entity::load(Some(item)).ok()?.state))));
    let is_logged = |event: &Event| {
        let mut one = State::default();
        one.fold(event.clone());
        logged.get(&keys::entity(&event.entity())).is_some_and(|owner| owner.covers(&one))
    };
    let covers = |expected: &State, found: &Entity| {
        let is_witness = !found.state.is_empty() || expected.is_empty();
        // A link may have gone without an event of the user's: what it said is in the log as the identity's own.
        (is_witness || log_is_readable)
            && expected.covers(&found.state)
            && found.linkage.linked.events().iter().all(is_logged)
    };
    entities(differences).find(|one| {
        let found = one.entity(one.found.as_ref());
        let is_covered = found.map_or(log_is_readable, |found| covers(&expected(one), &found));
        one.expected.is_none() || !is_covered
    })
}

/// A value of a type that this system never writes cannot be compared in a condition; that the
/// attribute exists can.
fn comparable(condition: Condition) -> Condition {
    if let Condition::Equals(name, Value::Text(text)) = &condition
        && text.starts_with(FOREIGN)
    {
        return Condition::Present(name.clone());
    }
    condition
}

/// By how much each amount differs; `None` if an attribute differs that is no amount.
fn drift(expected: &Attributes, found: &Attributes) -> Option<BTreeMap<String, i128>> {
    let amount = |attributes: &Attributes, name: &String| match attributes.get(name) {
        Some(Value::Number(amount)) => Some(*amount),
        None => Some(0),
        Some(Value::Text(_) | Value::Bytes(_)) => None,
    };
    let mut amounts = BTreeMap::new();
    for name in expected.keys().chain(found.keys()) {
        if expected.get(name) != found.get(name) {
            amounts.insert(name.clone(), amount(expected, name)? - amount(found, name)?);
        }
    }
    Some(amounts)
}

/// The write that adds to a counter what it lacks; `None` if the item is no counter, or the two
/// differ in more than amounts.
fn counter_repair(key: &Key, expected: &Attributes, found: &Attributes) -> Option<Write> {
    if expected.is_empty() || keys::is_entity(key) || keys::is_row(key) {
        return None;
    }
    let amounts = drift(expected, found)?;
    let stored_amount = |name: &str| match found.get(name) {
        Some(Value::Number(amount)) => *amount,
        Some(Value::Text(_) | Value::Bytes(_)) | None => 0,
    };
    let amounts = amounts.iter().map(|(name, amount)| (name.as_str(), *amount));
    let (action, conditions) = counter::update(amounts, stored_amount);
    Some(Write { key: key.clone(), action, conditions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{ReceivedMessage, parse};
    use crate::values::ids::{ClerkUserId, EntityKey, UserId};
    use serde_json::json;

    const USER: &str = "11111111-0000-4000-8000-000000000001";

    /// The item of an entity with these events of its own, and with these that its identities say.
    fn entity(own: &[&Event], linked: &[&Event]) -> Option<Attributes> {
        let state = |events: &[&Event]| {
            let mut state = State::default();
            for event in events {
                state.fold((*event).clone());
            }
            state
        };
        let mut entity = Entity { state: state(own), ..Entity::default() };
        entity.linkage.linked = state(linked);
        Some(entity.store().unwrap())
    }

    fn identity_event(kind: &str) -> Event {
        let event = json!({ "specversion": "1.0", "id": kind, "source": "/test", "type": format!("ai.torale.{kind}"),
            "time": "2026-03-31T10:00:00Z", "data": { "clerk_user_id": "user_1" } });
        match parse(&event.to_string(), None) {
            Ok(ReceivedMessage::Known(event)) => *event,
            other => panic!("{other:?}"),
        }
    }

    /// What a link said is in the log as the identity's own, also after the link has gone.
    #[test]
    fn repair_may_set_back_what_the_log_knows_less_of_and_not_what_lags() {
        let (created, deleted) = (identity_event("identity.created"), identity_event("identity.deleted"));
        let key = |entity| keys::entity(&entity);
        let identity = key(EntityKey::Identity(ClerkUserId::parse("user_1").unwrap()));
        let user = key(EntityKey::User(UserId::parse(USER).unwrap()));
        let differs = |key: &Key, expected, found| Difference { key: key.clone(), expected, found };
        let both = [&created, &deleted];
        let lags = differs(&identity, entity(&both, &[]), entity(&[&created], &[]));
        let lost = differs(&identity, entity(&[&created], &[]), entity(&both, &[]));
        let unlinked = differs(&user, entity(&[], &[]), entity(&[], &both));
        let missing = differs(&identity, entity(&[&created], &[]), None);
        let unknown = differs(&identity, None, entity(&[], &[]));
        let damaged = Attributes::from([("state".to_owned(), Value::Text("[".to_owned()))]);
        let damaged = differs(&identity, entity(&both, &[]), Some(damaged));
        let emptied = differs(&identity, entity(&both, &[]), Some(Attributes::new()));
        let row = differs(&Key::stored("r#users#all#0".to_owned(), "1".to_owned()), None, entity(&[], &[]));

        let same = |item: Option<Attributes>| {
            let item = item.map(|attributes| Item { key: identity.clone(), attributes });
            HashMap::from_iter(item.map(|item| (identity.clone(), item)))
        };
        let named_beside = |differences: &[&Difference], same: &HashMap<Key, Item>, readable| {
            let differences: Vec<Difference> = differences.iter().copied().cloned().collect();
            may_set_back(&differences, same, readable).map(|difference| difference.key.clone())
        };
        let named =
            |differences: &[&Difference], readable| named_beside(differences, &HashMap::new(), readable);
        for readable in [true, false] {
            let unread = (!readable).then(|| identity.clone());
            assert_eq!(named(&[&row, &lags, &unlinked], readable), None);
            assert_eq!(named(&[&unlinked, &lost], readable), Some(user.clone()));
            assert_eq!(named(&[&lost], readable), Some(identity.clone()));
            assert_eq!(named(&[&unknown], readable), Some(identity.clone()));
            assert_eq!(named(&[&missing], readable), unread);
            assert_eq!(named(&[&damaged], readable), unread);
            assert_eq!(named(&[&emptied], readable), unread);
            assert_eq!(named_beside(&[&unlinked], &same(entity(&both, &[])), readable), None);
            let less = same(entity(&[&created], &[]));
            assert_eq!(named_beside(&[&unlinked], &less, readable), Some(user.clone()));
            assert_eq!(named(&[&unlinked], readable), Some(user.clone()), "nobody has compared the identity");
        }
        assert_eq!(linked_identities(std::slice::from_ref(&unlinked)), BTreeSet::from([identity.clone()]));
        assert_eq!(linked_identities(&[unlinked.clone(), lost.clone()]), BTreeSet::new());
        // The identity's own item is gone, and its user alone shows what the log lacks.
        assert_eq!(named(&[&missing, &unlinked], true), Some(user));
    }

    fn numbers<const N: usize>(of: [(&str, i128); N]) -> Attributes {
        of.map(|(name, number)| (name.to_owned(), Value::Number(number))).into()
    }

    /// Of a row a 0 is a fact, such as a condition that was not met; of a counter it does not exist.
    #[test]
    fn numbers_of_a_row_are_replaced_and_those_of_a_counter_are_added() {
        let difference = |pk: &str, expected, found| Difference {
            key: Key::stored(pk.to_owned(), "1".to_owned()),
            expected: Some(expected),
            found: Some(found),
        };
        for (expected, found) in [
            (numbers([("c", 0), ("d", 0)]), numbers([("c", 1), ("d", 5300)])),
            (numbers([("r", 0)]), Attributes::new()),
        ] {
            let row = difference("r#errors#all#0", expected.clone(), found.clone());
            assert_eq!(row.drift(), None);
            let write = row.repair();
            assert_eq!(write.action, Action::Put(expected));
            assert!(!write.conditions.is_empty(), "only if it is as it was found");
        }

        let counter = difference("c#errors#0", numbers([("p", 3)]), numbers([("p", 5)]));
        assert_eq!(counter.drift(), Some(BTreeMap::from([("p".to_owned(), -2)])));
        assert!(matches!(counter.repair().action, Action::Update { .. }));
    }
}
