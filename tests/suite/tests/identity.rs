//! Who is let in with what: session tokens against every forgery we know of, keys in an outage, roles.

use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use lambda_http::http::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex};
use tokio::time::Duration;
use torale_domain::session::{Rules, Token};
use torale_domain::time::DAY;
use torale_platform::identity::{Identity, Misconfigured, Settings};
use torale_platform::serve::App;
use torale_tests::clerk::{self, Clerk, Key, Mood};
use torale_tests::generate::{self, event};
use torale_tests::stack::{self, ADMIN_KEY, NOW, Stack};
use tracing_subscriber::fmt::MakeWriter;

const INVALID: (u16, &str) = (401, "Could not validate credentials");
const EXPIRED: (u16, &str) = (401, "Token has expired");
const FORBIDDEN: (u16, &str) = (403, "Admin access required");
const UNAVAILABLE: (u16, &str) = (503, "Service temporarily unavailable");
const GOOD: (u16, &str) = (200, "");
const USER: &str = "00000000-0000-0000-0000-0000000000ad";

/// The system, the identity provider, and one instance that knows both.
struct World {
    stack: Stack,
    clerk: Clerk,
    app: App,
}

impl World {
    async fn start() -> Self {
        Self::with(Clerk::settings).await
    }

    async fn with(settings: impl Fn(&Clerk) -> Settings) -> Self {
        let (stack, clerk) = (Stack::start().await, Clerk::start().await);
        stack.consume(&generate::admin()).await;
        let app = app(&stack, &settings(&clerk));
        Self { stack, clerk, app }
    }

    async fn ask(&self, token: &str) -> (u16, String) {
        ask(&self.app, token).await
    }
}

fn app(stack: &Stack, settings: &Settings) -> App {
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
    Key::A.sign(&with(clerk::header("a"), name, value).to_string(), &claims().to_string())
}

/// A good token but for one claim.
fn claiming(name: &str, value: Value) -> String {
    Key::A.sign(&clerk::header("a").to_string(), &with(claims(), name, value).to_string())
}

fn claims() -> Value {
    clerk::claims(clerk::ADMIN)
}

fn signed_by(key: Key, header: &Value) -> String {
    key.sign(&header.to_string(), &claims().to_string())
}

/// Lets time pass for caches; the clock of requests stands still.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn forgeries() -> Vec<(&'static str, String)> {
    let unsigned = |alg: &str| {
        clerk::encoded(&with(clerk::header("a"), "alg", json!(alg)).to_string(), &claims().to_string())
    };
    let symmetric = |secret: &str| {
        let message = unsigned("HS256");
        let key = EncodingKey::from_secret(secret.as_bytes());
        format!("{message}.{}", crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap())
    };
    let message = unsigned("RS256");
    let good = clerk::token(clerk::ADMIN);
    let other_claims = clerk::token("user_other").split('.').nth(1).unwrap().to_owned();
    let parts: Vec<&str> = good.split('.').collect();
    vec![
        ("none", format!("{}.", unsigned("none"))),
        ("None", format!("{}.", unsigned("None"))),
        ("nOnE, with a signature", format!("{}.{}", unsigned("nOnE"), parts[2])),
        ("HS256 with the public key", symmetric(Key::A.public())),
        ("HS256 with the trimmed public key", symmetric(Key::A.public().trim())),
        ("HS256 with the modulus", symmetric(include_str!("../keys/a.modulus"))),
        ("HS256 with nothing", symmetric("")),
        ("a stranger's key under our name", signed_by(Key::B, &clerk::header("a"))),
        ("embedded jwk", signed_by(Key::B, &with(clerk::header("a"), "jwk", Key::B.jwk("a")))),
        (
            "embedded jwk of its own name",
            signed_by(Key::B, &with(clerk::header("b"), "jwk", Key::B.jwk("b"))),
        ),
        ("empty signature", format!("{message}.")),
        ("signature of zeros", format!("{message}.{}", "A".repeat(342))),
        ("signature of one", format!("{message}.{}Q", "A".repeat(341))),
        ("short signature of zeros", format!("{message}.AAAA")),
        ("another token's claims", format!("{}.{other_claims}.{}", parts[0], parts[2])),
        ("weak RSA", include_str!("../keys/weak.token").to_owned()),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.{}", parts[2])),
        ("padding", format!("{good}==")),
        ("8 MiB", format!("{good}{}", "A".repeat(8 * 1024 * 1024))),
        ("8 MiB, well signed", claiming("pad", json!("x".repeat(8 * 1024 * 1024)))),
        ("8 KiB and more, well signed", claiming("pad", json!("x".repeat(8 * 1024)))),
        ("no token", "not.a.token".to_owned()),
        ("a stranger to prefixes", "pk_live_0123456789abcdefghij".to_owned()),
    ]
}

