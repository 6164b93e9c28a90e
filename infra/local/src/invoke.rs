//! How queues and schedules reach a function: in this process, or behind another program's HTTP port.

use axum::body::Bytes;
use axum::http::Request;
use std::time::Duration;

use crate::console::Console;
use crate::functions::{EventSource, TimerSource};
use crate::http;
use crate::poller::InvokeTarget;
use crate::runtime::Runtimes;

/// A function and how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct Called {
    /// Its name.
    pub function: &'static str,
    /// How long it may run.
    pub timeout: Duration,
    /// How long a caller waits whose first call may include its compilation.
    pub patience: Duration,
}

impl From<&EventSource> for Called {
    fn from(source: &EventSource) -> Self {
        Self { function: source.function, timeout: source.timeout, patience: source.visibility() }
    }
}

impl From<&TimerSource> for Called {
    fn from(schedule: &TimerSource) -> Self {
        let TimerSource { function, timeout, .. } = *schedule;
        Self { function, timeout, patience: timeout * 6 }
    }
}

/// The way to a function.
pub enum Invoke {
    /// Its processes are this stack's own.
    Here {
        /// The functions.
        runtimes: Runtimes,
        /// Which one.
        called: Called,
        /// Where failures are reported.
        console: Console,
    },
    /// `cargo lambda watch` runs it.
    Elsewhere {
        /// The port that it listens on.
        port: u16,
        /// Which function.
        called: Called,
        /// Where failures are reported.
        console: Console,
    },
}

impl InvokeTarget for Invoke {
    async fn invoke(&self, event: Bytes) -> Option<Bytes> {
        match self {
            Self::Here { runtimes, called, console } => {
                let invoked = runtimes.invoke(called.function, event, called.timeout).await;
                invoked.map_err(|error| console.line(called.function, &error.to_string())).ok()
            }
            Self::Elsewhere { port, called, console } => {
                let invoked = post(*port, called, event).await;
                invoked.map_err(|error| console.line(called.function, &error)).ok()
            }
        }
    }
}

/// Invokes a function as `aws lambda invoke` would.
async fn post(port: u16, called: &Called, event: Bytes) -> Result<Bytes, String> {
    let path = format!("/2015-03-31/functions/{}/invocations", called.function);
    let request = Request::post(path).header("content-type", "application/json").body(event);
    let request = request.map_err(|error| error.to_string())?;
    let answer = http::request(port, request, called.patience).await.map_err(|error| error.to_string())?;
    if answer.status().is_success() && !answer.headers().contains_key("x-amz-function-error") {
        return Ok(answer.into_body());
    }
    Err(format!("{}: {}", answer.status(), String::from_utf8_lossy(answer.body())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::EVENTS;
    use crate::gateway::Gateway;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn both_ways_bring_results_and_notice_failures() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let runtimes = Runtimes::default();
        runtimes.declare("consumer");
        let console = Console::default();
        tokio::spawn(
            Gateway::new(runtimes.clone(), Duration::from_secs(60), console.clone()).serve(listener),
        );
        let ways = [
            Invoke::Here { runtimes: runtimes.clone(), called: (&EVENTS).into(), console: console.clone() },
            Invoke::Elsewhere { port, called: (&EVENTS).into(), console },
        ];
        for way in ways {
            for outcome in [Ok(Bytes::from_static(b"{}")), Err(crate::runtime::InvokeError::Crashed)] {
                let work = async {
                    let invocation = runtimes.next("consumer", None).await;
                    assert_eq!(invocation.payload, "event");
                    assert!(runtimes.answer("consumer", &invocation.request_id, outcome.clone()));
                };
                let (result, ()) = tokio::join!(way.invoke(Bytes::from_static(b"event")), work);
                assert_eq!(result, outcome.clone().ok());
            }
        }
    }
}
