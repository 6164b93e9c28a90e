//! How a function starts: a thread of its own puts its parts together while the first poll is on its way, since Lambda
//! gives two processors until then (docs/adr/0013-cold-start.md).

use futures::FutureExt;
use futures::future::Shared;
use std::future::Future;
use std::process::exit;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The parts that all invocations of an instance share: clients and settings.
#[derive(Debug)]
pub struct Parts<P: 'static>(Shared<oneshot::Receiver<&'static P>>);

impl<P: Send + Sync> Parts<P> {
    /// Begins to build them, once for the life of the process. If that fails the process ends, and Lambda starts
    /// another.
    pub fn build<F>(build: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<P, lambda_runtime::Error>>,
    {
        let (give, take) = oneshot::channel();
        // What a client connects stays with the runtime that polls.
        let runtime = Handle::current();
        std::thread::spawn(move || match runtime.block_on(build()) {
            // Nobody waits any more if the process is ending.
            Ok(parts) => drop(give.send(&*Box::leak(Box::new(parts)))),
            Err(error) => {
                tracing::error!(%error, "can't start");
                exit(1)
            }
        });
        Self(take.shared())
    }

    /// The parts, as soon as they are there.
    pub async fn get(&self) -> &'static P {
        // The thread panicked.
        self.0.clone().await.unwrap_or_else(|_gone| exit(1))
    }
}

#[cfg(test)]
mod tests {
    use super::Parts;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::time::{Duration, sleep};

    #[tokio::test]
    async fn parts_are_built_once_by_a_thread_of_their_own() {
        static BUILT: AtomicUsize = AtomicUsize::new(0);
        let parts = Parts::build(|| async {
            // Timers and connections are the runtime's, which goes on meanwhile.
            sleep(Duration::from_millis(5)).await;
            BUILT.fetch_add(1, Ordering::SeqCst);
            Ok(std::thread::current().id())
        });
        let (one, other) = futures::join!(parts.get(), parts.get());
        assert!(std::ptr::eq(one, other) && *one != std::thread::current().id());
        assert_eq!(BUILT.load(Ordering::SeqCst), 1);
    }
}
