//! What was compared, and where the answers differ.

use super::SHOWN;
use std::fmt::Debug;
use torale_platform::store::StoreError;

/// What has been compared: kinds of calls, and how they came out.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) done: [u64; 10],
    /// Requests to each store: some calls read page by page.
    pub(super) requests: u64,
    pub(super) refused: u64,
    pub(super) races: u64,
    pub(super) unheld: u64,
    /// Where keys are many and values are large: pages that were cut by their size, batches that were cut, and requests
    /// that are too long or too large.
    pub(super) cut_pages: u64,
    pub(super) cut_batches: u64,
    pub(super) too_many: u64,
    pub(super) too_large: u64,
    pub(super) differences: Vec<String>,
}

impl Seen {
    pub(super) fn add(&mut self, other: Self) {
        let Self { done, requests, refused, races, unheld, differences, .. } = other;
        self.done.iter_mut().zip(done).for_each(|(sum, more)| *sum += more);
        self.requests += requests;
        self.refused += refused;
        self.races += races;
        self.unheld += unheld;
        self.cut_pages += other.cut_pages;
        self.cut_batches += other.cut_batches;
        self.too_many += other.too_many;
        self.too_large += other.too_large;
        self.differences.extend(differences);
    }

    /// Compares both answers; errors by their kind, since their texts differ.
    pub(super) fn same<T: PartialEq + Debug>(
        &mut self,
        call: impl FnOnce() -> String,
        memory: Result<T, StoreError>,
        embedded: Result<T, StoreError>,
    ) -> Option<T> {
        let kind = |error: &StoreError| match error {
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Refused(_) => "refused",
            StoreError::Corrupt(_) => "corrupt",
        };
        self.requests += 1;
        let are_same = match (&memory, &embedded) {
            (Ok(memory), Ok(embedded)) => memory == embedded,
            (Err(memory), Err(embedded)) => kind(memory) == kind(embedded),
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        };
        if !are_same {
            let (call, memory, embedded) = (cut(call()), shown(&memory), shown(&embedded));
            self.differences.push(format!("{call}\n  memory: {memory}\nembedded: {embedded}"));
        }
        memory.ok()
    }
}

/// A text, or the beginning of a long one.
pub(super) fn cut(text: String) -> String {
    text.chars().take(SHOWN).collect()
}

/// The beginning of a value.
pub(super) fn shown(value: &impl Debug) -> String {
    cut(format!("{value:?}"))
}
