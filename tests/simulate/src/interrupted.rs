//! What an operator calls once everything is quiet, is interrupted and called again, while calls on tables fail in half
//! of the cases.

use crate::defects::{self, Defect};
use crate::faults::{self, Fault, Odds};
use crate::trace;
use std::future::Future;
use tokio::time::{Duration, timeout};
use torale_platform::store::StoreError;
use torale_replay::ReplayError;

/// The most calls that are interrupted, and the longest lives of these, in milliseconds: amid the first reads, or at
/// the end of what fails and is repeated.
const CALLS: u32 = 2;
const LIVES_MS: [u64; 2] = [200, 20_000];
/// What fails, and in how many thousandths of the occasions at most.
const FAILURES: [(Fault, u16); 5] = [
    (Fault::Throttled, 200),
    (Fault::LostAnswer, 200),
    (Fault::LostRequest, 100),
    (Fault::Unprocessed, 300),
    (Fault::ShortPage, 300),
];

/// How something is counted: by whether it was interrupted, failed, or came to its end.
pub type Names = [&'static str; 3];

/// What became of the calls that were to be interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruptions {
    /// There were none: whatever is counted must be exact.
    None,
    /// Something may have been done.
    Some,
    /// By a planted defect, nothing more is called.
    CountAsDone,
}

/// Calls something a few times, mostly not to its end, in half of the cases. Afterwards nothing fails any more.
///
/// # Errors
/// If it fails by itself.
pub async fn interrupt<T, F>(names: Names, doing: impl Fn() -> F) -> Result<Interruptions, String>
where
    F: Future<Output = Result<T, ReplayError>>,
{
    let [interrupted, failed, done] = names;
    let calls = if fastrand::bool() { fastrand::u32(1..=CALLS) } else { 0 };
    let mut odds = Odds::none();
    if fastrand::bool() {
        FAILURES.into_iter().for_each(|(fault, most)| odds.raise(fault, fastrand::u16(..=most), &[]));
    }
    for _ in 0..calls {
        let life = Duration::from_millis(fastrand::u64(..LIVES_MS[fastrand::usize(..LIVES_MS.len())]));
        let former = faults::replace(odds.clone());
        let ended = timeout(life, doing()).await;
        faults::replace(former);
        let outcome = match ended {
            Err(_elapsed) => interrupted,
            Ok(Ok(_)) => done,
            Ok(Err(ReplayError::Store(StoreError::Unavailable(_)))) => failed,
            Ok(Err(error)) => return Err(format!("{failed}: {error}")),
        };
        faults::count(outcome, None);
        trace::note(|| format!("{outcome} within {life:?}"));
    }
    Ok(match calls {
        0 => Interruptions::None,
        _ if defects::is(Defect::InterruptedCountsAsDone) => Interruptions::CountAsDone,
        _ => Interruptions::Some,
    })
}
