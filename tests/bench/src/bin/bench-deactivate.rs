//! `cargo bench-deactivate`: what deactivating a user costs, by how much it has.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise and talks to its user"
)]

use lambda_http::http::Method;
use serde_json::json;
use tokio::time::Instant;
use torale_bench::report::{BenchReport, BenchTarget, Table};
use torale_bench::{cost, percentile, short};
use torale_domain::values::digest;
use torale_domain::values::time::DAY;
use torale_tests::generate::{self, event};
use torale_tests::sqs::{self, Sqs};
use torale_tests::stack::{self, ADMIN_KEY, NOW, Stack};
use uuid::Uuid;

/// What users have: active tasks and live keys; and how many such users are deactivated.
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

/// A user's events: created, with its tasks and keys.
fn user(number: u128, tasks: u128, live_keys: u128) -> (String, Vec<String>) {
    let at = NOW.plus(-10 * DAY);
    let user = Uuid::from_u128(number << 64).to_string();
    let created =
        json!({ "user_id": user, "clerk_user_id": format!("user_{number}"), "email": "x@example.com" });
    let mut events = vec![event(&format!("u{number}"), at, "user.created", created)];
    for n in 0..tasks {
        let task = Uuid::from_u128((number << 64) + 1 + n).to_string();
        let data = json!({ "task_id": task, "user_id": user, "search_query": format!("query {}", n % 50) });
        events.push(event(&task, at, "task.created", data));
    }
    for n in 0..live_keys {
        let key = format!("key_{number}_{n}");
        let hash = digest::sha256_hex(&[key.as_bytes()]);
        let data = json!({ "key_id": key, "user_id": user, "key_hash": hash, "key_prefix": "sk" });
        events.push(event(&key, at, "api_key.created", data));
    }
    (user, events)
}

async fn measure(stack: &Stack, (tasks, live_keys, users): (u128, u128, u128)) -> Vec<String> {
    let (mut times, mut sent, mut last) = (Vec::new(), 0, cost::Cost::default());
    let app = stack.app();
    for number in 0..users {
        let (id, events) = user(number + 1 + tasks * 100, tasks, live_keys);
        for some in events.chunks(1000) {
            stack.consume(some).await;
        }
        let (sqs, path) = (Sqs::default(), format!("/admin/users/{id}/deactivate"));
        let request = stack::request(Method::PATCH, &path, "", Some(&format!("Bearer {ADMIN_KEY}")));
        let started = Instant::now();
        let response = stack::answer_with(&app, &sqs.queue(Some(sqs::URL)), request).await;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
        assert_eq!(response.status().as_u16(), 200);
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
    let stack = Stack::start().await;
    stack.consume(&generate::admin()).await;
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
