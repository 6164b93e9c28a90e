//! One Clerk id that many users share: what a request reads stays small, and every event still reaches them all.

use super::{CLERK, kinds, listed, login, relay, replay_catches_up_with};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::access::credentials::SessionUser;
use torale_domain::entities::linkage;
use torale_domain::projections::links::{self, MAX_LOGINS};
use torale_domain::storage::read::Reader;
use torale_domain::values::ids::{ClerkUserId, UserId};
use torale_domain::values::time::DAY;
use torale_platform::consume::Consumer;
use torale_platform::store::{Generations, TableReader, Usage};
use torale_testkit::events::{self, EventBuilder, api_key, identity, user};
use torale_testkit::interceptor::Interceptor;
use torale_testkit::rebuild;
use torale_testkit::scenario::{Scenario, given, given_an_admin};
use torale_testkit::stack::{self, NOW, Stack};
use torale_tests::model;
use uuid::Uuid;

const USERS: u128 = 200;

fn id(n: u128) -> String {
    Uuid::from_u128(0x7a50_0000_0000_4000_8000_0000_0000_0000 + n).to_string()
}

/// The time of creation runs backwards against the ids, and ten users share each second; of these the event's id
/// decides.
fn created(n: u128) -> EventBuilder {
    let seconds = i64::try_from(n / 10).unwrap();
    let event = user(&id(n)).created().with("clerk_user_id", CLERK);
    event.at(NOW.plus(-10 * DAY - seconds * 1_000)).id(format!("e{}", (n * 7) % 10))
}

/// The user whose `user.created` is the greatest: of the ten that came last the one whose event's id is `e9`.
fn greatest() -> String {
    id(7)
}

fn clerk() -> ClerkUserId {
    ClerkUserId::parse(CLERK).unwrap()
}

/// Consumes some messages, again until none fails, and returns what the last delivery read.
async fn consumed(stack: &Stack, messages: &[String]) -> Usage {
    let mut waiting = stack::messages(messages);
    loop {
        let (usage, until) = (Usage::default(), Instant::now() + Duration::from_secs(60));
        let failed = stack.consumer().consume(&waiting, until, &usage).await.failed;
        waiting.retain(|message| failed.contains(&message.id));
        if waiting.is_empty() {
            return usage;
        }
    }
}

async fn shared_by_many() -> (Scenario, Vec<String>) {
    let scenario = given_an_admin().start().await;
    let mut messages = events::admin();
    messages.extend((0..USERS).map(|n| created(n).message()));
    for some in messages.chunks(100) {
        consumed(&scenario, some).await;
    }
    (scenario, messages)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_of_an_identity_that_many_share_reads_a_few_and_finds_the_greatest() {
    let (scenario, mut messages) = shared_by_many().await;
    let greatest = SessionUser::As(UserId::parse(&greatest()).unwrap());

    let (store, usage) = (scenario.store(), Usage::default());
    let live = Generations::default().read(&store, &Usage::default()).await.unwrap();
    let found = TableReader::of(&store, &live, &usage).read(links::login_reads(&clerk())).await.unwrap();

    assert_eq!(login(&scenario, &clerk()).await, greatest);
    assert_eq!((usage.round_trips(), found.ranges[0].len()), (1, MAX_LOGINS));
    assert!(usage.read_units() <= 4.0, "{}", usage.read_units());

    // An event of one of them reads no others.
    let one = user(&id(5)).logged_in().message();
    let usage = consumed(&scenario, std::slice::from_ref(&one)).await;
    assert!(usage.read_units() <= 30.0, "{}", usage.read_units());

    // One of the identity reaches all of them, however many deliveries that takes.
    let renamed = identity(CLERK).updated().with("email", "shared@example.com").message();
    consumed(&scenario, std::slice::from_ref(&renamed)).await;

    // If it comes again, those that it has reached cost a part of a batch each: it goes on where its time ran out.
    let again = consumed(&scenario, std::slice::from_ref(&renamed)).await;
    assert!(again.round_trips() <= 20, "{}", again.round_trips());

    messages.extend([one, renamed]);
    assert!(scenario.projections().await == rebuild::items(&messages, Some(NOW)), "as a rebuild makes them");
    let world = model::model(&messages);
    for query in ["", "limit=100&page=2", "q=shared@example.com&page=3", "active_only=1"] {
        model::check(&scenario, &world, "/admin/users", query).await;
    }
    model::check(&scenario, &world, "/admin/stats", "").await;
}

/// The keys or ranges that a delivery has read, as the bodies of its calls.
async fn read_by(
    scenario: &Scenario,
    consumer_dies_after: usize,
    message: &str,
) -> (Vec<String>, Vec<String>) {
    let transactions = AtomicUsize::new(0);
    let calls: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let noted = Arc::clone(&calls);
    let interceptor = Interceptor::before(move |call| {
        let is_write = usize::from(call.operation == "TransactWriteItems");
        if transactions.fetch_add(is_write, Ordering::SeqCst) + is_write > consumer_dies_after {
            return Err("dead".into());
        }
        let body = String::from_utf8_lossy(call.body).into_owned();
        noted.lock().unwrap().push((call.operation.to_owned(), body));
        Ok(())
    });
    let consumer = Consumer::new(scenario.store_with(interceptor), || NOW).with_users_page(PAGE);
    let failed = stack::consume(&consumer, &stack::messages(&[message.to_owned()])).await.failed;
    assert_eq!(failed.is_empty(), consumer_dies_after == usize::MAX);
    let calls = std::mem::take(&mut *calls.lock().unwrap());
    let of = |kind: &str| calls.iter().filter(|call| call.0 == kind).map(|call| call.1.clone()).collect();
    (of("Query"), of("BatchGetItem"))
}

/// The users of one identity that a consumer reads at once in these tests.
const PAGE: usize = 5;

/// An identity of more users than are read at once: no reading holds more of them, and a message that comes again goes
/// on with the page at which its consumer died.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_of_an_identity_goes_on_with_the_page_where_its_consumer_died() {
    let scenario = given_an_admin().start().await;
    let mut messages = events::admin();
    messages.extend((0..23).map(|n| created(n).message()));
    consumed(&scenario, &messages).await;
    let renamed = identity(CLERK).updated().with("email", "shared@example.com").message();
    let mentioned = |calls: &[String], users: std::ops::Range<u128>| {
        users.filter(|n| calls.iter().any(|call| call.contains(&id(*n)))).collect::<Vec<_>>()
    };

    // The event, ten links on two pages, and some of the third page.
    read_by(&scenario, 13, &renamed).await;
    let (queries, gets) = read_by(&scenario, usize::MAX, &renamed).await;

    let pages: Vec<_> = queries.iter().filter(|query| query.contains(&format!("i#{CLERK}"))).collect();
    assert_eq!(pages.len(), 1 + 3, "the first page, and those from the third to the last: {pages:#?}");
    assert!(pages.iter().all(|page| page.contains(&format!("\"Limit\":{PAGE}"))), "{pages:#?}");
    assert_eq!(mentioned(&gets, 0..23), (0..5).chain(10..23).collect::<Vec<_>>());
    messages.push(renamed.clone());
    assert!(scenario.projections().await == rebuild::items(&messages, Some(NOW)), "as a rebuild makes them");

    // Whatever comes again after its end reads the first page alone.
    let (queries, gets) = read_by(&scenario, usize::MAX, &renamed).await;
    assert_eq!(mentioned(&gets, 0..23), (0..5).collect::<Vec<_>>());
    assert!(queries.len() <= 3, "{queries:#?}");

    // A note of other content is worth nothing.
    let again = identity(CLERK).updated().with("email", "again@example.com").at(NOW).id("later").message();
    read_by(&scenario, usize::MAX, &again).await;
    messages.push(again);
    assert!(scenario.projections().await == rebuild::items(&messages, Some(NOW)), "as a rebuild makes them");
}

