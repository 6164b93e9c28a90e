//! Notices changes of the source by looking at the files' times every second: no dependency on the
//! operating system's notifications, which network and container file systems often lack.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An editor or a branch switch writes many files; building waits until they stand still.
const SETTLED_AFTER: Duration = Duration::from_millis(300);

/// Sources of the functions, as they were at one moment.
pub struct WatchedSources {
    root: PathBuf,
    seen: BTreeMap<PathBuf, (SystemTime, u64)>,
}

impl WatchedSources {
    /// Takes note of the present state below a workspace's root.
    #[must_use]
    pub fn look(root: &Path) -> Self {
        Self { root: root.to_owned(), seen: snapshot(root) }
    }

    /// Waits until a file is added, removed or written, and nothing has changed for a moment.
    pub async fn changed(&mut self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let mut now = snapshot(&self.root);
            if now == self.seen {
                continue;
            }
            loop {
                tokio::time::sleep(SETTLED_AFTER).await;
                let next = snapshot(&self.root);
                if next == now {
                    self.seen = now;
                    return;
                }
                now = next;
            }
        }
    }
}

fn snapshot(root: &Path) -> BTreeMap<PathBuf, (SystemTime, u64)> {
    let mut seen = BTreeMap::new();
    note_file(&root.join("Cargo.toml"), &mut seen);
    for folder in ["shared", "functions"] {
        note_folder(&root.join(folder), &mut seen);
    }
    seen
}

fn note_folder(folder: &Path, seen: &mut BTreeMap<PathBuf, (SystemTime, u64)>) {
    // A folder that vanishes while it is read is a change like any other.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !hidden => note_folder(&path, seen),
            Ok(kind) if kind.is_file() && !hidden => note_file(&path, seen),
            Ok(_) | Err(_) => {}
        }
    }
}

fn note_file(path: &Path, seen: &mut BTreeMap<PathBuf, (SystemTime, u64)>) {
    let Ok(metadata) = path.metadata() else { return };
    if let Ok(modified) = metadata.modified() {
        seen.insert(path.to_owned(), (modified, metadata.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_written_file_is_a_change_and_a_hidden_one_is_not() {
        let root = std::env::temp_dir().join(format!("torale-watch-{}", std::process::id()));
        let source = root.join("functions/stats/src");
        std::fs::create_dir_all(&source).unwrap();
        std::fs::write(source.join("lib.rs"), "one").unwrap();
        let mut sources = WatchedSources::look(&root);

        std::fs::write(source.join(".lib.rs.swp"), "x").unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(5), sources.changed()).await.is_err());

        std::fs::write(source.join("lib.rs"), "two!").unwrap();
        tokio::time::timeout(Duration::from_secs(5), sources.changed()).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(5), sources.changed()).await.is_err());
        std::fs::remove_dir_all(root).unwrap();
    }
}
