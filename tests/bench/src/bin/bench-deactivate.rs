//! `cargo bench-deactivate`: what deactivating a user costs, by how many tasks and keys they have.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise and talks to its user"
)]

use deactivate_user::DeactivateUser;
use tokio::time::Instant;
use torale_bench::report::{BenchReport, BenchTarget, Table};
use torale_bench::{cost, percentile, short};
use torale_domain::values::time::DAY;
use torale_testkit::events::{api_key, task, user};
use torale_testkit::request::patch;
use torale_testkit::scenario::given_an_admin;
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{NOW, Stack};
use uuid::Uuid;

/// Active tasks and live keys of a user, and how many such users are deactivated.
const USERS: [(u128, u128, u128); 3] = [(0, 0, 20), (8, 2, 20), (5_000, 500, 1)];

const COLUMNS: [&str; 8] = [
    "active tasks",
    "live keys",
    "round trips in all",
    "read units in all",
    "write units in all",
    "commands sent with the answer",
    "commands in all",
    "median ms, commands included",
];

/// A user's id, and their events: created, with tasks and keys.
fn user_with(number: u128, tasks: u128, live_keys: u128) -> (String, Vec<String>) {
    let user_id = Uuid::from_u128(number << 64).to_string();
    let mut events = vec![user(&user_id).created()];
    for n in 0..tasks {
        let task_id = Uuid::from_u128((number << 64) + 1 + n).to_string();
        events.push(task(&task_id).created(&user_id, &format!("query {}", n % 50)));
    }
    for n in 0..live_keys {
        let key = format!("key_{number}_{n}");
        events.push(api_key(&key).created(&user_id, &key));
    }
    let messages = events.into_iter().map(|event| event.at(NOW.plus(-10 * DAY)).message()).collect();
    (user_id, messages)
}

async fn measure(stack: &Stack, (tasks, live_keys, users): (u128, u128, u128)) -> Vec<String> {
    let (mut times, mut sent, mut last) = (Vec::new(), 0, cost::Cost::default());
    let app = stack.app();
    for number in 0..users {
        let (id, events) = user_with(number + 1 + tasks * 100, tasks, live_keys);
        for some in events.chunks(1000) {
            stack.consume(some).await;
        }
        let sqs = FakeSqs::default();
        let (commands, request) = (sqs.client(), patch::<DeactivateUser>(&id));
        let started = Instant::now();
        let answer = request.send_with(&app, &commands).await;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
        assert_eq!(answer.status, 200);
        (sent, last) = (sqs.taken().len(), cost::last());
    }
    times.sort_by(f64::total_cmp);
    let counts = [tasks, live_keys].map(|count| count.to_string());
    let costs = [last.trips.to_string(), short(last.units), short(last.written), sent.to_string()];
    let rest = [(tasks + live_keys + 1).to_string(), short(percentile(&times, 0.5))];
    counts.into_iter().chain(costs).chain(rest).collect()
}

#[tokio::main]
async fn main() {
    cost::listen();
    let about = "What PATCH /admin/users/{id}/deactivate costs over the embedded store, with a queue in memory. \"In all\" \
        counts authentication, the limit and the audit record too, up to the commit; sending commands adds for each 100 rows \
        3 round trips and the queue's. Times are of this machine and this store, for comparison only.";
    let mut report = BenchReport::new("deactivate", about);
    let stack = given_an_admin().start().await;
    let around = cost::around_handlers(&stack.app()).await;
    let note = "What authentication, limit and audit record together add to a request, on top of what its handler reads.";
    let columns = ["sequential round trips", "read units", "write units"];
    let mut table = Table::new("Around every handler", note, &columns);
    table.rows.push(vec![around.trips.to_string(), short(around.units), short(around.written)]);
    report.add(table);
    report.targets.push(BenchTarget {
        what: "authentication, limit and audit add at most 2 sequential round trips".to_owned(),
        met: around.trips <= 2,
        found: around.trips.to_string(),
    });
    let note = "One user after the other; the costs are those of the last one.";
    let mut table = Table::new("Deactivating a user".to_owned(), note.to_owned(), &COLUMNS);
    for case in USERS {
        table.rows.push(measure(&stack, case).await);
    }
    report.add(table);
    report.finish();
}
