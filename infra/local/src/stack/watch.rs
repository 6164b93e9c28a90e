//! Notices changes of the source. It polls: network and container file systems often lack
//! notifications.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Config, PollWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::error::LocalError;

const POLL_EVERY: Duration = Duration::from_millis(500);
/// An editor or a branch switch writes many files; the build waits until none has changed for this
/// long.
const SETTLED_AFTER: Duration = Duration::from_millis(700);
/// What the functions are built from.
const SOURCES: [&str; 4] = ["Cargo.toml", "shared", "functions", "sources"];

/// The sources of the functions.
pub(super) struct WatchedSources {
    _watcher: PollWatcher,
    changes: mpsc::UnboundedReceiver<PathBuf>,
}

impl WatchedSources {
    /// Watches the sources below a workspace's root.
    ///
    /// # Errors
    /// If one of them cannot be watched.
    pub(super) fn watch(root: &Path) -> Result<Self, LocalError> {
        let (sender, changes) = mpsc::unbounded_channel();
        let report = move |event: notify::Result<notify::Event>| {
            // A file that cannot be read now is reported again with its next change.
            for path in event.into_iter().flat_map(|event| event.paths) {
                // The receiver is gone when the stack stops.
                drop(sender.send(path));
            }
        };
        // A file's time has whole seconds only: contents show a second change within one.
        let config = Config::default().with_poll_interval(POLL_EVERY).with_compare_contents(true);
        let failed = |error: notify::Error| LocalError::Helper(format!("cannot watch the source: {error}"));
        let mut watcher = PollWatcher::new(report, config).map_err(failed)?;
        for source in SOURCES {
            watcher.watch(&root.join(source), RecursiveMode::Recursive).map_err(failed)?;
        }
        Ok(Self { _watcher: watcher, changes })
    }

    /// Waits for changes until none has come for a moment: the files that were added, removed or
    /// written.
    pub(super) async fn changed(&mut self) -> BTreeSet<PathBuf> {
        let mut changed = BTreeSet::new();
        loop {
            let next = self.changes.recv();
            let next = if changed.is_empty() {
                next.await
            } else {
                match tokio::time::timeout(SETTLED_AFTER, next).await {
                    Ok(next) => next,
                    Err(_) => return changed,
                }
            };
            match next {
                Some(path) if is_hidden(&path) || path.is_dir() => {}
                Some(path) => drop(changed.insert(path)),
                // The watcher has ended, so nothing changes any more.
                None => return std::future::pending().await,
            }
        }
    }
}

/// Files of editors begin with a dot.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changed_names_a_written_file_and_no_hidden_one() {
        let root = std::env::temp_dir().join(format!("torale-watch-{}", std::process::id()));
        let source = root.join("functions/stats/src");
        std::fs::create_dir_all(&source).unwrap();
        std::fs::create_dir_all(root.join("shared")).unwrap();
        std::fs::write(root.join("Cargo.toml"), "").unwrap();
        std::fs::write(source.join("lib.rs"), "one").unwrap();
        let mut sources = WatchedSources::watch(&root).unwrap();

        std::fs::write(source.join(".lib.rs.swp"), "x").unwrap();
        std::fs::write(source.join("lib.rs"), "two").unwrap();

        assert_eq!(sources.changed().await, BTreeSet::from([source.join("lib.rs")]));
        std::fs::remove_dir_all(root).unwrap();
    }
}
