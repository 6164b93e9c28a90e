//! The folder of `--data`: beside the store it holds two keys, and how far seeding came, or the making of a history.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;

use super::seed::{self, SeedOptions};
use crate::error::LocalError;
use crate::store;

/// The admin's API key: the given one, else the folder's, else a new one, which the folder then
/// keeps.
///
/// # Errors
/// If the folder cannot be read or written.
pub fn admin_key(given: Option<&str>, folder: Option<&Path>) -> Result<String, LocalError> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let Some(folder) = folder else { return Ok(seed::new_key()) };
    let path = folder.join("admin-key");
    if let Some(key) = read(&path)? {
        return Ok(key.trim().to_owned());
    }
    let key = seed::new_key();
    write(&path, &key)?;
    restrict_to_owner(&path)?;
    Ok(key)
}

/// The file with the key that seals the audit trail, made if there is none. It lies in the folder
/// of `--data`, or else among the stack's own files.
///
/// # Errors
/// If the file cannot be written.
pub fn audit_key(folder: Option<&Path>, stack_files: &Path) -> Result<PathBuf, LocalError> {
    let folder = folder.unwrap_or(stack_files);
    let path = folder.join("audit-key.pem");
    if path.exists() {
        return Ok(path);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| LocalError::Helper(format!("random numbers: {error}")))?;
    let pem = SigningKey::from_bytes(&secret).to_pkcs8_pem(LineEnding::LF);
    let pem = pem.map_err(|error| LocalError::Helper(format!("a key for the audit trail: {error}")))?;
    std::fs::create_dir_all(folder).map_err(LocalError::io(path.display().to_string()))?;
    write(&path, &pem)?;
    restrict_to_owner(&path)?;
    Ok(path)
}

/// How far seeding the history came: not begun, begun on some day, or finished.
pub struct SeedProgress {
    begun: PathBuf,
    finished: PathBuf,
}

impl SeedProgress {
    /// The progress that a folder keeps.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { begun: folder.join("seed-begun"), finished: folder.join("seed-done") }
    }

    /// Whether the store holds the whole history.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished.exists()
    }

    /// Records that seeding begins today. If an earlier run was interrupted, returns the day on
    /// which it began: the same events are then sent again, and those that had arrived change
    /// nothing.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub fn begin(&self, today: NaiveDate) -> Result<NaiveDate, LocalError> {
        let begun = read(&self.begun)?.and_then(|text| text.trim().parse().ok());
        if let Some(day) = begun {
            return Ok(day);
        }
        write(&self.begun, &today.to_string())?;
        Ok(today)
    }

    /// Records that the store holds the whole history.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn finish(&self) -> Result<(), LocalError> {
        write(&self.finished, "")
    }
}

/// The history that a folder was made with (`--history`): not begun, begun, or whole.
pub struct FolderHistory {
    folder: PathBuf,
    begun: PathBuf,
    whole: PathBuf,
}

/// Whether a history must be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryWork {
    /// The folder holds no store yet.
    Make,
    /// The folder's store holds it.
    Kept,
}

impl FolderHistory {
    /// The history of a folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let (begun, whole) = (folder.join("history-begun"), folder.join("history"));
        Self { folder: folder.to_owned(), begun, whole }
    }

    /// What is to be done before this folder holds the wanted history. If it must be made, the folder notes that this
    /// has begun, before a store is opened: one whose making was interrupted is removed, since nothing else is in it.
    ///
    /// # Errors
    /// If the folder has other data, or cannot be read or written.
    pub fn prepare(&self, wanted: Option<SeedOptions>) -> Result<HistoryWork, LocalError> {
        let folder = self.folder.display();
        let Some(wanted) = wanted.as_ref().map(describe) else {
            if self.begun.exists() {
                return Err(LocalError::Data(format!(
                    "making the history in {folder} was interrupted; start again with --history, which begins anew, \
                     or delete the folder"
                )));
            }
            return Ok(HistoryWork::Kept);
        };
        if self.begun.exists() {
            store::remove(&self.folder)?;
            return self.begin(&wanted);
        }
        if !store::file(&self.folder).exists() {
            return self.begin(&wanted);
        }
        match read(&self.whole)? {
            Some(kept) if kept.trim() == wanted => Ok(HistoryWork::Kept),
            Some(kept) => Err(LocalError::Data(format!(
                "{folder} has a history of {}, not of {wanted}; start it without --history, or choose another folder \
                 with --data",
                kept.trim()
            ))),
            None => Err(LocalError::Data(format!(
                "{folder} has data already, and a history must be all that the log holds; choose another folder with \
                 --data"
            ))),
        }
    }

    fn begin(&self, wanted: &str) -> Result<HistoryWork, LocalError> {
        std::fs::create_dir_all(&self.folder).map_err(LocalError::io(self.folder.display().to_string()))?;
        write(&self.begun, wanted)?;
        Ok(HistoryWork::Make)
    }

    /// Records that the store holds the whole history, and nothing is to be seeded any more.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn finish(&self) -> Result<(), LocalError> {
        SeedProgress::new(&self.folder).finish()?;
        std::fs::rename(&self.begun, &self.whole).map_err(LocalError::io(self.whole.display().to_string()))
    }
}

