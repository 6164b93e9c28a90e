//! Counts a request against its user's rate limits: one conditional write. The arithmetic is explained in
//! `shared/domain/src/access/rate_limits.rs`.

use super::client::Store;
use super::convert;
use super::error::StoreError;
use super::expression::Expression;
use super::usage::{CAPACITY, Usage};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use torale_domain::access::rate_limits::{COUNT, RateLimitDecision, RateLimits};
use torale_domain::storage::item::Attributes;
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::values::ids::UserId;
use torale_domain::values::time::{HOUR, Timestamp};

/// How long after a user's last request DynamoDB may delete the user's item.
const KEPT: i64 = 3 * HOUR;
/// How often a request is counted again after its item was prepared or another request was counted first.
const MAX_ATTEMPTS: u32 = 4;

/// What a request's count led to.
#[derive(Debug)]
pub(crate) struct RequestCount {
    /// Whether the request is within its user's limits.
    pub(crate) decision: RateLimitDecision,
    /// Marks (attributes) of the item that no window needs any more; the next write can remove them.
    pub(crate) stale: Vec<String>,
}

/// A user's item, and whether the request was counted.
struct CountedItem {
    /// After the write, or as it was when the write was refused.
    attributes: Attributes,
    counted: bool,
}

impl Store {
    /// Counts a request or refuses it. `stale` are marks that this instance knows to be needed no more.
    pub(crate) async fn count_request(
        &self,
        limits: &RateLimits,
        user: UserId,
        now: Timestamp,
        stale: &[String],
        usage: &Usage,
    ) -> Result<RequestCount, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let CountedItem { attributes, counted } = self.try_count(limits, user, now, stale, usage).await?;
            let stale = limits.stale(&attributes, now).into_iter().map(str::to_owned).collect();
            match limits.decide(&attributes, now) {
                RateLimitDecision::Unprepared => self.prepare(limits, user, &attributes, usage).await?,
                // This request was counted, so it is within the limits; the next one is not.
                RateLimitDecision::Full { status, .. } if counted => {
                    return Ok(RequestCount { decision: RateLimitDecision::Open(status), stale });
                }
                // The limits have been changed or a window has opened since: it would be counted by now.
                RateLimitDecision::Open(_) if !counted => {}
                decision @ (RateLimitDecision::Open(_) | RateLimitDecision::Full { .. }) => {
                    return Ok(RequestCount { decision, stale });
                }
            }
        }
        Err(StoreError::Unavailable("the rate limits could not be prepared".to_owned()))
    }

    async fn try_count(
        &self,
        limits: &RateLimits,
        user: UserId,
        now: Timestamp,
        stale: &[String],
        usage: &Usage,
    ) -> Result<CountedItem, StoreError> {
        let mut expression = Expression::default();
        let (update, condition) = count_expressions(&mut expression, limits, now, stale);
        let call = self
            .client
            .update_item()
            .table_name(CONTROL_TABLE)
            .set_key(Some(convert::key(&keys::limit(user))))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(CAPACITY);
        let (item, counted) = match call.send().await {
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
        Ok(CountedItem { attributes: convert::item(item.unwrap_or_default())?.attributes, counted })
    }

    /// Prepares an item to count under these limits: a new one starts at 0, one with other limits keeps its count.
    /// Nothing happens if another request was first.
    async fn prepare(
        &self,
        limits: &RateLimits,
        user: UserId,
        item: &Attributes,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let mut expression = Expression::default();
        let count = expression.name(COUNT);
        let is_new = !item.contains_key(COUNT);
        let mut sets = Vec::new();
        if is_new {
            sets.push(format!("{count} = {}", expression.number(0)));
        }
        for window in limits.windows() {
            let headroom = expression.name(window.headroom());
            sets.push(if is_new {
                format!("{headroom} = {}", expression.number(-i64::from(window.limit)))
            } else {
                format!("{headroom} = {count} - {}", expression.number(i64::from(window.limit)))
            });
        }
        let update = format!("SET {}", sets.join(", "));
        let exists = if is_new { "attribute_not_exists" } else { "attribute_exists" };
        let condition = format!("{exists}({count})");
        self.update_control(&keys::limit(user), &update, &condition, expression, usage).await.map(drop)
    }
}

/// The update that counts a request in every window, and the condition that there is room in each.
fn count_expressions(
    expression: &mut Expression,
    limits: &RateLimits,
    now: Timestamp,
    stale: &[String],
) -> (String, String) {
    let (count, one) = (expression.name(COUNT), expression.number(1));
    let expires = expression.number(now.plus(KEPT).millis().div_euclid(1000));
    let expires_at = expression.name("expires_at");
    let mut sets = vec![format!("{count} = {count} + {one}"), format!("{expires_at} = {expires}")];
    let mut conditions = vec![format!("attribute_exists({count})")];
    for window in limits.windows() {
        let headroom = expression.name(window.headroom());
        conditions.push(format!("attribute_exists({headroom})"));
        sets.push(format!("{headroom} = {headroom} + {one}"));
        let marks: Vec<String> = window.marks(now).into_iter().map(|mark| expression.name(mark)).collect();
        conditions.extend(
            marks.iter().map(|mark| format!("(attribute_not_exists({mark}) OR {headroom} < {mark})")),
        );
        // The last mark is the one of the current bucket.
        sets.extend(marks.last().map(|mark| format!("{mark} = if_not_exists({mark}, {count})")));
    }
    let removed: Vec<String> = stale.iter().map(|mark| expression.name(mark)).collect();
    let remove = if removed.is_empty() { String::new() } else { format!(" REMOVE {}", removed.join(", ")) };
    (format!("SET {}{remove}", sets.join(", ")), conditions.join(" AND "))
}
