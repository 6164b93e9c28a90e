//! `cargo bench-cold-start`: from the start of each function's process to its first poll and its first answer, compared
//! with a function that does nothing; and how large each is, zipped.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::as_conversions,
    reason = "a benchmark stops at the first surprise, computes with rounded numbers and talks to its user"
)]

use clap::Parser;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use torale_bench::report::{BenchReport, BenchTarget, Table, root};
use torale_bench::runtime::{ColdStart, RuntimeApi};
use torale_bench::share::Share;
use torale_bench::stack::BenchStack;
use torale_bench::world::BenchWorld;
use torale_bench::{lambda, percentile, short};
use torale_domain::storage::keys::Lanes;
use torale_local::data::folder;
use torale_platform::routes;
use torale_testkit::stack::ADMIN_KEY;
use torale_testkit::tls::TlsProxy;

const HELLO: &str = "hello-world";
/// The function that is measured by memory.
const SAMPLE: &str = "stats";
/// Roots in one file, as Amazon Linux has them; a folder of single files takes longer to load.
const ROOTS: [&str; 2] = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];
const ABOUT: &str = "From the start of a function's process to its first poll and to its first answer, compared with a \
    function that does nothing and is started in turns with it; medians. Each function's clients are built in parallel with \
    its first poll; the store is reached over TLS. Store and Runtime API are on the same machine; a real KMS, queue or \
    CloudWatch is not called. \
    Lambda adds the start of its sandbox and the download of the code.";
const COLUMNS: [&str; 8] = [
    "function",
    "first poll, ms",
    "hello-world's, ms",
    "times",
    "first answer, ms",
    "hello-world's answer, ms",
    "answer",
    "zipped, MiB",
];
const MOST_TIMES: f64 = 1.5;
const MOST_BYTES: usize = 6 * 1024 * 1024;

#[derive(Parser)]
#[command(about = "Measures cold starts")]
struct Arguments {
    /// Starts of each function.
    #[arg(long, default_value_t = 31)]
    runs: usize,
    /// Binaries that are there already, instead of building them as `sam build` does.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Memories of a function in megabytes, to see what they buy: from its first poll on it has no more of a CPU than
    /// that. Needs control groups in version 1.
    #[arg(long, value_delimiter = ',')]
    memories: Vec<i64>,
    /// Only these functions.
    #[arg(long, value_delimiter = ',')]
    functions: Vec<String>,
    /// Binaries of another build, to be started in turns with those of the same name: times of one build after the
    /// other would differ with the machine's load.
    #[arg(long)]
    against: Option<PathBuf>,
}

/// The functions' names: of their folders, packages and binaries.
fn functions() -> Vec<String> {
    let folders = std::fs::read_dir(root().join("functions")).unwrap();
    let mut names: Vec<_> =
        folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// As `sam build` does: by binary, so with the features that all packages of the workspace ask for together.
fn build(functions: &[String]) -> PathBuf {
    let binaries = functions.iter().map(String::as_str).chain([HELLO]).flat_map(|name| ["--bin", name]);
    let mut cargo = std::process::Command::new("cargo");
    let built = cargo.args(["build", "--release"]).args(binaries).current_dir(root()).status();
    assert!(built.unwrap().success(), "the functions can't be built");
    root().join("target/release")
}

/// The first invocation of each function: a request on its route, a batch, or a schedule's event.
fn payload(function: &str, routes: &BTreeMap<String, (String, String)>) -> Value {
    match (function, routes.get(function)) {
        (_, Some((method, path))) => {
            let path = path.replace("{id}", "00000000-0000-0000-0000-0000000000ad");
            let mut request = lambda::request(&path, "", ADMIN_KEY);
            request["requestContext"]["http"]["method"] = json!(method);
            request
        }
        ("consumer" | "command-executor", None) => lambda::batch(&["{}".to_owned()]),
        ("fallback" | HELLO, None) => lambda::request("/nowhere", "", ADMIN_KEY),
        _ => json!({}),
    }
}

/// Method and path by function, as the workspace's router has them.
fn routes() -> BTreeMap<String, (String, String)> {
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].clone();
    let of = |(method, path): (&str, &str)| {
        let mut targets = router[path].as_array().unwrap().iter();
        let target = targets.find(|target| target["method"].as_str() == Some(method)).unwrap();
        (target["function"].as_str().unwrap().to_owned(), (method.to_owned(), path.to_owned()))
    };
    routes::all().filter(|(_, path)| *path != "/admin/console/{file}").map(of).collect()
}

