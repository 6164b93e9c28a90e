//! An identity that stands in for a user until the platform creates one: what was recorded under the one id stays
//! there, and what the person does from then on is recorded under the other (docs/contract/events.md, "Identities and
//! users").

use super::World;
use queries::Queries;
use torale_domain::entities::linkage;
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::values::ids::{ApiKeyId, ClerkUserId, UserId};
use torale_domain::values::time::HOUR;
use torale_platform::serve::App;
use torale_testkit::clerk;
use torale_testkit::events::{api_key, identity, user};
use torale_testkit::request::get;
use torale_testkit::stack::{NOW, RawItem, number};

const CLERK: &str = "user_new";
const PERSON: &str = "770e8400-e29b-41d4-a716-446655440000";
const KEY: &str = "sk_live_stand_in_0123456789_0123456789";
const PERSONS_KEY: &str = "sk_live_person_0123456789_0123456789";

/// How many requests are left after one with this credential.
async fn left(app: &App, credential: &str) -> String {
    let answer = get::<Queries>("").by(credential).send(app).await.with_status(200);
    answer.header("x-ratelimit-remaining").unwrap().to_owned()
}

/// Whom the records name, without those of the first.
async fn recorded_after(world: &World, first: usize) -> Vec<String> {
    let records = world.system.records().await;
    let users = records.iter().skip(first).map(|record| record.record.entry.principal.user_id.unwrap());
    users.map(|user| user.to_string()).collect()
}

/// What is kept about the stand-in's requests: its limit, and the last use of its key.
async fn kept(world: &World, stand_in: &str) -> [RawItem; 2] {
    let limit = keys::limit(UserId::parse(stand_in).unwrap());
    let used = keys::key_used(&ApiKeyId::parse("key_stand_in").unwrap());
    let item = async |key| world.system.item(CONTROL_TABLE, &key).await.unwrap();
    [item(limit).await, item(used).await]
}

#[tokio::test]
async fn records_limits_and_key_use_of_a_stand_in_stay_when_the_user_comes() {
    let world = World::start().await;
    let stand_in = linkage::derived(&ClerkUserId::parse(CLERK).unwrap()).to_string();
    let admin_at_clerk = identity(CLERK).created().with("role", "admin").at(NOW.plus(-2 * HOUR));
    world.system.receives((admin_at_clerk, api_key("key_stand_in").created(&stand_in, KEY))).await;
    let instance = world.system.instance().authenticator(&world.clerk.settings()).limits(5, 100).start();
    let session = clerk::token(CLERK);
    let first = world.system.records().await.len();

    // The identity has a session, and a key that the platform gave the id which it stands in for.
    assert_eq!(left(&instance, &session).await, "4");
    assert_eq!(left(&instance, KEY).await, "3", "one user, one limit");
    assert_eq!(recorded_after(&world, first).await, [stand_in.as_str(); 2]);
    let of_stand_in = kept(&world, &stand_in).await;

    let created = user(PERSON).created().with("clerk_user_id", CLERK).at(NOW.plus(-HOUR));
    world.system.receives(created).await;

    // The same session is the person's from now on, by the role that Clerk has told.
    assert_eq!(left(&instance, &session).await, "4", "a limit of their own");
    assert_eq!(recorded_after(&world, first).await, [stand_in.as_str(), &stand_in, PERSON]);
    // So is the key, which an hour later notes its last use anew.
    let own = api_key("key_person").created(PERSON, PERSONS_KEY);
    world.system.receives(own).await;
    let settings = world.clerk.settings();
    let later =
        world.system.instance().authenticator(&settings).limits(5, 100).clock(|| NOW.plus(HOUR)).start();
    assert_eq!(left(&later, PERSONS_KEY).await, "4");
    let used = keys::key_used(&ApiKeyId::parse("key_person").unwrap());
    let used = world.system.item(CONTROL_TABLE, &used).await.unwrap();
    assert_eq!(used["at"], number(NOW.plus(HOUR).millis()));
    assert_eq!(kept(&world, &stand_in).await, of_stand_in);
    // The key stays with its id, which is no user any more.
    let refused = get::<Queries>("").by(KEY).send(&instance).await;
    assert_eq!((refused.status, refused.detail()), (403, "Admin access required".into()));
}
