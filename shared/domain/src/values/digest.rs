//! SHA-256 over parts, in the forms that keys and comparisons use.

use sha2::{Digest, Sha256};

/// SHA-256 over parts, each preceded by its length (8 bytes, big-endian); of one part, over that
/// part alone.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        if parts.len() > 1 {
            hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        }
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// [`sha256`] as 64 lower-case hexadecimal digits.
pub fn sha256_hex(parts: &[&[u8]]) -> String {
    hex::encode(sha256(parts))
}

/// The first 128 bits of [`sha256`].
pub fn short_digest(parts: &[&[u8]]) -> u128 {
    sha256(parts).iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
}
