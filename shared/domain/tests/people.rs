//! Users and identities meet in the projections whatever comes first: the stored items are those of all events at once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "test code fails by panicking"
)]

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use torale_domain::deactivation::causes::{self, CauseRecords};
use torale_domain::deactivation::commands::Cause;
use torale_domain::entities::fold::State;
use torale_domain::entities::readings::User;
use torale_domain::events::{self, Event, ReceivedMessage};
use torale_domain::projections::build::Build;
use torale_domain::projections::entity::{Entities, Entity};
use torale_domain::projections::links::{self, LinkReads, UserIdentities};
use torale_domain::projections::plan::{EntityReads, FoundItems};
use torale_domain::storage::item::{Attributes, Item, Key, Value};
use torale_domain::storage::keys::{self, Lanes};
use torale_domain::storage::read::{Range, ReadPlan, ReadResult};
use torale_domain::storage::write::{Action, Condition, Write};
use torale_domain::values::ids::{ClerkUserId, EntityKey, UserId};

const LANES: Lanes = Lanes::DEFAULT;

/// A store in memory, as far as plans need one.
#[derive(Default, Clone, PartialEq, Debug)]
struct Table(BTreeMap<Key, Attributes>);

impl Table {
    fn gets(&self, keys: Vec<Key>) -> FoundItems {
        let item = |key: Key| Some((key.clone(), Item { attributes: self.0.get(&key)?.clone(), key }));
        keys.into_iter().filter_map(item).collect()
    }

    fn range(&self, range: &Range) -> Vec<Item> {
        let lies = |key: &Key| {
            let after = range.from.as_ref().is_none_or(|from| key.sk >= *from);
            key.pk == range.pk && after && range.to.as_ref().is_none_or(|to| key.sk <= *to)
        };
        let items = self.0.iter().filter(|(key, _)| lies(key));
        items.map(|(key, attributes)| Item { key: key.clone(), attributes: attributes.clone() }).collect()
    }

    fn read(&self, reads: ReadPlan) -> ReadResult {
        let ranges = reads.ranges.iter().map(|range| self.range(range)).collect();
        ReadResult { items: self.gets(reads.gets), ranges }
    }

    fn holds(&self, key: &Key, condition: &Condition) -> bool {
        let item = self.0.get(key);
        let attribute = |name: &str| match name {
            keys::PK => item.map(|_| Value::Text(key.pk.clone())),
            name => item.and_then(|item| item.get(name)).cloned(),
        };
        match condition {
            Condition::Equals(name, value) => attribute(name).as_ref() == Some(value),
            Condition::Differs(name, value) => attribute(name).as_ref() != Some(value),
            Condition::EqualsOrAbsent(name, value) => attribute(name).is_none_or(|found| found == *value),
            Condition::Present(name) => attribute(name).is_some(),
            Condition::Absent(name) => attribute(name).is_none(),
        }
    }

    /// One transaction: all or nothing.
    fn write(&mut self, writes: &[Write]) -> bool {
        let keys: BTreeSet<&Key> = writes.iter().map(|write| &write.key).collect();
        assert_eq!(keys.len(), writes.len(), "an item is in a transaction once: {writes:?}");
        if !writes.iter().all(|write| write.conditions.iter().all(|c| self.holds(&write.key, c))) {
            return false;
        }
        for write in writes {
            match &write.action {
                Action::Put(attributes) => drop(self.0.insert(write.key.clone(), attributes.clone())),
                Action::Delete => drop(self.0.remove(&write.key)),
                Action::Check => {}
                Action::Update { add, set, remove } => {
                    let item = self.0.entry(write.key.clone()).or_default();
                    for (name, amount) in add {
                        let Value::Number(sum) = item.entry(name.clone()).or_insert(Value::Number(0)) else {
                            panic!("no number")
                        };
                        *sum += amount;
                    }
                    item.extend(set.iter().cloned());
                    remove.iter().for_each(|name| drop(item.remove(name)));
                }
            }
        }
        true
    }

    /// The plan of some events, not written yet.
    fn plan(&self, events: Vec<Event>) -> Vec<Write> {
        self.plan_with_later_counters(events, self)
    }

    /// The same, if the counters were read when the table was another.
    fn plan_with_later_counters(&self, events: Vec<Event>, later: &Self) -> Vec<Write> {
        let entities = EntityReads::new(LANES, Entities::new(), Vec::new(), events);
        let found = self.gets(entities.keys());
        let added = entities.fold(&found).unwrap();
        let found = self.gets(added.keys());
        let rankings = added.diff(&found).unwrap();
        let found = self.gets(rankings.keys());
        let counters = rankings.rank(found);
        let found = later.gets(counters.keys());
        counters.into_writes(found).writes
    }

