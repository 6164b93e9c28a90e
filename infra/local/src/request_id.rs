//! Ids of requests and invocations.

/// A new random id, a UUID as AWS makes them.
#[must_use]
pub fn new() -> String {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid().to_string()
}
