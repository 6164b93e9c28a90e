//! Retries: how often a call is attempted again, and how long to pause before each attempt.
//!
//! A loop of its own rather than a retry combinator, since most callers carry state from one attempt to the next (what
//! is left of a batch) or stop at a deadline.

use crate::clock;
use tokio::time::Instant;

/// The retries of one call.
#[derive(Debug)]
pub struct Retries {
    limit: RetryLimit,
    /// Retries so far.
    count: u32,
}

#[derive(Debug, Clone, Copy)]
enum RetryLimit {
    Attempts(u32),
    Deadline(Instant),
}

impl Retries {
    /// At most so many attempts, the first one included.
    pub const fn attempts(attempts: u32) -> Self {
        Self { limit: RetryLimit::Attempts(attempts), count: 0 }
    }

    /// Any number of attempts that begin before a deadline.
    pub const fn until(deadline: Instant) -> Self {
        Self { limit: RetryLimit::Deadline(deadline), count: 0 }
    }

    /// Pauses for a random time that grows with each attempt (see [`clock::backoff`]). Returns whether there may be
    /// another attempt; if not, it does not pause.
    pub async fn pause(&mut self) -> bool {
        let allowed = match self.limit {
            RetryLimit::Attempts(attempts) => self.count.saturating_add(1) < attempts,
            RetryLimit::Deadline(deadline) => Instant::now() < deadline,
        };
        if allowed {
            tokio::time::sleep(clock::backoff(self.count)).await;
            self.count = self.count.saturating_add(1);
        }
        allowed
    }

    /// Attempts so far, the current one included.
    pub const fn attempt(&self) -> u32 {
        self.count.saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Duration;

    #[tokio::test]
    async fn attempts_are_counted_and_limited() {
        let mut retries = Retries::attempts(3);
        assert_eq!(retries.attempt(), 1);
        assert!(retries.pause().await && retries.pause().await);
        assert_eq!(retries.attempt(), 3);
        assert!(!retries.pause().await, "a fourth attempt");
        assert!(!Retries::attempts(1).pause().await, "one attempt leaves no retry");
    }

    #[tokio::test]
    async fn a_deadline_ends_the_retries() {
        let now = Instant::now();
        assert!(Retries::until(now + Duration::from_secs(60)).pause().await);
        assert!(!Retries::until(now).pause().await);
    }
}
