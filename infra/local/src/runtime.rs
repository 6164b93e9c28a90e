//! Invocations and the instances that work on them: what the Lambda service does between a caller and the
//! Runtime API. It knows no HTTP; [`crate::gateway`] puts both sides on the network.
//!
//! A function has one line of waiting invocations. Whoever polls takes the next one and holds it until it
//! responds, fails, runs out of time, or its process ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;

/// Why an invocation brought no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The name belongs to no function of this stack.
    #[error("there is no function of that name")]
    Unknown,
    /// The process ended before it answered, or never came up.
    #[error("the function crashed")]
    Crashed,
    /// No answer before the deadline.
    #[error("the function timed out")]
    TimedOut,
    /// The function reported an error; the body is what it said.
    #[error("the function failed: {}", String::from_utf8_lossy(.0))]
    Failed(Bytes),
}

/// The functions of the stack, by name. Clones share them.
#[derive(Clone, Default)]
pub struct Runtimes(Arc<Mutex<HashMap<String, Arc<Function>>>>);

/// One function: waiting invocations, those being worked on, and its processes.
struct Function {
    waiting: mpsc::UnboundedSender<Waiting>,
    line: AsyncMutex<mpsc::UnboundedReceiver<Waiting>>,
    held: Mutex<HashMap<String, Held>>,
    instances: Mutex<HashMap<String, Arc<Instance>>>,
}

/// An invocation as an instance receives it.
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

struct Waiting {
    invocation: Invocation,
    respond: Respond,
}

struct Held {
    respond: Respond,
    instance: Option<String>,
}

/// One process of a function, as its supervisor sees it.
#[derive(Default)]
pub struct Instance {
    polled: AtomicBool,
    polled_now: Notify,
    evict: Notify,
    retired: CancellationToken,
}

impl Instance {
    /// Resolves once the process has polled: it is up.
    pub async fn ready(&self) {
        while !self.has_polled() {
            let polled = self.polled_now.notified();
            if self.has_polled() {
                break;
            }
            polled.await;
        }
    }

    /// Whether the process has ever polled.
    #[must_use]
    pub fn has_polled(&self) -> bool {
        self.polled.load(Ordering::SeqCst)
    }

    /// Resolves when an invocation of this process ran out of time: Lambda would kill it now.
    pub async fn evicted(&self) {
        self.evict.notified().await;
    }

    fn note_poll(&self) {
        self.polled.store(true, Ordering::SeqCst);
        self.polled_now.notify_waiters();
    }
}

/// Locks a mutex whose data stays meaningful even if a holder panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Function {
    fn new() -> Self {
        let (waiting, line) = mpsc::unbounded_channel();
        Self { waiting, line: AsyncMutex::new(line), held: Mutex::default(), instances: Mutex::default() }
    }

    /// Answers an invocation that is being worked on; `false` when nobody works on it (any more).
    fn settle(&self, request_id: &str, outcome: Result<Bytes, InvokeError>) -> bool {
        let held = locked(&self.held).remove(request_id);
        held.is_some_and(|held| held.respond.send(outcome).is_ok())
    }

    /// Forgets an invocation that ran out of time and has its process replaced.
    fn time_out(&self, request_id: &str) {
        let held = locked(&self.held).remove(request_id);
        let instance = held.and_then(|held| held.instance);
        if let Some(instance) = instance.and_then(|id| locked(&self.instances).get(&id).cloned()) {
            instance.evict.notify_one();
        }
    }

    fn is_busy(&self, instance: &str) -> bool {
        locked(&self.held).values().any(|held| held.instance.as_deref() == Some(instance))
    }

    /// Fails what the ended process was working on.
    fn fail_held(&self, instance: &str) {
        let mut held = locked(&self.held);
        let ids: Vec<String> = held
            .iter()
            .filter(|(_, held)| held.instance.as_deref() == Some(instance))
            .map(|(id, _)| id.clone())
            .collect();
        for held in ids.iter().filter_map(|id| held.remove(id)) {
            drop(held.respond.send(Err(InvokeError::Crashed)));
        }
    }

    /// Fails what waits, unless somebody is polling for it right now.
    fn fail_waiting(&self) {
        let Ok(mut line) = self.line.try_lock() else { return };
        while let Ok(waiting) = line.try_recv() {
            drop(waiting.respond.send(Err(InvokeError::Crashed)));
        }
    }
}

