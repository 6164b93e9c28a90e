//! JSON from outside as a tree of values.
//!
//! `serde_json` reads an object with a certain name of its own (`$serde_json::private::RawValue`) as the JSON that
//! stands in its text, with a nesting of its own: who sends it chooses how deep the tree is, and a list or number may
//! look like an object. It does so wherever some crate of the build asks for raw values. So nothing from outside is
//! read into a [`Value`] by its own reader: here every name is just a name, and nesting ends at 128.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Reads a text. Of a name that occurs twice in an object, the last one counts.
///
/// # Errors
/// If the text is no JSON, is nested deeper than 128, or has a number or half a surrogate pair that no value holds.
pub fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text).map(|Plain::<false>(value)| value)
}

/// The same of bytes in UTF-8.
///
/// # Errors
/// As [`parse`], or if they are no UTF-8.
pub fn parse_bytes(bytes: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(bytes).map(|Plain::<false>(value)| value)
}

/// Reads an object in which no name occurs twice, at any depth; `None` for any other text. Parsers differ in which of
/// two values they take, so such a text could mean two things.
pub fn unambiguous_object(text: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(text) {
        Ok(Plain::<true>(Value::Object(object))) => Some(object),
        Ok(_) | Err(_) => None,
    }
}

/// Reads a value as [`parse`] does, for `deserialize_with` of a field that takes any value.
///
/// # Errors
/// As [`parse`].
pub fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Plain::<false>::deserialize(deserializer).map(|Plain(value)| value)
}

/// A value in which names are just names, and occur once where `UNIQUE`.
struct Plain<const UNIQUE: bool>(Value);

impl<'de, const UNIQUE: bool> Deserialize<'de> for Plain<UNIQUE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor::<UNIQUE>).map(Self)
    }
}

struct PlainVisitor<const UNIQUE: bool>;

impl<'de, const UNIQUE: bool> Visitor<'de> for PlainVisitor<UNIQUE> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Plain::<UNIQUE>(value)) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Plain::<UNIQUE>(value))) = entries.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() && UNIQUE {
                return Err(A::Error::custom("a name occurs twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RAW: &str = "$serde_json::private::RawValue";

    #[test]
    fn a_name_of_the_parsers_own_is_just_a_name() {
        for text in ["7", "[[[]]]", "{]"] {
            let object = json!({ (RAW): text });
            assert_eq!(parse(&object.to_string()).unwrap(), object);
            assert_eq!(parse_bytes(object.to_string().as_bytes()).unwrap(), object);
            assert_eq!(value(&object).unwrap(), object);
            assert_eq!(unambiguous_object(object.to_string().as_bytes()).unwrap()[RAW], text);
        }
    }

    #[test]
    fn everything_else_is_read_as_ever() {
        let text = r#"{"a":[null,true,-1,18446744073709551615,0.1,"\u00e4",{}],"a2":"\ud83d\ude00"}"#;
        assert_eq!(parse(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(parse(r#"{"a":1,"a":2}"#).unwrap(), json!({ "a": 2 }));
        assert_eq!(unambiguous_object(br#"{"a":1,"a":2}"#), None);
        for text in ["", "{", "1e400", r#""\ud800""#, "[] []"] {
            assert!(parse(text).is_err(), "{text}");
        }
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(127)).is_ok() && parse(&nested(128)).is_err());
    }
}
