//! The requests of a process to a service: retries and time limits as the SDKs have them, and a network that loses and
//! delays.

use crate::faults::{self, Fault};
use crate::trace;
use futures::future::BoxFuture;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::{Duration, sleep, timeout};
use torale_platform::clock;
use torale_platform::config::{
    COMMAND_TIMEOUT, QUEUE_ATTEMPT_TIMEOUT, QUEUE_TIMEOUT, STORE_ATTEMPT_TIMEOUT, STORE_TIMEOUT,
};

/// How late a late request arrives at most, in milliseconds.
const LATE_MS: u64 = 20_000;

/// How often and how long a service is called.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    attempts: u32,
    attempt: Duration,
    whole: Duration,
}

/// DynamoDB, as `Store::new` configures its client.
pub const STORE: CallLimits =
    CallLimits { attempts: 3, attempt: STORE_ATTEMPT_TIMEOUT, whole: STORE_TIMEOUT };
/// SQS, as `MessageQueue::new` configures its client.
pub const QUEUE: CallLimits =
    CallLimits { attempts: 3, attempt: QUEUE_ATTEMPT_TIMEOUT, whole: QUEUE_TIMEOUT };
/// Clerk and Temporal, to which a command is sent again only when it comes again.
pub const COMMAND: CallLimits = CallLimits { attempts: 1, attempt: COMMAND_TIMEOUT, whole: COMMAND_TIMEOUT };

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(&'static str);

impl NoAnswer {
    /// The service has other things to do.
    pub const BUSY: Self = Self("busy");
}

/// A process that calls services.
#[derive(Clone)]
pub struct Client {
    process: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.process)
    }
}

/// What an attempt came to, unless nothing came back.
enum Attempt<T> {
    Answered(T),
    Throttled,
    Nothing,
}

impl Client {
    /// A process of this name.
    pub fn new(process: &str) -> Self {
        Self { process: process.to_owned() }
    }

    /// A call: `serve` is what the service does, at some moment after the request was sent, if it arrives at all.
    /// It is asked to be repeatable, since a request whose answer does not come is sent again.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn call<T, S>(
        &self,
        name: &'static str,
        limits: CallLimits,
        detail: impl Fn() -> String,
        serve: S,
    ) -> Result<T, NoAnswer>
    where
        T: Send + 'static,
        S: Fn() -> BoxFuture<'static, T> + Send + Sync + 'static,
    {
        let serve = Arc::new(serve);
        faults::count(name, None);
        let process = &self.process;
        trace::note(|| format!("{process}: {name} {}", detail()));
        let mut hasher = DefaultHasher::new();
        (name, process).hash(&mut hasher);
        trace::digest(hasher.finish());
        let attempts = async {
            let mut throttled = false;
            for attempt in 0..limits.attempts {
                if attempt > 0 {
                    sleep(clock::backoff(attempt + 3)).await;
                }
                match one_attempt(name, limits.attempt, Arc::clone(&serve)).await {
                    Attempt::Answered(answer) => return Ok(answer),
                    Attempt::Throttled => throttled = true,
                    Attempt::Nothing => throttled = false,
                }
            }
            Err(NoAnswer(if throttled { "throttled" } else { "no answer" }))
        };
        let answer = timeout(limits.whole, attempts).await.unwrap_or(Err(NoAnswer("no answer in time")));
        if answer.is_err() {
            trace::note(|| format!("{process}: {name} failed"));
        }
        answer
    }

    /// Records what became of a call.
    pub fn note(&self, line: impl FnOnce() -> String) {
        trace::note(|| format!("{}: {}", self.process, line()));
    }
}

async fn one_attempt<T, S>(name: &'static str, limit: Duration, serve: Arc<S>) -> Attempt<T>
where
    T: Send + 'static,
    S: Fn() -> BoxFuture<'static, T> + Send + Sync + 'static,
{
    if faults::happens(Fault::Throttled, name) {
        sleep(latency()).await;
        return Attempt::Throttled;
    }
    if faults::happens(Fault::LostRequest, name) {
        sleep(limit).await;
        return Attempt::Nothing;
    }
    let late = faults::happens(Fault::LateRequest, name);
    let lost = faults::happens(Fault::LostAnswer, name);
    let wait = if late { Duration::from_millis(fastrand::u64(..LATE_MS)) } else { latency() };
    if !late {
        // The request is under way for `wait`; who is gone by then has not sent it.
        sleep(wait).await;
    }
    let (sender, receiver) = oneshot::channel();
    // What was sent is served, whatever becomes of the sender.
    tokio::spawn(async move {
        if late {
            sleep(wait).await;
        }
        let answer = serve().await;
        if !lost {
            sleep(latency()).await;
            drop(sender.send(answer));
        }
    });
    match timeout(limit, receiver).await {
        Ok(Ok(answer)) => Attempt::Answered(answer),
        // The sender of an answer that is lost is gone at once; its receiver is not told.
        Ok(Err(_gone)) => {
            sleep(limit).await;
            Attempt::Nothing
        }
        Err(_elapsed) => Attempt::Nothing,
    }
}

/// How long a request or an answer is under way.
pub fn latency() -> Duration {
    Duration::from_millis(fastrand::u64(1..6))
}
