//! A link that can't be written is reported, and the other links are written all the same.

use super::{ANN, CLERK, at_clerk, kinds, listed, relay, stand_in};
use deactivate_user::DeactivateUser;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::storage::limits::ItemLimits;
use torale_domain::values::ids::{ClerkUserId, UserId};
use torale_domain::values::time::{DAY, MINUTE};
use torale_platform::consume::Consumer;
use torale_platform::store::Usage;
use torale_testkit::events::{EventBuilder, identity, user};
use torale_testkit::request::patch;
use torale_testkit::scenario::{Scenario, given};
use torale_testkit::stack::{self, NOW, number, text};

/// More than are linked at once, and more than are linked without a look at all of them first.
const USERS: usize = 12;

fn id(n: usize) -> String {
    format!("770e8400-e29b-41d4-a716-4466554400{n:02}")
}

fn created(n: usize) -> EventBuilder {
    user(&id(n)).created().with("clerk_user_id", CLERK)
}

async fn shared() -> Scenario {
    given((0..USERS).map(created).collect::<Vec<_>>()).start().await
}

/// The states of all users but one.
async fn states_without(scenario: &Scenario, left_out: &str) -> Vec<String> {
    let (users, _) = listed(scenario).await;
    let others = users.iter().filter(|user| user["id"] != left_out);
    others.map(|user| user["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn damaged_user_does_not_keep_an_identitys_other_users_from_being_linked() {
    let scenario = shared().await;
    let damaged = keys::user(UserId::parse(&id(3)).unwrap());
    let table = "torale-projections-g1";
    let stored = scenario.item(table, &damaged).await.unwrap();
    scenario.put(table, &damaged, [("state", text("{"))]).await;
    let deletion = [identity(CLERK).deleted().message()];

    let outcome = stack::consume(&scenario.consumer(), &stack::messages(&deletion)).await;

    assert_eq!(outcome.failed.len(), 1, "the message comes again");
    let stored = stored.iter().map(|(name, value)| (name.as_str(), value.clone()));
    scenario.put(table, &damaged, stored).await;
    assert_eq!(states_without(&scenario, &id(3)).await, vec!["deactivated"; USERS - 1]);
    // The item is repaired, and the message comes again: it is complete.
    scenario.consume(&deletion).await;
    let (users, _) = listed(&scenario).await;
    assert!(users.iter().all(|user| user["state"] == "deactivated"), "{users:?}");
    assert_eq!(kinds(&relay(&scenario).await), [], "they have nothing to stop");
}

/// The users are deactivated already, and looked at together. Of one, another link or the deactivation is damaged.
#[tokio::test]
async fn damaged_row_of_one_user_does_not_keep_an_identitys_other_users_from_being_linked() {
    let ann = UserId::parse(&id(3)).unwrap();
    let other = ClerkUserId::parse("user_other").unwrap();
    let places =
        [("torale-projections-g1", keys::user_link(ann, &other)), (CONTROL_TABLE, keys::deactivation(ann))];
    for (table, key) in places {
        let scenario = shared().await;
        let claims = identity("user_other").created().with("external_id", id(3));
        scenario.receives((claims, identity(CLERK).created())).await;
        for n in 0..USERS {
            assert_eq!(scenario.when(patch::<DeactivateUser>(&id(n))).await.status, 200);
        }
        scenario.put(table, &key, [("of", number(1))]).await;
        let renamed = identity(CLERK).updated().with("email", "new@example.com").at(NOW.plus(MINUTE));

        let outcome = stack::consume(&scenario.consumer(), &stack::messages(&[renamed.message()])).await;

        assert_eq!(outcome.failed.len(), 1, "the message comes again");
        let (users, _) = listed(&scenario).await;
        let renamed = users.iter().filter(|user| user["email"] == "new@example.com").count();
        assert!(renamed >= USERS - 1, "{renamed} of {USERS}: {key:?}");
    }
}

/// Here the limit is set lower; in an account, a generation of an older release may hold as much.
#[tokio::test]
async fn link_that_does_not_fit_is_quarantined_and_the_others_are_written() {
    let scenario = shared().await;
    scenario.receives(created(3).with("about", "a".repeat(1_500)).at(NOW.plus(MINUTE))).await;
    let limits = ItemLimits { item: 1_800, ..ItemLimits::STORE };
    let consumer = Consumer::new(scenario.store_as("Consumer").with_limits(limits), || NOW);
    let deletion = [identity(CLERK).deleted().message()];

    let until = Instant::now() + Duration::from_secs(60);
    let outcome = consumer.consume(&stack::messages(&deletion), until, &Usage::default()).await;

    assert_eq!(outcome.failed, Vec::<String>::new(), "the message is not tried for ever");
    assert_eq!(outcome.quarantined.get("unwritable"), Some(&1), "{:?}", outcome.quarantined);
    assert_eq!(states_without(&scenario, &id(3)).await, vec!["deactivated"; USERS - 1]);
}

/// Ann names another identity. The one named before stands in for a user again, whose item has no room for it.
#[tokio::test]
async fn link_goes_although_the_one_of_the_stand_in_does_not_fit() {
    let ann = UserId::parse(ANN).unwrap();
    let long = |event: EventBuilder| event.with("about", "a".repeat(1_900));
    let of_stand_in = ["email", "role"].map(|field| long(user(&stand_in()).updated().with(field, "a")));
    let scenario = given((super::created(), at_clerk(), of_stand_in.to_vec())).start().await;
    let limits = ItemLimits { item: 6_000, ..ItemLimits::STORE };
    let consumer = Consumer::new(scenario.store_as("Consumer").with_limits(limits), || NOW);
    let renamed = super::created().with("clerk_user_id", "user_other").at(NOW.plus(-DAY));

    let until = Instant::now() + Duration::from_secs(60);
    let outcome = consumer.consume(&stack::messages(&[renamed.message()]), until, &Usage::default()).await;

    assert_eq!(outcome.failed, Vec::<String>::new(), "the message is not tried for ever");
    assert_eq!(outcome.quarantined.get("unwritable"), Some(&1), "{:?}", outcome.quarantined);
    let former = keys::user_link(ann, &ClerkUserId::parse(CLERK).unwrap());
    assert!(
        scenario.item("torale-projections-g1", &former).await.is_none(),
        "it says nothing of Ann any more"
    );
}
