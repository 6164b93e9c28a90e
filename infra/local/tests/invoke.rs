//! Invoking a function of this stack, and one behind another program's HTTP port.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use axum::body::Bytes;
use tokio::net::TcpListener;
use torale_local::console::Console;
use torale_local::event_sources::EVENTS;
use torale_local::functions::invoke::{InvokeFunction, Invoker};
use torale_local::functions::runtime::{InvokeError, Runtimes};
use torale_local::gateway::Gateway;

#[tokio::test]
async fn both_invokers_return_results_and_notice_failures() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (runtimes, console) = (Runtimes::default(), Console::default());
    runtimes.declare("consumer");
    tokio::spawn(Gateway::new(runtimes.clone(), Duration::from_secs(60), console.clone()).serve(listener));
    let invokers = [
        Invoker::Own { runtimes: runtimes.clone(), target: (&EVENTS).into(), console: console.clone() },
        Invoker::LambdaWatch { port, target: (&EVENTS).into(), console },
    ];
    for invoker in invokers {
        for outcome in [Ok(Bytes::from_static(b"{}")), Err(InvokeError::Crashed)] {
            let work = async {
                let invocation = runtimes.next("consumer", None).await;
                assert_eq!(invocation.payload, "event");
                assert!(runtimes.answer("consumer", &invocation.request_id, outcome.clone()));
            };

            let (result, ()) = tokio::join!(invoker.invoke(Bytes::from_static(b"event")), work);

            assert_eq!(result, outcome.clone().ok());
        }
    }
}
