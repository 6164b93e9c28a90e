//! Retries: how often a call is attempted again, and how long to pause before each attempt.
//!
//! A loop of its own rather than a retry combinator, since most callers carry state from one attempt to the next (what
//! is left of a batch) or stop at a deadline.

use crate::clock;
use tokio::time::{Duration, Instant};

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

    /// Any number of attempts until a deadline: the last one may begin at it.
    pub const fn until(deadline: Instant) -> Self {
        Self { limit: RetryLimit::Deadline(deadline), count: 0 }
    }

    /// Pauses for a random time that grows with each attempt (see [`clock::backoff`]). Returns whether there may be
    /// another attempt; if not, it does not pause. No pause goes on beyond the deadline.
    pub async fn pause(&mut self) -> bool {
        let longest = match self.limit {
            RetryLimit::Attempts(attempts) if self.count.saturating_add(1) < attempts => Duration::MAX,
            RetryLimit::Attempts(_) => Duration::ZERO,
            RetryLimit::Deadline(deadline) => deadline.saturating_duration_since(Instant::now()),
        };
        if longest.is_zero() {
            return false;
        }
        tokio::time::sleep(clock::backoff(self.count).min(longest)).await;
        self.count = self.count.saturating_add(1);
        true
    }

    /// Attempts so far, the current one included.
    pub const fn attempt(&self) -> u32 {
        self.count.saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// What is reserved after it is for the response.
    #[tokio::test(start_paused = true)]
    async fn no_pause_goes_on_beyond_the_deadline() {
        let until = Instant::now() + Duration::from_millis(7);
        let mut retries = Retries { limit: RetryLimit::Deadline(until), count: 20 };

        while retries.pause().await {}

        assert_eq!(Instant::now(), until);
    }
}
