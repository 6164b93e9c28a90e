//! Events at every bound are projected as the model says (`docs/promises.md`, P9).

use std::collections::BTreeMap;
use torale_testkit::generator::Generator;
use torale_testkit::stack::Stack;
use torale_testkit::{events, extremes};
use torale_tests::model;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_at_every_bound_are_projected_as_the_model_says() {
    let messages = [events::admin(), extremes::messages()].concat();
    let stack = Stack::start().await;

    for batch in Generator::new(16).deliveries(&messages) {
        let outcome = stack.consume(&batch).await;
        assert_eq!(outcome.quarantined, BTreeMap::new());
        assert_eq!(outcome.failed, Vec::<String>::new());
    }

    let expected = model::model(&messages);
    model::check_metrics(&stack, &expected).await;
    for (path, query) in model::PLAIN {
        model::check(&stack, &expected, path, query).await;
    }
}
