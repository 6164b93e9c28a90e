//! Backfill and relay through PgBouncer in transaction mode, where each transaction may have another connection to the
//! server: what a session has set or prepared is not there any more.

use crate::installing::rights_of_the_guide;
use crate::platform::NEW;
use crate::server::Database;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use tokio::time::{Duration, Instant};
use torale_platform::clock;
use torale_source::backfill::{self, BackfillMeter, BackfillProgress, BackfillSink};
use torale_source_outbox::connect::SourceDatabase;
use torale_source_outbox::relay;
use torale_testkit::sqs::FakeSqs;

const ROLE: &str = "torale_pooled";
/// Like PostgreSQL, PgBouncer refuses to run as root. It ends with this script, and that with its standard input.
const SCRIPT: &str = r#"as=; if [ "$(id -u)" = 0 ]; then as="setpriv --reuid postgres --regid postgres --clear-groups"; fi
$as "$1" -q "$2/pgbouncer.ini" & pooler=$!
trap 'kill -9 $pooler; rm -rf "$2"' EXIT
echo ready
cat >/dev/null || true"#;

/// A PgBouncer before one database.
struct Pooler {
    process: Child,
    port: u16,
}

impl Pooler {
    /// `None`, loudly, without PgBouncer.
    fn before(db: &Database) -> Option<Self> {
        let programs = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
        let Some(program) = programs.iter().find(|program| std::path::Path::new(program).exists()) else {
            eprintln!(
                "\n!!! SKIPPED: there is no PgBouncer on this machine: connections through it are not tested\n"
            );
            return None;
        };
        let url = db.url();
        let (server, name) = url.split_once('@').unwrap().1.split_once('/').unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = std::env::temp_dir().join(format!("torale-pgbouncer-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("users"), format!("\"{ROLE}\" \"\"\n")).unwrap();
        let settings = format!(
            "[databases]\n{name} = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 3\n",
            server.split_once(':').unwrap().1,
            dir.join("users").display()
        );
        std::fs::write(dir.join("pgbouncer.ini"), settings).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh", program]).arg(&dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Some(Self { process, port })
    }

    fn source(&self, db: &Database) -> SourceDatabase {
        let url = db.url();
        let name = url.rsplit_once('/').unwrap().1;
        let url = format!("postgresql://{ROLE}@127.0.0.1:{}/{name}", self.port);
        SourceDatabase::new(&url, None, "torale_admin_source").unwrap()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_and_relays_work_through_a_pooler_in_transaction_mode() {
    let Some(db) = Database::installed(NEW) else { return };
    let Some(pooler) = Pooler::before(&db) else { return };
    db.run(&rights_of_the_guide().replace("torale_source", ROLE));
    db.run(
        "INSERT INTO users (clerk_user_id, email) SELECT 'c' || i, i || '@example.org' FROM generate_series(1, 6000) i",
    );
    let (events, source) = (db.outbox().await, pooler.source(&db));
    let (read, relayed) = (FakeSqs::default(), FakeSqs::default());
    let later = Instant::now() + Duration::from_secs(600);

    let (mut progress, sink) = (BackfillProgress::unsaved(), BackfillSink::Queue(read.client()));
    let meter = BackfillMeter::default();
    let backfilling = backfill::run(&source, &sink, &mut progress, &meter, clock::system);
    let queue = relayed.client();
    let relaying = futures::future::join_all((0..5).map(|_| relay::run(&source, &queue, later, later)));
    let (backfilled, reports) = futures::join!(backfilling, relaying);

    backfilled.unwrap();
    let sent: u64 = reports.into_iter().map(|report| report.unwrap().sent).sum();
    assert_eq!((sent, relayed.taken().len()), (6000, 6000));
    let set = |events: Vec<String>| events.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(set(relayed.taken()), set(events.clone()));
    assert_eq!(set(read.taken()), set(events));
}
