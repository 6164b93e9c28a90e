//! Roles told by Clerk's Backend API.

use super::{FORBIDDEN, GOOD, INVALID, UNAVAILABLE, USER, World, created, is};
use serde_json::{Value, json};
use torale_platform::identity::IdentitySettings;
use torale_tests::clerk::{self, FakeClerk, Mood};
use torale_tests::generate::event;
use torale_tests::stack::{ADMIN_KEY, NOW};

fn clerk_user(id: &str, metadata: Value) -> Value {
    json!({ "id": id, "object": "user", "public_metadata": metadata })
}

pub(super) fn roles_of_clerk(clerk: &FakeClerk) -> IdentitySettings {
    IdentitySettings { role_source: "clerk".to_owned(), ..clerk.hasty_settings() }
}

#[tokio::test]
async fn clerk_can_be_the_source_of_roles() {
    let world = World::with(roles_of_clerk).await;
    let session = clerk::token(clerk::ADMIN);
    for (user, expected) in [
        (Some(clerk_user(clerk::ADMIN, json!({ "role": "admin" }))), GOOD),
        (Some(clerk_user(clerk::ADMIN, json!({ "role": "user" }))), FORBIDDEN),
        (Some(clerk_user(clerk::ADMIN, json!({ "role": ["admin"] }))), FORBIDDEN),
        (Some(clerk_user(clerk::ADMIN, json!({}))), FORBIDDEN),
        (Some(clerk_user(clerk::ADMIN, json!(null))), FORBIDDEN),
        (None, FORBIDDEN),
    ] {
        world.clerk.has_users(user.clone());
        for token in [session.as_str(), ADMIN_KEY] {
            assert_eq!(world.ask(token).await, is(expected), "{user:?}");
        }
    }
    let asked = ("/v1/users/user_admin".to_owned(), Some(format!("Bearer {}", clerk::SECRET)));
    assert!(
        world.clerk.asked().iter().filter(|(path, _)| path != clerk::JWKS).all(|request| *request == asked)
    );
    assert_eq!(world.clerk.count(), 1 + 6 * 2, "asked on every request");
}

#[tokio::test]
async fn state_counts_even_where_clerk_tells_roles() {
    let world = World::with(roles_of_clerk).await;
    world.stack.consume(&[created(0x02, "user_plain", "user")]).await;
    world.clerk.has_users([
        clerk_user("user_plain", json!({ "role": "admin" })),
        clerk_user(clerk::ADMIN, json!({ "role": "admin" })),
    ]);
    assert_eq!(
        world.ask(&clerk::token("user_plain")).await,
        is(GOOD),
        "the projections' role does not count"
    );
    world.stack.consume(&[event("d", NOW, "user.deactivated", json!({ "user_id": USER }))]).await;
    assert_eq!(world.ask(&clerk::token(clerk::ADMIN)).await, is(INVALID));
    assert_eq!(world.ask(ADMIN_KEY).await, is((401, "Invalid API key")));
}

#[tokio::test]
async fn trouble_with_clerks_roles_is_a_503_and_never_a_pass() {
    let world = World::with(roles_of_clerk).await;
    let admin = clerk_user(clerk::ADMIN, json!({ "role": "admin" }));
    world.clerk.has_users([admin.clone()]);
    assert_eq!(world.ask(&clerk::token(clerk::ADMIN)).await, is(GOOD));
    let other = clerk_user("user_other", json!({ "role": "admin" })).to_string();
    let twice = admin.to_string().replacen('{', r#"{"public_metadata":{},"#, 1);
    for mood in [
        Mood::Status(500),
        Mood::Status(401),
        Mood::Status(429),
        Mood::Status(204),
        Mood::Redirect,
        Mood::Silent,
        Mood::Text("{}".to_owned()),
        Mood::Text(other),
        Mood::Text(twice),
        Mood::Text(" ".repeat(256 * 1024) + &admin.to_string()),
    ] {
        world.clerk.feels(mood);
        for token in [clerk::token(clerk::ADMIN).as_str(), ADMIN_KEY] {
            assert_eq!(world.ask(token).await, is(UNAVAILABLE));
        }
    }
}
