//! Whose an API key is (`docs/contract/events.md`, "API keys"): it follows from all events of all keys with its hash,
//! in whatever order they came.

use ::user::ReadUser;
use deactivate_user::DeactivateUser;
use serde_json::json;
use stats::Stats;
use torale_domain::deactivation::commands::Command;
use torale_domain::values::digest;
use torale_domain::values::time::DAY;
use torale_testkit::events::{EventBuilder, IntoMessages, api_key, user};
use torale_testkit::generator::Generator;
use torale_testkit::logs::LogBuffer;
use torale_testkit::rebuild;
use torale_testkit::request::{get, patch};
use torale_testkit::scenario::{Scenario, given, given_an_admin};
use torale_testkit::stack::NOW;
use torale_tests::model;
use tracing::instrument::WithSubscriber;

const ANN: &str = "11111111-0000-4000-8000-00000000000a";
const BOB: &str = "11111111-0000-4000-8000-00000000000b";
const TEXT: &str = "sk_one_0123456789abcdefghij";
const OTHER: &str = "sk_two_0123456789abcdefghij";

/// Two administrators, and what else happened, each event a second after the one before.
fn events(more: Vec<EventBuilder>) -> Vec<String> {
    let admins = [ANN, BOB].map(|id| user(id).created().with("role", "admin"));
    let all = admins.into_iter().chain(more).enumerate();
    let at = |second: usize| NOW.plus(-DAY + 1_000 * i64::try_from(second).unwrap());
    all.flat_map(|(second, event)| event.at(at(second)).into_messages()).collect()
}

async fn status(scenario: &Scenario, text: &str) -> u16 {
    get::<Stats>("").by(text).send(&scenario.app()).await.status
}

/// What requests with a key are answered, after these events and after the same in reverse.
async fn statuses(more: Vec<EventBuilder>, text: &str) -> u16 {
    let mut messages = events(more);
    let forth = status(&given(messages.clone()).start().await, text).await;
    messages.reverse();
    let back = status(&given(messages).start().await, text).await;
    assert_eq!(forth, back, "the order of delivery must not matter");
    forth
}

#[tokio::test]
async fn revoked_api_key_does_not_come_alive_under_another_id() {
    let before = vec![api_key("a").created(ANN, TEXT), api_key("b").created(ANN, TEXT)];
    assert_eq!(statuses(before, TEXT).await, 200);

    for id in ["a", "b", "z"] {
        let key = api_key("b");
        let events = vec![key.created(ANN, TEXT), key.revoked(ANN), api_key(id).created(ANN, TEXT)];
        assert_eq!(statuses(events, TEXT).await, 401, "{id}");
    }
    let again =
        vec![api_key("b").created(ANN, TEXT), api_key("b").created(ANN, OTHER), api_key("b").revoked(ANN)];
    assert_eq!(statuses(again.clone(), TEXT).await, 401, "the text that it had before");
    assert_eq!(statuses(again, OTHER).await, 401);
}

#[tokio::test]
async fn api_key_of_two_users_admits_neither() {
    let two_keys = vec![api_key("a").created(ANN, TEXT), api_key("b").created(BOB, TEXT)];
    assert_eq!(statuses(two_keys, TEXT).await, 401);

    let one_key = vec![api_key("a").created(ANN, TEXT), api_key("a").created(BOB, OTHER)];
    assert_eq!(statuses(one_key.clone(), TEXT).await, 401, "all users of a key go with all its hashes");
    assert_eq!(statuses(one_key, OTHER).await, 401);

    let renewed = vec![api_key("a").created(ANN, TEXT), api_key("a").created(ANN, OTHER)];
    assert_eq!(statuses(renewed.clone(), TEXT).await, 200);
    assert_eq!(statuses(renewed, OTHER).await, 200);
}

