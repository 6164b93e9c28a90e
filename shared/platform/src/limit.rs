//! Rate limits: all API keys and sessions of a user share one count (`docs/contract/http.md`, "Rate limits").

use crate::store::{Store, StoreError, Usage};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use torale_domain::access::rate_limits::{RateLimitDecision, RateLimitStatus, RateLimits, retry_after};
use torale_domain::values::ids::UserId;
use torale_domain::values::time::Timestamp;

/// The most users that an instance remembers. When there are more, it forgets all of them.
const REMEMBERED: usize = 1000;

/// The limits of every user, and what this instance remembers of users.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: RateLimits,
    users: Mutex<HashMap<UserId, UserMemory>>,
}

/// What an instance remembers of a user.
#[derive(Debug, Clone, Default)]
struct UserMemory {
    /// The last refusal and when the window opens. Until then, further requests are refused without a call of the
    /// store.
    refused: Option<(RateLimitStatus, Timestamp)>,
    /// Marks in the user's item that the next write can remove.
    stale: Vec<String>,
}

impl UserMemory {
    /// The state of the user's limits and when the window opens, while a refusal holds.
    fn refusal(&self, now: Timestamp) -> Option<(RateLimitStatus, Timestamp)> {
        self.refused.filter(|(_, opens_at)| now < *opens_at)
    }
}

impl Limiter {
    /// Applies the same limits to every user.
    pub(crate) fn new(limits: RateLimits) -> Self {
        Self { limits, users: Mutex::default() }
    }

    /// The seconds until the window opens, of a user who is remembered to be over a limit.
    pub(crate) fn remembered_refusal(&self, user: UserId, now: Timestamp) -> Option<i64> {
        self.users().get(&user)?.refusal(now).map(|(_, opens_at)| retry_after(opens_at, now))
    }

    /// Counts a request, unless its user is remembered to be over a limit. A write whose answer is lost may have
    /// counted it, and is made again.
    pub(crate) async fn count(
        &self,
        store: &Store,
        user: UserId,
        now: Timestamp,
        usage: &Usage,
    ) -> Result<RateLimitDecision, StoreError> {
        let memory = self.users().get(&user).cloned().unwrap_or_default();
        if let Some((status, opens_at)) = memory.refusal(now) {
            return Ok(RateLimitDecision::Full { status, opens_at });
        }
        // Forgotten first: if the write fails, nothing is remembered that could make the next one fail too.
        self.users().remove(&user);
        let counted = store.count_request(&self.limits, user, now, &memory.stale, usage).await?;
        let refused = match counted.decision {
            RateLimitDecision::Full { status, opens_at } => Some((status, opens_at)),
            RateLimitDecision::Open(_) | RateLimitDecision::Unprepared => None,
        };
        let mut users = self.users();
        if users.len() >= REMEMBERED {
            users.clear();
        }
        users.insert(user, UserMemory { refused, stale: counted.stale });
        Ok(counted.decision)
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, UserMemory>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
