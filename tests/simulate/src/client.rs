//! The requests of a process to a service: retries and time limits as the SDKs have them, and a network that loses and
//! delays.

use crate::faults::{self, Fault};
use crate::outages::{self, Service};
use crate::trace;
use futures::future::BoxFuture;
use futures::poll;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::task::Poll;
use tokio::spawn;
use tokio::time::{Duration, Instant, sleep, sleep_until, timeout_at};
use torale_platform::clock;
use torale_platform::config::{
    COMMAND_TIMEOUT, QUEUE_ATTEMPT_TIMEOUT, QUEUE_TIMEOUT, STORE_ATTEMPT_TIMEOUT, STORE_TIMEOUT,
};

/// How late a late request arrives at most, in milliseconds.
const LATE_MS: u64 = 20_000;

/// How often and how long a service is called.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    service: Service,
    attempts: u32,
    attempt: Duration,
    whole: Duration,
}

/// DynamoDB, as `Store::new` configures its client.
pub const STORE: CallLimits =
    CallLimits { service: Service::Store, attempts: 3, attempt: STORE_ATTEMPT_TIMEOUT, whole: STORE_TIMEOUT };
/// SQS, as `MessageQueue::new` configures its client.
pub const QUEUE: CallLimits =
    CallLimits { service: Service::Queue, attempts: 3, attempt: QUEUE_ATTEMPT_TIMEOUT, whole: QUEUE_TIMEOUT };
/// Clerk and Temporal, to which a command is sent again only when it comes again.
pub const COMMAND: CallLimits =
    CallLimits { service: Service::Outside, attempts: 1, attempt: COMMAND_TIMEOUT, whole: COMMAND_TIMEOUT };

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

/// Waits, unless the time of the whole call ends before that.
async fn pause(time: Duration, end: Instant) -> Result<(), NoAnswer> {
    let until = Instant::now() + time;
    sleep_until(until.min(end)).await;
    if until <= end { Ok(()) } else { Err(NoAnswer("no answer in time")) }
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
        faults::count(name, None);
        let process = &self.process;
        trace::note(|| format!("{process}: {name} {}", detail()));
        let mut hasher = DefaultHasher::new();
        (name, process).hash(&mut hasher);
        trace::digest(hasher.finish());
        let answer = match faults::are_calls_instant() {
            true => Ok(serve().await),
            false => all_attempts(name, limits, &Arc::new(serve)).await,
        };
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

async fn all_attempts<T, S>(name: &'static str, limits: CallLimits, serve: &Arc<S>) -> Result<T, NoAnswer>
where
    T: Send + 'static,
    S: Fn() -> BoxFuture<'static, T> + Send + Sync + 'static,
{
    let end = Instant::now() + limits.whole;
    let mut throttled = false;
    for attempt in 0..limits.attempts {
        if attempt > 0 {
            pause(clock::backoff(attempt + 3), end).await?;
        }
        match one_attempt(name, limits, end, serve).await? {
            Attempt::Answered(answer) => return Ok(answer),
            Attempt::Throttled => throttled = true,
            Attempt::Nothing => throttled = false,
        }
    }
    Err(NoAnswer(if throttled { "throttled" } else { "no answer" }))
}

async fn one_attempt<T, S>(
    name: &'static str,
    CallLimits { service, attempt: limit, .. }: CallLimits,
    end: Instant,
    serve: &Arc<S>,
) -> Result<Attempt<T>, NoAnswer>
where
    T: Send + 'static,
    S: Fn() -> BoxFuture<'static, T> + Send + Sync + 'static,
{
    let is_out = outages::is_out(service);
    if is_out {
        faults::count(name, Some(Fault::Outage));
    } else if service != Service::Queue {
        faults::count_occasion(name, Fault::Outage);
    }
    if is_out || faults::happens(Fault::Throttled, name) {
        pause(latency(), end).await?;
        return Ok(Attempt::Throttled);
    }
    if faults::happens(Fault::LostRequest, name) {
        pause(limit, end).await?;
        return Ok(Attempt::Nothing);
    }
    let late = faults::happens(Fault::LateRequest, name);
    let lost = faults::happens(Fault::LostAnswer, name);
    let answer = if late {
        let (serve, wait) = (Arc::clone(serve), Duration::from_millis(fastrand::u64(..LATE_MS)));
        Err(spawn(async move {
            sleep(wait).await;
            serve().await
        }))
    } else {
        // The request is under way for a while; who is gone by then has not sent it.
        pause(latency(), end).await?;
        let mut serving = serve();
        match poll!(&mut serving) {
            Poll::Ready(answer) => Ok(answer),
            Poll::Pending => Err(spawn(serving)),
        }
    };
    let answered = Instant::now() + limit;
    let answer = match answer {
        Ok(answer) => Some(answer),
        // What was sent is served, whatever becomes of the sender.
        Err(served) => timeout_at(answered.min(end), served).await.ok().and_then(Result::ok),
    };
    match answer.filter(|_| !lost) {
        Some(answer) => {
            pause(latency(), end).await?;
            Ok(Attempt::Answered(answer))
        }
        None => {
            pause(answered.saturating_duration_since(Instant::now()), end).await?;
            Ok(Attempt::Nothing)
        }
    }
}

/// How long a request or an answer is under way.
pub fn latency() -> Duration {
    Duration::from_millis(fastrand::u64(1..6))
}
