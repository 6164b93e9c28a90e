//! What was set aside is shown, and tried again when it has become valid.

use super::ticking;
use serde_json::json;
use torale_domain::values::time::{DAY, HOUR};
use torale_platform::store::Usage;
use torale_replay::Replay;
use torale_replay::quarantine::RedriveOutcome;
use torale_tests::generate::{self, event};
use torale_tests::sqs::{MessageFate, Sqs, URL};
use torale_tests::stack::{NOW, Stack};

const USER: &str = "11111111-0000-4000-8000-000000000001";

/// Too far ahead when it came, and no more when the clock has moved on.
fn early() -> String {
    let data = json!({ "user_id": USER, "clerk_user_id": "user_x", "email": "x@example.com" });
    event("early", NOW.plus(DAY + HOUR / 2), "user.created", data)
}

#[tokio::test]
async fn what_has_become_valid_is_sent_again_and_only_then_leaves() {
    let stack = Stack::start().await;
    stack.consume(&[generate::admin(), vec![early(), "{ no event".to_owned()]].concat()).await;
    let replay = Replay::new(stack.store_as("Operator"), ticking);
    let aside = replay.quarantined().await.unwrap();
    let codes: Vec<_> = aside.iter().map(|one| (one.code.as_str(), one.complete)).collect();
    assert_eq!(codes.len(), 2);
    assert!(codes.contains(&("time_out_of_range", true)) && codes.contains(&("not_json", true)));

    let early_one = aside.iter().find(|one| one.body() == early()).unwrap();
    let unreachable = Sqs::always(MessageFate::Unreachable).queue(Some(URL));
    assert!(replay.redrive(early_one, &unreachable).await.is_err());
    assert_eq!(replay.quarantined().await.unwrap().len(), 2, "still there");

    let sqs = Sqs::default();
    for one in &aside {
        let redriven = replay.redrive(one, &sqs.queue(Some(URL))).await.unwrap();
        assert_eq!(redriven == RedriveOutcome::Sent, one.body() == early(), "{redriven:?}");
    }
    assert_eq!(sqs.taken(), [early()]);
    let left = replay.quarantined().await.unwrap();
    assert_eq!(left.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["not_json"]);
}

/// A consumer may be quicker than the one who sends again: what it has set aside meanwhile stays.
#[tokio::test]
async fn what_is_set_aside_again_meanwhile_is_not_lost() {
    let stack = Stack::start().await;
    stack.consume(&[early()]).await;
    let replay = Replay::new(stack.store_as("Operator"), ticking);
    let one = replay.quarantined().await.unwrap().remove(0);
    let reason = torale_domain::events::QuarantineReason::TimeOutOfRange;
    stack.store().quarantine(&early(), &reason, NOW.plus(5), &Usage::default()).await.unwrap();
    let redriven = replay.redrive(&one, &Sqs::default().queue(Some(URL))).await.unwrap();
    assert_eq!(redriven, RedriveOutcome::QuarantinedAgain);
    assert_eq!(replay.quarantined().await.unwrap().len(), 1);
}

/// A message of several parts of which one is gone is shown as it is, and never sent.
#[tokio::test]
async fn a_message_with_a_missing_part_is_incomplete() {
    let stack = Stack::start().await;
    stack.consume(&["x".repeat(700_000)]).await;
    let replay = Replay::new(stack.store_as("Operator"), ticking);
    let one = replay.quarantined().await.unwrap().remove(0);
    assert!(one.complete && one.bytes == 700_000);
    let last = stack.scan(torale_domain::storage::keys::QUARANTINE_TABLE).await.into_iter();
    let last = last.max_by_key(|item| item["sk"].as_s().unwrap().clone()).unwrap();
    let delete = stack.client.delete_item().table_name(torale_domain::storage::keys::QUARANTINE_TABLE);
    delete.key("pk", last["pk"].clone()).key("sk", last["sk"].clone()).send().await.unwrap();
    let one = replay.quarantined().await.unwrap().remove(0);
    assert!(!one.complete);
    let sqs = Sqs::default();
    assert_eq!(replay.redrive(&one, &sqs.queue(Some(URL))).await.unwrap(), RedriveOutcome::Incomplete);
    assert_eq!((sqs.taken().len(), replay.quarantined().await.unwrap().len()), (0, 1));
}
