//! Executes a planned transaction.

use super::{CAPACITY, Store, StoreError, Usage, convert};
use crate::aws;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use std::collections::HashMap;
use torale_domain::storage::item::Value;
use torale_domain::storage::write::{Action, Condition, Write};

/// Why a transaction did not take place.
#[derive(Debug)]
pub enum TransactError {
    /// Someone else wrote first: read again, plan again.
    Race,
    /// The store failed.
    Failed(StoreError),
}

impl Store {
    /// Writes all or nothing. A call whose answer is lost may have taken effect: plan again and nothing is left to do.
    pub async fn transact(
        &self,
        table: &str,
        writes: Vec<Write>,
        usage: &Usage,
    ) -> Result<(), TransactError> {
        let writes = writes.into_iter().map(|write| (table.to_owned(), write)).collect();
        self.transact_across(writes, usage).await
    }

    /// The same over several tables: each write with its table.
    pub async fn transact_across(
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
                usage.waited(1);
                usage.wrote(answer.consumed_capacity());
                Ok(())
            }
            Err(error) if error.as_service_error().is_some_and(is_race) => Err(TransactError::Race),
            Err(error) if error.as_service_error().is_some_and(is_wrong) => {
                Err(TransactError::Failed(StoreError::Refused(aws::causes(&error))))
            }
            Err(error) => Err(TransactError::Failed(StoreError::from_sdk(error))),
        }
    }
}

/// True if an item of the transaction can never be written, whoever tries again.
fn is_wrong(error: &TransactWriteItemsError) -> bool {
    codes(error).any(|code| matches!(code, "ValidationError" | "ItemCollectionSizeLimitExceeded"))
}

fn codes(error: &TransactWriteItemsError) -> impl Iterator<Item = &str> {
    let reasons = match Some(error) {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
            canceled.cancellation_reasons()
        }
        _other_errors => &[],
    };
    reasons.iter().filter_map(|reason| reason.code())
}

/// True if conditions failed or other transactions were in the way, and nothing else is wrong.
fn is_race(error: &TransactWriteItemsError) -> bool {
    let lost = |code| matches!(code, "None" | "ConditionalCheckFailed" | "TransactionConflict");
    match Some(error) {
        Some(TransactWriteItemsError::TransactionCanceledException(_)) => codes(error).all(lost),
        Some(TransactWriteItemsError::TransactionInProgressException(_)) => true,
        _other_errors => false,
    }
}

fn item(table: &str, write: Write) -> Result<TransactWriteItem, StoreError> {
    let refused = |e: aws_sdk_dynamodb::error::BuildError| StoreError::Refused(e.to_string());
    let mut expression = Expression::default();
    let condition = expression.conditions(write.conditions);
    let item = TransactWriteItem::builder();
    Ok(match write.action {
        Action::Put(attributes) => {
            let put = Put::builder().table_name(table).set_item(Some(convert::full(&write.key, attributes)));
            let put = put.set_condition_expression(condition);
            let put = put
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values());
            item.put(put.build().map_err(refused)?).build()
        }
        Action::Delete => {
            let delete = Delete::builder().table_name(table).set_key(Some(convert::key(&write.key)));
            let delete = delete.set_condition_expression(condition);
            let delete = delete
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values());
            item.delete(delete.build().map_err(refused)?).build()
        }
        Action::Check => {
            let check = ConditionCheck::builder().table_name(table).set_key(Some(convert::key(&write.key)));
            let check = check.set_condition_expression(condition);
            let check = check
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values());
            item.condition_check(check.build().map_err(refused)?).build()
        }
        Action::Update { add, set, remove } => {
            let update = expression.update(add, set, remove);
            let built = Update::builder().table_name(table).set_key(Some(convert::key(&write.key)));
            let built = built.update_expression(update).set_condition_expression(condition);
            let built = built
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values());
            item.update(built.build().map_err(refused)?).build()
        }
    })
}

/// The names and values that expressions refer to.
#[derive(Default)]
struct Expression {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Expression {
    fn name(&mut self, name: String) -> String {
        let placeholder = format!("#n{}", self.names.len());
        self.names.insert(placeholder.clone(), name);
        placeholder
    }

    fn value(&mut self, value: Value) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), convert::value(value));
        placeholder
    }

    fn conditions(&mut self, conditions: Vec<Condition>) -> Option<String> {
        let all: Vec<String> = conditions
            .into_iter()
            .map(|condition| match condition {
                Condition::Equals(name, value) => format!("{} = {}", self.name(name), self.value(value)),
                Condition::Differs(name, value) => format!("{} <> {}", self.name(name), self.value(value)),
                Condition::EqualsOrAbsent(name, value) => {
                    let name = self.name(name);
                    format!("(attribute_not_exists({name}) OR {name} = {})", self.value(value))
                }
                Condition::Present(name) => format!("attribute_exists({})", self.name(name)),
                Condition::Absent(name) => format!("attribute_not_exists({})", self.name(name)),
            })
            .collect();
        (!all.is_empty()).then(|| all.join(" AND "))
    }

    fn update(&mut self, add: Vec<(String, i128)>, set: Vec<(String, Value)>, remove: Vec<String>) -> String {
        let add: Vec<_> = add
            .into_iter()
            .map(|(name, n)| format!("{} {}", self.name(name), self.value(Value::Number(n))))
            .collect();
        let set: Vec<_> =
            set.into_iter().map(|(name, v)| format!("{} = {}", self.name(name), self.value(v))).collect();
        let remove: Vec<_> = remove.into_iter().map(|name| self.name(name)).collect();
        let clauses = [("ADD", add), ("SET", set), ("REMOVE", remove)];
        let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        clauses.map(|(clause, parts)| format!("{clause} {}", parts.join(", "))).collect::<Vec<_>>().join(" ")
    }

    fn names(&mut self) -> Option<HashMap<String, String>> {
        Some(std::mem::take(&mut self.names)).filter(|names| !names.is_empty())
    }

    fn values(&mut self) -> Option<HashMap<String, AttributeValue>> {
        Some(std::mem::take(&mut self.values)).filter(|values| !values.is_empty())
    }
}
