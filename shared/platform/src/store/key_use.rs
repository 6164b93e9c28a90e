//! Stores when an API key was last used.

use super::calls::{NumberComparison, SetValue, UpdateCondition};
use super::client::Store;
use super::error::StoreError;
use super::usage::Usage;
use torale_domain::storage::keys;
use torale_domain::values::ids::ApiKeyId;
use torale_domain::values::time::Timestamp;

/// The attribute with the time of the last use, in milliseconds since 1970.
const AT: &str = "at";

impl Store {
    /// Stores the use of a key, unless one in the same minute or later is stored.
    pub(crate) async fn record_key_use(
        &self,
        key: &ApiKeyId,
        now: Timestamp,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let set = vec![(AT.to_owned(), SetValue::Value(now.into()))];
        let before = now.floor_to_minute().plus(-1);
        let earlier = NumberComparison::AtMost(AT.to_owned(), before.millis());
        let conditions = vec![UpdateCondition::AbsentOr(AT.to_owned(), earlier)];
        self.update_control(&keys::key_used(key), set, conditions, usage).await.map(drop)
    }
}