/// A history in words, as the folder keeps it.
fn describe(SeedOptions { seed, days, executions }: &SeedOptions) -> String {
    format!("{executions} executions in {days} days with seed {seed}")
}

fn read(path: &Path) -> Result<Option<String>, LocalError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LocalError::io(path.display().to_string())(error)),
    }
}

fn restrict_to_owner(path: &Path) -> Result<(), LocalError> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path, mode).map_err(LocalError::io(path.display().to_string()))
}

fn write(path: &Path, text: &str) -> Result<(), LocalError> {
    std::fs::write(path, text).map_err(LocalError::io(path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_keeps_the_admin_key_and_the_day_on_which_seeding_began() {
        let folder = std::env::temp_dir().join(format!("torale-data-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let key = admin_key(None, Some(&folder)).unwrap();
        assert_eq!(admin_key(None, Some(&folder)).unwrap(), key);
        assert_eq!(admin_key(Some("sk_given"), Some(&folder)).unwrap(), "sk_given");
        assert_eq!(admin_key(None, Some(&folder)).unwrap(), key);

        let (monday, tuesday) = ("2024-01-15".parse().unwrap(), "2024-01-16".parse().unwrap());
        let progress = SeedProgress::new(&folder);
        assert_eq!(progress.begin(monday).unwrap(), monday);
        assert_eq!(progress.begin(tuesday).unwrap(), monday);
        assert!(!progress.is_finished());
        progress.finish().unwrap();
        assert!(SeedProgress::new(&folder).is_finished());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn folder_history_is_made_once_and_again_if_that_was_interrupted() {
        let folder = std::env::temp_dir().join(format!("torale-history-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (wanted, history) =
            (SeedOptions { seed: 1, days: 30, executions: 300 }, FolderHistory::new(&folder));
        let prepare = |wanted| history.prepare(wanted).map_err(|error| error.to_string());
        let shown = folder.display();

        assert_eq!(prepare(None), Ok(HistoryWork::Kept), "nothing is asked for");
        assert_eq!(prepare(Some(wanted)), Ok(HistoryWork::Make));
        // The store was opened, and whatever came next was stopped.
        for file in ["dynamodb.sqlite", "dynamodb.sqlite-wal"] {
            std::fs::write(folder.join(file), "half of it").unwrap();
        }
        let interrupted = format!(
            "making the history in {shown} was interrupted; start again with --history, which begins anew, or delete \
             the folder"
        );
        assert_eq!(prepare(None), Err(interrupted));

        assert_eq!(prepare(Some(wanted)), Ok(HistoryWork::Make), "begun, but not finished");
        assert!(!folder.join("dynamodb.sqlite").exists() && !folder.join("dynamodb.sqlite-wal").exists());
        std::fs::write(folder.join("dynamodb.sqlite"), "all of it").unwrap();
        history.finish().unwrap();

        assert_eq!(prepare(Some(wanted)), Ok(HistoryWork::Kept));
        assert_eq!(prepare(None), Ok(HistoryWork::Kept));
        assert!(folder.join("dynamodb.sqlite").exists() && SeedProgress::new(&folder).is_finished());
        let another = prepare(Some(SeedOptions { executions: 301, ..wanted }));
        let refused = format!(
            "{shown} has a history of 300 executions in 30 days with seed 1, not of 301 executions in 30 days with \
             seed 1; start it without --history, or choose another folder with --data"
        );
        assert_eq!(another, Err(refused));
        std::fs::remove_file(store::file(&folder)).unwrap();
        assert_eq!(prepare(Some(wanted)), Ok(HistoryWork::Make), "its store is gone");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn folder_history_is_refused_where_there_is_other_data() {
        let folder = std::env::temp_dir().join(format!("torale-other-data-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(store::file(&folder), "").unwrap();

        let refused =
            FolderHistory::new(&folder).prepare(Some(SeedOptions { seed: 1, days: 30, executions: 1 }));

        let text = refused.unwrap_err().to_string();
        assert!(text.contains("has data already"), "{text}");
        assert!(store::file(&folder).exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn without_a_folder_each_admin_key_is_new() {
        let key = admin_key(None, None).unwrap();
        assert_eq!(key.len(), 43);
        assert_ne!(admin_key(None, None).unwrap(), key);
    }
}