#[tokio::test]
async fn api_key_of_two_users_is_warned_of_and_recorded_under_its_id() {
    let scenario =
        given(events(vec![api_key("a").created(ANN, TEXT), api_key("b").created(BOB, TEXT)])).start().await;
    let log = LogBuffer::new();

    let request = get::<Stats>("").by(TEXT);
    let app = scenario.app();
    let answer = request.send(&app).with_subscriber(log.subscriber()).await;

    assert_eq!(answer.status, 401);
    let line = log.line("level", "WARN");
    assert_eq!(line["key"], "a");
    assert!(!log.text().contains(TEXT));
    let records = scenario.records().await;
    let [link] = &records[..] else { panic!("{records:?}") };
    let (entry, key) = (&link.record.entry, link.record.entry.principal.key_id.as_ref());
    assert_eq!((entry.status, entry.principal.user_id, key.map(|key| key.as_str())), (401, None, Some("a")));
}

/// The ids of the keys that are revoked with a user, after these events.
async fn revoked_with(user: &str, more: Vec<EventBuilder>) -> Vec<String> {
    let scenario = given(events(more)).start().await;
    assert_eq!(scenario.when(patch::<DeactivateUser>(user)).await.status, 200);
    let commands = scenario.commands.taken();
    let commands = commands.iter().map(|body| Command::receive(body).unwrap().command);
    let revoked = commands.filter(|command| command.kind() == "api_key.revoke");
    let mut ids: Vec<String> = revoked.map(|command| command.target().to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn api_key_of_two_users_is_revoked_with_either() {
    let both = || [ANN, BOB].map(|user| api_key("both").created(user, TEXT));
    let keys = || both().into_iter().chain([api_key("anns").created(ANN, OTHER)]).collect();
    assert_eq!(revoked_with(ANN, keys()).await, ["anns", "both"]);
    assert_eq!(revoked_with(BOB, keys()).await, ["both"]);
}

/// Few keys, texts and users, so that they collide.
fn colliding_events(generator: &mut Generator) -> Vec<EventBuilder> {
    let count = 2 + generator.below(8);
    let mut pick = |of: [&'static str; 3]| of[usize::try_from(generator.below(3)).unwrap()];
    (0..count)
        .map(|_| {
            let key = api_key(pick(["a", "b", "c"]));
            let user = pick([ANN, BOB, ANN]);
            match pick(["created", "created", "revoked"]) {
                "created" => key.created(user, pick([TEXT, OTHER, "sk_three_0123456789abcdefghij"])),
                _ => key.revoked(user),
            }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_keys_are_good_as_the_model_says_in_any_order_and_after_a_rebuild() {
    for seed in 0..40 {
        let mut messages = events(colliding_events(&mut Generator::new(seed)));
        let expected = model::model(&messages);
        let mut items = Vec::new();
        for _ in 0..2 {
            let scenario = given(messages.clone()).start().await;
            for text in [TEXT, OTHER, "sk_three_0123456789abcdefghij"] {
                let hash = digest::sha256_hex(&[text.as_bytes()]);
                assert_eq!(status(&scenario, text).await, expected.key_status(&hash), "seed {seed}: {text}");
            }
            items.push(scenario.projections().await);
            messages.reverse();
        }
        assert_eq!(items[0], items[1], "seed {seed}");
        let all: Vec<String> = torale_testkit::events::admin().into_iter().chain(messages).collect();
        assert_eq!(rebuild::items(&all, Some(NOW)), items[0], "seed {seed}");
    }
}

/// So many texts that a key can't keep all of their hashes.
fn texts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("sk_{number:030}")).collect()
}

/// Issue 16, number 12: only the 17 least hashes of such a key were dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_api_key_with_many_hashes_leaves_none_of_them_alive() {
    // More than one transaction holds, in one batch.
    let texts = texts(120);
    let own = texts.iter().map(|text| api_key("a").created(ANN, text));
    let again =
        texts.iter().enumerate().map(|(number, text)| api_key(&format!("b{number}")).created(ANN, text));
    let mut messages = events(own.chain([api_key("a").revoked(ANN)]).chain(again).collect());
    let mut items = Vec::new();

    for _ in 0..2 {
        let scenario = given(messages.clone()).start().await;
        for text in &texts {
            assert_eq!(status(&scenario, text).await, 401, "{text}");
        }
        items.push(scenario.projections().await);
        messages.reverse();
    }

    assert_eq!(items[0], items[1]);
    let all: Vec<String> = torale_testkit::events::admin().into_iter().chain(messages).collect();
    assert_eq!(rebuild::items(&all, Some(NOW)), items[0]);
}

/// Two keys with many texts, some of which are the other one's too.
fn many_claims(generator: &mut Generator, texts: &[String]) -> Vec<EventBuilder> {
    let count = 20 + generator.below(40);
    let mut below = |limit: usize| usize::try_from(generator.below(u64::try_from(limit).unwrap())).unwrap();
    (0..count)
        .map(|_| {
            let key = api_key(["a", "a", "a", "b", "c"][below(5)]);
            let user = if below(60) == 0 { BOB } else { ANN };
            if below(60) == 0 { key.revoked(user) } else { key.created(user, &texts[below(texts.len())]) }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_keys_with_many_hashes_are_good_as_the_model_says_however_their_events_are_cut() {
    let texts = texts(30);
    let mut answered = [0, 0];
    for seed in 0..8 {
        let generator = &mut Generator::new(seed);
        let mut messages = events(many_claims(generator, &texts));
        let expected = model::model(&messages);
        let all: Vec<String> = torale_testkit::events::admin().into_iter().chain(messages.clone()).collect();
        let built = rebuild::items(&all, Some(NOW));
        for size in [1, 7, 1000] {
            let scenario = given_an_admin().start().await;
            for batch in messages.chunks(size).chain(messages.chunks(size).take(1)) {
                scenario.consume(batch).await;
            }
            for text in &texts {
                let expected = expected.key_status(&digest::sha256_hex(&[text.as_bytes()]));
                assert_eq!(status(&scenario, text).await, expected, "seed {seed}, batches of {size}: {text}");
                answered[usize::from(expected == 200)] += 1;
            }
            assert!(scenario.projections().await == built, "seed {seed}, batches of {size}");
            messages.reverse();
        }
    }
    assert!(answered.iter().all(|count| *count > 50), "{answered:?}");
}

/// What one event adds must fit into one transaction, so a key can't have more and more claims.
#[tokio::test]
async fn api_key_with_too_many_hashes_is_refused_for_ever() {
    let texts = texts(17);
    let claims =
        |count: usize| texts[..count].iter().map(|text| api_key("a").created(ANN, text)).collect::<Vec<_>>();

    assert_eq!(statuses(claims(16), &texts[0]).await, 200);
    assert_eq!(statuses(claims(17), &texts[0]).await, 401);
    let scenario = given(events([claims(17), vec![api_key("a").revoked(ANN)]].concat())).start().await;
    assert_eq!(status(&scenario, &texts[3]).await, 401);
}

/// It is refused here; the platform may accept it until it revokes it.
#[tokio::test]
async fn api_key_with_too_many_hashes_is_listed_as_alive_and_revoked_with_its_user() {
    let claims: Vec<_> = texts(17).iter().map(|text| api_key("a").created(ANN, text)).collect();
    let scenario = given(events(claims.clone())).start().await;

    let detail = scenario.when(get::<ReadUser>("").about(ANN)).await.json();

    assert_eq!(detail["api_keys"][0]["revoked"], json!(false));
    assert_eq!(revoked_with(ANN, claims).await, ["a"]);
}

#[tokio::test]
async fn api_key_of_more_than_17_users_is_revoked_with_the_17_smallest_of_them() {
    let user = |n: usize| format!("00000000-0000-4000-8000-{n:012}");
    let claims = |others: usize| {
        let others = (0..others).map(|n| api_key("a").created(&user(n), TEXT));
        others.chain([api_key("a").created(ANN, TEXT)]).collect::<Vec<_>>()
    };

    assert_eq!(revoked_with(ANN, claims(16)).await, ["a"], "the 17th");
    assert!(revoked_with(ANN, claims(17)).await.is_empty(), "the 18th");
}
