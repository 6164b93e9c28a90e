//! Rate limits around every handler: shared by all keys and sessions of one user.

use crate::store::{Store, StoreError, Usage};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use torale_domain::access::rate_limits::{RateLimitDecision, RateLimitStatus, RateLimits};
use torale_domain::values::ids::UserId;
use torale_domain::values::time::Timestamp;

/// Users that an instance remembers at most; past that it starts to remember anew.
const REMEMBERED: usize = 1000;

/// The limits, and what this instance has learned of its users.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: RateLimits,
    learned: Mutex<HashMap<UserId, Learned>>,
}

#[derive(Debug, Clone, Default)]
struct Learned {
    /// A refusal and how long it holds: until then a flood costs the store nothing.
    refused: Option<(RateLimitStatus, Timestamp)>,
    /// Marks that the next write can take away.
    stale: Vec<String>,
}

impl Learned {
    /// How the user stands and in how many seconds the window opens, while a refusal holds.
    fn closed(&self, now: Timestamp) -> Option<(RateLimitStatus, i64)> {
        let (standing, until) = self.refused.filter(|(_, until)| now < *until)?;
        Some((standing, (until.millis() - now.millis() + 999).div_euclid(1000)))
    }
}

impl Limiter {
    /// With these limits for everyone.
    pub(crate) fn new(limits: RateLimits) -> Self {
        Self { limits, learned: Mutex::default() }
    }

    /// Seconds until the window of a user opens that is known to be over a limit.
    pub(crate) fn closed(&self, user: UserId, now: Timestamp) -> Option<i64> {
        self.learned().get(&user)?.closed(now).map(|(_, retry_after)| retry_after)
    }

    /// Counts a request, unless its user is known to be over a limit: one write at most.
    pub(crate) async fn count(
        &self,
        store: &Store,
        user: UserId,
        now: Timestamp,
        usage: &Usage,
    ) -> Result<RateLimitDecision, StoreError> {
        let known = self.learned().get(&user).cloned().unwrap_or_default();
        if let Some((standing, retry_after)) = known.closed(now) {
            return Ok(RateLimitDecision::Full { status: standing, retry_after });
        }
        // Taken out first: if the write fails, nothing is remembered that could make the next one fail too.
        self.learned().remove(&user);
        let counted = store.count_request(&self.limits, user, now, &known.stale, usage).await?;
        let refused = match counted.judged {
            RateLimitDecision::Full { status: standing, retry_after } => {
                Some((standing, now.plus(retry_after * 1000)))
            }
            RateLimitDecision::Open(_) | RateLimitDecision::Unprepared => None,
        };
        let mut learned = self.learned();
        if learned.len() >= REMEMBERED {
            learned.clear();
        }
        learned.insert(user, Learned { refused, stale: counted.stale });
        Ok(counted.judged)
    }

    fn learned(&self) -> MutexGuard<'_, HashMap<UserId, Learned>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
