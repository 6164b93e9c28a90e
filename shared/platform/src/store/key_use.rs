//! Stores when an API key was last used.

use super::client::Store;
use super::error::StoreError;
use super::expression::Expression;
use super::usage::Usage;
use torale_domain::storage::keys;
use torale_domain::values::ids::KeyId;
use torale_domain::values::time::{MINUTE, Timestamp};

/// The attribute with the time of the last use, in milliseconds since 1970.
const AT: &str = "at";

impl Store {
    /// Stores the use of a key, unless a use within the minute before is stored.
    pub(crate) async fn record_key_use(
        &self,
        key: &KeyId,
        now: Timestamp,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let mut expression = Expression::default();
        let at = expression.name(AT);
        let update = format!("SET {at} = {}", expression.number(now.millis()));
        let earlier = expression.number(now.plus(-MINUTE).millis());
        let condition = format!("attribute_not_exists({at}) OR {at} <= {earlier}");
        self.update_control(&keys::key_used(key), &update, &condition, expression, usage).await.map(drop)
    }
}
