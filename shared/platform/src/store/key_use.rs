//! Stores when an API key was last used.

use super::calls::{NumberComparison, SetValue, UpdateCondition};
use super::client::Store;
use super::error::StoreError;
use super::usage::Usage;
use torale_domain::storage::keys;
use torale_domain::values::ids::ApiKeyId;
use torale_domain::values::time::{MINUTE, Timestamp};

/// The attribute with the time of the last use, in milliseconds since 1970.
const AT: &str = "at";

impl Store {
    /// Stores the use of a key, unless a use within the minute before is stored.
    pub(crate) async fn record_key_use(
        &self,
        key: &ApiKeyId,
        now: Timestamp,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let set = vec![(AT.to_owned(), SetValue::Value(now.into()))];
        let earlier = NumberComparison::AtMost(AT.to_owned(), now.plus(-MINUTE).millis());
        let conditions = vec![UpdateCondition::AbsentOr(AT.to_owned(), earlier)];
        self.update_control(&keys::key_used(key), set, conditions, usage).await.map(drop)
    }
}
