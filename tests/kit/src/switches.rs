//! What the environment may ask of tests: the one place that reads it.

/// A number, such as how many random cases to try; `default` if the variable is not set.
///
/// # Panics
/// If it is set to something that is no number.
#[allow(clippy::disallowed_methods, reason = "a switch of the tests, not of the product")]
pub fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Whether a variable is set at all.
#[allow(clippy::disallowed_methods, reason = "a switch of the tests, not of the product")]
pub fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok()
}

/// A text; nothing if the variable is not set or empty.
#[allow(clippy::disallowed_methods, reason = "a switch of the tests, not of the product")]
pub fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}
