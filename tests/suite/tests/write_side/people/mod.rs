//! Users of the platform and identities at the provider: one person, one row (docs/contract/events.md, "Identities and
//! users").

mod commands;
mod faulty_links;
mod own_ids;
mod renamed;
mod shared_identity;
mod taken_back;

use deactivate_user::DeactivateUser;
use serde_json::Value;
use stats::Stats;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::access::credentials::{self, SessionUser};
use torale_domain::deactivation::commands::{Command, ReceivedCommand};
use torale_domain::entities::linkage;
use torale_domain::events::{ReceivedMessage, parse};
use torale_domain::projections::links;
use torale_domain::storage::read::Reader;
use torale_domain::values::ids::ClerkUserId;
use torale_domain::values::time::{DAY, HOUR, MINUTE};
use torale_model::ModelSession;
use torale_platform::consume::{Consumer, QueueMessage, USERS_PAGE, catch_up};
use torale_platform::store::{Generations, TableReader, Usage};
use torale_testkit::events::{self, EventBuilder, api_key, identity, task, user};
use torale_testkit::generator::Generator;
use torale_testkit::rebuild;
use torale_testkit::request::{get, patch};
use torale_testkit::scenario::{Scenario, given, given_an_admin};
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{self, NOW, Stack};
use torale_tests::model;
use users::Users;

const ANN: &str = "660e8400-e29b-41d4-a716-446655440000";
const CLERK: &str = "user_ann";
const ANNS_KEY: &str = "sk_live_ann_0123456789_0123456789";
const PHONE: &str = "22222222-0000-4000-8000-000000000001";

fn created() -> EventBuilder {
    user(ANN).created().with("clerk_user_id", CLERK).with("email", "ann@example.com").at(NOW.plus(-10 * DAY))
}

fn key() -> EventBuilder {
    api_key("key_ann").created(ANN, ANNS_KEY).at(NOW.plus(-9 * DAY))
}

fn at_clerk() -> EventBuilder {
    identity(CLERK).created().at(NOW.plus(-10 * DAY).plus(MINUTE))
}

/// The id under which Ann's identity stands in for a user.
fn stand_in() -> String {
    linkage::derived(&ClerkUserId::parse(CLERK).unwrap()).to_string()
}

/// The users that are listed besides the admin, and how many are counted besides.
async fn listed(scenario: &Scenario) -> (Vec<Value>, u64) {
    let body = scenario.when(get::<Users>("")).await.with_status(200).json();
    let users = body["users"].as_array().unwrap().iter();
    let stats = scenario.when(get::<Stats>("")).await.with_status(200).json();
    let others = users.filter(|user| user["clerk_user_id"] != "user_admin").cloned().collect();
    (others, stats["users"]["total"].as_u64().unwrap() - 1)
}

/// What a request with Ann's key is answered.
async fn anns_key(scenario: &Scenario) -> u16 {
    scenario.when(get::<Stats>("").by(ANNS_KEY)).await.status
}

/// One run of the outbox relay: the commands that it sent. Its events are consumed.
async fn relay(scenario: &Scenario) -> Vec<ReceivedCommand> {
    let (commands, events) = (FakeSqs::default(), FakeSqs::default());
    let (store, deadline) = (scenario.store_as("OutboxRelay"), Instant::now() + Duration::from_secs(30));
    let (to_commands, to_events) = (commands.client(), events.client());
    outbox_relay::handle(&store, &to_commands, &to_events, || NOW, deadline).await.unwrap();
    scenario.consume(&events.taken()).await;
    commands.taken().iter().map(|body| Command::receive(body).unwrap()).collect()
}

/// A replay catches up with an event in the live generation: it writes its links, and requests no commands. So it is
/// for a message whose consumer died after it had written the log.
async fn replay_catches_up_with(scenario: &Scenario, event: &EventBuilder) {
    let live = Generations::default().read(&scenario.store(), &Usage::default()).await.unwrap();
    let Ok(ReceivedMessage::Known(event)) = parse(&event.message(), Some(NOW)) else { panic!("no event") };
    let until = Instant::now() + Duration::from_secs(60);
    let caught_up =
        catch_up(&scenario.store(), &live, vec![*event], USERS_PAGE, until, &Usage::default()).await;
    assert!(caught_up.complete, "{caught_up:?}");
    assert_eq!(relay(scenario).await, []);
}

/// What another consumer does with messages while this thread waits: the messages that fail.
fn meanwhile(consumer: &Arc<Consumer>, messages: &[QueueMessage]) -> Vec<String> {
    let (consumer, messages) = (Arc::clone(consumer), messages.to_vec());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let other = std::thread::spawn(move || runtime.block_on(stack::consume(&consumer, &messages)).failed);
    tokio::task::block_in_place(|| other.join().unwrap())
}

/// Kind and target of each command, sorted.
fn kinds(commands: &[ReceivedCommand]) -> Vec<(&'static str, String)> {
    let mut kinds: Vec<_> = commands.iter().map(|one| (one.command.kind(), one.command.target())).collect();
    kinds.sort();
    kinds
}

