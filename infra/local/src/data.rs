//! The folder of `--data`: beside the store, what the next run must know.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;

use crate::failure::LocalError;
use crate::seed;

/// The key to print: the given one, else the one that the folder keeps, else a new one.
///
/// # Errors
/// When the folder cannot be read or written.
pub fn admin_key(given: Option<&str>, folder: Option<&Path>) -> Result<String, LocalError> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let Some(folder) = folder else { return Ok(seed::new_key()) };
    let path = folder.join("admin-key");
    if let Some(kept) = read(&path)? {
        return Ok(kept.trim().to_owned());
    }
    let key = seed::new_key();
    write(&path, &key)?;
    let only_mine = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, only_mine).map_err(LocalError::io(path.display().to_string()))?;
    Ok(key)
}

/// The file with the key that seals the audit trail: the one that the folder keeps, else a new one. Without a folder
/// of one's own it lies among the stack's own files.
///
/// # Errors
/// When the file cannot be read or written.
pub fn audit_key(folder: Option<&Path>, local: &Path) -> Result<PathBuf, LocalError> {
    let path = folder.unwrap_or(local).join("audit-key.pem");
    if path.exists() {
        return Ok(path);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| LocalError::Helper(format!("random numbers: {error}")))?;
    let pem = SigningKey::from_bytes(&secret).to_pkcs8_pem(LineEnding::LF);
    let pem = pem.map_err(|error| LocalError::Helper(format!("a key for the audit trail: {error}")))?;
    std::fs::create_dir_all(folder.unwrap_or(local)).map_err(LocalError::io(path.display().to_string()))?;
    write(&path, &pem)?;
    let only_mine = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, only_mine).map_err(LocalError::io(path.display().to_string()))?;
    Ok(path)
}

/// Whether the history has been seeded, and from which day on if that was interrupted.
pub struct Marker {
    begun: PathBuf,
    done: PathBuf,
}

impl Marker {
    /// The marker of a folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { begun: folder.join("seed-begun"), done: folder.join("seed-done") }
    }

    /// Whether the whole history is in the store.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done.exists()
    }

    /// Notes the day, or answers the day of the run that was interrupted: then the same events are sent
    /// again, and those that had arrived change nothing.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn begin(&self, today: NaiveDate) -> Result<NaiveDate, LocalError> {
        let begun = read(&self.begun)?.and_then(|text| text.trim().parse().ok());
        if let Some(day) = begun {
            return Ok(day);
        }
        write(&self.begun, &today.to_string())?;
        Ok(today)
    }

    /// Notes that the history is complete.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn end(&self) -> Result<(), LocalError> {
        write(&self.done, "")
    }
}

fn read(path: &Path) -> Result<Option<String>, LocalError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LocalError::io(path.display().to_string())(error)),
    }
}

fn write(path: &Path, text: &str) -> Result<(), LocalError> {
    std::fs::write(path, text).map_err(LocalError::io(path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_key_and_the_day_of_its_seed() {
        let folder = std::env::temp_dir().join(format!("torale-data-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let key = admin_key(None, Some(&folder)).unwrap();
        assert_eq!(admin_key(None, Some(&folder)).unwrap(), key);
        assert_eq!(admin_key(Some("sk_given"), Some(&folder)).unwrap(), "sk_given");
        assert_eq!(admin_key(None, Some(&folder)).unwrap(), key);

        let (monday, tuesday) = ("2024-01-15".parse().unwrap(), "2024-01-16".parse().unwrap());
        let marker = Marker::new(&folder);
        assert_eq!(marker.begin(monday).unwrap(), monday);
        assert_eq!(marker.begin(tuesday).unwrap(), monday);
        assert!(!marker.is_done());
        marker.end().unwrap();
        assert!(Marker::new(&folder).is_done());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn without_a_folder_each_key_is_new() {
        let key = admin_key(None, None).unwrap();
        assert_eq!(key.len(), 43);
        assert_ne!(admin_key(None, None).unwrap(), key);
    }
}
