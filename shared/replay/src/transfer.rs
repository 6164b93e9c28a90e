//! Exporting the log into files, and importing it: one file a day and lane, one record of the log
//! a line, and a manifest that lists the files with their digests.

mod export;
mod import;

pub use export::Pseudonyms;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use torale_domain::values::time::Timestamp;

use crate::ReplayError;

/// The name of the manifest within its folder.
pub const MANIFEST: &str = "manifest.json";
/// The name of the file with the quarantined messages.
const QUARANTINE: &str = "quarantine.ndjson.zst";
const FORMAT: u32 = 1;

/// The list of what an export holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the files' format.
    pub format: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// Everything received before this time is in it; later records may have been in the process
    /// of being written.
    pub through: Timestamp,
    /// Whether personal data was replaced by pseudonyms.
    pub scrubbed: bool,
    /// Its files, in the order of their names.
    pub files: Vec<FileEntry>,
    /// Messages in all of them.
    pub messages: u64,
    /// Records of the log that can't be read: exported as they are; omitted if scrubbed.
    pub undecodable: u64,
    /// Quarantined messages: omitted if scrubbed, since nothing is known of what they hold.
    pub quarantined: u64,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Lines: records of the log, or parts of quarantined messages.
    pub lines: u64,
    /// Messages in them.
    pub messages: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// A record of the log, as a line.
#[derive(Debug, Serialize, Deserialize)]
struct Part {
    pk: String,
    sk: String,
    /// Its messages, as they were received.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    messages: Vec<String>,
    /// Its bytes in hexadecimal, if they can't be read, and how many messages it says they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    packed: Option<(String, i64)>,
}

/// A part of a quarantined message, as a line.
#[derive(Debug, Serialize, Deserialize)]
struct QuarantinePart {
    pk: String,
    sk: String,
    body: String,
    code: String,
    reason: String,
    received_at: String,
    parts: i64,
}

fn file_error(path: &Path) -> impl Fn(std::io::Error) -> ReplayError + use<'_> {
    move |error| ReplayError::File(path.display().to_string(), error)
}

fn sha256(path: &Path) -> Result<String, ReplayError> {
    let mut file = File::open(path).map_err(file_error(path))?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer).map_err(file_error(path))?;
        match buffer.get(..read) {
            Some(bytes) if read > 0 => hasher.update(bytes),
            Some(_) | None => break,
        }
    }
    Ok(hex::encode(hasher.finalize()))
}
