//! Webhooks as Svix sends them.

use crate::present::NOW;
use crate::request::payload;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use torale_domain::values::time::Timestamp;

/// What [`SECRET`] stands for.
pub const KEY: &[u8] = b"0123456789abcdefghijklmn";
/// A signing secret as Clerk shows it.
pub const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u";

/// Where Clerk sends its webhooks.
const ROUTE: (&str, &str) = ("POST", "/webhooks/clerk");

/// HMAC-SHA256 as RFC 2104 has it, for keys of up to 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> String {
    let pad = |fill: u8| -> Vec<u8> { (0..64).map(|i| key.get(i).unwrap_or(&0) ^ fill).collect() };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    aws_smithy_types::base64::encode(Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize())
}

/// Svix's signature of a body.
pub fn signature(key: &[u8], id: &str, at: Timestamp, body: &str) -> String {
    let seconds = at.millis() / 1000;
    format!("v1,{}", hmac(key, format!("{id}.{seconds}.{body}").as_bytes()))
}

/// The payload of a request with any signature.
pub fn request(id: &str, at: Timestamp, signature: &str, body: &str) -> Value {
    let mut request = payload(ROUTE.0, ROUTE.1, "");
    let seconds = (at.millis() / 1000).to_string();
    request["headers"] = json!({ "svix-id": id, "svix-timestamp": seconds, "svix-signature": signature });
    request["body"] = json!(body);
    request
}

/// The payload of a request as Svix would send it.
pub fn signed(id: &str, body: &Value) -> Value {
    let body = body.to_string();
    request(id, NOW, &signature(KEY, id, NOW, &body), &body)
}
