//! Threads of the servers that answer within a request.
//!
//! A request passes the gateway twice and the store several times. The store blocks its thread while it works, and
//! what runs on threads that are shared is handed from one to another, which takes longer than the gateway's own work.
//! So each of the two has one thread for everything that it serves, apart from the pollers and all else.

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::LocalError;

/// The runtimes of the servers, with a thread each. They end with [`ServerThreads::stop`], outside of any runtime.
pub struct ServerThreads {
    gateway: Runtime,
    store: Runtime,
}

impl ServerThreads {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the operating system cannot.
    pub fn start() -> Result<Self, LocalError> {
        Ok(Self { gateway: thread("gateway")?, store: thread("store")? })
    }

    /// Where the gateway is served, with the Runtime API.
    #[must_use]
    pub fn gateway(&self) -> &Handle {
        self.gateway.handle()
    }

    /// Where the store is served. More threads would wait for each other: it works on one request at a time.
    #[must_use]
    pub fn store(&self) -> &Handle {
        self.store.handle()
    }

    /// Ends what still runs on the threads.
    pub fn stop(self) {
        self.gateway.shutdown_background();
        self.store.shutdown_background();
    }
}

/// A runtime with one thread, which runs whether or not something waits for it.
fn thread(name: &str) -> Result<Runtime, LocalError> {
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build();
    runtime.map_err(LocalError::io(format!("the thread of the {name}")))
}
