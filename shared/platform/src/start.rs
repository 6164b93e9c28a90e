//! How a function starts: a second thread builds its parts while the main thread polls for the first event. Lambda
//! provides two processors during that time (`docs/adr/0013-cold-start.md`).

use futures::FutureExt;
use futures::future::Shared;
use std::future::Future;
use std::process::exit;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The parts that all invocations of a function instance share: clients and settings.
#[derive(Debug)]
pub struct Parts<P: 'static>(Shared<oneshot::Receiver<&'static P>>);

impl<P: Send + Sync> Parts<P> {
    /// Starts to build the parts, once in the life of the process. If that fails, the error is logged and the process
    /// ends with status 1; Lambda then starts another one.
    pub fn build<F>(build: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<P, lambda_runtime::Error>>,
    {
        let (sender, receiver) = oneshot::channel();
        // Connections and timers belong to the runtime that polls.
        let runtime = Handle::current();
        std::thread::spawn(move || match runtime.block_on(build()) {
            // Nobody receives the parts if the process is ending.
            Ok(parts) => drop(sender.send(&*Box::leak(Box::new(parts)))),
            Err(error) => {
                tracing::error!(%error, "can't start");
                exit(1)
            }
        });
        Self(receiver.shared())
    }

    /// Waits for the parts.
    pub async fn get(&self) -> &'static P {
        // Without a sender, the thread has panicked.
        self.0.clone().await.unwrap_or_else(|_no_sender| exit(1))
    }
}

#[cfg(test)]
mod tests {
    use super::Parts;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::time::{Duration, sleep};

    #[tokio::test]
    async fn parts_are_built_once_on_a_second_thread() {
        static BUILT: AtomicUsize = AtomicUsize::new(0);
        let parts = Parts::build(|| async {
            // The main thread's runtime drives this timer.
            sleep(Duration::from_millis(5)).await;
            BUILT.fetch_add(1, Ordering::SeqCst);
            Ok(std::thread::current().id())
        });
        let (one, other) = futures::join!(parts.get(), parts.get());
        assert!(std::ptr::eq(one, other) && *one != std::thread::current().id());
        assert_eq!(BUILT.load(Ordering::SeqCst), 1);
    }
}