impl Runtimes {
    /// Makes a function known, so that invocations wait for its first process instead of failing.
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

    /// Announces a process before it starts. `instance` is part of its Runtime API address.
    #[must_use]
    pub fn register(&self, function: &str, instance: &str) -> Arc<Instance> {
        let registered = Arc::new(Instance::default());
        let function = self.find_or_declare(function);
        locked(&function.instances).insert(instance.to_owned(), Arc::clone(&registered));
        registered
    }

    /// Gives a process no further work and waits until it is idle, or for `patience`.
    pub async fn retire(&self, function: &str, instance: &str, patience: Duration) {
        let Some(function) = self.find(function) else { return };
        if let Some(instance) = locked(&function.instances).get(instance) {
            instance.retired.cancel();
        }
        let end = Instant::now() + patience;
        while function.is_busy(instance) && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Tells that a process has ended: what it held fails, and if it never came up what waits fails too.
    pub fn ended(&self, function: &str, instance: &str) {
        let Some(function) = self.find(function) else { return };
        let gone = locked(&function.instances).remove(instance);
        if let Some(gone) = &gone {
            gone.retired.cancel();
        }
        function.fail_held(instance);
        let others_up = locked(&function.instances).values().any(|other| other.has_polled());
        if gone.is_some_and(|gone| !gone.has_polled()) && !others_up {
            function.fail_waiting();
        }
    }

    /// Waits for the next invocation of a function, as `GET .../invocation/next` does. Dropping the
    /// future loses nothing. A function that was started by hand polls without an instance name.
    pub async fn next(&self, function: &str, instance: Option<&str>) -> Invocation {
        let function = self.find_or_declare(function);
        let registered = instance.and_then(|id| locked(&function.instances).get(id).cloned());
        if instance.is_some() && registered.is_none() {
            return std::future::pending().await; // its process is gone; the connection soon will be
        }
        let retired = registered.as_ref().map(|one| one.retired.clone()).unwrap_or_default();
        if let Some(one) = &registered {
            one.note_poll();
        }
        loop {
            let taken = tokio::select! {
                biased;
                () = retired.cancelled() => None,
                taken = async { function.line.lock().await.recv().await } => taken,
            };
            let Some(Waiting { invocation, respond }) = taken else { return std::future::pending().await };
            if respond.is_closed() {
                continue; // its caller has given up
            }
            let held = Held { respond, instance: instance.map(str::to_owned) };
            locked(&function.held).insert(invocation.request_id.clone(), held);
            return invocation;
        }
    }

    /// Takes an instance's answer; `false` when the invocation is unknown or already answered.
    #[must_use]
    pub fn answer(&self, function: &str, request_id: &str, outcome: Result<Bytes, InvokeError>) -> bool {
        self.find(function).is_some_and(|function| function.settle(request_id, outcome))
    }

    /// Invokes a function and waits for its result, at most for `patience`.
    ///
    /// # Errors
    /// See [`InvokeError`].
    pub async fn invoke(
        &self,
        function: &str,
        payload: Bytes,
        patience: Duration,
    ) -> Result<Bytes, InvokeError> {
        let function = self.find(function).ok_or(InvokeError::Unknown)?;
        let request_id = crate::gateway::new_request_id();
        let patience_ms = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
        let (respond, answer) = oneshot::channel();
        let invocation = Invocation {
            request_id: request_id.clone(),
            payload,
            deadline_ms: clock::now_ms().saturating_add(patience_ms),
        };
        if function.waiting.send(Waiting { invocation, respond }).is_err() {
            return Err(InvokeError::Crashed);
        }
        // A task of its own: a caller that hangs up must not keep the time-out from being noticed.
        let waiting = tokio::spawn(async move {
            match tokio::time::timeout(patience, answer).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(InvokeError::Crashed),
                Err(_) => {
                    function.time_out(&request_id);
                    Err(InvokeError::TimedOut)
                }
            }
        });
        waiting.await.unwrap_or(Err(InvokeError::Crashed))
    }
}
