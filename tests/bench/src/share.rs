//! A share of a CPU, as Lambda gives it: all of one while a function starts, and from its first poll on as much as its
//! memory buys.
//!
//! Needs the CPU controller of control groups in version 1, and the right to make a group.

use std::fs::{create_dir, remove_dir, write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

/// Megabytes that buy one CPU, by Lambda's documentation.
const MEGABYTES_A_CPU: i64 = 1769;
/// In which the share is used, in microseconds. Lambda's is not documented; this is what was seen from within.
const PERIOD: i64 = 20_000;
const GROUPS: &str = "/sys/fs/cgroup/cpu";

/// A control group whose share can be set.
#[derive(Debug)]
pub struct Share {
    folder: PathBuf,
    quota: AtomicI64,
}

impl Share {
    /// A group of this process alone.
    pub fn create() -> Self {
        let folder = Path::new(GROUPS).join(format!("torale-bench-{}", std::process::id()));
        create_dir(&folder).unwrap_or_else(|e| panic!("no control group in {GROUPS}: {e}"));
        write(folder.join("cpu.cfs_period_us"), PERIOD.to_string()).unwrap();
        Self { folder, quota: AtomicI64::new(-1) }
    }

    /// Sets what [`Share::limit`] allows: as much as a function with so many megabytes has.
    pub fn set(&self, megabytes: i64) {
        self.quota.store(PERIOD * megabytes / MEGABYTES_A_CPU, Ordering::SeqCst);
    }

    /// Lets the calling thread, and what it starts, have all it wants until [`Share::limit`].
    pub fn enter(&self) {
        write(self.folder.join("cpu.cfs_quota_us"), "-1").unwrap();
        // Zero is the thread that writes.
        write(self.folder.join("tasks"), "0").unwrap();
    }

    /// Allows the share and no more from now on.
    pub fn limit(&self) {
        write(self.folder.join("cpu.cfs_quota_us"), self.quota.load(Ordering::SeqCst).to_string()).unwrap();
    }

    /// Removes the group.
    pub fn remove(&self) {
        remove_dir(&self.folder).unwrap();
    }
}