#[tokio::test]
async fn person_is_one_row_whether_the_platform_or_the_webhook_comes_first() {
    for events in [[created(), at_clerk()], [at_clerk(), created()]] {
        let scenario = given_an_admin().start().await;
        for event in events {
            scenario.receives(event).await;
        }
        scenario.receives(identity(CLERK).logged_in().at(NOW.plus(-HOUR))).await;

        let (users, total) = listed(&scenario).await;

        assert_eq!((users.len(), total), (1, 1));
        assert_eq!((&users[0]["id"], &users[0]["clerk_user_id"]), (&ANN.into(), &CLERK.into()));
        assert_eq!(users[0]["email"], "user_ann@clerk.example", "the later event says so");
        assert_eq!(users[0]["last_login"], "2026-03-31T09:30:30.500Z");
    }
}

/// Two consumers take the two events at the same moment, many times over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn person_is_one_row_when_both_come_at_once() {
    for _ in 0..12 {
        let scenario = given_an_admin().start().await;
        let (one, other) = (scenario.consumer(), scenario.consumer());
        let (platform, clerk) = ([created().message()], [at_clerk().message()]);
        let (platform, clerk) = (stack::messages(&platform), stack::messages(&clerk));
        let (a, b) = tokio::join!(stack::consume(&one, &platform), stack::consume(&other, &clerk));

        assert_eq!((a.failed.len(), b.failed.len()), (0, 0));

        let (users, total) = listed(&scenario).await;

        assert_eq!((users.len(), total), (1, 1));
        assert_eq!((&users[0]["id"], &users[0]["email"]), (&ANN.into(), &"user_ann@clerk.example".into()));
    }
}

/// The documented way to make somebody an administrator: Clerk's public metadata.
#[tokio::test]
async fn admin_by_metadata_at_clerk_is_admitted_with_a_key_of_the_platform() {
    let scenario = given((created(), key())).start().await;
    assert_eq!(anns_key(&scenario).await, 403);

    scenario.receives(at_clerk().with("role", "admin")).await;
    assert_eq!(anns_key(&scenario).await, 200);

    scenario.receives(identity(CLERK).updated().with("role", Value::Null)).await;
    assert_eq!(anns_key(&scenario).await, 403);
}

#[tokio::test]
async fn deletion_at_clerk_shuts_the_keys_on_the_next_request_and_stops_what_the_user_has() {
    let phone = task(PHONE).created(ANN, "iphone").at(NOW.plus(-DAY));
    let scenario = given(vec![created(), key(), phone, at_clerk().with("role", "admin")]).start().await;
    assert_eq!(anns_key(&scenario).await, 200);

    scenario.receives(identity(CLERK).deleted()).await;

    assert_eq!(anns_key(&scenario).await, 401);
    assert_eq!(listed(&scenario).await.0[0]["state"], "deactivated");

    let commands = relay(&scenario).await;

    // A deleted identity is not banned.
    let expected = [("api_key.revoke", "key_ann".to_owned()), ("task.pause", PHONE.to_owned())];
    assert_eq!(kinds(&commands), expected);
    assert!(commands.iter().all(|one| one.requested_by == "clerk"), "{commands:?}");

    // The message comes once more: nothing is commanded twice.
    scenario.receives(identity(CLERK).deleted()).await;
    assert_eq!(relay(&scenario).await, []);

    let late = task("22222222-0000-4000-8000-000000000002").created(ANN, "ps6").message();
    assert_eq!(scenario.consume(&[late]).await.late_entries, 1);
}

#[tokio::test]
async fn deletion_at_clerk_before_the_user_came_causes_the_commands_too() {
    let scenario = given((key(), identity(CLERK).deleted())).start().await;
    assert_eq!(relay(&scenario).await, []);

    scenario.receives(created()).await;

    assert_eq!(kinds(&relay(&scenario).await), [("api_key.revoke", "key_ann".to_owned())]);
}

#[tokio::test]
async fn identity_that_gets_an_external_id_leaves_its_stand_in() {
    let scenario = given((created().with("clerk_user_id", "user_other"), at_clerk())).start().await;
    let (users, total) = listed(&scenario).await;
    assert_eq!((users.len(), total), (2, 2), "the identity stands in for a user of its own");

    scenario.receives(identity(CLERK).updated().with("external_id", ANN.to_uppercase())).await;

    let (users, total) = listed(&scenario).await;
    assert_eq!((users.len(), total), (1, 1));
    assert_eq!((&users[0]["id"], &users[0]["clerk_user_id"]), (&ANN.into(), &"user_other".into()));
    assert_eq!(scenario.when(patch::<DeactivateUser>(&stand_in())).await.status, 404);
}

