//! Events as they go onto the queue.

use serde_json::{Value, json};
use torale_domain::events::TYPE_PREFIX;
use torale_domain::values::digest::short_digest;
use torale_domain::values::time::Timestamp;
use uuid::{Builder, Variant, Version};

/// The source of all events made here.
const SOURCE: &str = "/torale/temporal";

/// An event. Its id, a UUID of version 8, follows from type, time and data, so that the same fact is the same event
/// whoever finds it and how often.
pub(crate) fn message(kind: &str, subject: &str, time: Timestamp, data: &Value) -> String {
    let content = [kind, &time.to_string(), &data.to_string()].join("\n");
    let id = Builder::from_u128(short_digest(&[content.as_bytes()])).with_version(Version::Custom);
    let id = id.with_variant(Variant::RFC4122).into_uuid();
    json!({
        "specversion": "1.0", "id": id, "source": SOURCE, "type": format!("{TYPE_PREFIX}{kind}"),
        "subject": subject, "time": time, "datacontenttype": "application/json", "data": data,
    })
    .to_string()
}

/// A protobuf timestamp, cut to milliseconds.
pub(crate) fn timestamp(seconds: i64, nanos: i32) -> Timestamp {
    Timestamp::from_millis(seconds.saturating_mul(1000).saturating_add(i64::from(nanos) / 1_000_000))
}