/// Bytes of a program in a zip file, as `sam` packs it.
fn zipped(program: &Path) -> usize {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&std::fs::read(program).unwrap()).unwrap();
    encoder.finish().unwrap().len()
}

fn median(starts: &[ColdStart], of: impl Fn(&ColdStart) -> f64) -> f64 {
    let mut times: Vec<f64> = starts.iter().map(of).collect();
    times.sort_by(f64::total_cmp);
    percentile(&times, 0.5)
}

/// What was measured of one function.
struct FunctionFigures {
    row: Vec<String>,
    times: f64,
    bytes: usize,
}

/// What a function that is started finds: the Runtime API, the store, and its environment.
struct Surroundings {
    api: RuntimeApi,
    /// The store's address.
    store: String,
    /// The file of TLS roots.
    roots: PathBuf,
    /// The key that seals the audit trail.
    key: PathBuf,
    routes: BTreeMap<String, (String, String)>,
}

impl Surroundings {
    async fn of(stack: &BenchStack, share: Option<Arc<Share>>) -> Self {
        let (api, proxy) = (RuntimeApi::start(share).await, TlsProxy::to(stack.port).await);
        let (mut machine, roots) = (ROOTS.iter().map(Path::new), root().join("target/local/bench-roots.pem"));
        let key = folder::audit_key(None, &root().join("target/local")).unwrap();
        let machine = machine.find(|file| file.exists()).unwrap();
        std::fs::write(&roots, std::fs::read_to_string(machine).unwrap() + &proxy.authority).unwrap();
        Self { api, store: proxy.url, roots, key, routes: routes() }
    }

