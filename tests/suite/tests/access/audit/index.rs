//! The index is rebuilt from the trail: the list shows what it showed before, whatever dies meanwhile.

use super::{chain, history, index, listed};
use serde_json::Value;
use torale_domain::audit::seal::MAX_RECORD_DELAY;
use torale_domain::storage::keys::AUDIT_INDEX_TABLE;
use torale_domain::values::time::{HOUR, MINUTE};
use torale_platform::audit::index::{AuditIndex, ReindexReport};
use torale_platform::store::{Store, StoreError, Usage};
use torale_testkit::faults::Faults;
use torale_testkit::scenario::given_an_admin;
use torale_testkit::stack::{NOW, Stack, key_of};

async fn reindex(store: &Store) -> Result<ReindexReport, StoreError> {
    AuditIndex::new(store, &Usage::default()).rebuild().await
}

async fn empty(stack: &Stack) {
    for item in stack.scan(AUDIT_INDEX_TABLE).await {
        stack.delete(AUDIT_INDEX_TABLE, &key_of(&item)).await;
    }
}

/// What the list answers to some requests, page by page.
async fn answers(stack: &Stack) -> Vec<Value> {
    let mut answers = Vec::new();
    for query in ["hours=8760", "hours=2", "hours=8760&action=stats.read", "action=nothing.else"] {
        for page in 1..=4 {
            let answer = listed(stack, &format!("{query}&limit=10&page={page}")).await;
            assert!(answer["total"].is_u64() && answer["records"].is_array());
            answers.push(answer);
        }
    }
    answers
}

#[tokio::test]
async fn reindex_restores_every_item_of_the_index_and_lists_nothing_twice() {
    let stack = given_an_admin().start().await;
    history(&stack).await;
    // One more chain, sealed in two steps.
    let times: Vec<_> = (0..4).map(|n| NOW.plus(-2 * MINUTE).plus(n * 1_000)).collect();

    for sealed in [2, 4] {
        chain(&stack, "growing", &times[..sealed]).await;
        stack.seal().await;
    }

    let (before, items) = (answers(&stack).await, index(&stack).await);
    let unsealed = u64::try_from(stack.records().await.len()).unwrap() - 34;

    assert!(before[0]["total"] == 34 && unsealed > 0, "{unsealed}");

    empty(&stack).await;
    assert_eq!(listed(&stack, "hours=8760").await["total"], 0);

    let unsealed = unsealed + 1;
    let looked_at = 34 + unsealed;

    assert_eq!(
        reindex(&stack.store_as("Operator")).await.unwrap(),
        ReindexReport { looked_at, listed: 34, unsealed }
    );
    assert_eq!(index(&stack).await, items, "each item as it was");
    assert_eq!(
        reindex(&stack.store_as("Operator")).await.unwrap(),
        ReindexReport { looked_at, listed: 0, unsealed }
    );
    assert_eq!(index(&stack).await, items, "nothing twice");
    assert_eq!(answers(&stack).await, before);
}

#[tokio::test]
async fn reindex_that_is_interrupted_at_any_call_is_completed_by_the_next_run() {
    let stack = Stack::start().await;
    history(&stack).await;
    stack.seal().await;
    let expected = index(&stack).await;
    empty(&stack).await;
    let probe = Faults::none();
    reindex(&stack.faulty_store(&probe)).await.unwrap();

    assert!(probe.calls() >= 7, "seals, the trail, what is there, 30 records by eights: {}", probe.calls());

    for faults in Faults::everywhere(probe.calls()) {
        empty(&stack).await;
        let died = reindex(&stack.faulty_store(&faults)).await;
        assert!(died.is_err(), "{faults:?}: {died:?}");
        reindex(&stack.store_as("Operator")).await.unwrap();
        assert_eq!(index(&stack).await, expected, "{faults:?}");
    }
}

/// Several at once, and the sealing job, which has new records to list: each is listed once.
#[tokio::test]
async fn reindex_in_parallel_with_the_sealing_job_lists_each_record_once() {
    let stack = Stack::start().await;
    history(&stack).await;
    stack.seal().await;
    empty(&stack).await;
    chain(&stack, "new", &[NOW.plus(-MINUTE), NOW.plus(-1_000)]).await;
    let store = stack.store();
    let again = futures::future::join_all((0..4).map(|_| reindex(&store)));
    let (again, sealed) = futures::join!(again, stack.seal_with(&store));

    assert_eq!(sealed.unwrap().records, 2);

    let listed: u64 = again.into_iter().map(|listed| listed.unwrap().listed).sum();
    assert!((30..=32).contains(&listed), "{listed}");

    let whole = Stack::start().await;
    history(&whole).await;
    chain(&whole, "new", &[NOW.plus(-MINUTE), NOW.plus(-1_000)]).await;
    whole.seal().await;

    assert_eq!(index(&stack).await, index(&whole).await);
}

#[tokio::test]
async fn reindex_lists_no_record_that_was_inserted_behind_the_seals() {
    let stack = Stack::start().await;
    history(&stack).await;
    stack.seal().await;
    let expected = index(&stack).await;
    // A chain that never was, and a longer one in place of a chain that is sealed up to its tenth record.
    chain(&stack, "forged", &[NOW.plus(-MAX_RECORD_DELAY - HOUR)]).await;
    let times: Vec<_> = (0..12).map(|n| NOW.plus(-HOUR).plus(n * 1_000)).collect();
    chain(&stack, "instance1", &times).await;
    empty(&stack).await;
    let done = reindex(&stack.store_as("Operator")).await.unwrap();

    assert_eq!(done, ReindexReport { looked_at: 33, listed: 30, unsealed: 3 });
    assert_eq!(index(&stack).await, expected);
}

/// An item that is no seal says nothing about what is sealed: the trail must be checked first.
#[tokio::test]
async fn reindex_with_nonsense_among_the_seals_is_an_error() {
    let stack = Stack::start().await;
    history(&stack).await;
    stack.seal().await;
    let mut seal = stack.audit_items().await.into_iter().next_back().unwrap();
    seal.key.sk.push('x');
    super::put(&stack, &seal).await;

    assert!(matches!(reindex(&stack.store_as("Operator")).await, Err(StoreError::Corrupt(_))));
}
