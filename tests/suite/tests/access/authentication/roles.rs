//! Roles that come from Clerk's Backend API.

use super::{FORBIDDEN, GOOD, INVALID, UNAVAILABLE, World, created, is};
use serde_json::{Value, json};
use torale_platform::authentication::IdentityProviderSettings;
use torale_testkit::clerk::{self, ClerkBehaviour, FakeClerk};
use torale_testkit::events::{ADMIN, user};
use torale_testkit::stack::ADMIN_KEY;

fn clerk_user(id: &str, metadata: Value) -> Value {
    json!({ "id": id, "object": "user", "public_metadata": metadata })
}

pub(super) fn roles_of_clerk(clerk: &FakeClerk) -> IdentityProviderSettings {
    IdentityProviderSettings { role_source: "clerk".to_owned(), ..clerk.impatient_settings() }
}

#[tokio::test]
async fn roles_from_clerk_are_fetched_on_every_request_and_decide() {
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
            assert_eq!(world.admits(token).await, is(expected), "{user:?}");
        }
    }

    let of_the_user = ("/v1/users/user_admin".to_owned(), Some(format!("Bearer {}", clerk::SECRET)));
    let requests = world.clerk.requests();

    assert!(requests.iter().filter(|(path, _)| path != clerk::JWKS).all(|request| *request == of_the_user));
    assert_eq!(requests.len(), 1 + 6 * 2, "a request for every one that is admitted or refused");
}

#[tokio::test]
async fn roles_from_clerk_do_not_admit_a_deactivated_user() {
    let world = World::with(roles_of_clerk).await;
    world.system.receives(created(0x02, "user_plain", "user")).await;
    world.clerk.has_users([
        clerk_user("user_plain", json!({ "role": "admin" })),
        clerk_user(clerk::ADMIN, json!({ "role": "admin" })),
    ]);

    assert_eq!(
        world.admits(&clerk::token("user_plain")).await,
        is(GOOD),
        "the projections' role does not count"
    );

    world.system.receives(user(ADMIN).deactivated()).await;
    assert_eq!(world.admits(&clerk::token(clerk::ADMIN)).await, is(INVALID));
    assert_eq!(world.admits(ADMIN_KEY).await, is((401, "Invalid API key")));
}

#[tokio::test]
async fn roles_that_clerk_does_not_answer_for_are_a_503_and_admit_nobody() {
    let world = World::with(roles_of_clerk).await;
    let admin = clerk_user(clerk::ADMIN, json!({ "role": "admin" }));
    world.clerk.has_users([admin.clone()]);

    assert_eq!(world.admits(&clerk::token(clerk::ADMIN)).await, is(GOOD));

    let other = clerk_user("user_other", json!({ "role": "admin" })).to_string();
    let twice = admin.to_string().replacen('{', r#"{"public_metadata":{},"#, 1);

    for behaviour in [
        ClerkBehaviour::Status(500),
        ClerkBehaviour::Status(401),
        // Of a wrong address: Clerk says by a code of its own that it does not know the user.
        ClerkBehaviour::Status(404),
        ClerkBehaviour::Status(429),
        ClerkBehaviour::Status(204),
        ClerkBehaviour::Redirect,
        ClerkBehaviour::Silent,
        ClerkBehaviour::Text("{}".to_owned()),
        ClerkBehaviour::Text(other),
        ClerkBehaviour::Text(twice),
        ClerkBehaviour::Text(" ".repeat(256 * 1024) + &admin.to_string()),
    ] {
        world.clerk.behaves(behaviour);
        for token in [clerk::token(clerk::ADMIN).as_str(), ADMIN_KEY] {
            assert_eq!(world.admits(token).await, is(UNAVAILABLE));
        }
    }
}
