//! What the jobs cost that run every minute: the figures that infra/costs.py reckons with.
#![allow(clippy::disallowed_methods, reason = "tests read files of the workspace")]

use lambda_http::http::Method;
use metrics::MetricSources;
use std::path::Path;
use tokio::time::Instant;
use torale_domain::values::time::MINUTE;
use torale_platform::audit::seal::Sealer;
use torale_platform::outbox::Relay;
use torale_platform::serve::App;
use torale_platform::store::{Generations, Usage};
use torale_tests::cloudwatch::Stub;
use torale_tests::generate::{self, Generator};
use torale_tests::sqs::{Sqs, URL};
use torale_tests::stack::{self, NOW, Stack};

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

/// Asks as the admin so often, one second later each time.
async fn ask(stack: &Stack, times: usize) {
    let key = format!("Bearer {}", stack::ADMIN_KEY);
    let app = App::new(stack.store(), stack::keys_only(), stack::LIMITS, stack::temporal_ui(), || NOW);
    for _ in 0..times {
        let request = stack::request(Method::GET, "/admin/temporal/schedules", "", Some(&key));
        assert_eq!(stack::answer(&app, request).await.status(), 200);
    }
}

#[tokio::test]
async fn a_run_of_each_job_costs_what_the_table_says() {
    let stack = Stack::start().await;
    stack.consume(&[generate::admin(), Generator::new(1).messages(200)].concat()).await;
    ask(&stack, 1).await;
    stack.seal().await;

    let (store, generations, usage) = (stack.store(), Generations::default(), Usage::default());
    let queue = Sqs::default().queue(Some(URL));
    Relay::new(&store, &generations, &queue, &usage).run(|| NOW, Instant::now() + stack::LONG).await.unwrap();
    assert_eq!((usage.read_units(), usage.write_units()), (figure("\"outbox-relay\":"), 0.0));

    let usage = Usage::default();
    let later = || NOW.plus(5 * MINUTE);
    let done = stack::sealed(&Sealer::new(&store, &stack::audit_key(), later, &usage)).await;
    assert_eq!(done.unwrap().seals, 0);
    assert_eq!((usage.read_units(), usage.write_units()), (figure("\"audit-seal\":"), 0.0));

    let cloudwatch = Stub::default().client();
    let sources = MetricSources { store, generations, events: queue, cloudwatch, clock: later };
    assert_eq!(metrics::handle(&sources).await.unwrap().read_units, figure("\"metrics\":"));
}

#[tokio::test]
async fn a_record_is_indexed_for_what_the_table_says() {
    let stack = Stack::start().await;
    stack.consume(&generate::admin()).await;
    ask(&stack, 100).await;
    let (store, usage) = (stack.store(), Usage::default());
    let done = stack::sealed(&Sealer::new(&store, &stack::audit_key(), || NOW, &usage)).await;
    assert_eq!(done.unwrap().records, 100);
    assert_eq!((usage.write_units() / 100.0).round(), figure("INDEXED_RECORD_WRITE_UNITS ="));
}