    /// The plan of a link, and the cause of the commands that are due with it.
    fn plan_link(&self, user: UserId, clerk: &ClerkUserId) -> (Vec<Write>, Option<Cause>) {
        let link = LinkReads::new(user, clerk.clone());
        let found = self.read(link.reads());
        let diff = link.diff(&found, LANES).unwrap();
        // The cheaper look says of the rows what the difference says of everything.
        let up_to_date = link.is_up_to_date(&self.gets(link.own_reads().collect())).unwrap();
        assert!(up_to_date || !diff.is_empty(), "{user} {clerk:?}");
        assert!(!up_to_date || diff.is_empty(), "{user} {clerk:?}");
        let cause = causes::effective_cause(user, &diff.user, &CauseRecords::default())
            .map(|effective| effective.cause);
        if diff.is_empty() {
            return (Vec::new(), cause);
        }
        let found = self.gets(diff.keys());
        (diff.writes(&found), cause)
    }

    /// The links that must be brought up to date once an event of the entity is stored, in their order.
    fn links_of(&self, entity: &EntityKey) -> Vec<(UserId, ClerkUserId)> {
        // Of all identities in one reading, as the consumer asks.
        let users = |clerks: &[&ClerkUserId]| {
            let found = self.read(links::users_reads(clerks, entity, usize::MAX));
            let of = |clerk: &ClerkUserId| {
                let users = links::users_of(clerk, &found).unwrap();
                users.into_iter().map(|user| (user, clerk.clone())).collect::<Vec<_>>()
            };
            clerks.iter().flat_map(|clerk| of(clerk)).collect::<Vec<_>>()
        };
        match entity {
            EntityKey::Identity(clerk) => users(&[clerk]),
            EntityKey::User(id) => {
                let clerks = UserIdentities::load(*id, &self.read(links::user_reads(*id))).unwrap().all;
                let others = users(&clerks.iter().collect::<Vec<_>>());
                let others = others.into_iter().filter(|(user, _)| user != id);
                others.chain(clerks.into_iter().map(|clerk| (*id, clerk))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn take_in(&mut self, event: Event) {
        let entity = event.entity();
        let writes = self.plan(vec![event]);
        assert!(self.write(&writes));
        self.bring_up_to_date(&entity);
    }

    fn bring_up_to_date(&mut self, entity: &EntityKey) {
        for (user, clerk) in self.links_of(entity) {
            let (writes, _) = self.plan_link(user, &clerk);
            assert!(self.write(&writes));
        }
    }

    fn user(&self, id: &str) -> Entity {
        let key = keys::user(UserId::parse(id).unwrap());
        Entity::load(self.gets(vec![key.clone()]).get(&key)).unwrap()
    }
}

/// All events at once.
fn built(events: &[Event]) -> Table {
    let mut states: BTreeMap<EntityKey, State> = BTreeMap::new();
    for event in events {
        states.entry(event.entity()).or_default().fold(event.clone());
    }
    let mut build = Build::new(LANES);
    let mut items = Vec::new();
    for (key, state) in states {
        items.extend(build.entity(&key, state).unwrap());
    }
    items.extend(build.finish().unwrap());
    let count = items.len();
    let table: BTreeMap<_, _> = items.into_iter().map(|item| (item.key, item.attributes)).collect();
    assert_eq!(table.len(), count, "each item is made once");
    Table(table)
}

const A: &str = "11111111-0000-4000-8000-00000000000a";
const B: &str = "11111111-0000-4000-8000-00000000000b";
const TIMES: [&str; 4] =
    ["2026-11-01T10:00:00Z", "2026-11-02T10:00:00Z", "2026-11-03T10:00:00Z", "2026-11-04T10:00:00Z"];

fn event(kind: &str, time: usize, id: u32, data: Json) -> Event {
    let body = json!({ "specversion": "1.0", "id": format!("e{id}"), "source": "/test", "time": TIMES[time],
        "type": format!("ai.torale.{kind}"), "data": data });
    match events::parse(&body.to_string(), None).unwrap() {
        ReceivedMessage::Known(event) => *event,
        ReceivedMessage::Unknown { event_type } => panic!("{event_type}"),
    }
}

/// The id derived from `c1`: UUID v5 of the DNS namespace and `clerk:c1`, computed with Python's `uuid`.
const OF_C1: &str = "625000bf-f8f0-5982-8ab1-f673b19c8841";

fn user_id() -> impl Strategy<Value = String> {
    let derived = |clerk: &str| {
        torale_domain::entities::linkage::derived(&ClerkUserId::parse(clerk).unwrap()).to_string()
    };
    prop::sample::select(vec![A.to_owned(), B.to_owned(), derived("c1"), derived("c2")])
}

fn clerk_id() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["c1", "c2"])
}

fn any_event() -> impl Strategy<Value = Event> {
    let external = prop_oneof![
        Just(Json::Null),
        Just(json!("no uuid")),
        user_id().prop_map(|id| json!(id.to_uppercase())),
    ];
    let role = prop::sample::select(vec![json!("admin"), json!("member"), Json::Null]);
    (0..8_usize, user_id(), clerk_id(), external, role, 0..TIMES.len(), 0..6_u32).prop_map(
        |(kind, user, clerk, external, role, time, id)| {
            let email = format!("{id}@example.com");
            let mut data = match kind {
                0 => json!({ "user_id": user, "clerk_user_id": clerk, "email": email }),
                1 => json!({ "user_id": user, "email": email, "role": role }),
                2..=4 => json!({ "user_id": user }),
                5 => json!({ "clerk_user_id": clerk, "email": email }),
                6 => json!({ "clerk_user_id": clerk, "email": email, "role": role, "external_id": external }),
                _ => json!({ "clerk_user_id": clerk }),
            };
            if kind == 5 && external.is_string() {
                data["external_id"] = external;
            }
            let kinds = [
                "user.created",
                "user.updated",
                "user.logged_in",
                "user.deactivated",
                "user.reactivated",
                "identity.created",
                "identity.updated",
                if time == 3 { "identity.deleted" } else { "identity.logged_in" },
            ];
            event(kinds[kind], time, id, data)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_order_leads_to_the_items_of_all_events_at_once(events in prop::collection::vec(any_event(), 1..14)) {
        let mut live = Table::default();
        for event in &events {
            live.take_in(event.clone());
        }
        prop_assert_eq!(&live, &built(&events));
        // Once more, in another order: nothing changes.
        for event in events.iter().rev() {
            live.take_in(event.clone());
        }
        prop_assert_eq!(&live, &built(&events));
    }

    /// Two consumers: each plans from what it has read, and whoever is second plans again; a link may be brought up to
    /// date late, or by a plan that was made before the other's event was stored.
    #[test]
    fn two_consumers_at_once_lose_nothing(
        history in prop::collection::vec(any_event(), 0..6),
        one in any_event(),
        other in any_event(),
    ) {
        let mut live = Table::default();
        for event in &history {
            live.take_in(event.clone());
        }
        let (first, second) = (live.plan(vec![one.clone()]), live.plan(vec![other.clone()]));
        let stale: Vec<_> = live.links_of(&one.entity()).into_iter().chain(live.links_of(&other.entity())).collect();
        let stale: Vec<Vec<Write>> = stale.iter().map(|(user, clerk)| live.plan_link(*user, clerk).0).collect();
        prop_assert!(live.write(&first));
        let between: Vec<_> = live.links_of(&one.entity());
        let between: Vec<Vec<Write>> = between.iter().map(|(user, clerk)| live.plan_link(*user, clerk).0).collect();
        if !live.write(&second) {
            let again = live.plan(vec![other.clone()]);
            prop_assert!(live.write(&again));
        }
        for writes in between.iter().chain(&stale) {
            // Lost, unless nothing that it was guarded by has changed.
            live.write(writes);
        }
        live.bring_up_to_date(&other.entity());
        live.bring_up_to_date(&one.entity());
        let all: Vec<Event> = history.into_iter().chain([one, other]).collect();
        prop_assert_eq!(&live, &built(&all));
    }

    /// A consumer that dies between storing an event and any of its links is followed by one that gets the event again.
    #[test]
    fn a_crash_between_an_event_and_its_links_loses_nothing(
        events in prop::collection::vec(any_event(), 1..10),
        crashes in prop::collection::vec(0..4_usize, 10),
    ) {
        let mut live = Table::default();
        for (event, crash) in events.iter().zip(crashes) {
            let writes = live.plan(vec![event.clone()]);
            prop_assert!(live.write(&writes));
            for (user, clerk) in live.links_of(&event.entity()).into_iter().take(crash) {
                let (writes, _) = live.plan_link(user, &clerk);
                prop_assert!(live.write(&writes));
            }
            live.take_in(event.clone());
        }
        prop_assert_eq!(&live, &built(&events));
    }
}

fn created(user: &str, clerk: &str) -> Json {
    json!({ "user_id": user, "clerk_user_id": clerk, "email": "platform@example.com" })
}

#[test]
fn the_identity_of_a_user_tells_its_role_whichever_came_first() {
    let platform = event("user.created", 0, 1, created(A, "c1"));
    let identity = event(
        "identity.created",
        1,
        2,
        json!({ "clerk_user_id": "c1", "email": "clerk@example.com", "role": "admin" }),
    );
    for events in [[&platform, &identity], [&identity, &platform]] {
        let mut live = Table::default();
        events.into_iter().for_each(|event| live.take_in(event.clone()));

        let entity = live.user(A);
        let user = User::of(&entity.state, &entity.linkage.linked);
        assert_eq!((user.role, user.email), (Some("admin"), Some("clerk@example.com")));
        assert!(user.exists() && user.active);
        let stand_in = live.user(OF_C1);
        assert!(!User::of(&stand_in.state, &stand_in.linkage.linked).exists(), "the stand-in is gone");
    }
}

#[test]
fn an_identity_that_belongs_to_nobody_stands_in_for_a_user() {
    let mut live = Table::default();
    live.take_in(event(
        "identity.created",
        1,
        2,
        json!({ "clerk_user_id": "c1", "email": "clerk@example.com" }),
    ));

    let entity = live.user(OF_C1);
    let user = User::of(&entity.state, &entity.linkage.linked);
    assert_eq!((user.exists(), user.email), (true, Some("clerk@example.com")));
    assert_eq!(user.clerk_user_id.map(ClerkUserId::as_str), Some("c1"));
}

#[test]
fn the_deletion_of_an_identity_deactivates_its_user_until_a_later_event() {
    let mut live = Table::default();
    live.take_in(event("user.created", 0, 1, created(A, "c1")));
    let deleted = event("identity.deleted", 1, 2, json!({ "clerk_user_id": "c1" }));
    let writes = live.plan(vec![deleted]);
    assert!(live.write(&writes));

    let (user, clerk) = (UserId::parse(A).unwrap(), ClerkUserId::parse("c1").unwrap());
    let (writes, cause) = live.plan_link(user, &clerk);
    let cause = cause.unwrap();
    assert_eq!((cause.event.as_str(), cause.requested_by.as_str()), (&*format!("e2\n{A}"), "clerk"));
    assert!(live.write(&writes));
    let entity = live.user(A);
    assert!(!User::of(&entity.state, &entity.linkage.linked).active);
    assert_eq!(live.plan_link(user, &clerk), (Vec::new(), Some(cause)), "nothing is left to write");

    live.take_in(event("user.reactivated", 2, 3, json!({ "user_id": A })));
    let entity = live.user(A);
    assert!(User::of(&entity.state, &entity.linkage.linked).active, "a later event takes it back");
    assert_eq!(live.plan_link(user, &clerk).1, None);
}

fn task(id: u32, time: usize, kind: &str) -> Event {
    let data = json!({ "task_id": format!("22222222-0000-4000-8000-{id:012}"), "user_id": A, "search_query": "iPhone",
        "name": "n", "schedule": "0 9 * * *", "state": "active", "created_at": TIMES[0] });
    event(kind, time, 10 * id + u32::try_from(time).unwrap(), data)
}

/// Seeds 50405033 and 50869914 of the simulator: a query moves in the ranking between the readings of its item and of
/// its counters, and back before the transaction is written. The query's guard holds, and its place was not read.
#[test]
fn counters_that_were_read_while_a_query_stood_elsewhere_cancel_the_transaction() {
    let mut table = Table::default();
    table.take_in(task(1, 0, "task.created"));
    let before = table.clone();
    table.take_in(task(2, 0, "task.created"));
    let moved = table.clone();
    table.take_in(task(2, 1, "task.deleted"));
    let torn = before.plan_with_later_counters(vec![task(3, 2, "task.created")], &moved);
    assert!(
        torn.iter().any(|write| write.action == Action::Check),
        "of the digits, whose item was gone: {torn:?}"
    );

    assert!(!table.write(&torn));

    table.take_in(task(3, 2, "task.created"));
    let events = [task(1, 0, "task.created"), task(2, 0, "task.created"), task(2, 1, "task.deleted")];
    assert_eq!(table, built(&[events.as_slice(), &[task(3, 2, "task.created")]].concat()));
}
