use super::*;
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);
const SECOND: i64 = 1_774_953_030;

fn rules() -> SessionRules {
    SessionRules {
        issuer: "https://clerk.example.com".to_owned(),
        authorized_parties: vec!["https://app.example.com".to_owned(), "https://b.example.com".to_owned()],
    }
}

fn header() -> Value {
    json!({ "alg": "RS256", "cat": "cl_B7d4PD111AAA", "kid": "ins_1", "typ": "JWT" })
}

fn claims() -> Value {
    json!({ "azp": "https://app.example.com", "exp": SECOND + 60, "fva": [85, -1], "iat": SECOND, "nbf": SECOND - 10,
            "iss": "https://clerk.example.com", "sid": "sess_1", "sts": "active", "sub": "user_1", "v": 2 })
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name).unwrap();
    object
}

fn token(header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.c2lnbmF0dXJl")
}

fn check(header: &Value, claims: &Value) -> Result<Session, TokenRefusal> {
    let token = token(&header.to_string(), &claims.to_string());
    Token::read(&token)?.check(&rules(), NOW)
}

#[test]
fn a_token_of_the_provider_is_read() {
    let text = token(&header().to_string(), &claims().to_string());
    let token = Token::read(&text).unwrap();
    assert_eq!(token.key_id.as_deref(), Some("ins_1"));
    assert_eq!(format!("{}.{}", token.message, token.signature), text);
    let session =
        Session { subject: ClerkUserId::parse("user_1").unwrap(), impersonator: None, demoted: false };
    assert_eq!(token.check(&rules(), NOW), Ok(session));
}

#[test]
fn a_token_that_is_not_three_parts_of_base64url_is_refused() {
    let good = token(&header().to_string(), &claims().to_string());
    for refused in [
        "",
        ".",
        "a.b",
        "a..b.",
        &format!("{good}.a"),
        &format!("{good}="),
        &format!(".{good}"),
        "a+b/.e30.a",
    ] {
        assert_eq!(Token::read(refused).unwrap_err(), TokenFault::Encoding, "{refused}");
    }
    assert_eq!(Token::read(&"é".repeat(MAX_BYTES / 2 + 1)).unwrap_err(), TokenFault::TooLong);
    assert_eq!(Token::read(&"x".repeat(MAX_BYTES)).unwrap_err(), TokenFault::Encoding);
}

