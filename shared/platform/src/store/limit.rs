//! Counts a request against its principal's limits: one conditional write.

use super::{CAPACITY, Store, StoreError, Usage, convert};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use std::collections::HashMap;
use torale_domain::access::rate_limits::{COUNT, RateLimitDecision, RateLimits};
use torale_domain::storage::item::Attributes;
use torale_domain::storage::keys::{self, CONTROL_TABLE, PK};
use torale_domain::values::ids::UserId;
use torale_domain::values::time::{HOUR, Timestamp};

/// An item that no request has touched for this long may go.
const KEPT: i64 = 3 * HOUR;
/// Tries to prepare an item before giving up.
const MAX_ATTEMPTS: u32 = 4;

/// What became of a request, and marks that the next write of this instance can take away.
#[derive(Debug)]
pub(crate) struct RequestCount {
    pub(crate) judged: RateLimitDecision,
    pub(crate) stale: Vec<String>,
}

impl Store {
    /// Admits a request or refuses it. `stale` are marks that this instance has seen to be of no use any more.
    pub(crate) async fn count_request(
        &self,
        limits: &RateLimits,
        user: UserId,
        now: Timestamp,
        stale: &[String],
        usage: &Usage,
    ) -> Result<RequestCount, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let (item, admitted) = self.try_count(limits, user, now, stale, usage).await?;
            let stale = limits.stale(&item, now).into_iter().map(str::to_owned).collect();
            match limits.decide(&item, now) {
                RateLimitDecision::Unprepared => self.prepare(limits, user, &item, usage).await?,
                // The write that was admitted may have been the last: what counts is that it took place.
                RateLimitDecision::Full { status: standing, .. } if admitted => {
                    return Ok(RequestCount { judged: RateLimitDecision::Open(standing), stale });
                }
                // Refused by a write that came between; by now it would be admitted.
                RateLimitDecision::Open(_) if !admitted => {}
                judged @ (RateLimitDecision::Open(_) | RateLimitDecision::Full { .. }) => {
                    return Ok(RequestCount { judged, stale });
                }
            }
        }
        Err(StoreError::Unavailable("the limits could not be prepared".to_owned()))
    }

    /// The item after the write, or as it stood when the write was refused.
    async fn try_count(
        &self,
        limits: &RateLimits,
        user: UserId,
        now: Timestamp,
        stale: &[String],
        usage: &Usage,
    ) -> Result<(Attributes, bool), StoreError> {
        let mut names = HashMap::from([("#n".to_owned(), COUNT.to_owned())]);
        let mut sets = vec!["#n = #n + :one".to_owned(), "expires_at = :expires".to_owned()];
        let mut conditions = vec!["attribute_exists(#n)".to_owned()];
        for (w, window) in limits.windows().iter().enumerate() {
            let headroom = format!("#h{w}");
            names.insert(headroom.clone(), window.headroom());
            conditions.push(format!("attribute_exists({headroom})"));
            sets.push(format!("{headroom} = {headroom} + :one"));
            let marks = window.marks(now);
            let present = marks.len() - 1;
            for (i, mark) in marks.into_iter().enumerate() {
                let name = format!("#m{w}x{i}");
                conditions.push(format!("(attribute_not_exists({name}) OR {headroom} < {name})"));
                if i == present {
                    sets.push(format!("{name} = if_not_exists({name}, #n)"));
                }
                names.insert(name, mark);
            }
        }
        let removes: Vec<String> = (0..stale.len()).map(|i| format!("#s{i}")).collect();
        names.extend(removes.iter().cloned().zip(stale.iter().cloned()));
        let remove =
            if removes.is_empty() { String::new() } else { format!(" REMOVE {}", removes.join(", ")) };
        let expires = now.plus(KEPT).millis().div_euclid(1000);
        let call = self
            .client
            .update_item()
            .table_name(CONTROL_TABLE)
            .set_key(Some(convert::key(&keys::limit(user))));
        let call = call
            .update_expression(format!("SET {}{remove}", sets.join(", ")))
            .condition_expression(conditions.join(" AND "))
            .set_expression_attribute_names(Some(names))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .expression_attribute_values(":expires", AttributeValue::N(expires.to_string()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(CAPACITY);
        match call.send().await {
            Ok(answer) => {
                usage.wrote(answer.consumed_capacity.as_slice());
                Ok((convert::item(answer.attributes.unwrap_or_default())?.attributes, true))
            }
            Err(error) => match error.as_service_error() {
                Some(aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok((convert::item(failed.item().cloned().unwrap_or_default())?.attributes, false))
                }
                Some(_) | None => Err(StoreError::from_sdk(error)),
            },
        }
    }

    /// Makes the item count under these limits: a new one from 0, one of other limits from where it stands.
    async fn prepare(
        &self,
        limits: &RateLimits,
        user: UserId,
        seen: &Attributes,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let mut call = self
            .client
            .update_item()
            .table_name(CONTROL_TABLE)
            .set_key(Some(convert::key(&keys::limit(user))));
        let fresh = !seen.contains_key(COUNT);
        let mut sets = Vec::new();
        if fresh {
            sets.push("#n = :zero".to_owned());
            call = call.expression_attribute_values(":zero", AttributeValue::N("0".to_owned()));
        }
        for (w, window) in limits.windows().iter().enumerate() {
            call = call.expression_attribute_names(format!("#h{w}"), window.headroom());
            let (value, from) =
                if fresh { (-i64::from(window.limit), "") } else { (i64::from(window.limit), "#n - ") };
            sets.push(format!("#h{w} = {from}:limit{w}"));
            call =
                call.expression_attribute_values(format!(":limit{w}"), AttributeValue::N(value.to_string()));
        }
        let call = call
            .update_expression(format!("SET {}", sets.join(", ")))
            .condition_expression(if fresh { "attribute_not_exists(#pk)" } else { "attribute_exists(#n)" })
            .expression_attribute_names("#n", COUNT)
            .return_consumed_capacity(CAPACITY);
        let call = if fresh { call.expression_attribute_names("#pk", PK) } else { call };
        match call.send().await {
            Ok(answer) => usage.wrote(answer.consumed_capacity.as_slice()),
            // Another request was first.
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {}
            Err(error) => return Err(StoreError::from_sdk(error)),
        }
        Ok(())
    }
}
