//! Import: from files into the store.

use super::{FORMAT, FileEntry, MANIFEST, Manifest, Part, QUARANTINE, QuarantinePart, file_error, sha256};
use crate::build::insert;
use crate::{Replay, ReplayError};
use serde::de::DeserializeOwned;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use torale_domain::storage::item::{Attributes, Item, Key, Value};
use torale_domain::storage::keys::{self, EVENTS_TABLE, QUARANTINE_TABLE};
use torale_domain::values::digest;
use torale_domain::values::time::Timestamp;
use torale_platform::store::log;

/// Items that are written together.
const ITEMS: usize = 400;
/// The longest line: several times what an item of the log takes there.
const MAX_LINE: u64 = 8 * 1024 * 1024;

impl Replay {
    /// Puts an export into the empty log of an installation. An interrupted import continues when
    /// it is called again. The projections are not touched: build a generation from the log next.
    ///
    /// # Errors
    /// If the log holds anything else, if a file is not what the manifest says, or if the store
    /// fails.
    pub async fn import(&self, folder: &Path) -> Result<Manifest, ReplayError> {
        let path = folder.join(MANIFEST);
        let text = fs::read_to_string(&path).map_err(file_error(&path))?;
        let broken = |fault: String| ReplayError::InvalidFile(path.display().to_string(), fault);
        let manifest: Manifest = serde_json::from_str(&text).map_err(|e| broken(e.to_string()))?;
        if manifest.format != FORMAT {
            return Err(broken(format!("format {} is not {FORMAT}", manifest.format)));
        }
        for entry in &manifest.files {
            if Path::new(&entry.name).file_name() != Some(OsStr::new(&entry.name)) {
                return Err(broken(format!("{:?} is no name of a file", entry.name)));
            }
            let path = folder.join(&entry.name);
            if sha256(&path)? != entry.sha256 {
                return Err(ReplayError::InvalidFile(
                    path.display().to_string(),
                    "is not the file that was exported".to_owned(),
                ));
            }
        }
        self.begin_import(&digest::sha256_hex(&[text.as_bytes()])).await?;
        for entry in &manifest.files {
            self.import_file(&folder.join(&entry.name), entry).await?;
        }
        Ok(manifest)
    }

    /// Allows an import into an empty log, or into one that this very import has begun to fill. `digest` identifies
    /// the import.
    ///
    /// # Errors
    /// If the log or the quarantine holds anything else, or the store fails.
    pub async fn begin_import(&self, digest: &str) -> Result<(), ReplayError> {
        if self.has_begun_import(digest).await? {
            return Ok(());
        }
        if !self.store.is_empty(EVENTS_TABLE).await? || !self.store.is_empty(QUARANTINE_TABLE).await? {
            return Err(ReplayError::Refused(
                "the log is not empty: an import must be all that it holds".to_owned(),
            ));
        }
        let begin = vec![insert(keys::import(digest), Attributes::new())];
        let is_open = || async { Ok(!self.has_begun_import(digest).await?) };
        self.transact_while(begin, is_open).await.map(drop)
    }

    /// Whether this import has begun to fill this log.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn has_begun_import(&self, digest: &str) -> Result<bool, ReplayError> {
        Ok(self.store.control(&keys::import(digest), &self.usage).await?.is_some())
    }

    async fn import_file(&self, path: &Path, entry: &FileEntry) -> Result<(), ReplayError> {
        let quarantine = entry.name == QUARANTINE;
        let table = if quarantine { QUARANTINE_TABLE } else { EVENTS_TABLE };
        let file = File::open(path).map_err(file_error(path))?;
        let mut lines = BufReader::new(zstd::Decoder::new(file).map_err(file_error(path))?);
        let (mut items, mut count) = (Vec::new(), 0);
        while let Some(line) = next_line(&mut lines).map_err(file_error(path))? {
            count += 1;
            items.push(if quarantine {
                quarantine_item(read(path, &line)?)
            } else {
                self.log_item(path, &line).await?
            });
            if items.len() >= ITEMS {
                self.store.insert_all(table, std::mem::take(&mut items), &self.usage).await?;
            }
        }
        self.store.insert_all(table, items, &self.usage).await?;
        if count == entry.lines {
            return Ok(());
        }
        Err(ReplayError::InvalidFile(
            path.display().to_string(),
            format!("{count} lines, not {}", entry.lines),
        ))
    }

    async fn log_item(&self, path: &Path, line: &str) -> Result<Item, ReplayError> {
        let Part { pk, sk, messages, packed } = read(path, line)?;
        let key = Key::stored(pk, sk);
        let at = keys::parse_log(&key).map(|(hour, _, _)| hour.start());
        let at: Timestamp = at.ok_or_else(|| {
            ReplayError::InvalidFile(path.display().to_string(), format!("{} is no hour and lane", key.pk))
        })?;
        self.store.note_beginning(at, &self.usage).await?;
        self.meter.read(messages.len());
        let Some((packed, says)) = packed else {
            let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
            return Ok(log::item(key, &messages)?);
        };
        let broken = || ReplayError::InvalidFile(path.display().to_string(), "not hexadecimal".to_owned());
        let packed = hex::decode(&packed).map_err(|_| broken())?;
        let attributes = [("events", Value::Bytes(packed)), ("n", Value::Number(says.into()))];
        Ok(Item { key, attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into() })
    }
}

/// The next line, without its end; `None` after the last. One that no export has written may be longer than the memory.
fn next_line(lines: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let bytes = lines.take(MAX_LINE).read_line(&mut line)?;
    if !line.ends_with('\n') && u64::try_from(bytes).is_ok_and(|bytes| bytes == MAX_LINE) {
        let fault = format!("a line of more than {MAX_LINE} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
    }
    Ok((bytes > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn read<T: DeserializeOwned>(path: &Path, line: &str) -> Result<T, ReplayError> {
    serde_json::from_str(line)
        .map_err(|e| ReplayError::InvalidFile(path.display().to_string(), e.to_string()))
}

fn quarantine_item(part: QuarantinePart) -> Item {
    let QuarantinePart { pk, sk, body, code, reason, received_at, parts } = part;
    let texts = [("body", body), ("code", code), ("reason", reason), ("received_at", received_at)];
    let mut attributes: Attributes =
        texts.into_iter().map(|(name, text)| (name.to_owned(), Value::Text(text))).collect();
    attributes.insert("parts".to_owned(), Value::Number(parts.into()));
    Item { key: Key::stored(pk, sk), attributes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_up_to_a_bound() {
        let mut lines = BufReader::new("a\nb".as_bytes());
        let next: Vec<_> = std::iter::from_fn(|| next_line(&mut lines).unwrap()).collect();
        assert_eq!(next, ["a", "b"]);
        let mut endless = BufReader::new(io::repeat(b'x'));
        assert_eq!(next_line(&mut endless).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
