//! Counts a request against its user's rate limits: one conditional write. The arithmetic is explained in
//! `shared/domain/src/access/rate_limits.rs`.

use super::calls::{NumberComparison, SetValue, Update, UpdateCondition, UpdateResult};
use super::client::Store;
use super::error::StoreError;
use super::usage::Usage;
use torale_domain::access::rate_limits::{COUNT, RateLimitDecision, RateLimits};
use torale_domain::storage::item::{Attributes, Value};
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
            let UpdateResult { attributes, held: counted } =
                self.try_count(limits, user, now, stale, usage).await?;
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
    ) -> Result<UpdateResult, StoreError> {
        let (set, conditions) = counting(limits, now);
        let update = Update { key: &keys::limit(user), set, remove: stale, conditions, answer: true };
        self.calls.update(CONTROL_TABLE, update, usage).await
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
        let is_new = !item.contains_key(COUNT);
        let count = || COUNT.to_owned();
        let zero = is_new.then(|| (count(), SetValue::Value(Value::Number(0))));
        let headrooms = limits.windows().iter().map(|window| {
            let less = -i64::from(window.limit);
            let headroom = if is_new {
                SetValue::Value(Value::Number(less.into()))
            } else {
                SetValue::Sum(count(), less)
            };
            (window.headroom(), headroom)
        });
        let set = zero.into_iter().chain(headrooms).collect();
        let test = if is_new { UpdateCondition::Absent(count()) } else { UpdateCondition::Present(count()) };
        self.update_control(&keys::limit(user), set, vec![test], usage).await.map(drop)
    }
}

/// The update that counts a request in every window, and the conditions that there is room in each.
fn counting(limits: &RateLimits, now: Timestamp) -> (Vec<(String, SetValue)>, Vec<UpdateCondition>) {
    let one_more = |name: &str| (name.to_owned(), SetValue::Sum(name.to_owned(), 1));
    let expires = now.plus(KEPT).millis().div_euclid(1000);
    let expires = ("expires_at".to_owned(), SetValue::Value(Value::Number(expires.into())));
    let mut sets = vec![one_more(COUNT), expires];
    let mut conditions = vec![UpdateCondition::Present(COUNT.to_owned())];
    for window in limits.windows() {
        let headroom = window.headroom();
        conditions.push(UpdateCondition::Present(headroom.clone()));
        sets.push(one_more(&headroom));
        conditions.extend(window.marks(now).map(|mark| {
            UpdateCondition::AbsentOr(mark.clone(), NumberComparison::Less(headroom.clone(), mark))
        }));
        sets.push((window.mark(now), SetValue::Kept(COUNT.to_owned())));
    }
    (sets, conditions)
}
