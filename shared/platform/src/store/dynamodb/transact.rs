//! Transactions.

use super::DynamoDb;
use super::convert;
use super::expression::Expression;
use crate::aws;
use crate::store::error::{StoreError, TransactError};
use crate::store::usage::{CAPACITY, Usage};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem, Update};
use torale_domain::storage::item::Value;
use torale_domain::storage::write::{Action, Write};

impl DynamoDb {
    pub(super) async fn transact_write_items(
        &self,
        writes: Vec<(String, Write)>,
        usage: &Usage,
    ) -> Result<(), TransactError> {
        let items: Result<Vec<_>, _> = writes.into_iter().map(|(table, write)| item(&table, write)).collect();
        let items = items.map_err(TransactError::Failed)?;
        let call = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .return_consumed_capacity(CAPACITY);
        match call.send().await {
            Ok(answer) => {
                usage.add_write(answer.consumed_capacity());
                Ok(())
            }
            Err(error) if error.as_service_error().is_some_and(is_race) => Err(TransactError::Race),
            Err(error) if error.as_service_error().is_some_and(is_invalid) => {
                Err(TransactError::Failed(StoreError::Refused(aws::causes(&error))))
            }
            Err(error) => Err(TransactError::Failed(StoreError::from_sdk(error))),
        }
    }
}

/// Whether an item of the transaction can never be written, however often it is tried.
fn is_invalid(error: &TransactWriteItemsError) -> bool {
    codes(error).any(|code| matches!(code, "ValidationError" | "ItemCollectionSizeLimitExceeded"))
}

/// Whether the transaction failed only because conditions did not hold or other transactions were in progress.
fn is_race(error: &TransactWriteItemsError) -> bool {
    let is_lost = |code| matches!(code, "None" | "ConditionalCheckFailed" | "TransactionConflict");
    match Some(error) {
        Some(TransactWriteItemsError::TransactionCanceledException(_)) => codes(error).all(is_lost),
        Some(TransactWriteItemsError::TransactionInProgressException(_)) => true,
        _other_errors => false,
    }
}

/// Why each item of a cancelled transaction was not written.
fn codes(error: &TransactWriteItemsError) -> impl Iterator<Item = &str> {
    let reasons = match Some(error) {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
            canceled.cancellation_reasons()
        }
        _other_errors => &[],
    };
    reasons.iter().filter_map(|reason| reason.code())
}

fn item(table: &str, write: Write) -> Result<TransactWriteItem, StoreError> {
    let refused = |e: aws_sdk_dynamodb::error::BuildError| StoreError::Refused(e.to_string());
    let mut expression = Expression::default();
    let condition = expression.conditions(write.conditions);
    let update = match &write.action {
        Action::Update { add, set, remove } => update(&mut expression, add, set, remove),
        Action::Put(_) | Action::Delete | Action::Check => String::new(),
    };
    let (names, values) = (expression.names(), expression.values());
    let item = TransactWriteItem::builder();
    Ok(match write.action {
        Action::Put(attributes) => {
            let put = Put::builder().table_name(table).set_item(Some(convert::full(&write.key, attributes)));
            let put = put.set_condition_expression(condition);
            let put = put.set_expression_attribute_names(names).set_expression_attribute_values(values);
            item.put(put.build().map_err(refused)?).build()
        }
        Action::Delete => {
            let delete = Delete::builder().table_name(table).set_key(Some(convert::key(&write.key)));
            let delete = delete.set_condition_expression(condition);
            let delete = delete.set_expression_attribute_names(names).set_expression_attribute_values(values);
            item.delete(delete.build().map_err(refused)?).build()
        }
        Action::Check => {
            let check = ConditionCheck::builder().table_name(table).set_key(Some(convert::key(&write.key)));
            let check = check.set_condition_expression(condition);
            let check = check.set_expression_attribute_names(names).set_expression_attribute_values(values);
            item.condition_check(check.build().map_err(refused)?).build()
        }
        Action::Update { .. } => {
            let built = Update::builder().table_name(table).set_key(Some(convert::key(&write.key)));
            let built = built.update_expression(update).set_condition_expression(condition);
            let built = built.set_expression_attribute_names(names).set_expression_attribute_values(values);
            item.update(built.build().map_err(refused)?).build()
        }
    })
}

/// The update expression of a planned update. Nothing else in this crate adds to an attribute.
fn update(
    expression: &mut Expression,
    add: &[(String, i128)],
    set: &[(String, Value)],
    remove: &[String],
) -> String {
    let add: Vec<_> = add
        .iter()
        .map(|(name, amount)| format!("{} {}", expression.name(name), expression.number(*amount)))
        .collect();
    let set: Vec<_> = set
        .iter()
        .map(|(name, value)| format!("{} = {}", expression.name(name), expression.value(value.clone())))
        .collect();
    let remove: Vec<_> = remove.iter().map(|name| expression.name(name)).collect();
    let clauses = [("ADD", add), ("SET", set), ("REMOVE", remove)];
    let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
    clauses.map(|(clause, parts)| format!("{clause} {}", parts.join(", "))).collect::<Vec<_>>().join(" ")
}