fn well_signed_but_wrong() -> Vec<(&'static str, String)> {
    let twice = |object: &Value, name: &str, value: &str| {
        object.to_string().replacen('{', &format!("{{\"{name}\":{value},"), 1)
    };
    let (header, good) = (clerk::header("a"), claims());
    let no_party = without(good.clone(), "azp");
    vec![
        ("RS512 in the header", headed("alg", json!("RS512"))),
        ("crit", headed("crit", json!(["exp"]))),
        ("at+jwt", headed("typ", json!("at+jwt"))),
        ("a machine's token", headed("cat", json!("cl_B7d4PD333AAA"))),
        ("a template's token", headed("cat", json!("cl_B7d4PD222AAA"))),
        ("no kid", signed_by(Key::A, &without(header.clone(), "kid"))),
        ("kid of zeros", headed("kid", json!("\0\0"))),
        ("kid as path", headed("kid", json!("../../../../dev/null"))),
        ("kid as query", headed("kid", json!("a' OR '1'='1"))),
        ("kid with a blank", headed("kid", json!("a "))),
        ("kid of another case", headed("kid", json!("A"))),
        ("empty kid", headed("kid", json!(""))),
        ("long kid", headed("kid", json!("a".repeat(4_000)))),
        ("kid as list", headed("kid", json!(["a"]))),
        ("kid as number", headed("kid", json!(1))),
        ("wrong issuer", claiming("iss", json!("https://evil.example"))),
        ("issuer with a slash", claiming("iss", json!(format!("{}/", clerk::ISSUER)))),
        ("issuer as prefix", claiming("iss", json!(format!("{}.evil.example", clerk::ISSUER)))),
        ("issuer over http", claiming("iss", json!("http://clerk.example.com"))),
        ("issuer in another alphabet", claiming("iss", json!("https://clеrk.example.com"))),
        ("issuer as list", claiming("iss", json!([clerk::ISSUER]))),
        ("missing azp", Key::A.sign(&header.to_string(), &no_party.to_string())),
        ("wrong azp", claiming("azp", json!("https://app.example.com.evil.example"))),
        ("azp as list", claiming("azp", json!([clerk::PARTY]))),
        ("sub as list", claiming("sub", json!([clerk::ADMIN]))),
        ("sub as number", claiming("sub", json!(7))),
        ("exp as text", claiming("exp", json!("9999999999"))),
        ("exp as list", claiming("exp", json!([9_999_999_999_u64]))),
        ("sub twice", Key::A.sign(&header.to_string(), &twice(&good, "sub", "\"user_other\""))),
        ("exp twice", Key::A.sign(&header.to_string(), &twice(&good, "exp", "1"))),
        ("exp twice, one escaped", Key::A.sign(&header.to_string(), &twice(&good, "\\u0065xp", "1"))),
        ("an unknown claim twice", Key::A.sign(&header.to_string(), &twice(&good, "v", "2"))),
        ("alg twice", Key::A.sign(&twice(&header, "alg", "\"none\""), &good.to_string())),
        ("kid twice", Key::A.sign(&twice(&header, "kid", "\"a\""), &good.to_string())),
        ("claims as list", Key::A.sign(&header.to_string(), &json!([good]).to_string())),
    ]
}

#[tokio::test]
async fn a_session_of_an_admin_is_let_in() {
    let world = World::start().await;
    assert_eq!(world.ask(&clerk::token(clerk::ADMIN)).await, is(GOOD));
    assert_eq!(world.clerk.asked(), [(clerk::JWKS.to_owned(), None)]);
    for (name, value) in [
        ("jwk", Key::B.jwk("a")),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/keys")),
        ("zip", json!([])),
    ] {
        assert_eq!(world.ask(&headed(name, value)).await, is(GOOD), "{name} is ignored");
    }
    assert_eq!(world.clerk.count(), 1);
}

