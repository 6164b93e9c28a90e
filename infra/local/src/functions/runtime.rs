//! The Lambda service between a caller and the Runtime API, without HTTP: the gateway puts both
//! sides on the network.
//!
//! Each function has one queue of invocations. A process that polls takes the next one and works on
//! it until it responds or fails, its timeout passes, or the process ends. Of several that poll, the
//! one that began to last is next. Mostly it has worked last, as on Lambda: it has open connections
//! and knows what is live.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{clock, request_id};

/// Why an invocation has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// This stack has no function of that name.
    #[error("there is no function of that name")]
    Unknown,
    /// The process ended before it answered, or never polled.
    #[error("the function crashed")]
    Crashed,
    /// No answer before the deadline.
    #[error("the function timed out")]
    TimedOut,
    /// The function reported an error, with this body.
    #[error("the function failed: {}", String::from_utf8_lossy(.0))]
    Failed(Bytes),
}

/// The functions of the stack, by name. Clones share them.
#[derive(Clone, Default)]
pub struct Runtimes(Arc<Mutex<HashMap<String, Arc<Function>>>>);

/// One function: queued invocations, those being worked on, and its processes.
struct Function {
    queue: Mutex<Queue>,
    /// By request id.
    running: Mutex<HashMap<String, RunningInvocation>>,
    instances: Mutex<HashMap<String, Arc<Instance>>>,
}

/// What waits for each other: invocations for a process, or processes for an invocation.
#[derive(Default)]
struct Queue {
    invocations: VecDeque<QueuedInvocation>,
    /// Those that poll and were not woken, the last one last.
    pollers: Vec<Arc<Notify>>,
    /// How many poll, with those that were woken and have not taken anything yet.
    polling: usize,
}

/// A process that polls. Dropping it removes it from the queue.
struct Poller<'a> {
    queue: &'a Mutex<Queue>,
    woken: Arc<Notify>,
}

/// An invocation as a process receives it.
#[derive(Debug)]
pub struct Invocation {
    /// `Lambda-Runtime-Aws-Request-Id`.
    pub request_id: String,
    /// The event.
    pub payload: Bytes,
    /// `Lambda-Runtime-Deadline-Ms`: milliseconds since 1970.
    pub deadline_ms: i64,
}

/// The caller's end of an invocation.
type Respond = oneshot::Sender<Result<Bytes, InvokeError>>;

struct QueuedInvocation {
    invocation: Invocation,
    respond: Respond,
}

struct RunningInvocation {
    respond: Respond,
    /// The process that works on it, unless it was started by hand.
    instance: Option<String>,
}

/// One process of a function, from its supervisor's view.
#[derive(Default)]
pub struct Instance {
    polled: AtomicBool,
    timed_out: Notify,
    retired: CancellationToken,
}

impl Instance {
    /// Resolves when an invocation of this process timed out: Lambda would kill the process now.
    pub async fn timed_out(&self) {
        self.timed_out.notified().await;
    }

    /// Whether the process has ever polled: then it did start.
    fn has_polled(&self) -> bool {
        self.polled.load(Ordering::SeqCst)
    }
}

