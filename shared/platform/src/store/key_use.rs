//! Notes when an API key was used last.

use super::{CAPACITY, Store, StoreError, Usage, convert};
use aws_sdk_dynamodb::types::AttributeValue;
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::values::ids::KeyId;
use torale_domain::values::time::{MINUTE, Timestamp};

/// The attribute with the time of the last use, in milliseconds of unix time.
const AT: &str = "at";

impl Store {
    /// Notes a use, unless one was noted less than a minute before.
    pub(crate) async fn note_use(
        &self,
        key: &KeyId,
        now: Timestamp,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let number = |at: Timestamp| AttributeValue::N(at.millis().to_string());
        let call = self
            .client
            .update_item()
            .table_name(CONTROL_TABLE)
            .set_key(Some(convert::key(&keys::key_used(key))))
            .update_expression("SET #at = :now")
            .condition_expression("attribute_not_exists(#at) OR #at <= :before")
            .expression_attribute_names("#at", AT)
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":before", number(now.plus(-MINUTE)))
            .return_consumed_capacity(CAPACITY);
        match call.send().await {
            Ok(answer) => {
                usage.wrote(answer.consumed_capacity.as_slice());
                Ok(())
            }
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(StoreError::from_sdk(error)),
        }
    }
}
