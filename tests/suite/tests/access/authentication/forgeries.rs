//! Tokens that someone made up, and good ones in a wrong use.

use super::{EXPIRED, GOOD, INVALID, World, claiming, claims, headed, is, signed_by, with, without};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};
use torale_domain::access::session::{SessionRules, Token};
use torale_testkit::clerk::{self, FakeClerk, TestKey};
use torale_testkit::stack::NOW;

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
        ("HS256 with the public key", symmetric(TestKey::A.public())),
        ("HS256 with the trimmed public key", symmetric(TestKey::A.public().trim())),
        ("HS256 with the modulus", symmetric(include_str!("../../../../kit/keys/a.modulus"))),
        ("HS256 with nothing", symmetric("")),
        ("a stranger's key under our name", signed_by(TestKey::B, &clerk::header("a"))),
        ("embedded jwk", signed_by(TestKey::B, &with(clerk::header("a"), "jwk", TestKey::B.jwk("a")))),
        (
            "embedded jwk of its own name",
            signed_by(TestKey::B, &with(clerk::header("b"), "jwk", TestKey::B.jwk("b"))),
        ),
        ("empty signature", format!("{message}.")),
        ("signature of zeros", format!("{message}.{}", "A".repeat(342))),
        ("signature of one", format!("{message}.{}Q", "A".repeat(341))),
        ("short signature of zeros", format!("{message}.AAAA")),
        ("another token's claims", format!("{}.{other_claims}.{}", parts[0], parts[2])),
        ("weak RSA", include_str!("../../../../kit/keys/weak.token").to_owned()),
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
        ("no kid", signed_by(TestKey::A, &without(header.clone(), "kid"))),
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
        ("missing azp", TestKey::A.sign(&header.to_string(), &no_party.to_string())),
        ("wrong azp", claiming("azp", json!("https://app.example.com.evil.example"))),
        ("azp as list", claiming("azp", json!([clerk::PARTY]))),
        ("sub as list", claiming("sub", json!([clerk::ADMIN]))),
        ("sub as number", claiming("sub", json!(7))),
        ("exp as text", claiming("exp", json!("9999999999"))),
        ("exp as list", claiming("exp", json!([9_999_999_999_u64]))),
        ("sub twice", TestKey::A.sign(&header.to_string(), &twice(&good, "sub", "\"user_other\""))),
        ("exp twice", TestKey::A.sign(&header.to_string(), &twice(&good, "exp", "1"))),
        ("exp twice, one escaped", TestKey::A.sign(&header.to_string(), &twice(&good, "\\u0065xp", "1"))),
        ("an unknown claim twice", TestKey::A.sign(&header.to_string(), &twice(&good, "v", "2"))),
        ("alg twice", TestKey::A.sign(&twice(&header, "alg", "\"none\""), &good.to_string())),
        ("kid twice", TestKey::A.sign(&twice(&header, "kid", "\"a\""), &good.to_string())),
        ("claims as list", TestKey::A.sign(&header.to_string(), &json!([good]).to_string())),
    ]
}

#[tokio::test]
async fn session_that_is_forged_in_any_way_is_refused() {
    let world = World::start().await;
    let weak = clerk::jwk("weak", include_str!("../../../../kit/keys/weak.modulus"));
    world.clerk.has_keys([TestKey::A.jwk("a"), weak, TestKey::B.jwk("twice"), TestKey::A.jwk("twice")]);

    assert_eq!(world.admits(&clerk::token(clerk::ADMIN)).await, is(GOOD));

    for (name, token) in forgeries().into_iter().chain(well_signed_but_wrong()) {
        assert_eq!(world.admits(&token).await, is(INVALID), "{name}");
    }
    for key in [TestKey::A, TestKey::B] {
        assert_eq!(
            world.admits(&signed_by(key, &clerk::header("twice"))).await,
            is(INVALID),
            "an ambiguous name"
        );
    }

    assert_eq!(world.clerk.count(), 1);
}

#[test]
fn session_with_a_weak_key_has_no_other_fault() {
    let rules =
        SessionRules { issuer: clerk::ISSUER.to_owned(), authorized_parties: vec![clerk::PARTY.to_owned()] };
    let token = Token::read(include_str!("../../../../kit/keys/weak.token")).unwrap();

    assert_eq!(token.check(&rules, NOW).unwrap().subject.as_str(), clerk::ADMIN);
}

/// `jku` and `x5u` are addresses that a server would fetch: no caller may make it.
#[tokio::test]
async fn session_addresses_are_never_followed() {
    let (world, trap) = (World::start().await, FakeClerk::start().await);
    trap.has_keys([TestKey::B.jwk("b")]);
    let trapped = trap.settings().jwks_url;

    for name in ["jku", "x5u"] {
        for kid in ["a", "b"] {
            let token = signed_by(TestKey::B, &with(clerk::header(kid), name, json!(trapped)));
            assert_eq!(world.admits(&token).await, is(INVALID), "{name} {kid}");
        }
    }

    assert_eq!(trap.count(), 0);
}

#[tokio::test]
async fn session_times_may_differ_by_five_seconds() {
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
        assert_eq!(world.admits(&token).await, is(expected), "{claim} {seconds}");
    }
}

#[tokio::test]
async fn session_expiry_is_reported_only_for_a_token_that_is_good_otherwise() {
    let world = World::start().await;
    let now = NOW.millis() / 1000;
    let expired = with(claims(), "exp", json!(now - 6));
    let forged = TestKey::B.sign(&clerk::header("a").to_string(), &expired.to_string());

    assert_eq!(world.admits(&forged).await, is(INVALID));

    let elsewhere = with(expired, "azp", json!("https://elsewhere.example"));
    let elsewhere = TestKey::A.sign(&clerk::header("a").to_string(), &elsewhere.to_string());

    assert_eq!(world.admits(&elsewhere).await, is(INVALID));
}