/// Locks a mutex whose data is valid even after a panic of its holder.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Function {
    fn new() -> Self {
        Self { queue: Mutex::default(), running: Mutex::default(), instances: Mutex::default() }
    }

    /// Answers a running invocation; `false` if it does not run, or not any more.
    fn answer(&self, request_id: &str, outcome: Result<Bytes, InvokeError>) -> bool {
        let running = locked(&self.running).remove(request_id);
        running.is_some_and(|running| running.respond.send(outcome).is_ok())
    }

    /// Forgets an invocation that timed out and has its process replaced.
    fn time_out(&self, request_id: &str) {
        let running = locked(&self.running).remove(request_id);
        let instance = running.and_then(|running| running.instance);
        if let Some(instance) = instance.and_then(|id| locked(&self.instances).get(&id).cloned()) {
            instance.timed_out.notify_one();
        }
    }

    fn is_busy(&self, instance: &str) -> bool {
        locked(&self.running).values().any(|running| running.instance.as_deref() == Some(instance))
    }

    /// Fails the invocations of a process that ended.
    fn fail_running(&self, instance: &str) {
        let mut running = locked(&self.running);
        let ids: Vec<String> = running
            .iter()
            .filter(|(_, one)| one.instance.as_deref() == Some(instance))
            .map(|(id, _)| id.clone())
            .collect();
        for one in ids.iter().filter_map(|id| running.remove(id)) {
            drop(one.respond.send(Err(InvokeError::Crashed)));
        }
    }

    /// Fails queued invocations, unless a process is polling for them now.
    fn fail_queued(&self) {
        let mut queue = locked(&self.queue);
        if queue.polling == 0 {
            for queued in queue.invocations.drain(..) {
                drop(queued.respond.send(Err(InvokeError::Crashed)));
            }
        }
    }

    fn enqueue(&self, invocation: QueuedInvocation) {
        let mut queue = locked(&self.queue);
        queue.invocations.push_back(invocation);
        queue.wake_last();
    }

    /// The next invocation of the queue. Dropping the future loses nothing.
    async fn dequeue(&self) -> QueuedInvocation {
        loop {
            let poller = {
                let mut queue = locked(&self.queue);
                if let Some(invocation) = queue.invocations.pop_front() {
                    return invocation;
                }
                let woken = Arc::new(Notify::new());
                queue.pollers.push(Arc::clone(&woken));
                queue.polling += 1;
                Poller { queue: &self.queue, woken }
            };
            poller.woken.notified().await;
            // Before the poller is dropped, which would wake another one for it.
            let taken = locked(&self.queue).invocations.pop_front();
            if let Some(invocation) = taken {
                return invocation;
            }
        }
    }
}

impl Queue {
    /// Wakes the process that began to poll last.
    fn wake_last(&mut self) {
        if let Some(poller) = self.pollers.pop() {
            poller.notify_one();
        }
    }
}

impl Drop for Poller<'_> {
    fn drop(&mut self) {
        let mut queue = locked(self.queue);
        queue.polling -= 1;
        let waiting = queue.pollers.len();
        queue.pollers.retain(|other| !Arc::ptr_eq(other, &self.woken));
        // It has been woken, and may not come to take what it was woken for.
        if queue.pollers.len() == waiting && !queue.invocations.is_empty() {
            queue.wake_last();
        }
    }
}

impl Runtimes {
    /// Adds a function: from now on invocations wait for its first process instead of failing.
    pub fn declare(&self, function: &str) {
        self.find_or_declare(function);
    }

    fn find_or_declare(&self, function: &str) -> Arc<Function> {
        let mut functions = locked(&self.0);
        Arc::clone(functions.entry(function.to_owned()).or_insert_with(|| Arc::new(Function::new())))
    }

    fn find(&self, function: &str) -> Option<Arc<Function>> {
        locked(&self.0).get(function).cloned()
    }

    /// Adds a process before it starts. `instance` is part of its Runtime API address.
    #[must_use]
    pub fn register(&self, function: &str, instance: &str) -> Arc<Instance> {
        let registered = Arc::new(Instance::default());
        let function = self.find_or_declare(function);
        locked(&function.instances).insert(instance.to_owned(), Arc::clone(&registered));
        registered
    }

