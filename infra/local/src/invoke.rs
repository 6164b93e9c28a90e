//! How the poller reaches a function: in this process, or behind another program's HTTP port.

use axum::body::Bytes;
use axum::http::Request;

use crate::console::Console;
use crate::functions::EventSource;
use crate::http;
use crate::poller::Target;
use crate::runtime::Runtimes;

/// The function that a queue feeds.
pub enum Invoke {
    /// Its processes are this stack's own.
    Here {
        /// The functions.
        runtimes: Runtimes,
        /// Which one, and for how long it may run.
        source: &'static EventSource,
        /// Where failures are reported.
        console: Console,
    },
    /// `cargo lambda watch` runs it.
    Elsewhere {
        /// The port that it listens on.
        port: u16,
        /// Which function.
        source: &'static EventSource,
        /// Where failures are reported.
        console: Console,
    },
}

impl Target for Invoke {
    async fn invoke(&self, event: Bytes) -> Option<Bytes> {
        match self {
            Self::Here { runtimes, source, console } => {
                let invoked = runtimes.invoke(source.function, event, source.timeout).await;
                invoked.map_err(|error| console.line(source.function, &error.to_string())).ok()
            }
            Self::Elsewhere { port, source, console } => {
                let invoked = post(*port, source, event).await;
                invoked.map_err(|error| console.line(source.function, &error)).ok()
            }
        }
    }
}

/// Invokes a function as `aws lambda invoke` would. Its first call may include its compilation, so it may
/// take as long as its messages stay invisible.
async fn post(port: u16, source: &EventSource, event: Bytes) -> Result<Bytes, String> {
    let path = format!("/2015-03-31/functions/{}/invocations", source.function);
    let request = Request::post(path).header("content-type", "application/json").body(event);
    let request = request.map_err(|error| error.to_string())?;
    let answer =
        http::request(port, request, source.visibility()).await.map_err(|error| error.to_string())?;
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
    use std::time::Duration;
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
            Invoke::Here { runtimes: runtimes.clone(), source: &EVENTS, console: console.clone() },
            Invoke::Elsewhere { port, source: &EVENTS, console },
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