#[tokio::test]
async fn no_forgery_is_let_in() {
    let world = World::start().await;
    let weak = clerk::jwk("weak", include_str!("../keys/weak.modulus"));
    world.clerk.has_keys([Key::A.jwk("a"), weak, Key::B.jwk("twice"), Key::A.jwk("twice")]);
    assert_eq!(world.ask(&clerk::token(clerk::ADMIN)).await, is(GOOD));
    for (name, token) in forgeries().into_iter().chain(well_signed_but_wrong()) {
        assert_eq!(world.ask(&token).await, is(INVALID), "{name}");
    }
    for key in [Key::A, Key::B] {
        assert_eq!(
            world.ask(&signed_by(key, &clerk::header("twice"))).await,
            is(INVALID),
            "an ambiguous name"
        );
    }
    assert_eq!(world.clerk.count(), 1);
}

#[test]
fn nothing_but_its_key_is_wrong_with_the_weak_token() {
    let rules = Rules { issuer: clerk::ISSUER.to_owned(), authorized_parties: vec![clerk::PARTY.to_owned()] };
    let token = Token::read(include_str!("../keys/weak.token")).unwrap();
    assert_eq!(token.check(&rules, NOW).unwrap().subject.as_str(), clerk::ADMIN);
}

/// `jku` and `x5u` are addresses that a server would have to fetch: nobody may make it.
#[tokio::test]
async fn addresses_in_a_token_are_never_followed() {
    let (world, trap) = (World::start().await, Clerk::start().await);
    trap.has_keys([Key::B.jwk("b")]);
    let trapped = trap.settings().jwks_url;
    for name in ["jku", "x5u"] {
        for kid in ["a", "b"] {
            let token = signed_by(Key::B, &with(clerk::header(kid), name, json!(trapped)));
            assert_eq!(world.ask(&token).await, is(INVALID), "{name} {kid}");
        }
    }
    assert_eq!(trap.count(), 0);
}

#[tokio::test]
async fn clocks_may_differ_by_five_seconds() {
    let world = World::start().await;
    let now = NOW.millis() / 1000;
    for (claim, seconds, expected) in [
        ("exp", -6, EXPIRED),
        ("exp", -4, GOOD),
        ("exp", 4, GOOD),
        ("exp", 6, GOOD),
        ("nbf", -6, GOOD),
        ("nbf", -4, GOOD),
        ("nbf", 4, GOOD),
        ("nbf", 6, INVALID),
        ("iat", -6, GOOD),
        ("iat", -4, GOOD),
        ("iat", 4, GOOD),
        ("iat", 6, INVALID),
    ] {
        let token = claiming(claim, json!(now + seconds));
        assert_eq!(world.ask(&token).await, is(expected), "{claim} {seconds}");
    }
    let expired = with(claims(), "exp", json!(now - 6));
    let forged = Key::B.sign(&clerk::header("a").to_string(), &expired.to_string());
    assert_eq!(world.ask(&forged).await, is(INVALID), "only a well-signed token has expired");
    let elsewhere = with(expired, "azp", json!("https://elsewhere.example"));
    let elsewhere = Key::A.sign(&clerk::header("a").to_string(), &elsewhere.to_string());
    assert_eq!(world.ask(&elsewhere).await, is(INVALID));
}

#[tokio::test]
async fn without_authorized_parties_a_token_needs_none() {
    let world = World::with(|clerk| Settings { authorized_parties: None, ..clerk.settings() }).await;
    let nobody = without(claims(), "azp").to_string();
    assert_eq!(world.ask(&Key::A.sign(&clerk::header("a").to_string(), &nobody)).await, is(GOOD));
    assert_eq!(world.ask(&claiming("azp", json!("https://any.example"))).await, is(GOOD));
}

#[tokio::test]
async fn without_an_issuer_there_are_no_sessions() {
    let world = World::with(|clerk| Settings { issuer: None, ..clerk.settings() }).await;
    assert_eq!(world.ask(&clerk::token(clerk::ADMIN)).await, is(INVALID));
    assert_eq!(world.ask(ADMIN_KEY).await, is(GOOD));
    assert_eq!(world.clerk.count(), 0);
}

#[tokio::test]
async fn a_given_key_makes_fetching_needless() {
    let escaped = Key::A.public().replace('\n', "\\n");
    for pem in [Key::A.public().to_owned(), escaped] {
        let world = World::with(|clerk| Settings { jwt_key: Some(pem.clone()), ..clerk.settings() }).await;
        assert_eq!(world.ask(&clerk::token(clerk::ADMIN)).await, is(GOOD));
        assert_eq!(world.ask(&signed_by(Key::B, &clerk::header("a"))).await, is(INVALID));
        assert_eq!(world.clerk.count(), 0);
    }
}

