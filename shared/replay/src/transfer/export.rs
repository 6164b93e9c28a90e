//! Export: from the store into files.

use super::{FORMAT, FileEntry, MANIFEST, Manifest, Part, QUARANTINE, QuarantinePart, file_error, sha256};
use crate::log::{self, LogSpan};
use crate::{Replay, ReplayError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use torale_domain::events::{self, ReceivedMessage};
use torale_domain::replay::rebuild::Tally;
use torale_domain::replay::scrub::scrub;
use torale_domain::storage::item::{Item, Value};
use torale_domain::storage::keys::{self, QUARANTINE_TABLE, UNKNOWN_LANE};
use torale_domain::values::time::{Day, Hour};

const LEVEL: i32 = 9;

/// How pseudonyms are made: the same salt gives the same pseudonyms.
#[derive(Debug, Clone)]
pub struct Pseudonyms {
    /// A secret.
    pub salt: Vec<u8>,
}

/// A file being written.
struct Lines<'a> {
    path: &'a Path,
    to: zstd::Encoder<'static, File>,
    entry: FileEntry,
}

impl<'a> Lines<'a> {
    fn create(path: &'a Path) -> Result<Self, ReplayError> {
        let file = File::create(path).map_err(file_error(path))?;
        let to = zstd::Encoder::new(file, LEVEL).map_err(file_error(path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { path, to, entry: FileEntry { name, lines: 0, messages: 0, sha256: String::new() } })
    }

    fn write(&mut self, line: &impl Serialize, messages: usize) -> Result<(), ReplayError> {
        let line = serde_json::to_string(line)?;
        writeln!(self.to, "{line}").map_err(file_error(self.path))?;
        self.entry.lines += 1;
        self.entry.messages += u64::try_from(messages).unwrap_or(0);
        Ok(())
    }

    /// `None` if it has no lines: then the file is removed.
    fn finish(self) -> Result<Option<FileEntry>, ReplayError> {
        let file = self.to.finish().map_err(file_error(self.path))?;
        file.sync_all().map_err(file_error(self.path))?;
        if self.entry.lines == 0 {
            fs::remove_file(self.path).map_err(file_error(self.path))?;
            return Ok(None);
        }
        Ok(Some(FileEntry { sha256: sha256(self.path)?, ..self.entry }))
    }
}

impl Replay {
    /// Writes the log up to `settle` before now into a folder that holds no export yet.
    ///
    /// # Errors
    /// If the store or a file fails.
    pub async fn export(
        &self,
        folder: &Path,
        pseudonyms: Option<&Pseudonyms>,
    ) -> Result<Manifest, ReplayError> {
        fs::create_dir_all(folder).map_err(file_error(folder))?;
        let manifest_path = folder.join(MANIFEST);
        if manifest_path.exists() {
            return Err(ReplayError::Refused(format!("{} holds an export already", folder.display())));
        }
        let through = self.settled();
        let mut manifest = Manifest {
            format: FORMAT,
            created_at: self.now(),
            through,
            scrubbed: pseudonyms.is_some(),
            files: Vec::new(),
            messages: 0,
            undecodable: 0,
            quarantined: 0,
        };
        let (first, last) = (self.beginning().await?.day(), through.day());
        for day in (first.0..=last.0).map(Day) {
            for lane in keys::log_lanes() {
                let name = format!("events-{}-{lane:02}.ndjson.zst", day.digits());
                let entry = self.export_day(&folder.join(name), day, lane, pseudonyms, &mut manifest).await?;
                manifest.files.extend(entry);
            }
        }
        let quarantine = self.export_quarantine(&folder.join(QUARANTINE), &mut manifest).await?;
        manifest.files.extend(quarantine);
        manifest.messages = manifest.files.iter().map(|file| file.messages).sum::<u64>();
        // Last: a folder without a manifest is an export that was interrupted.
        let text = serde_json::to_string_pretty(&manifest)?;
        fs::write(&manifest_path, text + "\n").map_err(file_error(&manifest_path))?;
        Ok(manifest)
    }

    async fn export_day(
        &self,
        path: &Path,
        day: Day,
        lane: u32,
        pseudonyms: Option<&Pseudonyms>,
        manifest: &mut Manifest,
    ) -> Result<Option<FileEntry>, ReplayError> {
        let through = manifest.through;
        let last = Hour(day.first_hour().0 + 23).min(through.hour());
        let span = LogSpan { lane, from: day.start(), before: Some(through), last };
        let mut pages = self.read(span);
        let mut lines = Lines::create(path)?;
        while let Some(page) = pages.recv().await {
            for item in page? {
                for part in parts(item, lane, pseudonyms, manifest) {
                    let count = part.messages.len();
                    self.meter.read(count);
                    lines.write(&part, count)?;
                }
            }
        }
        lines.finish()
    }

    async fn export_quarantine(
        &self,
        path: &Path,
        manifest: &mut Manifest,
    ) -> Result<Option<FileEntry>, ReplayError> {
        manifest.quarantined = u64::try_from(self.quarantined().await?.len()).unwrap_or(0);
        if manifest.scrubbed {
            return Ok(None);
        }
        let mut lines = Lines::create(path)?;
        for partition in keys::quarantine_partitions() {
            for item in self.partition(QUARANTINE_TABLE, &partition).await? {
                let text = |name| item.text(name).unwrap_or_default().to_owned();
                let part = QuarantinePart {
                    body: text("body"),
                    code: text("code"),
                    reason: text("reason"),
                    received_at: text("received_at"),
                    parts: i64::try_from(item.number("parts")).unwrap_or(0),
                    pk: item.key.pk.clone(),
                    sk: item.key.sk.clone(),
                };
                lines.write(&part, 0)?;
            }
        }
        lines.finish()
    }
}

/// A record of the log as it is exported; counts what can't be read. Scrubbed, it has no part if
/// nothing in it can be read, and several if events of it now are of entities in other lanes.
fn parts(item: Item, lane: u32, pseudonyms: Option<&Pseudonyms>, manifest: &mut Manifest) -> Vec<Part> {
    let mut tally = Tally::default();
    let messages = log::messages(&item, &mut tally);
    manifest.undecodable += tally.undecodable;
    let broken = tally.undecodable > 0;
    let (pk, sk) = (item.key.pk.clone(), item.key.sk.clone());
    let Some(Pseudonyms { salt }) = pseudonyms else {
        let packed = match item.attributes.get("events").filter(|_| broken) {
            Some(Value::Bytes(bytes)) => hex::encode(bytes),
            Some(Value::Text(_) | Value::Number(_)) | None => String::new(),
        };
        let says = i64::try_from(item.number("n")).unwrap_or(0);
        return vec![match broken {
            true => Part { pk, sk, messages: Vec::new(), packed: Some((packed, says)) },
            false => Part { pk, sk, messages, packed: None },
        }];
    };
    let mut scrubbed: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for message in &messages {
        match scrub(message, salt) {
            Some(message) => scrubbed.entry(lane_of(&message, lane)).or_default().push(message),
            None => manifest.undecodable += 1,
        }
    }
    let part = |(lane, messages)| {
        let key = keys::log_moved(&item.key, lane)?;
        Some(Part { pk: key.pk, sk: key.sk, messages, packed: None })
    };
    scrubbed.into_iter().filter_map(part).collect()
}

/// The lane of a scrubbed event: its entity may have another id now.
fn lane_of(message: &str, before: u32) -> u32 {
    match events::parse(message, None) {
        Ok(ReceivedMessage::Known(event)) if before != UNKNOWN_LANE => keys::log_lane(&event.entity()),
        Ok(_) | Err(_) => before,
    }
}
