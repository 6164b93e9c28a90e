//! The gate of session tokens lets through what it should, in one spelling, and nothing else.
//!
//! An input is tried as a token as it is, and by its lines: the JSON of a header, the JSON of claims, a key set.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use torale_domain::access::session::jwks::{self, RsaKey};
use torale_domain::access::session::{
    LEEWAY, MAX_BYTES, Session, SessionRules, Token, TokenFault, TokenRefusal,
};
use torale_domain::values::json;
use torale_domain::values::time::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);
const ISSUER: &str = "https://clerk.example.com";
const PARTY: &str = "https://app.example.com";
const SIGNATURE: &str = "c2ln";

fuzz_target!(|input: &[u8]| {
    gate(&String::from_utf8_lossy(input));
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let [header, claims, keys] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    let text = token(header, claims);
    gate(&text);
    if Token::read(&text).is_ok() {
        no_variant_passes(header, claims);
    }
    key_set(keys);
});

fn token(header: &[u8], claims: &[u8]) -> String {
    format!("{}.{}.{SIGNATURE}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

fn gate(text: &str) {
    let read = Token::read(text);
    assert_eq!(read.as_ref().err() == Some(&TokenFault::TooLong), text.len() > MAX_BYTES);
    let parts = parts(text).filter(|(header, _)| text.len() <= MAX_BYTES && is_sessions(header));
    assert_eq!(read.is_ok(), parts.is_some(), "{text}");
    if let (Ok(token), Some((header, claims))) = (read, parts) {
        assert_eq!(format!("{}.{}", token.message, token.signature), text);
        assert_eq!(token.key_id.as_deref(), header.get("kid").and_then(Value::as_str));
        judged(&token, &claims);
    }
}

/// Header and claims of three parts that are each the only spelling of their bytes.
fn parts(text: &str) -> Option<(Map<String, Value>, Map<String, Value>)> {
    let decoded = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        (URL_SAFE_NO_PAD.encode(&bytes) == part).then_some(bytes)
    };
    let parts: Vec<_> = text.split('.').map(decoded).collect::<Option<_>>()?;
    let [header, claims, _] = parts.as_slice() else { return None };
    Some((object(header)?, object(claims)?))
}

/// An object without repeated names, found in another way than the product's: outside texts, JSON has one colon a
/// name, and of names that repeat only one is left after an ordinary reading.
fn object(text: &[u8]) -> Option<Map<String, Value>> {
    let Ok(Value::Object(object)) = json::parse_bytes(text) else { return None };
    (colons(text) == object.values().map(names).sum::<usize>() + object.len()).then_some(object)
}

fn colons(json: &[u8]) -> usize {
    let (mut quoted, mut escaped, mut colons) = (false, false, 0);
    for byte in json {
        match (quoted, escaped, byte) {
            (true, true, _) => escaped = false,
            (true, false, b'\\') => escaped = true,
            (_, false, b'"') => quoted = !quoted,
            (false, _, b':') => colons += 1,
            _ => {}
        }
    }
    colons
}

fn names(value: &Value) -> usize {
    match value {
        Value::Object(object) => object.len() + object.values().map(names).sum::<usize>(),
        Value::Array(values) => values.iter().map(names).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn is_sessions(header: &Map<String, Value>) -> bool {
    let one_of = |name, texts: &[&str]| header.get(name).is_none_or(|value| texts.iter().any(|t| value == t));
    header.get("alg").is_some_and(|alg| alg == "RS256")
        && !header.contains_key("crit")
        && one_of("typ", &["JWT"])
        && one_of("cat", &["cl_B7d4PD111AAA", "cl_I7d4PD111III"])
        && header.get("kid").is_none_or(Value::is_string)
}

/// Tokens whose form is good: what their claims must be, whether or not parties are told apart.
fn judged(token: &Token<'_>, claims: &Map<String, Value>) {
    let anyone = SessionRules { issuer: ISSUER.to_owned(), authorized_parties: Vec::new() };
    let ours = SessionRules {
        authorized_parties: vec!["https://b.example.com".to_owned(), PARTY.to_owned()],
        ..anyone.clone()
    };
    let (strict, lax) = (token.check(&ours, NOW), token.check(&anyone, NOW));
    if claims.get("azp").is_some_and(|party| party == PARTY) {
        assert_eq!(strict, lax);
    } else if claims.get("azp").is_none_or(|party| party != "https://b.example.com") {
        assert!(
            matches!(strict, Err(TokenRefusal::Invalid(TokenFault::Issuer | TokenFault::Party))),
            "{strict:?}"
        );
    }
    match lax {
        Ok(session) => {
            says(&session, claims);
            let seconds = |name| claims.get(name).and_then(Value::as_i64).unwrap_or_default();
            in_time(token, &anyone, [seconds("exp"), seconds("nbf"), seconds("iat")]);
            let elsewhere = SessionRules { issuer: format!("{ISSUER}/"), ..anyone };
            assert_eq!(token.check(&elsewhere, NOW), Err(TokenFault::Issuer.into()));
        }
        // Nothing but the age is wrong: while it was young, it was good or not good yet.
        Err(TokenRefusal::Expired) => {
            let earliest = token.check(&anyone, Timestamp::from_millis(i64::MIN));
            assert!(
                !matches!(earliest, Err(TokenRefusal::Invalid(fault)) if fault != TokenFault::NotYet),
                "{earliest:?}"
            );
        }
        Err(TokenRefusal::Invalid(_)) => {}
    }
}

fn says(session: &Session, claims: &Map<String, Value>) {
    let text = |name| claims.get(name).and_then(Value::as_str);
    assert_eq!(text("iss"), Some(ISSUER));
    assert_eq!(text("sub"), Some(session.subject.as_str()));
    assert!(claims.get("azp").is_none_or(Value::is_string));
    let actor = claims.get("act").map(|actor| actor["sub"].as_str().unwrap_or_default());
    assert_eq!(session.impersonator.as_deref(), actor);
    assert_ne!(actor, Some(""));
    let role = claims.get("public_metadata").and_then(|metadata| metadata.get("role"));
    assert_eq!(session.demoted, role.is_some_and(|role| role != "admin"));
}

/// A good token was not good too early and will not be too late.
fn in_time(token: &Token<'_>, rules: &SessionRules, [expires, not_before, issued]: [i64; 3]) {
    let at = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
    assert!(at(expires) > NOW.plus(-LEEWAY) && at(not_before.max(issued)) <= NOW.plus(LEEWAY));
    // Where the sums reach the ends of time, early and late are the same.
    let ordinary = |seconds: i64| seconds.unsigned_abs() < 1 << 50;
    if ordinary(expires) {
        assert_eq!(token.check(rules, at(expires).plus(LEEWAY)), Err(TokenRefusal::Expired));
    }
    if ordinary(not_before.max(issued)) {
        let early = at(not_before.max(issued)).plus(-LEEWAY - 1);
        assert_eq!(token.check(rules, early), Err(TokenFault::NotYet.into()));
    }
}

/// A token whose form is good, made worse.
fn no_variant_passes(header: &[u8], claims: &[u8]) {
    let refused = |text: &str, fault| assert_eq!(Token::read(text).err(), Some(fault), "{text}");
    let text = token(header, claims);
    refused(&format!("{text}="), TokenFault::Encoding);
    refused(&format!("{text}.{SIGNATURE}"), TokenFault::Encoding);
    refused(&text.replacen('.', "=.", 1), TokenFault::Encoding);
    refused(&token(&[&[b' '; MAX_BYTES], header].concat(), claims), TokenFault::TooLong);
    refused(&token(&with(header, "\"crit\":[],"), claims), TokenFault::Critical);
    refused(&token(&with(header, "\"alg\":\"RS256\","), claims), TokenFault::Json);
    if object(claims).is_some_and(|claims| claims.contains_key("iss")) {
        refused(&token(header, &with(claims, "\"\\u0069ss\":1,")), TokenFault::Json);
    }
}

/// An object that is not empty, with a first member more.
fn with(object: &[u8], member: &str) -> Vec<u8> {
    let start = object.iter().position(|byte| *byte == b'{').map_or(0, |brace| brace + 1);
    let (before, after) = object.split_at(start);
    [before, member.as_bytes(), after].concat()
}

fn key_set(document: &[u8]) {
    let Some(keys) = jwks::select(document) else { return };
    let object = object(document).expect("a key set is an object without repeated names");
    let listed = object["keys"].as_array().expect("a key set has keys");
    assert!(!keys.is_empty());
    for (name, key) in &keys {
        let named: Vec<&Value> = listed.iter().filter(|entry| entry["kid"] == **name).collect();
        let [entry] = named.as_slice() else { panic!("{name} stands for {} keys", named.len()) };
        assert_eq!(entry["kty"], "RSA");
        for (field, value) in [("use", "sig"), ("alg", "RS256")] {
            assert!(entry.get(field).is_none_or(|given| given == value));
        }
        sound(key);
    }
    no_key_twice(object, &keys);
}

fn sound(RsaKey { n, e }: &RsaKey) {
    let bits = |number: &[u8]| number.iter().map(|byte| format!("{byte:08b}")).collect::<String>();
    for (number, allowed) in [(n, 2048..=8192), (e, 2..=32)] {
        let bits = bits(number);
        assert!(!bits.starts_with("00000000") && bits.ends_with('1'));
        assert!(allowed.contains(&bits.trim_start_matches('0').len()));
    }
}

/// A key that is there a second time is not there at all.
fn no_key_twice(mut document: Map<String, Value>, keys: &BTreeMap<String, RsaKey>) {
    let Some(listed) = document.get_mut("keys").and_then(Value::as_array_mut) else { return };
    listed.extend_from_within(..);
    assert_eq!(jwks::select(Value::Object(document).to_string().as_bytes()), None, "{keys:?}");
}
