//! A log of the release before identities (commit a834d47): no `identity.*` event, and the webhook's users under ids
//! derived from the Clerk id, also of people whom the platform has created itself. What that release answered was
//! written down by the model that it was tested with.

use super::{quiet, rebuild};
use serde_json::{Map, Value};
use torale_domain::events::{self, ReceivedMessage};
use torale_domain::storage::keys::{self, Lanes};
use torale_platform::store::Usage;
use torale_platform::store::log::LogEntry;
use torale_replay::promotion::{Promotion, PromotionStep};
use torale_testkit::stack::{NOW, Stack};
use torale_tests::endpoints;

const MESSAGES: &str = include_str!("earlier_release/messages.jsonl");
const ANSWERS: &str = include_str!("earlier_release/answers.json");

/// What the newer release answers has every field of what the older one answered, with the same value. It may have more
/// fields, but not more rows.
fn assert_has(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, value) in expected {
                assert_has(found.get(name).unwrap_or(&Value::Null), value, &format!("{place} {name}"));
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{place}");
            found.iter().zip(expected).for_each(|(found, expected)| assert_has(found, expected, place));
        }
        _ => assert_eq!(found, expected, "{place}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_of_an_earlier_release_is_rebuilt_to_the_answers_that_it_gave() {
    let stack = Stack::start().await;
    for (n, body) in MESSAGES.lines().enumerate() {
        let Ok(ReceivedMessage::Known(event)) = events::parse(body, Some(NOW)) else { panic!("{body}") };
        let entry = LogEntry { lane: keys::log_lane(&event.entity()), body };
        stack.store().append(&[entry], NOW, &format!("writer-{n}"), &Usage::default()).await.unwrap();
    }
    let replay = quiet(stack.store_as("Operator"));
    let rebuilt = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let mut promotion = Promotion::new(&replay, &rebuilt.name);
    while let PromotionStep::Wait(left) = promotion.step().await.unwrap() {
        tokio::time::sleep(left).await;
    }

    let answers: Map<String, Value> = serde_json::from_str(ANSWERS).unwrap();
    for (request, expected) in answers {
        let (path, query) = request.split_once('?').unwrap_or((&request, ""));
        let found = endpoints::answer(&stack, path, query).await.with_status(200).json();
        assert_has(&found, &expected, &request);
    }
}