    /// Gives a process no further invocations and waits until it is idle, `timeout` at most.
    pub async fn retire(&self, function: &str, instance: &str, timeout: Duration) {
        let Some(function) = self.find(function) else { return };
        if let Some(instance) = locked(&function.instances).get(instance) {
            instance.retired.cancel();
        }
        let end = Instant::now() + timeout;
        while function.is_busy(instance) && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Removes a process that has ended. Its invocation fails; if no process of the function has
    /// ever polled, the queued invocations fail, too.
    pub fn ended(&self, function: &str, instance: &str) {
        let Some(function) = self.find(function) else { return };
        let removed = locked(&function.instances).remove(instance);
        if let Some(removed) = &removed {
            removed.retired.cancel();
        }
        function.fail_running(instance);
        let others_up = locked(&function.instances).values().any(|other| other.has_polled());
        if removed.is_some_and(|removed| !removed.has_polled()) && !others_up {
            function.fail_queued();
        }
    }

    /// Waits for the next invocation of a function, as `GET .../invocation/next` does. Dropping the
    /// future loses nothing. A process that was started by hand has no instance name.
    pub async fn next(&self, function: &str, instance: Option<&str>) -> Invocation {
        let function = self.find_or_declare(function);
        let registered = instance.and_then(|id| locked(&function.instances).get(id).cloned());
        if instance.is_some() && registered.is_none() {
            return std::future::pending().await; // The process has ended; its connection breaks soon.
        }
        let retired = registered.as_ref().map(|one| one.retired.clone()).unwrap_or_default();
        if let Some(one) = &registered {
            one.polled.store(true, Ordering::SeqCst);
        }
        loop {
            let taken = tokio::select! {
                biased;
                () = retired.cancelled() => None,
                taken = function.dequeue() => Some(taken),
            };
            let Some(QueuedInvocation { invocation, respond }) = taken else {
                return std::future::pending().await;
            };
            // Until it is among the running ones, no timeout finds it there.
            let mut running = locked(&function.running);
            if respond.is_closed() {
                continue; // The caller has given up.
            }
            let one = RunningInvocation { respond, instance: instance.map(str::to_owned) };
            running.insert(invocation.request_id.clone(), one);
            drop(running);
            return invocation;
        }
    }

    /// Takes a process's answer; `false` if the invocation is unknown or already answered.
    #[must_use]
    pub fn answer(&self, function: &str, request_id: &str, outcome: Result<Bytes, InvokeError>) -> bool {
        self.find(function).is_some_and(|function| function.answer(request_id, outcome))
    }

    /// Invokes a function and waits for its result, `timeout` at most.
    ///
    /// # Errors
    /// See [`InvokeError`].
    pub async fn invoke(
        &self,
        function: &str,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, InvokeError> {
        let function = self.find(function).ok_or(InvokeError::Unknown)?;
        let request_id = request_id::new();
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let (respond, answer) = oneshot::channel();
        let invocation = Invocation {
            request_id: request_id.clone(),
            payload,
            deadline_ms: clock::now_ms().saturating_add(timeout_ms),
        };
        function.enqueue(QueuedInvocation { invocation, respond });
        let deadline = Instant::now() + timeout;
        Caller(Some(AwaitedAnswer { function, request_id, deadline, answer })).answer().await
    }
}

/// An answer that may come until the deadline.
struct AwaitedAnswer {
    function: Arc<Function>,
    request_id: String,
    deadline: Instant,
    answer: oneshot::Receiver<Result<Bytes, InvokeError>>,
}

impl AwaitedAnswer {
    async fn outcome(&mut self) -> Result<Bytes, InvokeError> {
        match tokio::time::timeout_at(self.deadline, &mut self.answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(InvokeError::Crashed),
            Err(_) => {
                // Whoever takes it from now on sees that nobody waits for it.
                self.answer.close();
                self.function.time_out(&self.request_id);
                Err(InvokeError::TimedOut)
            }
        }
    }
}

/// Who waits for an answer. If it hangs up, so that this is dropped before the answer came, the invocation goes on and
/// its timeout counts. Only then there is a task for it: a task for each would cost each a hand-off.
struct Caller(Option<AwaitedAnswer>);

impl Caller {
    async fn answer(mut self) -> Result<Bytes, InvokeError> {
        let Some(awaited) = &mut self.0 else { return Err(InvokeError::Crashed) };
        let outcome = awaited.outcome().await;
        self.0 = None;
        outcome
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if let (Some(mut awaited), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move { awaited.outcome().await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::Pin;
    use tokio::time::timeout;

    const TIMEOUT: Duration = Duration::from_secs(60);

    /// Begins something that has to wait.
    async fn begin(waiting: impl Future + Unpin) {
        tokio::select! {
            biased;
            _ = waiting => unreachable!("nobody answers"),
            () = std::future::ready(()) => {}
        }
    }

    /// A process without a name that polls.
    async fn polling(runtimes: &Runtimes) -> Pin<Box<impl Future<Output = Invocation>>> {
        let mut next = Box::pin(runtimes.next("stats", None));
        begin(&mut next).await;
        next
    }

    /// A caller that hangs up before there is an answer.
    async fn hang_up(runtimes: &Runtimes) {
        begin(Box::pin(runtimes.invoke("stats", Bytes::new(), TIMEOUT))).await;
    }

    #[tokio::test]
    async fn invocation_whose_caller_hung_up_runs_and_may_be_answered() {
        let runtimes = Runtimes::default();
        drop(runtimes.register("stats", "7"));

        hang_up(&runtimes).await;

        let invocation = timeout(TIMEOUT, runtimes.next("stats", Some("7"))).await.unwrap();
        assert!(runtimes.answer("stats", &invocation.request_id, Ok(Bytes::new())));
    }

    #[tokio::test]
    async fn invocations_one_after_the_other_go_to_the_process_that_worked_last() {
        let runtimes = Runtimes::default();
        let mut first = polling(&runtimes).await;
        // The second process begins to poll after the first one, and again after each answer.
        let mut second = Box::pin(runtimes.next("stats", None));
        for _ in 0..3 {
            begin(&mut second).await;
            let mut call = Box::pin(runtimes.invoke("stats", Bytes::new(), TIMEOUT));
            begin(&mut call).await;

            begin(&mut first).await;
            let invocation = second.await;

            assert!(runtimes.answer("stats", &invocation.request_id, Ok(Bytes::new())));
            assert_eq!(call.await, Ok(Bytes::new()));
            second = Box::pin(runtimes.next("stats", None));
        }
    }

    #[tokio::test]
    async fn invocations_at_once_go_to_every_process() {
        let runtimes = Runtimes::default();
        let (first, second) = (polling(&runtimes).await, polling(&runtimes).await);

        hang_up(&runtimes).await;
        hang_up(&runtimes).await;

        let (first, second) = tokio::join!(first, second);
        assert_ne!(first.request_id, second.request_id);
    }

    #[tokio::test]
    async fn invocation_of_a_process_that_stops_polling_goes_to_another() {
        let runtimes = Runtimes::default();
        let (first, second) = (polling(&runtimes).await, polling(&runtimes).await);

        hang_up(&runtimes).await;
        // It was woken, and has not taken the invocation.
        drop(second);

        let invocation = timeout(TIMEOUT, first).await.unwrap();
        assert_eq!(invocation.payload, Bytes::new());
    }

    #[tokio::test]
    async fn invocation_for_which_a_process_was_woken_does_not_fail_when_another_one_ends() {
        let runtimes = Runtimes::default();
        let by_hand = polling(&runtimes).await;
        drop(runtimes.register("stats", "7"));

        let mut call = Box::pin(runtimes.invoke("stats", Bytes::new(), TIMEOUT));
        begin(&mut call).await;
        runtimes.ended("stats", "7");

        let invocation = timeout(TIMEOUT, by_hand).await.unwrap();
        assert!(runtimes.answer("stats", &invocation.request_id, Ok(Bytes::new())));
        assert_eq!(call.await, Ok(Bytes::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn invocation_whose_caller_hung_up_still_times_out() {
        let runtimes = Runtimes::default();
        let instance = runtimes.register("stats", "7");

        hang_up(&runtimes).await;
        let invocation = timeout(TIMEOUT, runtimes.next("stats", Some("7"))).await.unwrap();
        timeout(TIMEOUT * 2, instance.timed_out()).await.unwrap();

        assert!(!runtimes.answer("stats", &invocation.request_id, Ok(Bytes::new())));
    }
}
