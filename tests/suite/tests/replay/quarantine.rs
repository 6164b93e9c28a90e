//! Quarantined messages are listed, and redriven when they have become valid.

use super::ticking;
use torale_domain::events::QuarantineReason;
use torale_domain::storage::keys::QUARANTINE_TABLE;
use torale_domain::values::time::{DAY, HOUR};
use torale_platform::store::Usage;
use torale_replay::Replay;
use torale_replay::quarantine::RedriveOutcome;
use torale_testkit::events::user;
use torale_testkit::scenario::given;
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{NOW, Stack, key_of};

const USER: &str = "11111111-0000-4000-8000-000000000001";

/// An event too far ahead when it is received, and no longer so when the clock has moved on.
fn early() -> String {
    user(USER).created().at(NOW.plus(DAY + HOUR / 2)).message()
}

#[tokio::test]
async fn redrive_sends_a_message_that_has_become_valid_and_only_then_deletes_it() {
    let stack = given([early(), "{ no event".to_owned()]).start().await;
    let replay = Replay::new(stack.store_as("Operator"), ticking);
    let quarantined = replay.quarantined().await.unwrap();
    let codes: Vec<_> = quarantined.iter().map(|one| (one.code.as_str(), one.complete)).collect();

    assert_eq!(codes.len(), 2);
    assert!(codes.contains(&("time_out_of_range", true)) && codes.contains(&("not_json", true)));

    let early_one = quarantined.iter().find(|one| one.body() == early()).unwrap();
    assert!(replay.redrive(early_one, &FakeSqs::unreachable().client()).await.is_err());
    assert_eq!(replay.quarantined().await.unwrap().len(), 2, "still there");

    let sqs = FakeSqs::default();

    for one in &quarantined {
        let redriven = replay.redrive(one, &sqs.client()).await.unwrap();
        assert_eq!(redriven == RedriveOutcome::Sent, one.body() == early(), "{redriven:?}");
    }

    assert_eq!(sqs.taken(), [early()]);

    let left = replay.quarantined().await.unwrap();
    assert_eq!(left.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["not_json"]);
}

/// A consumer may be quicker than the redrive: what it has quarantined meanwhile stays.
#[tokio::test]
async fn redrive_keeps_a_message_that_is_quarantined_again_meanwhile() {
    let stack = Stack::start().await;
    stack.consume(&[early()]).await;
    let replay = Replay::new(stack.store_as("Operator"), ticking);
    let one = replay.quarantined().await.unwrap().remove(0);
    let reason = QuarantineReason::TimeOutOfRange;
    stack.store().quarantine(&early(), &reason, NOW.plus(5), &Usage::default()).await.unwrap();
    let redriven = replay.redrive(&one, &FakeSqs::default().client()).await.unwrap();

    assert_eq!(redriven, RedriveOutcome::QuarantinedAgain);
    assert_eq!(replay.quarantined().await.unwrap().len(), 1);
}

/// A message of several parts of which one is gone is listed as incomplete, and never sent.
#[tokio::test]
async fn redrive_refuses_a_message_with_a_missing_part() {
    let stack = Stack::start().await;
    stack.consume(&["x".repeat(700_000)]).await;
    let replay = Replay::new(stack.store_as("Operator"), ticking);
    let one = replay.quarantined().await.unwrap().remove(0);

    assert!(one.complete && one.bytes == 700_000);

    let parts = stack.scan(QUARANTINE_TABLE).await;
    let last = parts.iter().map(key_of).max_by(|a, b| a.sk.cmp(&b.sk)).unwrap();
    stack.delete(QUARANTINE_TABLE, &last).await;

    let one = replay.quarantined().await.unwrap().remove(0);
    assert!(!one.complete);

    let sqs = FakeSqs::default();
    assert_eq!(replay.redrive(&one, &sqs.client()).await.unwrap(), RedriveOutcome::Incomplete);
    assert_eq!((sqs.taken().len(), replay.quarantined().await.unwrap().len()), (0, 1));
}