#[tokio::test]
async fn a_thousand_unknown_keys_cause_one_fetch_in_thirty_seconds() {
    let world = World::start().await;
    let unknown = |n: usize| signed_by(Key::B, &clerk::header(&format!("unknown-{n}")));
    let tokens: Vec<String> = (0..20).map(unknown).collect();
    let all = futures::future::join_all((0..1_000).map(|n| world.ask(&tokens[n % 20])));
    assert!(all.await.iter().all(|answer| *answer == is(INVALID)));
    assert_eq!(world.clerk.count(), 1);
    pass(Duration::from_secs(29)).await;
    assert_eq!(world.ask(&tokens[0]).await, is(INVALID));
    assert_eq!(world.clerk.count(), 1);
    pass(Duration::from_secs(1)).await;
    for token in &tokens {
        assert_eq!(world.ask(token).await, is(INVALID));
    }
    assert_eq!(world.clerk.count(), 2);
    assert_eq!(world.ask(&clerk::token(clerk::ADMIN)).await, is(GOOD));
}

#[tokio::test]
async fn a_new_key_is_found_and_an_old_one_forgotten() {
    let world = World::start().await;
    let (old, new) = (clerk::token(clerk::ADMIN), signed_by(Key::B, &clerk::header("b")));
    assert_eq!(world.ask(&old).await, is(GOOD));
    world.clerk.has_keys([Key::B.jwk("b")]);
    assert_eq!(world.ask(&new).await, is(INVALID), "asked for keys a moment ago");
    pass(Duration::from_secs(30)).await;
    assert_eq!(world.ask(&new).await, is(GOOD));
    assert_eq!(world.ask(&old).await, is(INVALID));
    assert_eq!(world.clerk.count(), 2);
}

#[tokio::test]
async fn a_key_set_is_used_for_ten_minutes_and_one_fetch_serves_all() {
    let world = World::start().await;
    let token = clerk::token(clerk::ADMIN);
    for (passed, fetches) in [(0, 1), (599, 1), (1, 2), (599, 2)] {
        pass(Duration::from_secs(passed)).await;
        let all = futures::future::join_all((0..10).map(|_| world.ask(&token))).await;
        assert!(all.iter().all(|answer| *answer == is(GOOD)), "{all:?}");
        assert_eq!(world.clerk.count(), fetches, "{passed}");
    }
}