    fn environment(&self, function: &str) -> BTreeMap<String, String> {
        let others = format!("http://{}", self.api.address());
        [
            ("AWS_LAMBDA_FUNCTION_NAME", function),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.store),
            ("AWS_ENDPOINT_URL_SQS", &others),
            ("AWS_ENDPOINT_URL_CLOUDWATCH", &others),
            ("TORALE_EVENTS_QUEUE_URL", &others),
            ("TORALE_COMMANDS_QUEUE_URL", &others),
            ("CLERK_ISSUER", "https://clerk.example.com"),
            ("CLERK_JWKS_URL", "https://clerk.example.com/.well-known/jwks.json"),
            ("CLERK_SECRET_KEY", "sk_test_bench"),
            ("CLERK_WEBHOOK_SECRET", "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u"),
            ("AUDIT_KEY_FILE", &self.key.to_string_lossy()),
            ("SSL_CERT_FILE", &self.roots.to_string_lossy()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    async fn start(&self, folder: &Path, function: &str) -> ColdStart {
        let payload = payload(function, &self.routes);
        self.api.cold_start(&folder.join(function), &self.environment(function), &payload).await
    }

    /// Starts a function and the one that does nothing in turns.
    async fn measure(&self, folder: &Path, function: &str, runs: usize) -> FunctionFigures {
        let (mut starts, mut hellos) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            hellos.push(self.start(folder, HELLO).await);
            starts.push(self.start(folder, function).await);
        }
        let (polled, hello) = (median(&starts, |s| s.polled), median(&hellos, |s| s.polled));
        let (times, bytes) = (polled / hello, zipped(&folder.join(function)));
        let row = vec![
            function.to_owned(),
            short(polled),
            short(hello),
            short(times),
            short(median(&starts, |s| s.answered)),
            short(median(&hellos, |s| s.answered)),
            starts[0].status.clone(),
            short(bytes as f64 / 1_048_576.0),
        ];
        FunctionFigures { row, times, bytes }
    }
}

/// The first answer of one function, with the share of a CPU that some memories buy.
async fn by_memory(stack: &BenchStack, folder: &Path, runs: usize, memories: &[i64]) -> Table {
    let note = format!(
        "`{SAMPLE}`, all of a CPU up to its first poll, and then the share that its memory buys. {runs} starts."
    );
    let mut table =
        Table::new("First answer by memory", note, &["memory, MB", "first poll, ms", "first answer, ms"]);
    let share = Arc::new(Share::create());
    let around = Surroundings::of(stack, Some(share.clone())).await;
    for memory in memories {
        share.set(*memory);
        let mut starts = Vec::new();
        for _ in 0..runs {
            starts.push(around.start(folder, SAMPLE).await);
        }
        let times = [median(&starts, |s| s.polled), median(&starts, |s| s.answered)].map(short);
        table.rows.push([vec![memory.to_string()], times.to_vec()].concat());
    }
    share.remove();
    table
}

/// Two builds of some functions, started in turns, with the share of a CPU that some memories buy.
async fn compared(
    stack: &BenchStack,
    functions: &[String],
    folders: [&Path; 2],
    arguments: &Arguments,
) -> Table {
    let note = format!("This build and that in {}. {} starts of each.", folders[1].display(), arguments.runs);
    let columns = [
        "function",
        "memory, MB",
        "first poll, ms",
        "first poll of the other, ms",
        "first answer, ms",
        "first answer of the other, ms",
    ];
    let mut table = Table::new("Compared with another build", note, &columns);
    let share = Arc::new(Share::create());
    let around = Surroundings::of(stack, Some(share.clone())).await;
    let both = functions.iter().filter(|function| folders[1].join(function).exists());
    for (function, memory) in both.flat_map(|f| arguments.memories.iter().map(move |m| (f, *m))) {
        share.set(memory);
        let mut starts = [Vec::new(), Vec::new()];
        for _ in 0..arguments.runs {
            for (starts, folder) in starts.iter_mut().zip(folders) {
                starts.push(around.start(folder, function).await);
            }
        }
        let of = |of: fn(&ColdStart) -> f64| starts.each_ref().map(|starts| short(median(starts, of)));
        let times = [of(|s| s.polled), of(|s| s.answered)].concat();
        table.rows.push([vec![function.clone(), memory.to_string()], times].concat());
    }
    share.remove();
    table
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let all = if arguments.functions.is_empty() { functions() } else { arguments.functions.clone() };
    let folder = arguments.folder.clone().unwrap_or_else(|| build(&all));
    let stack = BenchStack::with(&BenchWorld::of(1000), Lanes::DEFAULT).await;
    let around = Surroundings::of(&stack, None).await;
    let mut report = BenchReport::new("cold-start", ABOUT);
    let note = format!("{} starts of each.", arguments.runs);
    let mut table = Table::new("Cold starts", note, &COLUMNS);
    let (mut slowest, mut largest) = ((String::new(), 0.0), (String::new(), 0));
    for function in &all {
        let found = around.measure(&folder, function, arguments.runs).await;
        if found.times > slowest.1 {
            slowest = (function.clone(), found.times);
        }
        if found.bytes > largest.1 {
            largest = (function.clone(), found.bytes);
        }
        table.rows.push(found.row);
    }
    report.add(table);
    if !arguments.memories.is_empty() {
        report.add(by_memory(&stack, &folder, arguments.runs, &arguments.memories).await);
    }
    if let Some(other) = &arguments.against {
        report.add(compared(&stack, &all, [&folder, other], &arguments).await);
    }
    report.targets.push(BenchTarget {
        what: format!("first poll at most {MOST_TIMES} times hello-world's"),
        met: slowest.1 <= MOST_TIMES,
        found: format!("{} times at most ({})", short(slowest.1), slowest.0),
    });
    report.targets.push(BenchTarget {
        what: "each function under 6 MiB, zipped".to_owned(),
        met: largest.1 < MOST_BYTES,
        found: format!("{} MiB at most ({})", short(largest.1 as f64 / 1_048_576.0), largest.0),
    });
    report.finish();
}
