//! What a backfill has done, in a file, so that it can be interrupted and called again.

use super::report::TableReport;
use crate::BackfillError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use torale_domain::values::digest::sha256_hex;
use torale_platform::clock;

/// The progress of one backfill into one target.
#[derive(Debug)]
pub struct BackfillProgress {
    file: Option<PathBuf>,
    state: State,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Which database the rows are from; empty before the first page.
    database: String,
    /// Where the events go.
    target: String,
    /// This backfill's own name, by which a log knows it.
    id: String,
    /// The generation that is built from its log.
    #[serde(default)]
    generation: Option<String>,
    tables: BTreeMap<String, TableReport>,
}

impl BackfillProgress {
    /// One that is kept in memory alone, for a dry run.
    pub fn unsaved() -> Self {
        Self { file: None, state: State::default() }
    }

    /// The progress that a file holds; a new one if there is no such file. `target` names where the events go.
    ///
    /// # Errors
    /// If the file can't be read, or is of another target.
    pub fn open(file: &Path, target: &str) -> Result<Self, BackfillError> {
        let state = match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                BackfillError::Progress(format!("{}: not a backfill's progress: {error}", file.display()))
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                State { target: target.to_owned(), id: clock::unique(), ..State::default() }
            }
            Err(error) => return Err(BackfillError::File(file.display().to_string(), error)),
        };
        let this = Self { file: Some(file.to_owned()), state };
        this.require(&this.state.target, target)?;
        Ok(this)
    }

    /// Notes the database that the rows are from.
    ///
    /// # Errors
    /// If the progress is of another database.
    pub fn belong_to(&mut self, database: &str) -> Result<(), BackfillError> {
        if self.state.database.is_empty() {
            database.clone_into(&mut self.state.database);
        }
        self.require(&self.state.database, database)
    }

    fn require(&self, noted: &str, wanted: &str) -> Result<(), BackfillError> {
        if noted == wanted { Ok(()) } else { Err(self.mismatch(noted, wanted)) }
    }

    fn mismatch(&self, noted: &str, wanted: &str) -> BackfillError {
        let file = self.file.as_deref().unwrap_or(Path::new("-")).display();
        BackfillError::Progress(format!(
            "{file} is the progress of a backfill from or into {noted}, not {wanted}: choose another file (--progress) \
             or delete it"
        ))
    }

    /// What identifies this backfill, and no other from the same database, to the log that it fills.
    pub fn import_digest(&self) -> String {
        sha256_hex(&[b"backfill", self.state.id.as_bytes()])
    }

    /// The generation that this backfill has begun to build.
    pub fn generation(&self) -> Option<&str> {
        self.state.generation.as_deref()
    }

    /// Saves which generation this backfill has begun to build.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn set_generation(&mut self, name: &str) -> Result<(), BackfillError> {
        self.state.generation = Some(name.to_owned());
        self.keep()
    }

    /// The error of a progress that is of another log than the one that is to be filled.
    pub fn of_another_log(&self) -> BackfillError {
        self.mismatch("another log", "this one")
    }

    /// What was read of each table.
    pub fn tables(&self) -> &BTreeMap<String, TableReport> {
        &self.state.tables
    }

    /// Replaces what was read of a table, and saves it: either all of it is in the file, or what was there before.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn save(&mut self, relation: &str, report: &TableReport) -> Result<(), BackfillError> {
        self.state.tables.insert(relation.to_owned(), report.clone());
        self.keep()
    }

    /// Saves what is known: before a log is begun, its name must be in the file.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn keep(&self) -> Result<(), BackfillError> {
        let Some(file) = &self.file else { return Ok(()) };
        let failed = |error| BackfillError::File(file.display().to_string(), error);
        let written = file.with_extension("tmp");
        let bytes = serde_json::to_vec(&self.state).map_err(|error| failed(error.into()))?;
        fs::write(&written, bytes).and_then(|()| fs::rename(&written, file)).map_err(failed)
    }

    /// Deletes the file, after the end or before the beginning.
    ///
    /// # Errors
    /// If it can't be deleted.
    pub fn forget(&self) -> Result<(), BackfillError> {
        match &self.file {
            Some(file) if file.exists() => {
                fs::remove_file(file).map_err(|error| BackfillError::File(file.display().to_string(), error))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_back_and_refused_for_another_database_or_target() {
        let file = std::env::temp_dir().join(format!("torale-source-progress-{}.json", std::process::id()));
        let mut progress = BackfillProgress::open(&file, "queue").unwrap();
        progress.belong_to("p/1/2").unwrap();
        let report = TableReport { rows: 7, after: Some("x".to_owned()), ..TableReport::default() };
        progress.save("users", &report).unwrap();

        let mut again = BackfillProgress::open(&file, "queue").unwrap();
        assert_eq!(again.tables().get("users"), Some(&report));
        assert!(again.belong_to("p/1/2").is_ok());
        assert!(again.belong_to("q/1/2").is_err());
        again.set_generation("g2").unwrap();
        assert_eq!(BackfillProgress::open(&file, "queue").unwrap().generation(), Some("g2"));
        assert!(BackfillProgress::open(&file, "log").is_err());

        again.forget().unwrap();
        assert!(!file.exists());
    }
}