fn outages() -> Vec<(&'static str, Mood)> {
    vec![
        ("down", Mood::Status(503)),
        ("no content", Mood::Status(204)),
        ("silent", Mood::Silent),
        ("redirect", Mood::Redirect),
        ("no JSON", Mood::Text("<html>".to_owned())),
        ("no keys", Mood::Text(r#"{"keys":[]}"#.to_owned())),
        ("keys twice", Mood::Text(r#"{"keys":[],"keys":[]}"#.to_owned())),
        ("too large", Mood::Text(" ".repeat(256 * 1024) + &json!({ "keys": [Key::A.jwk("a")] }).to_string())),
    ]
}

#[tokio::test]
async fn a_cold_cache_is_a_503_until_the_provider_is_back() {
    let token = clerk::token(clerk::ADMIN);
    for (name, mood) in outages() {
        let world = World::with(Clerk::hasty_settings).await;
        world.clerk.feels(mood);
        for _ in 0..3 {
            assert_eq!(world.ask(&token).await, is(UNAVAILABLE), "{name}");
        }
        assert_eq!(world.clerk.count(), 1, "{name}: one fetch in two seconds");
        assert_eq!(world.ask("not.a.token").await, is(INVALID), "{name}");
        assert_eq!(world.ask(ADMIN_KEY).await, is(GOOD), "{name}: keys need no provider");
        world.clerk.feels(Mood::Well);
        pass(Duration::from_secs(2)).await;
        assert_eq!(world.ask(&token).await, is(GOOD), "{name}");
    }
}

#[tokio::test]
async fn nobody_listening_is_a_503() {
    let nowhere =
        |clerk: &Clerk| Settings { jwks_url: Some("http://127.0.0.1:1/jwks".to_owned()), ..clerk.settings() };
    let world = World::with(nowhere).await;
    assert_eq!(world.ask(&clerk::token(clerk::ADMIN)).await, is(UNAVAILABLE));
}

#[tokio::test]
async fn a_warm_cache_outlives_an_outage_of_a_day() {
    let token = clerk::token(clerk::ADMIN);
    for (name, mood) in outages() {
        let world = World::with(Clerk::hasty_settings).await;
        assert_eq!(world.ask(&token).await, is(GOOD), "{name}");
        world.clerk.feels(mood);
        pass(Duration::from_secs(600)).await;
        for _ in 0..3 {
            assert_eq!(world.ask(&token).await, is(GOOD), "{name}");
        }
        assert_eq!(world.clerk.count(), 2, "{name}: not asked at every request");
        pass(Duration::from_secs(24 * 3600 - 610)).await;
        assert_eq!(world.ask(&token).await, is(GOOD), "{name}");
        pass(Duration::from_secs(10)).await;
        assert_eq!(world.ask(&token).await, is(UNAVAILABLE), "{name}: a day old");
    }
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
    let promoted = Key::A.sign(&clerk::header("a").to_string(), &promoted.to_string());
    assert_eq!(world.ask(&promoted).await, is(FORBIDDEN));
}

/// The fields of a request's log line that tell who asked, with what, and who acted: user, key, impersonator.
async fn logged(world: &World, token: &str) -> [Value; 3] {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(log.clone()).finish();
    let logging = tracing::subscriber::set_default(subscriber);
    assert_eq!(world.ask(token).await, is(GOOD));
    drop(logging);
    let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!lines.contains(token));
    let mut lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.find(|line| line["status"] == 200).unwrap();
    ["user", "key", "impersonator"].map(|name| line[name].clone())
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn it_is_recorded_who_asked_with_what_and_who_acted() {
    let world = World::start().await;
    let act = json!({ "iss": "https://dashboard.clerk.com", "sid": "sess_2", "sub": "user_support" });
    for (token, key, impersonator) in [
        (clerk::token(clerk::ADMIN), json!(null), json!(null)),
        (claiming("act", act), json!(null), json!("user_support")),
        (ADMIN_KEY.to_owned(), json!("key_admin"), json!(null)),
    ] {
        assert_eq!(logged(&world, &token).await, [json!(USER), key, impersonator]);
    }
}

fn clerk_user(id: &str, metadata: Value) -> Value {
    json!({ "id": id, "object": "user", "public_metadata": metadata })
}

fn roles_of_clerk(clerk: &Clerk) -> Settings {
    Settings { role_source: "clerk".to_owned(), ..clerk.hasty_settings() }
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

#[tokio::test]
async fn settings_that_cannot_be_meant_are_refused_at_the_start() {
    let clerk = Clerk::start().await;
    let settings = || clerk.settings();
    let text = |text: &str| Some(text.to_owned());
    let clerks = || "clerk".to_owned();
    let weak = include_str!("../keys/weak.public.pem");
    let private = include_str!("../keys/a.test-key.pem");
    for (settings, fault) in [
        (Settings { jwks_url: None, ..settings() }, Misconfigured::NoKeys),
        (Settings { jwt_key: text("no PEM"), ..settings() }, Misconfigured::Key),
        (Settings { jwt_key: text(weak), ..settings() }, Misconfigured::Key),
        (Settings { jwt_key: text(private), ..settings() }, Misconfigured::Key),
        (
            Settings { jwks_url: text("http://evil.example/"), ..settings() },
            Misconfigured::Address("CLERK_JWKS_URL"),
        ),
        (Settings { authorized_parties: Some(vec![]), ..settings() }, Misconfigured::NoParties),
        (Settings { role_source: "Clerk".to_owned(), ..settings() }, Misconfigured::RoleSource),
        (Settings { role_source: clerks(), secret_key: None, ..settings() }, Misconfigured::SecretKey),
        (
            Settings { role_source: clerks(), secret_key: text("a\nb"), ..settings() },
            Misconfigured::SecretKey,
        ),
        (
            Settings { role_source: clerks(), api_url: "http://api.clerk.com".to_owned(), ..settings() },
            Misconfigured::Address("CLERK_API_URL"),
        ),
    ] {
        assert_eq!(Identity::new(&settings).err(), Some(fault));
    }
}

#[tokio::test]
async fn secrets_are_in_no_debug_output() {
    let clerk = Clerk::start().await;
    let identity = Identity::new(&roles_of_clerk(&clerk)).unwrap();
    assert!(!format!("{identity:?}").contains(clerk::SECRET));
}