/// Whoever deactivates a stand-in has deactivated the person, under whatever id the platform creates them afterwards.
#[tokio::test]
async fn deactivated_stand_in_stays_deactivated_as_a_user_of_the_platform() {
    let scenario = given(at_clerk()).start().await;
    assert_eq!(scenario.when(patch::<DeactivateUser>(&stand_in())).await.status, 200);
    let sent = scenario.commands.taken();
    let sent: Vec<_> = sent.iter().map(|body| Command::receive(body).unwrap()).collect();
    assert_eq!(kinds(&sent), [("user.ban", CLERK.to_owned())]);
    relay(&scenario).await;

    scenario.receives((created().at(NOW.plus(-DAY)), key())).await;

    let (users, total) = listed(&scenario).await;
    assert_eq!((users.len(), total), (1, 1));
    assert_eq!((&users[0]["id"], &users[0]["state"]), (&ANN.into(), &"deactivated".into()));
    assert_eq!(anns_key(&scenario).await, 401);
}

/// A user under the derived id, as the webhook of an earlier release made them, and the platform's own, of one
/// identity: the outbox carries the event to the consumer, which knows of the other user.
#[tokio::test]
async fn deactivation_under_the_derived_id_reaches_the_users_of_the_identity() {
    let derived = stand_in();
    let old = user(&derived).created().with("clerk_user_id", CLERK).at(NOW.plus(-20 * DAY));
    let scenario = given(vec![old, created(), key(), at_clerk().with("role", "admin")]).start().await;
    assert_eq!(anns_key(&scenario).await, 200);

    assert_eq!(scenario.when(patch::<DeactivateUser>(&derived)).await.status, 200);
    relay(&scenario).await;

    assert_eq!(anns_key(&scenario).await, 401);
}

/// Events of the derived id are an identity's only if an event of the identity says something.
#[tokio::test]
async fn event_that_says_nothing_makes_no_identity() {
    let update = || identity(CLERK).updated().at(NOW.plus(-5 * DAY));
    for (update, state) in [(update(), "active"), (update().with("role", "user"), "deactivated")] {
        let scenario = given(vec![created(), update, user(&stand_in()).deactivated()]).start().await;
        let (users, total) = listed(&scenario).await;
        assert_eq!((users.len(), total), (1, 1));
        assert_eq!(users[0]["state"], state);
    }
}

/// Whom a session of this identity logs in as.
async fn login(stack: &Stack, clerk: &ClerkUserId) -> SessionUser {
    let (store, usage) = (stack.store(), Usage::default());
    let live = Generations::default().read(&store, &usage).await.unwrap();
    let found = TableReader::of(&store, &live, &usage).read(links::login_reads(clerk)).await.unwrap();
    let items: Vec<_> = found.items.into_values().chain(found.ranges.into_iter().flatten()).collect();
    credentials::login(clerk, &items).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_log_in_as_the_independent_model_says() {
    let (mut users, mut stand_ins, mut deleted, mut nobody) = (0, 0, 0, 0);
    for seed in 3000..3030 {
        let messages = Generator::new(seed).messages(100);
        let stack = Stack::start().await;
        stack.consume(&messages).await;
        let expected = model::model(&messages);
        for clerk in ["user/ä b?#\u{1}", "user", "user-2", "user-3", "user-4"] {
            let found = login(&stack, &ClerkUserId::parse(clerk).unwrap()).await;
            let found = match found {
                SessionUser::As(id) => Some(id.to_string()),
                SessionUser::Nobody | SessionUser::Deleted => None,
            };
            let (expected, count) = match expected.session(clerk) {
                ModelSession::User(id) => (Some(id), &mut users),
                ModelSession::StandIn(id) => (Some(id), &mut stand_ins),
                ModelSession::NoUser => (None, &mut nobody),
                ModelSession::IdentityDeleted => (None, &mut deleted),
            };
            assert_eq!(found, expected, "seed {seed}, {clerk:?}");
            *count += 1;
        }
    }
    assert!(
        users > 0 && stand_ins > 0 && deleted > 0 && nobody > 0,
        "{users} {stand_ins} {deleted} {nobody}"
    );
}

/// Two consumers create one user with different identities at the same moment, many times over: the identity that the
/// user does not name in the end stands in for one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stand_in_is_there_when_two_consumers_create_one_user_with_different_identities() {
    let before = vec![at_clerk(), identity("user_other").created().at(NOW.plus(-10 * DAY))];
    let second = created().with("clerk_user_id", "user_other").at(NOW.plus(-DAY));
    let all = [before.clone(), vec![created(), second.clone()]].concat();
    let all: Vec<String> = events::admin().into_iter().chain(all.iter().map(EventBuilder::message)).collect();
    let expected = rebuild::items(&all, Some(NOW));
    for _ in 0..8 {
        let scenario = given(before.clone()).start().await;
        let (one, other) = (scenario.consumer(), scenario.consumer());
        let (first, last) = ([created().message()], [second.message()]);
        let (first, last) = (stack::messages(&first), stack::messages(&last));
        let (a, b) = tokio::join!(stack::consume(&one, &first), stack::consume(&other, &last));

        assert_eq!((a.failed.len(), b.failed.len()), (0, 0));
        assert!(scenario.projections().await == expected);
    }
}
