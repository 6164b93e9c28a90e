//! Who is admitted with what: session tokens against every forgery we know of, keys in an outage, roles.

mod forgeries;
mod key_set;
mod recorded;
mod roles;
mod settings;
mod stand_in;

use serde_json::{Value, json};
use temporal_schedules::Schedules;
use torale_domain::values::time::{DAY, HOUR};
use torale_platform::authentication::IdentityProviderSettings;
use torale_platform::serve::App;
use torale_testkit::clerk::{self, FakeClerk, TestKey};
use torale_testkit::events::{ADMIN, EventBuilder, user};
use torale_testkit::request::{ApiRequest, get};
use torale_testkit::scenario::{Scenario, given_an_admin};
use torale_testkit::stack::NOW;

const INVALID: (u16, &str) = (401, "Could not validate credentials");
const EXPIRED: (u16, &str) = (401, "Token has expired");
const FORBIDDEN: (u16, &str) = (403, "Admin access required");
const UNAVAILABLE: (u16, &str) = (503, "Service temporarily unavailable");
const GOOD: (u16, &str) = (200, "");

/// The system, the identity provider, and one instance that knows both.
struct World {
    system: Scenario,
    clerk: FakeClerk,
    app: App,
}

impl World {
    async fn start() -> Self {
        Self::with(FakeClerk::settings).await
    }

    async fn with(settings: impl Fn(&FakeClerk) -> IdentityProviderSettings) -> Self {
        recorded::listen();
        let (system, clerk) = (given_an_admin().start().await, FakeClerk::start().await);
        let app = system.instance().authenticator(&settings(&clerk)).start();
        Self { system, clerk, app }
    }

    /// The answer to a caller with this credential: status and detail.
    async fn admits(&self, credential: &str) -> (u16, String) {
        let answer = request(credential).send(&self.app).await;
        assert_eq!(answer.header("www-authenticate").is_some(), answer.status == 401);
        assert_eq!(answer.header("retry-after").is_some(), answer.status == 503);
        (answer.status, answer.detail().as_str().unwrap_or_default().to_owned())
    }
}

fn request(credential: &str) -> ApiRequest {
    get::<Schedules>("").by(credential)
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

/// A good token but for one field of its header.
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
async fn session_of_an_admin_is_admitted_after_one_fetch_of_the_key_set() {
    let world = World::start().await;

    assert_eq!(world.admits(&clerk::token(clerk::ADMIN)).await, is(GOOD));
    assert_eq!(world.clerk.requests(), [(clerk::JWKS.to_owned(), None)]);
}

#[tokio::test]
async fn session_headers_that_would_bring_a_key_are_ignored() {
    let world = World::start().await;

    for (name, value) in [
        ("jwk", TestKey::B.jwk("a")),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/keys")),
        ("zip", json!([])),
    ] {
        assert_eq!(world.admits(&headed(name, value)).await, is(GOOD), "{name} is ignored");
    }

    assert_eq!(world.clerk.count(), 1);
}

/// The answer to a session that was admitted before this event was received.
async fn refusal_after(event: EventBuilder) -> (u16, String) {
    let world = World::start().await;
    let token = clerk::token(clerk::ADMIN);
    assert_eq!(world.admits(&token).await, is(GOOD));

    world.system.receives(event).await;

    world.admits(&token).await
}

#[tokio::test]
async fn session_of_a_deactivated_admin_is_refused_on_the_next_request() {
    assert_eq!(refusal_after(user(ADMIN).deactivated()).await, is(INVALID));
}

#[tokio::test]
async fn session_of_a_demoted_admin_is_refused_on_the_next_request() {
    assert_eq!(refusal_after(user(ADMIN).updated().with("role", Value::Null)).await, is(FORBIDDEN));
    assert_eq!(refusal_after(user(ADMIN).updated().with("role", "Admin")).await, is(FORBIDDEN));
}

#[tokio::test]
async fn session_of_a_user_whom_no_event_has_created_is_forbidden() {
    let world = World::start().await;

    assert_eq!(world.admits(&clerk::token("user_unknown")).await, is(FORBIDDEN));
    assert_eq!(world.admits(&clerk::token("user_admin\u{1}")).await, is(FORBIDDEN));
}

/// A user with this number was created yesterday, with a name at Clerk and a role.
fn created(number: u128, clerk: &str, role: &str) -> EventBuilder {
    let created = user(&format!("00000000-0000-0000-0000-{number:012x}")).created();
    created.with("clerk_user_id", clerk).with("role", role).at(NOW.plus(-DAY))
}

/// The greater `user.created` decides, whatever came first.
#[tokio::test]
async fn session_of_several_users_logs_in_as_the_one_that_was_created_last() {
    let world = World::start().await;
    world.system.receives(created(0x01, clerk::ADMIN, "user").at(NOW.plus(-500 * DAY))).await;

    assert_eq!(world.admits(&clerk::token(clerk::ADMIN)).await, is(GOOD));

    world.system.receives(created(0xff, clerk::ADMIN, "user").at(NOW.plus(-HOUR))).await;
    assert_eq!(world.admits(&clerk::token(clerk::ADMIN)).await, is(FORBIDDEN));
}

#[tokio::test]
async fn session_role_in_the_token_only_takes_permissions_away() {
    let world = World::start().await;
    world.system.receives(created(0x02, "user_plain", "user")).await;
    let claim = |role: Value| json!({ "role": role });

    assert_eq!(world.admits(&claiming("public_metadata", claim(json!("admin")))).await, is(GOOD));

    for role in [json!("user"), json!(null), json!("ADMIN"), json!(["admin"])] {
        assert_eq!(
            world.admits(&claiming("public_metadata", claim(role.clone()))).await,
            is(FORBIDDEN),
            "{role}"
        );
    }

    let promoted = with(clerk::claims("user_plain"), "public_metadata", claim(json!("admin")));
    let promoted = TestKey::A.sign(&clerk::header("a").to_string(), &promoted.to_string());

    assert_eq!(world.admits(&promoted).await, is(FORBIDDEN));
}
