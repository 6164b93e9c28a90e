//! Writes of single items, and of batches of them.

use super::DynamoDb;
use super::convert;
use super::expression::Expression;
use crate::store::calls::{
    BatchWrite, IfExists, NumberComparison, SetValue, Update, UpdateCondition, UpdateResult,
};
use crate::store::error::StoreError;
use crate::store::usage::{CAPACITY, Usage};
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    DeleteRequest, PutRequest, ReturnValue, ReturnValuesOnConditionCheckFailure, WriteRequest,
};
use std::collections::HashMap;
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::PK;
use torale_domain::storage::write::Condition;

impl DynamoDb {
    pub(super) async fn put_item(
        &self,
        table: &str,
        item: Item,
        existing: IfExists,
        usage: &Usage,
    ) -> Result<bool, StoreError> {
        let item = convert::full(&item.key, item.attributes);
        let conditions = match existing {
            IfExists::Replace => Vec::new(),
            IfExists::Keep => vec![Condition::Absent(PK.to_owned())],
        };
        let mut expression = Expression::default();
        let call = self
            .client
            .put_item()
            .table_name(table)
            .set_item(Some(item))
            .set_condition_expression(expression.conditions(conditions))
            .set_expression_attribute_names(expression.names())
            .return_consumed_capacity(CAPACITY);
        match call.send().await {
            Ok(answer) => {
                usage.add_write(answer.consumed_capacity.as_slice());
                Ok(true)
            }
            // A condition that does not hold is an answer, not a failure.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(StoreError::from_sdk(error)),
        }
    }

    pub(super) async fn update_item(
        &self,
        table: &str,
        update: Update<'_>,
        usage: &Usage,
    ) -> Result<UpdateResult, StoreError> {
        let mut expression = Expression::default();
        let conditions: Vec<String> =
            update.conditions.into_iter().map(|one| test(&mut expression, one)).collect();
        let mut call = self
            .client
            .update_item()
            .table_name(table)
            .set_key(Some(convert::key(update.key)))
            .update_expression(change(&mut expression, update.set, update.remove))
            .condition_expression(conditions.join(" AND "))
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
            .return_consumed_capacity(CAPACITY);
        if update.answer {
            call = call
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        }
        let (item, held) = match call.send().await {
            Ok(answer) => {
                usage.add_write(answer.consumed_capacity.as_slice());
                (answer.attributes, true)
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    (failed.item().cloned(), false)
                }
                Some(_) | None => return Err(StoreError::from_sdk(error)),
            },
        };
        Ok(UpdateResult { held, attributes: convert::item(item.unwrap_or_default())?.attributes })
    }

    pub(super) async fn batch_write_item(
        &self,
        table: &str,
        writes: Vec<BatchWrite>,
        usage: &Usage,
    ) -> Result<Vec<BatchWrite>, StoreError> {
        let requests = writes.iter().cloned().map(request).collect::<Result<Vec<_>, _>>();
        let requests = requests.map_err(|e| StoreError::Refused(e.to_string()))?;
        let call = self.client.batch_write_item();
        let call = call.set_request_items(Some(HashMap::from([(table.to_owned(), requests)])));
        let answer = call.return_consumed_capacity(CAPACITY).send().await.map_err(StoreError::from_sdk)?;
        usage.add_write(answer.consumed_capacity());
        let left = answer.unprocessed_items.unwrap_or_default().into_values().flatten();
        let left: Vec<_> = left
            .filter_map(|request| {
                let put = request.put_request.map(|put| put.item);
                put.or_else(|| request.delete_request.map(|delete| delete.key))
            })
            .map(|stored| convert::item_without_foreign(stored).key)
            .collect();
        Ok(writes.into_iter().filter(|write| left.contains(write.key())).collect())
    }
}

fn request(write: BatchWrite) -> Result<WriteRequest, BuildError> {
    let request = WriteRequest::builder();
    Ok(match write {
        BatchWrite::Put(item) => {
            let put = PutRequest::builder().set_item(Some(convert::full(&item.key, item.attributes)));
            request.put_request(put.build()?).build()
        }
        BatchWrite::Delete(key) => {
            let delete = DeleteRequest::builder().set_key(Some(convert::key(&key)));
            request.delete_request(delete.build()?).build()
        }
    })
}

fn change(expression: &mut Expression, set: Vec<(String, SetValue)>, remove: &[String]) -> String {
    let sets: Vec<String> = set
        .into_iter()
        .map(|(name, operand)| {
            let name = expression.name(name);
            match operand {
                SetValue::Value(value) => format!("{name} = {}", expression.value(value)),
                SetValue::Sum(of, amount) => {
                    format!("{name} = {} + {}", expression.name(of), expression.number(amount))
                }
                SetValue::Kept(or) => format!("{name} = if_not_exists({name}, {})", expression.name(or)),
            }
        })
        .collect();
    let removed: Vec<String> = remove.iter().map(|name| expression.name(name)).collect();
    let remove = if removed.is_empty() { String::new() } else { format!(" REMOVE {}", removed.join(", ")) };
    format!("SET {}{remove}", sets.join(", "))
}

fn test(expression: &mut Expression, test: UpdateCondition) -> String {
    match test {
        UpdateCondition::Present(name) => format!("attribute_exists({})", expression.name(name)),
        UpdateCondition::Absent(name) => format!("attribute_not_exists({})", expression.name(name)),
        UpdateCondition::AbsentOr(name, comparison) => {
            let absent = expression.name(name);
            let comparison = match comparison {
                NumberComparison::AtMost(name, number) => {
                    format!("{} <= {}", expression.name(name), expression.number(number))
                }
                NumberComparison::MoreThan(name, number) => {
                    format!("{} > {}", expression.name(name), expression.number(number))
                }
                NumberComparison::Less(left, right) => {
                    format!("{} < {}", expression.name(left), expression.name(right))
                }
            };
            format!("(attribute_not_exists({absent}) OR {comparison})")
        }
    }
}
