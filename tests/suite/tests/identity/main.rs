//! Who is let in with what: session tokens against every forgery we know of, keys in an outage, roles.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails by panicking")]

mod forgeries;
mod key_set;
mod recorded;
mod roles;
mod settings;

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_http::http::Method;
use serde_json::{Value, json};
use torale_domain::storage::keys;
use torale_domain::values::ids::{ClerkUserId, UserId};
use torale_domain::values::time::DAY;
use torale_platform::identity::{Identity, IdentitySettings};
use torale_platform::serve::App;
use torale_tests::clerk::{self, FakeClerk, TestKey};
use torale_tests::generate::{self, event};
use torale_tests::stack::{self, NOW, Stack};

const INVALID: (u16, &str) = (401, "Could not validate credentials");
const EXPIRED: (u16, &str) = (401, "Token has expired");
const FORBIDDEN: (u16, &str) = (403, "Admin access required");
const UNAVAILABLE: (u16, &str) = (503, "Service temporarily unavailable");
const GOOD: (u16, &str) = (200, "");
const USER: &str = "00000000-0000-0000-0000-0000000000ad";

/// The system, the identity provider, and one instance that knows both.
struct World {
    stack: Stack,
    clerk: FakeClerk,
    app: App,
}

impl World {
    async fn start() -> Self {
        Self::with(FakeClerk::settings).await
    }

    async fn with(settings: impl Fn(&FakeClerk) -> IdentitySettings) -> Self {
        recorded::listen();
        let (stack, clerk) = (Stack::start().await, FakeClerk::start().await);
        stack.consume(&generate::admin()).await;
        let app = app(&stack, &settings(&clerk));
        Self { stack, clerk, app }
    }

    async fn ask(&self, token: &str) -> (u16, String) {
        ask(&self.app, token).await
    }
}

fn app(stack: &Stack, settings: &IdentitySettings) -> App {
    App::new(stack.store(), Identity::new(settings).unwrap(), stack::LIMITS, stack::temporal_ui(), || NOW)
}

async fn ask(app: &App, token: &str) -> (u16, String) {
    let request =
        stack::request(Method::GET, "/admin/temporal/schedules", "", Some(&format!("Bearer {token}")));
    let response = stack::answer(app, request).await;
    let status = response.status().as_u16();
    assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
    assert_eq!(response.headers().contains_key("retry-after"), status == 503);
    (status, stack::json(response)["detail"].as_str().unwrap_or_default().to_owned())
}

fn is(answer: (u16, &str)) -> (u16, String) {
    (answer.0, answer.1.to_owned())
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name).unwrap();
    object
}

/// A good token but for its header.
fn headed(name: &str, value: Value) -> String {
    TestKey::A.sign(&with(clerk::header("a"), name, value).to_string(), &claims().to_string())
}

/// A good token but for one claim.
fn claiming(name: &str, value: Value) -> String {
    TestKey::A.sign(&clerk::header("a").to_string(), &with(claims(), name, value).to_string())
}

fn claims() -> Value {
    clerk::claims(clerk::ADMIN)
}

fn signed_by(key: TestKey, header: &Value) -> String {
    key.sign(&header.to_string(), &claims().to_string())
}

#[tokio::test]
async fn a_session_of_an_admin_is_let_in() {
    let world = World::start().await;
    assert_eq!(world.ask(&clerk::token(clerk::ADMIN)).await, is(GOOD));
    assert_eq!(world.clerk.asked(), [(clerk::JWKS.to_owned(), None)]);
    for (name, value) in [
        ("jwk", TestKey::B.jwk("a")),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/keys")),
        ("zip", json!([])),
    ] {
        assert_eq!(world.ask(&headed(name, value)).await, is(GOOD), "{name} is ignored");
    }
    assert_eq!(world.clerk.count(), 1);
}

async fn refusal_after(kind: &str, data: Value) -> (u16, String) {
    let world = World::start().await;
    let token = clerk::token(clerk::ADMIN);
    assert_eq!(world.ask(&token).await, is(GOOD));
    world.stack.consume(&[event("e1", NOW, kind, data)]).await;
    world.ask(&token).await
}

#[tokio::test]
async fn what_an_event_takes_away_is_refused_on_the_next_request() {
    assert_eq!(refusal_after("user.deactivated", json!({ "user_id": USER })).await, is(INVALID));
    assert_eq!(refusal_after("user.updated", json!({ "user_id": USER, "role": null })).await, is(FORBIDDEN));
    assert_eq!(
        refusal_after("user.updated", json!({ "user_id": USER, "role": "Admin" })).await,
        is(FORBIDDEN)
    );
}

#[tokio::test]
async fn a_user_that_no_event_has_created_is_forbidden() {
    let world = World::start().await;
    assert_eq!(world.ask(&clerk::token("user_unknown")).await, is(FORBIDDEN));
    assert_eq!(world.ask(&clerk::token("user_admin\u{1}")).await, is(FORBIDDEN));
}

fn created(user: u128, clerk: &str, role: &str) -> String {
    let id = format!("00000000-0000-0000-0000-{user:012x}");
    let data = json!({ "user_id": id, "clerk_user_id": clerk, "email": "x@example.com", "role": role });
    event(&format!("created-{user}"), NOW.plus(-DAY), "user.created", data)
}

#[tokio::test]
async fn of_several_users_with_one_login_the_least_id_counts() {
    let world = World::start().await;
    world.stack.consume(&[created(0xff, clerk::ADMIN, "user")]).await;
    assert_eq!(world.ask(&clerk::token(clerk::ADMIN)).await, is(GOOD));
    world.stack.consume(&[created(0x01, clerk::ADMIN, "user")]).await;
    assert_eq!(world.ask(&clerk::token(clerk::ADMIN)).await, is(FORBIDDEN));
}

#[tokio::test]
async fn a_tokens_own_role_only_takes_rights_away() {
    let world = World::start().await;
    world.stack.consume(&[created(0x02, "user_plain", "user")]).await;
    let claim = |role: Value| json!({ "role": role });
    assert_eq!(world.ask(&claiming("public_metadata", claim(json!("admin")))).await, is(GOOD));
    for role in [json!("user"), json!(null), json!("ADMIN"), json!(["admin"])] {
        assert_eq!(
            world.ask(&claiming("public_metadata", claim(role.clone()))).await,
            is(FORBIDDEN),
            "{role}"
        );
    }
    let promoted = with(clerk::claims("user_plain"), "public_metadata", claim(json!("admin")));
    let promoted = TestKey::A.sign(&clerk::header("a").to_string(), &promoted.to_string());
    assert_eq!(world.ask(&promoted).await, is(FORBIDDEN));
}

/// Between two reads of a request a user may get another login: the older look-up then leads to the wrong session.
#[tokio::test]
async fn a_look_up_that_is_out_of_date_lets_nobody_in() {
    let world = World::start().await;
    let stale = keys::login_lookup(&ClerkUserId::parse("user_stale").unwrap(), UserId::parse(USER).unwrap());
    let table = keys::projections_table(keys::FIRST_GENERATION);
    let put = world.stack.client.put_item().table_name(table);
    let put = put.item(keys::PK, AttributeValue::S(stale.pk)).item(keys::SK, AttributeValue::S(stale.sk));
    put.send().await.unwrap();
    assert_eq!(world.ask(&clerk::token("user_stale")).await, is(FORBIDDEN));
    assert_eq!(world.ask(&clerk::token(clerk::ADMIN)).await, is(GOOD));
}
