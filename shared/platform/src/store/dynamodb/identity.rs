//! The identity that signs direct reads, kept between them.
//!
//! The SDK has a cache of its own, which costs each read some bookkeeping. What it holds is taken from there at least
//! once a minute, some time before it expires, and after a read that failed.

use aws_smithy_runtime_api::client::identity::Identity;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How long an identity is kept. One without an expiry may be replaced, too.
const KEPT: Duration = Duration::from_secs(60);
/// How long before its expiry one is kept no more, since a request takes its time. The SDK's cache has a new one 10 to
/// 5 s before.
const BEFORE_EXPIRY: Duration = Duration::from_secs(10);

/// The identity that was resolved last, and until when it is kept.
#[derive(Debug, Default)]
pub(super) struct KeptIdentity(Mutex<Option<(Identity, SystemTime)>>);

impl KeptIdentity {
    /// The identity that is kept, or what `resolve` finds.
    pub(super) async fn get<E>(
        &self,
        now: SystemTime,
        resolve: impl Future<Output = Result<Identity, E>>,
    ) -> Result<Identity, E> {
        if let Some(identity) = self.kept(now) {
            return Ok(identity);
        }
        let identity = resolve.await?;
        let until = identity.expiration().and_then(|expires| expires.checked_sub(BEFORE_EXPIRY));
        let until = until.map_or(now + KEPT, |until| until.min(now + KEPT));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((identity.clone(), until));
        Ok(identity)
    }

    /// Keeps none.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// After a clock was set back, nothing is kept for longer than another minute.
    fn kept(&self, now: SystemTime) -> Option<Identity> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, until) = kept.as_ref()?;
        (now < *until && *until <= now + KEPT).then(|| identity.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::time::UNIX_EPOCH;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Which of the identities that are resolved one after the other, each `lifetime` long, sign at some times.
    async fn signing(lifetime: Option<Duration>, times: &[u64]) -> Vec<usize> {
        let (kept, mut resolved, mut signing) = (KeptIdentity::default(), 0_usize, Vec::new());
        for at in times {
            let now = UNIX_EPOCH + seconds(1_000 + at);
            let resolve = async {
                resolved += 1;
                Ok::<_, Infallible>(Identity::new(resolved, lifetime.map(|lifetime| now + lifetime)))
            };
            let identity = kept.get(now, resolve).await.unwrap();
            signing.push(*identity.data::<usize>().unwrap());
        }
        signing
    }

    #[tokio::test]
    async fn identity_is_kept_for_a_minute() {
        assert_eq!(signing(None, &[0, 59, 60, 61]).await, [1, 1, 2, 2]);
        assert_eq!(signing(Some(seconds(3_600)), &[0, 59, 60, 61]).await, [1, 1, 2, 2]);
    }

    #[tokio::test]
    async fn identity_is_resolved_again_before_it_expires() {
        assert_eq!(signing(Some(seconds(30)), &[0, 19, 20, 39, 40]).await, [1, 1, 2, 2, 3]);
        assert_eq!(signing(Some(seconds(5)), &[0, 0, 1]).await, [1, 2, 3]);
    }

    #[tokio::test]
    async fn identity_is_resolved_again_if_the_clock_was_set_back() {
        assert_eq!(signing(None, &[100, 50, 51]).await, [1, 2, 2]);
    }

    #[tokio::test]
    async fn identity_that_was_forgotten_is_resolved_again() {
        let kept = KeptIdentity::default();
        let resolve = |number: u8| async move { Ok::<_, Infallible>(Identity::new(number, None)) };
        kept.get(UNIX_EPOCH, resolve(1)).await.unwrap();

        kept.forget();

        let identity = kept.get(UNIX_EPOCH, resolve(2)).await.unwrap();
        assert_eq!(identity.data::<u8>(), Some(&2));
    }

    #[tokio::test]
    async fn failure_is_not_kept() {
        let kept = KeptIdentity::default();
        assert!(kept.get(UNIX_EPOCH, async { Err(()) }).await.is_err());
        assert!(kept.get(UNIX_EPOCH, async { Ok::<_, ()>(Identity::new(1, None)) }).await.is_ok());
    }
}
