//! The sync uses exactly the permissions that the template gives it, and costs what infra/costs.py says.

use crate::fake::{Synced, task_id};
use std::path::Path;
use tokio::time::{Duration, Instant};
use torale_platform::store::Usage;
use torale_testkit::rights::Rights;

#[tokio::test]
async fn sync_uses_exactly_its_permissions() {
    let rights = Rights::of("TemporalSyncJob");
    let mut synced = Synced::start().await;
    synced.sync.store = synced.stack.store_with(rights.interceptor());
    for number in 1..4 {
        synced.sync.temporal.set(&format!("schedule-{}", task_id(number)), number == 1, 5);
    }

    synced.run().await.0.unwrap();
    synced.sync.temporal.schedules.lock().unwrap().pop_first();
    synced.restart();
    synced.run().await.0.unwrap();

    rights.assert_fit(&[]);
}

/// A figure of the cost table.
fn figure(name: &str) -> f64 {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/costs.py");
    let script = std::fs::read_to_string(script).unwrap();
    let line = script.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
    line.unwrap_or_else(|| panic!("{name} in infra/costs.py")).parse().unwrap()
}

#[tokio::test]
async fn a_run_that_finds_nothing_new_costs_what_the_table_says() {
    let mut synced = Synced::start().await;
    (1..4).for_each(|number| synced.sync.temporal.set(&format!("schedule-{}", task_id(number)), false, 5));
    synced.run().await.0.unwrap();

    let (usage, until) = (Usage::default(), Instant::now() + Duration::from_secs(600));
    let report = synced.sync.run(until, until, &usage).await.unwrap();

    assert_eq!(report.sent, 0);
    assert_eq!(
        (usage.read_units(), usage.write_units()),
        (figure("SYNC_READ_UNITS"), figure("SYNC_WRITE_UNITS"))
    );
}
