//! The key set: fetched rarely, used through an outage.

use super::{GOOD, INVALID, UNAVAILABLE, World, is, signed_by};
use serde_json::json;
use tokio::time::Duration;
use torale_platform::authentication::IdentityProviderSettings;
use torale_testkit::clerk::{self, ClerkBehaviour, FakeClerk, TestKey};
use torale_testkit::stack::ADMIN_KEY;

/// Lets time pass for caches; the clock of requests stands still.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn key_set_is_fetched_once_in_thirty_seconds_for_a_thousand_unknown_keys() {
    let world = World::start().await;
    let unknown = |n: usize| signed_by(TestKey::B, &clerk::header(&format!("unknown-{n}")));
    let tokens: Vec<String> = (0..20).map(unknown).collect();
    let all = futures::future::join_all((0..1_000).map(|n| world.admits(&tokens[n % 20])));

    assert!(all.await.iter().all(|answer| *answer == is(INVALID)));
    assert_eq!(world.clerk.count(), 1);

    pass(Duration::from_secs(20)).await;
    assert_eq!(world.admits(&tokens[0]).await, is(INVALID));
    assert_eq!(world.clerk.count(), 1);

    pass(Duration::from_secs(10)).await;

    for token in &tokens {
        assert_eq!(world.admits(token).await, is(INVALID));
    }

    assert_eq!(world.clerk.count(), 2);
    assert_eq!(world.admits(&clerk::token(clerk::ADMIN)).await, is(GOOD));
}

#[tokio::test]
async fn key_set_takes_a_new_key_and_drops_an_old_one() {
    let world = World::start().await;
    let (old, new) = (clerk::token(clerk::ADMIN), signed_by(TestKey::B, &clerk::header("b")));

    assert_eq!(world.admits(&old).await, is(GOOD));

    world.clerk.has_keys([TestKey::B.jwk("b")]);
    assert_eq!(world.admits(&new).await, is(INVALID), "fetched a moment ago");

    pass(Duration::from_secs(30)).await;
    assert_eq!(world.admits(&new).await, is(GOOD));
    assert_eq!(world.admits(&old).await, is(INVALID));
    assert_eq!(world.clerk.count(), 2);
}

/// The key may be one of a key set that cannot be fetched: the token is not known to be wrong.
#[tokio::test]
async fn key_that_is_new_during_an_outage_is_a_503_until_the_key_set_is_fetched() {
    let (old, new) = (clerk::token(clerk::ADMIN), signed_by(TestKey::B, &clerk::header("b")));

    for (name, behaviour) in outages() {
        let world = World::with(FakeClerk::impatient_settings).await;
        assert_eq!(world.admits(&old).await, is(GOOD), "{name}");
        world.clerk.has_keys([TestKey::B.jwk("b")]);
        world.clerk.behaves(behaviour);
        pass(Duration::from_secs(30)).await;
        for _ in 0..2 {
            assert_eq!(world.admits(&new).await, is(UNAVAILABLE), "{name}");
        }
        assert_eq!(world.clerk.count(), 2, "{name}: not fetched for every request");
        assert_eq!(world.admits(&old).await, is(GOOD), "{name}");
        world.clerk.behaves(ClerkBehaviour::Normal);
        pass(Duration::from_secs(30)).await;
        assert_eq!(world.admits(&new).await, is(GOOD), "{name}");
        assert_eq!(world.admits(&old).await, is(INVALID), "{name}");
    }
}

#[tokio::test]
async fn key_set_is_used_for_ten_minutes_and_one_fetch_serves_all_callers() {
    let world = World::start().await;
    let token = clerk::token(clerk::ADMIN);

    for (passed, fetches) in [(0, 1), (580, 1), (20, 2), (580, 2)] {
        pass(Duration::from_secs(passed)).await;
        let all = futures::future::join_all((0..10).map(|_| world.admits(&token))).await;
        assert!(all.iter().all(|answer| *answer == is(GOOD)), "{all:?}");
        assert_eq!(world.clerk.count(), fetches, "{passed}");
    }
}

fn outages() -> Vec<(&'static str, ClerkBehaviour)> {
    vec![
        ("down", ClerkBehaviour::Status(503)),
        ("no content", ClerkBehaviour::Status(204)),
        ("silent", ClerkBehaviour::Silent),
        ("redirect", ClerkBehaviour::Redirect),
        ("no JSON", ClerkBehaviour::Text("<html>".to_owned())),
        ("no keys", ClerkBehaviour::Text(r#"{"keys":[]}"#.to_owned())),
        ("keys twice", ClerkBehaviour::Text(r#"{"keys":[],"keys":[]}"#.to_owned())),
        (
            "too large",
            ClerkBehaviour::Text(
                " ".repeat(256 * 1024) + &json!({ "keys": [TestKey::A.jwk("a")] }).to_string(),
            ),
        ),
    ]
}

#[tokio::test]
async fn key_set_that_was_never_fetched_is_a_503_until_the_provider_is_back() {
    let token = clerk::token(clerk::ADMIN);

    for (name, behaviour) in outages() {
        let world = World::with(FakeClerk::impatient_settings).await;
        world.clerk.behaves(behaviour);
        let answers = futures::future::join_all((0..3).map(|_| world.admits(&token))).await;
        assert!(answers.iter().all(|answer| *answer == is(UNAVAILABLE)), "{name}: {answers:?}");
        assert_eq!(world.clerk.count(), 1, "{name}: one fetch in two seconds");
        assert_eq!(world.admits("not.a.token").await, is(INVALID), "{name}");
        assert_eq!(world.admits(ADMIN_KEY).await, is(GOOD), "{name}: keys need no provider");
        world.clerk.behaves(ClerkBehaviour::Normal);
        pass(Duration::from_secs(2)).await;
        assert_eq!(world.admits(&token).await, is(GOOD), "{name}");
    }
}

#[tokio::test]
async fn key_set_at_an_address_without_a_listener_is_a_503() {
    let nowhere = |clerk: &FakeClerk| IdentityProviderSettings {
        jwks_url: Some("http://127.0.0.1:1/jwks".to_owned()),
        ..clerk.settings()
    };
    let world = World::with(nowhere).await;

    assert_eq!(world.admits(&clerk::token(clerk::ADMIN)).await, is(UNAVAILABLE));
}

#[tokio::test]
async fn key_set_is_used_through_an_outage_of_a_day_and_no_longer() {
    let token = clerk::token(clerk::ADMIN);

    for (name, behaviour) in outages() {
        let world = World::with(FakeClerk::impatient_settings).await;
        assert_eq!(world.admits(&token).await, is(GOOD), "{name}");
        world.clerk.behaves(behaviour);
        pass(Duration::from_secs(600)).await;
        for _ in 0..3 {
            assert_eq!(world.admits(&token).await, is(GOOD), "{name}");
        }
        assert_eq!(world.clerk.count(), 2, "{name}: not fetched for every request");
        pass(Duration::from_secs(24 * 3600 - 660)).await;
        assert_eq!(world.admits(&token).await, is(GOOD), "{name}");
        pass(Duration::from_secs(60)).await;
        assert_eq!(world.admits(&token).await, is(UNAVAILABLE), "{name}: a day old");
    }
}
