//! Key sets (JWKS): which keys of the identity provider may sign session tokens.

use super::ALGORITHM;
use crate::values::json;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The accepted lengths of a modulus, in bits.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public RSA key, as big-endian numbers without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaKey {
    /// The modulus.
    pub n: Vec<u8>,
    /// The exponent.
    pub e: Vec<u8>,
}

/// The usable keys of a key set by their ids (`kid`). An id that several keys share is left out,
/// because it does not say which of them is meant. `None` for a document that is no key set, or
/// has no usable key.
pub fn select(document: &[u8]) -> Option<BTreeMap<String, RsaKey>> {
    let document = json::unambiguous_object(document)?;
    let entries: Vec<_> = document.get("keys")?.as_array()?.iter().filter_map(Value::as_object).collect();
    let mut by_id: BTreeMap<String, Vec<Option<RsaKey>>> = BTreeMap::new();
    for key in entries {
        if let Some(id) = key.get("kid").and_then(Value::as_str) {
            by_id.entry(id.to_owned()).or_default().push(usable(key));
        }
    }
    let keys: BTreeMap<_, _> = by_id
        .into_iter()
        .filter_map(|(id, keys)| match <[_; 1]>::try_from(keys) {
            Ok([Some(key)]) => Some((id, key)),
            Ok([None]) | Err(_) => None,
        })
        .collect();
    (!keys.is_empty()).then_some(keys)
}

/// The key, if it is an RSA key for signatures of a sound length; `None` for any other.
fn usable(key: &Map<String, Value>) -> Option<RsaKey> {
    let absent_or = |name, value: &str| key.get(name).is_none_or(|given| given == value);
    let rsa = key.get("kty").is_some_and(|kty| kty == "RSA");
    if !rsa || !absent_or("use", "sig") || !absent_or("alg", ALGORITHM) || !may_verify(key) {
        return None;
    }
    let number = |name| {
        let bytes = URL_SAFE_NO_PAD.decode(key.get(name)?.as_str()?).ok()?;
        Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>())
    };
    let (n, e) = (number("n")?, number("e")?);
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    let sound = MODULUS_BITS.contains(&bits(&n)) && odd(&n) && (2..=32).contains(&bits(&e)) && odd(&e);
    sound.then_some(RsaKey { n, e })
}

/// Whether the key's operations (RFC 7517, section 4.3) allow to verify signatures; all do where it names none.
fn may_verify(key: &Map<String, Value>) -> bool {
    match key.get("key_ops") {
        None => true,
        Some(operations) => {
            operations.as_array().is_some_and(|all| all.iter().any(|operation| operation == "verify"))
        }
    }
}

/// The number of bits of a number without leading zero bytes.
fn bits(number: &[u8]) -> usize {
    let Some((first, rest)) = number.split_first() else { return 0 };
    let unused = usize::try_from(first.leading_zeros()).unwrap_or(0);
    rest.len() * 8 + 8 - unused
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(keys: Value) -> Vec<u8> {
        json!({ "keys": keys }).to_string().into_bytes()
    }

    fn number(bits: usize) -> String {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        bytes[0] >>= (8 - bits % 8) % 8;
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn rsa(kid: &str) -> Value {
        json!({ "kty": "RSA", "kid": kid, "n": number(2048), "e": "AQAB" })
    }

    fn ids(document: &[u8]) -> Vec<String> {
        select(document).unwrap_or_default().into_keys().collect()
    }

    #[test]
    fn rsa_keys_for_signatures_are_selected() {
        let mut full = rsa("full");
        full["use"] = json!("sig");
        full["alg"] = json!("RS256");
        full["key_ops"] = json!(["sign", "verify"]);
        assert_eq!(ids(&set(json!([full, rsa("bare")]))), ["bare", "full"]);
        assert_eq!(select(&set(json!([rsa("a")]))).unwrap()["a"].e, [1, 0, 1]);
    }

    #[test]
    fn keys_that_are_no_sound_rsa_keys_for_signatures_are_left_out() {
        let wrong = [
            ("kty", json!("EC")),
            ("kty", json!("rsa")),
            ("kty", json!(null)),
            ("use", json!("enc")),
            ("use", json!(null)),
            ("alg", json!("RS512")),
            ("alg", json!(["RS256"])),
            ("key_ops", json!([])),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!(["encrypt", "wrapKey"])),
            ("key_ops", json!("verify")),
            ("key_ops", json!(null)),
            ("n", json!(number(2047))),
            ("n", json!(number(1024))),
            ("n", json!(number(8193))),
            ("n", json!(format!("{}==", number(2048)))),
            ("n", json!(URL_SAFE_NO_PAD.encode(vec![0xfe; 256]))),
            ("n", json!(URL_SAFE_NO_PAD.encode([vec![0; 200], vec![0xff; 128]].concat()))),
            ("n", json!(null)),
            ("e", json!("AQ")),
            ("e", json!("AAAB")),
            ("e", json!("AQAA")),
            ("e", json!("")),
            ("e", json!("AQAAAAE")),
            ("kid", json!(7)),
        ];
        for (field, value) in wrong {
            let mut key = rsa("wrong");
            key[field] = value.clone();
            assert_eq!(ids(&set(json!([key, rsa("right")]))), ["right"], "{field}: {value}");
        }
        assert_eq!(ids(&set(json!([7, null, "key", rsa("right")]))), ["right"]);
    }

    #[test]
    fn an_id_that_several_keys_share_is_left_out() {
        let elliptic = json!({ "kty": "EC", "kid": "shared" });
        assert_eq!(ids(&set(json!([rsa("twice"), rsa("twice"), rsa("once")]))), ["once"]);
        assert_eq!(ids(&set(json!([rsa("shared"), elliptic, rsa("own")]))), ["own"]);
    }

    #[test]
    fn a_document_that_is_no_key_set_or_has_no_keys_is_refused() {
        let twice = format!(r#"{{"keys":[],"keys":[{}]}}"#, rsa("a"));
        for document in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#, "<html>", &twice] {
            assert_eq!(select(document.as_bytes()), None, "{document}");
        }
    }
}