#[test]
fn a_header_or_claims_that_are_no_json_object_or_repeat_a_name_are_refused() {
    let (header, claims) = (header().to_string(), claims().to_string());
    let twice = |object: &str, name: &str| object.replacen('{', &format!("{{{name}:1,"), 1);
    let refused = [
        token("[]", &claims),
        token(&header, "\"claims\""),
        token(&header, &format!("{claims} {{}}")),
        token(&twice(&header, "\"kid\""), &claims),
        token(&twice(&header, "\"al\\u0067\""), &claims),
        token(&header, &twice(&claims, "\"sub\"")),
        token(&header, &twice(&claims, "\"v\"")),
        token(&header, &claims.replacen('{', r#"{"act":{"sub":"a","sub":"b"},"#, 1)),
        token(&header, &format!("{}1{}", "[".repeat(500), "]".repeat(500))),
    ];
    for refused in refused {
        assert_eq!(Token::read(&refused).unwrap_err(), TokenFault::Json, "{refused}");
    }
}

#[test]
fn a_header_of_another_kind_of_token_is_refused() {
    let refused = [
        ("alg", json!("none"), TokenFault::Algorithm),
        ("alg", json!("nOnE"), TokenFault::Algorithm),
        ("alg", json!("HS256"), TokenFault::Algorithm),
        ("alg", json!("RS512"), TokenFault::Algorithm),
        ("alg", json!(["RS256"]), TokenFault::Algorithm),
        ("typ", json!("at+jwt"), TokenFault::Type),
        ("typ", json!("jwt"), TokenFault::Type),
        ("typ", json!(null), TokenFault::Type),
        ("crit", json!([]), TokenFault::Critical),
        ("crit", json!(null), TokenFault::Critical),
        ("cat", json!("cl_B7d4PD222AAA"), TokenFault::Category),
        ("cat", json!("cl_B7d4PD333AAA"), TokenFault::Category),
        ("cat", json!(null), TokenFault::Category),
        ("kid", json!(1), TokenFault::UnknownKey),
    ];
    for (name, value, fault) in refused {
        assert_eq!(
            check(&with(header(), name, value.clone()), &claims()),
            Err(fault.into()),
            "{name}: {value}"
        );
    }
    assert_eq!(check(&without(header(), "alg"), &claims()), Err(TokenFault::Algorithm.into()));
    for absent in ["typ", "cat", "kid"] {
        assert!(check(&without(header(), absent), &claims()).is_ok(), "{absent}");
    }
    for ignored in ["jwk", "jku", "x5u", "anything"] {
        assert!(check(&with(header(), ignored, json!([1])), &claims()).is_ok(), "{ignored}");
    }
}

#[test]
fn a_claim_of_another_type_or_value_is_refused() {
    let refused = [
        ("iss", json!("https://clerk.example.com/"), TokenFault::Issuer),
        ("iss", json!("https://clerk.example.com.evil.example"), TokenFault::Issuer),
        ("iss", json!("HTTPS://clerk.example.com"), TokenFault::Issuer),
        ("iss", json!(["https://clerk.example.com"]), TokenFault::Issuer),
        ("azp", json!("https://app.example.com/"), TokenFault::Party),
        ("azp", json!(["https://app.example.com"]), TokenFault::Party),
        ("azp", json!(null), TokenFault::Party),
        ("sub", json!(["user_1"]), TokenFault::Subject),
        ("sub", json!(1), TokenFault::Subject),
        ("sub", json!(""), TokenFault::Subject),
        ("exp", json!((SECOND + 60).to_string()), TokenFault::Time),
        ("exp", json!([SECOND + 60]), TokenFault::Time),
        ("exp", json!(1e300), TokenFault::Time),
        ("exp", json!(null), TokenFault::Time),
        ("nbf", json!(true), TokenFault::Time),
        ("iat", json!(u64::MAX), TokenFault::Time),
        ("act", json!("user_2"), TokenFault::Actor),
        ("act", json!({ "sub": ["user_2"] }), TokenFault::Actor),
        ("act", json!({ "iss": "https://dashboard.clerk.com" }), TokenFault::Actor),
        ("public_metadata", json!("admin"), TokenFault::Metadata),
    ];
    for (name, value, fault) in refused {
        assert_eq!(
            check(&header(), &with(claims(), name, value.clone())),
            Err(fault.into()),
            "{name}: {value}"
        );
    }
    for (name, fault) in [
        ("iss", TokenFault::Issuer),
        ("azp", TokenFault::Party),
        ("sub", TokenFault::Subject),
        ("exp", TokenFault::Time),
        ("nbf", TokenFault::Time),
        ("iat", TokenFault::Time),
    ] {
        assert_eq!(check(&header(), &without(claims(), name)), Err(fault.into()), "{name}");
    }
}

#[test]
fn without_authorized_parties_any_party_is_accepted() {
    let any_party = SessionRules { authorized_parties: Vec::new(), ..rules() };
    for (claims, allowed) in [
        (claims(), true),
        (without(claims(), "azp"), true),
        (with(claims(), "azp", json!("https://elsewhere.example")), true),
        (with(claims(), "azp", json!(1)), false),
    ] {
        let token = token(&header().to_string(), &claims.to_string());
        assert_eq!(Token::read(&token).unwrap().check(&any_party, NOW).is_ok(), allowed, "{claims}");
    }
}

#[test]
fn times_are_compared_with_five_seconds_of_leeway() {
    let not_yet = Err(TokenRefusal::Invalid(TokenFault::NotYet));
    let cases = [
        ("exp", -6, Err(TokenRefusal::Expired)),
        ("exp", -5, Err(TokenRefusal::Expired)),
        ("exp", -4, Ok(())),
        ("exp", 4, Ok(())),
        ("nbf", -6, Ok(())),
        ("nbf", 4, Ok(())),
        ("nbf", 5, Ok(())),
        ("nbf", 6, not_yet),
        ("iat", -6, Ok(())),
        ("iat", 4, Ok(())),
        ("iat", 6, not_yet),
        ("exp", i64::MIN, Err(TokenRefusal::Expired)),
        ("nbf", i64::MAX - SECOND, not_yet),
    ];
    for (claim, seconds, expected) in cases {
        let result = check(&header(), &with(claims(), claim, json!(SECOND.saturating_add(seconds))));
        assert_eq!(result.map(drop), expected, "{claim} {seconds}");
    }
}

#[test]
fn an_expired_token_with_another_fault_is_invalid() {
    let expired = with(claims(), "exp", json!(SECOND - 60));
    assert_eq!(check(&header(), &expired), Err(TokenRefusal::Expired));
    assert_eq!(check(&header(), &with(expired, "azp", json!("x"))), Err(TokenFault::Party.into()));
}

#[test]
fn the_impersonator_is_read_from_act() {
    let act = json!({ "iss": "https://dashboard.clerk.com", "sid": "sess_2", "sub": "user_support" });
    let session = check(&header(), &with(claims(), "act", act)).unwrap();
    assert_eq!(session.impersonator.as_deref(), Some("user_support"));
}

#[test]
fn the_role_in_a_token_only_takes_rights_away() {
    for (metadata, demoted) in [
        (json!({ "role": "admin" }), false),
        (json!({}), false),
        (json!(null), false),
        (json!({ "role": "user" }), true),
        (json!({ "role": "Admin" }), true),
        (json!({ "role": null }), true),
        (json!({ "role": ["admin"] }), true),
    ] {
        let session = check(&header(), &with(claims(), "public_metadata", metadata.clone())).unwrap();
        assert_eq!(session.demoted, demoted, "{metadata}");
    }
}
