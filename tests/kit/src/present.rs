//! The present of all tests, and the credential of their admin.

use torale_domain::values::time::Timestamp;

/// The present of all tests: 2026-03-31T10:30:30.500Z, on the edge of a month.
pub const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);

/// The text of the admin's API key.
pub const ADMIN_KEY: &str = "sk_test_0123456789abcdefghij";
