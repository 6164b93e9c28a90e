//! How queues and schedules reach a function: a process of this stack, or one that `cargo lambda
//! watch` runs.

use std::future::Future;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Request;

use super::runtime::Runtimes;
use crate::console::Console;
use crate::event_sources::{EventSource, ScheduledFunction};
use crate::http_client;

/// Invokes one function.
pub trait InvokeFunction: Send + Sync {
    /// Invokes it with an event: its result, or `None` if it failed.
    fn invoke(&self, event: Bytes) -> impl Future<Output = Option<Bytes>> + Send;
}

/// A function and its time limits.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimits {
    /// The function's name.
    pub function: &'static str,
    /// How long one invocation may run.
    pub timeout: Duration,
    /// How long to wait for `cargo lambda watch`, which may have to compile the function first.
    pub first_timeout: Duration,
}

impl From<&EventSource> for TimeLimits {
    fn from(source: &EventSource) -> Self {
        Self { function: source.function, timeout: source.timeout, first_timeout: source.visibility() }
    }
}

impl From<&ScheduledFunction> for TimeLimits {
    fn from(schedule: &ScheduledFunction) -> Self {
        let ScheduledFunction { function, timeout, .. } = *schedule;
        Self { function, timeout, first_timeout: timeout * 6 }
    }
}

/// Invokes one function where it runs.
pub enum Invoker {
    /// Its processes are this stack's own.
    Own {
        /// The functions.
        runtimes: Runtimes,
        /// Which one.
        target: TimeLimits,
        /// Where failures are reported.
        console: Console,
    },
    /// `cargo lambda watch` runs it.
    LambdaWatch {
        /// The port on which it listens.
        port: u16,
        /// Which function.
        target: TimeLimits,
        /// Where failures are reported.
        console: Console,
    },
}

impl InvokeFunction for Invoker {
    async fn invoke(&self, event: Bytes) -> Option<Bytes> {
        match self {
            Self::Own { runtimes, target, console } => {
                let invoked = runtimes.invoke(target.function, event, target.timeout).await;
                invoked.map_err(|error| console.line(target.function, &error.to_string())).ok()
            }
            Self::LambdaWatch { port, target, console } => {
                let invoked = post(*port, target, event).await;
                invoked.map_err(|error| console.line(target.function, &error)).ok()
            }
        }
    }
}

/// Invokes a function as `aws lambda invoke` does.
async fn post(port: u16, target: &TimeLimits, event: Bytes) -> Result<Bytes, String> {
    let path = format!("/2015-03-31/functions/{}/invocations", target.function);
    let request = Request::post(path).header("content-type", "application/json").body(event);
    let request = request.map_err(|error| error.to_string())?;
    let response = http_client::send(port, request, target.first_timeout).await;
    let response = response.map_err(|error| error.to_string())?;
    if response.status().is_success() && !response.headers().contains_key("x-amz-function-error") {
        return Ok(response.into_body());
    }
    Err(format!("{}: {}", response.status(), String::from_utf8_lossy(response.body())))
}
