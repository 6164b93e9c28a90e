//! The log as files, and back: one file a day and lane, one part of the log a line, with a manifest that tells what must
//! be in them.

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
/// The name of the file with what was set aside.
const QUARANTINE: &str = "quarantine.ndjson.zst";
const FORMAT: u32 = 1;

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the files' format.
    pub format: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// What was received before this is in it; what came later may still have been being written.
    pub through: Timestamp,
    /// Whether pseudonyms stand for what is personal.
    pub scrubbed: bool,
    /// Its files, in the order of their names.
    pub files: Vec<FileEntry>,
    /// Messages in all of them.
    pub messages: u64,
    /// Parts of the log that can't be read: as they are in the files; left out if scrubbed.
    pub undecodable: u64,
    /// Messages set aside: left out if scrubbed, as nobody can tell what is in them.
    pub quarantined: u64,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Lines: parts of the log, or of messages set aside.
    pub lines: u64,
    /// Messages in them.
    pub messages: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// A part of the log, as a line.
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

/// A part of a message that was set aside, as a line.
#[derive(Debug, Serialize, Deserialize)]
struct AsidePart {
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
    Ok(hex(&hasher.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}
