//! What the jobs cost that run every minute: the figures that infra/costs.py calculates with.

use metrics::MetricSources;
use metrics::cloudwatch::CloudWatch;
use std::path::Path;
use temporal_schedules::Schedules;
use tokio::time::Instant;
use torale_domain::values::time::MINUTE;
use torale_platform::audit::seal::Sealer;
use torale_platform::outbox::Relay;
use torale_platform::store::{Generations, Usage};
use torale_testkit::cloudwatch::FakeCloudWatch;
use torale_testkit::generator::Generator;
use torale_testkit::request::get;
use torale_testkit::scenario::{given, given_an_admin};
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{self, NOW, Stack};

/// A figure of the cost table.
fn figure(name: &str) -> f64 {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/costs.py");
    let script = std::fs::read_to_string(script).unwrap();
    let (_, rest) = script.split_once(name).unwrap_or_else(|| panic!("{name} in infra/costs.py"));
    let number: String = rest
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(|c| *c != ',' && *c != '}' && *c != '\n')
        .collect();
    number.parse().unwrap()
}

/// The admin makes so many requests of one instance, each of which leaves a record.
async fn record(stack: &Stack, requests: usize) {
    let app = stack.app();
    for _ in 0..requests {
        assert_eq!(get::<Schedules>("").send(&app).await.status, 200);
    }
}

#[tokio::test]
async fn jobs_cost_what_the_table_says_while_nothing_happens() {
    let stack = given(Generator::new(1).messages(200)).start().await;
    record(&stack, 1).await;
    stack.seal().await;

    let (store, generations, usage) = (stack.store(), Generations::default(), Usage::default());
    let queue = FakeSqs::default().client();
    // Some events delete identities: their commands are sent before.
    let before = Usage::default();
    let until = Instant::now() + stack::LONG;
    Relay::new(&store, &generations, &queue, &before).run(|| NOW, until).await.unwrap();
    Relay::new(&store, &generations, &queue, &usage).run(|| NOW, Instant::now() + stack::LONG).await.unwrap();

    assert_eq!((usage.read_units(), usage.write_units()), (figure("\"outbox-relay\":"), 0.0));

    let usage = Usage::default();
    let later = || NOW.plus(5 * MINUTE);
    let report = stack::sealed(&Sealer::new(&store, &stack::audit_key(), later, &usage)).await;

    assert_eq!(report.unwrap().seals, 0);
    assert_eq!((usage.read_units(), usage.write_units()), (figure("\"audit-seal\":"), 0.0));

    let cloudwatch = CloudWatch::new(FakeCloudWatch::default().config());
    let sources = MetricSources { store, generations, events: queue, cloudwatch, clock: later };

    assert_eq!(metrics::handle(&sources).await.unwrap().read_units, figure("\"metrics\":"));
}

#[tokio::test]
async fn indexing_an_audit_record_costs_what_the_table_says() {
    let stack = given_an_admin().start().await;
    record(&stack, 100).await;

    let (store, usage) = (stack.store(), Usage::default());
    let report = stack::sealed(&Sealer::new(&store, &stack::audit_key(), || NOW, &usage)).await;

    assert_eq!(report.unwrap().records, 100);
    assert_eq!((usage.write_units() / 100.0).round(), figure("INDEXED_RECORD_WRITE_UNITS ="));
}
