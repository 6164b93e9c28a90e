//! Embedded stores in processes of their own, so that their time and memory are counted apart.

use crate::stack::BenchStack;
use crate::world::BenchWorld;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use torale_domain::projections::generation::Generation;
use torale_domain::storage::item::{Item, Key, Value};
use torale_domain::storage::keys::Lanes;
use torale_domain::values::digest;
use torale_local::console::Console;
use torale_local::listen::listen;
use torale_local::process;
use torale_local::store as local;
use torale_platform::store::{Store, Usage};
use torale_tools::audit::local_store;

/// A store that this program serves when it is called with `--store` and a port. It ends with this.
pub struct ServedStore {
    port: u16,
    process: Child,
}

impl ServedStore {
    /// Starts the process and creates all tables.
    pub async fn start() -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--store", &port.to_string()]).stdin(Stdio::null()).kill_on_drop(true);
        let process = command.spawn().unwrap();
        let client = local::client(port);
        for _ in 0..100 {
            if client.list_tables().send().await.is_ok() {
                local::create_tables(&client).await.unwrap();
                return Self { port, process };
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the store does not start")
    }

    /// A client of it that waits as long as a slow machine needs: the limits of requests would end a benchmark there.
    pub fn store(&self) -> Store {
        local_store(&format!("http://127.0.0.1:{}", self.port))
    }

    /// Seconds of processor time that it has used so far.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.process.id().unwrap())
    }

    /// Items a second that it takes from sixteen callers of `BatchWriteItem` that do nothing else.
    pub async fn raw_speed(&self, count: usize, bytes: usize) -> f64 {
        let text = Value::Text("x".repeat(bytes));
        let item = |n: usize| Item {
            key: Key::stored(format!("x#{}", digest::sha256_hex(&[&n.to_be_bytes()])), "e".to_owned()),
            attributes: [("state".to_owned(), text.clone())].into(),
        };
        let items: Vec<Item> = (0..count).map(item).collect();
        let started = Instant::now();
        self.store().put_all(&Generation::first().table(), items, &Usage::default()).await.unwrap();
        count as f64 / started.elapsed().as_secs_f64()
    }
}

impl Drop for ServedStore {
    fn drop(&mut self) {
        std::fs::remove_dir_all(folder(self.port)).ok();
    }
}

/// Serves a store on a port. In a file: in memory, the store slows down as it grows.
pub async fn serve(port: u16) {
    let folder = folder(port);
    let listener = listen(port).unwrap();
    local::serve(listener, local::open(Some(&folder)).unwrap(), Console::default(), CancellationToken::new())
        .await;
}

fn folder(port: u16) -> PathBuf {
    std::env::temp_dir().join(format!("torale-bench-{port}"))
}

/// What a store in memory begins with. As text it is JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BenchHistory {
    /// The platform.
    pub world: BenchWorld,
    /// Lanes of the generation.
    pub lanes: u32,
}

impl FromStr for BenchHistory {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text)
    }
}

/// A store in memory with a history, which this program serves when it is called with `--history` and
/// [`BenchHistory`]. It ends with this.
pub struct ServedHistory {
    /// Where it is served.
    pub port: u16,
    _process: process::Child,
}

impl ServedHistory {
    /// Starts the process and waits until it has stored everything.
    pub async fn start(history: &BenchHistory) -> Self {
        let mut command = process::command(std::env::current_exe().unwrap());
        command.arg("--history").arg(serde_json::to_string(history).unwrap()).stdout(Stdio::piped());
        let mut process = process::Child::start(command).unwrap();
        let output = BufReader::new(process.process().stdout.take().unwrap());
        let line = output.lines().next_line().await.unwrap();
        let port = line.and_then(|line| line.parse().ok()).expect("the port of a store");
        Self { port, _process: process }
    }
}

/// Serves a store with a history, and prints its port once everything is stored.
pub async fn serve_history(BenchHistory { world, lanes }: BenchHistory) {
    let stack = BenchStack::with(&world, Lanes::new(lanes).unwrap()).await;
    println!("{}", stack.port);
    std::future::pending().await
}

/// Seconds of processor time that a process has used so far, its threads included.
pub fn cpu_seconds(process: u32) -> f64 {
    cpu_seconds_if_running(process).unwrap()
}

/// The same; `None` if it has ended.
pub fn cpu_seconds_if_running(process: u32) -> Option<f64> {
    Some(used(process)?[..2].iter().sum())
}

/// The same of its children that have ended.
pub fn cpu_seconds_of_ended_children(process: u32) -> f64 {
    used(process).unwrap()[2..].iter().sum()
}

/// User and system time, and those of children: the 14th to 17th field, in hundredths of a second.
fn used(process: u32) -> Option<Vec<f64>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field, the name in parentheses, may hold blanks.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(4);
    Some(fields.map(|field| field.parse::<f64>().unwrap() / 100.0).collect())
}

/// Kilobytes of this process at most since the last reset.
pub fn peak_kilobytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
