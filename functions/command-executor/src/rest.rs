//! Leaves Temporal alone for a while when it does not answer. Otherwise each pause would take its whole time limit, and
//! bans and revocations, which share the queue with pauses, would wait for hours behind hundreds of them.

use std::sync::{Mutex, PoisonError};
use tokio::time::{Duration, Instant};

/// Calls in a row without an answer after which no other is made for a while. One schedule that always takes too long
/// keeps no other from being paused. Calls that began before the last one counted are not in a row with it: of several
/// at once that time out over one dead connection, or for one task, one counts.
pub const UNANSWERED: u32 = 3;
/// How long no call is made.
pub const REST: Duration = Duration::from_secs(10);

/// Whether Temporal is left alone, for all invocations of an instance.
#[derive(Debug, Default)]
pub struct TemporalRest(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    /// Calls without an answer since the last answer.
    unanswered: u32,
    /// When the last of them ended that was counted.
    last: Option<Instant>,
    /// Until when no call is made.
    rests_until: Option<Instant>,
}

impl TemporalRest {
    /// Whether no call may be made now.
    pub fn is_on(&self) -> bool {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.rests_until.is_some_and(|until| Instant::now() < until)
    }

    /// Notes whether Temporal answered a call that has ended now. An answer ends a rest. After a rest, the first call
    /// without an answer begins the next one.
    pub fn note_call(&self, began: Instant, is_answered: bool) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_answered {
            *calls = Calls::default();
        } else if calls.last.is_none_or(|last| last <= began) {
            let now = Instant::now();
            calls.unanswered = calls.unanswered.saturating_add(1);
            calls.last = Some(now);
            if calls.unanswered >= UNANSWERED {
                calls.rests_until = Some(now + REST);
            }
        }
    }
}
