//! Requests over HTTP: function binaries behind the local gateway, as `cargo dev --release` runs them, except that the
//! client is in the gateway's process and shares its thread, and the store is in a process of its own, with a
//! thread a core.

use crate::report::root;
use axum::body::Bytes;
use axum::http::{Request, header};
use std::collections::BTreeSet;
use std::path::Path;
use tokio::sync::Mutex;
use tokio::time::{Duration, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use torale_local::console::Console;
use torale_local::functions::build::FunctionInstances;
use torale_local::functions::environment::Addresses;
use torale_local::functions::fleet::Fleet;
use torale_local::functions::runtime::Runtimes;
use torale_local::gateway::{API_TIMEOUT, Gateway};
use torale_local::http_client::Connection;
use torale_local::listen::listen;
use torale_local::project::{Project, Route};

/// The longest time of an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The API over a store, with one process of each function that it needs.
pub struct HttpApi {
    client: Mutex<Connection>,
    _fleet: Fleet,
    _stop: DropGuard,
}

impl HttpApi {
    /// Starts the functions of some paths from the binaries in a folder, over the store on a port.
    pub async fn start(folder: &Path, paths: &BTreeSet<&str>, store: u16) -> Self {
        let listener = listen(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (runtimes, stop) = (Runtimes::default(), CancellationToken::new());
        let routes: Vec<Route> =
            routes().await.into_iter().filter(|route| paths.contains(&*route.path)).collect();
        let gateway = Gateway::new(runtimes.clone(), API_TIMEOUT, Console::default());
        gateway.set_routes(routes.clone());
        tokio::spawn(gateway.serve(listener));
        let addresses = Addresses { http: port, dynamodb: store, ..Addresses::default() };
        let tracker = TaskTracker::new();
        let fleet = Fleet::new(folder, addresses, runtimes, Console::default(), tracker, stop.clone());
        let names: BTreeSet<String> = routes.into_iter().map(|route| route.function).collect();
        let one = |name| FunctionInstances { name, instances: 1 };
        fleet.replace(&names.into_iter().map(one).collect::<Vec<_>>());
        let client = Mutex::new(Connection::open(port).await.unwrap());
        Self { client, _fleet: fleet, _stop: stop.drop_guard() }
    }

    /// The body of a good answer. All requests have one connection, as those of a user's client.
    pub async fn get(&self, uri: &str, key: &str) -> Bytes {
        let request = Request::get(uri).header(header::AUTHORIZATION, format!("Bearer {key}"));
        let request = request.body(Bytes::new()).unwrap();
        let response = timeout(PATIENCE, self.client.lock().await.send(request)).await.unwrap().unwrap();
        assert_eq!(response.status(), 200, "{uri}: {:?}", response.body());
        response.into_body()
    }
}

/// The functions that serve some paths.
pub async fn functions(paths: &BTreeSet<&str>) -> BTreeSet<String> {
    let routes = routes().await.into_iter().filter(|route| paths.contains(&*route.path));
    routes.map(|route| route.function).collect()
}

async fn routes() -> Vec<Route> {
    let project = Project { root: root(), target: root().join("target") };
    project.routes().await.unwrap()
}