/// An event of the user id that is derived from the identity concerns all of its users, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_of_the_derived_id_reaches_every_page_of_users() {
    let scenario = given_an_admin().start().await;
    let mut messages = events::admin();
    messages.push(identity(CLERK).created().message());
    messages.extend((0..12).map(|n| created(n).message()));
    let stand_in = linkage::derived(&clerk()).to_string();
    messages.push(user(&stand_in).created().with("clerk_user_id", CLERK).message());
    consumed(&scenario, &messages).await;
    let deactivated = user(&stand_in).deactivated().message();

    read_by(&scenario, usize::MAX, &deactivated).await;

    messages.push(deactivated);
    assert!(scenario.projections().await == rebuild::items(&messages, Some(NOW)), "as a rebuild makes them");
}

/// Identities that all say to be of one user: they are read in batches, also when the message comes for the first time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_of_a_user_with_many_identities_costs_a_few_round_trips_in_all() {
    const IDENTITIES: usize = 60;
    let scenario = given_an_admin().start().await;
    let claims = (0..IDENTITIES).map(|n| identity(&format!("user_{n}")).created().with("external_id", id(0)));
    let mut messages = events::admin();
    messages.extend(claims.map(|event| event.message()));
    messages.push(created(0).message());
    for some in messages.chunks(50) {
        consumed(&scenario, some).await;
    }

    let login = user(&id(0)).logged_in().message();
    for delivery in ["first", "again"] {
        let usage = consumed(&scenario, std::slice::from_ref(&login)).await;
        assert!(usage.round_trips() <= 20, "{delivery}: {}", usage.round_trips());
    }

    messages.push(login);
    assert!(scenario.projections().await == rebuild::items(&messages, Some(NOW)), "as a rebuild makes them");
    model::check(&scenario, &model::model(&messages), "/admin/users", "").await;
}

/// What a replay catches up with writes links and requests no commands. The message itself, which comes afterwards,
/// finds its links up to date and requests them all the same: for each user, also where the links are checked in
/// batches.
#[tokio::test]
async fn commands_are_requested_by_the_message_whose_links_a_replay_has_written() {
    const SHARING: u128 = 6;
    let key = |n: u128| api_key(&format!("key_{n}")).created(&id(n), &format!("sk_live_0123456789_{n:020}"));
    let events: Vec<_> = (0..SHARING).flat_map(|n| [created(n), key(n)]).collect();
    let scenario = given(events).start().await;
    let deletion = identity(CLERK).deleted();

    replay_catches_up_with(&scenario, &deletion).await;
    let (users, _) = listed(&scenario).await;
    assert!(users.iter().all(|user| user["state"] == "deactivated"), "{users:?}");

    scenario.receives(deletion).await;

    let expected: Vec<_> = (0..SHARING).map(|n| ("api_key.revoke", format!("key_{n}"))).collect();
    assert_eq!(kinds(&relay(&scenario).await), expected);
}
