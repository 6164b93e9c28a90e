//! Notes of how far the links of an identity that very many users share are up to date
//! (`domain/projections/links/progress.rs`).

use super::{Store, StoreError, Usage};
use torale_domain::projections::links::progress::LinkProgress;
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::CONTROL_TABLE;

impl Store {
    /// Reads a note.
    pub(crate) async fn link_progress(
        &self,
        key: &Key,
        usage: &Usage,
    ) -> Result<Option<LinkProgress>, StoreError> {
        Ok(self.control(key, usage).await?.as_ref().and_then(LinkProgress::load))
    }

    /// Stores a note. Another consumer may store one that says less: then more is checked again.
    pub(crate) async fn save_link_progress(
        &self,
        key: Key,
        progress: &LinkProgress,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        self.put(CONTROL_TABLE, Item { key, attributes: progress.store() }, usage).await
    }
}
