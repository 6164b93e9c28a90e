//! A user who names another identity than before: what becomes of the one named first, whoever takes its link away.

use super::{ANN, CLERK, at_clerk, created, meanwhile};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use torale_domain::values::time::{DAY, HOUR, MINUTE};
use torale_platform::consume::Consumer;
use torale_testkit::events::{self, EventBuilder, identity, user};
use torale_testkit::interceptor::Interceptor;
use torale_testkit::rebuild;
use torale_testkit::scenario::given;
use torale_testkit::stack::{self, NOW};

/// Dies once a transaction of its own is written.
fn dies_after_a_transaction() -> Interceptor {
    let written = Arc::new(AtomicBool::new(false));
    let is_dead = Arc::clone(&written);
    let alive = Interceptor::before(move |_| match is_dead.load(Ordering::SeqCst) {
        true => Err("dead".into()),
        false => Ok(()),
    });
    alive.after(move |operation| {
        written.fetch_or(operation == "TransactWriteItems", Ordering::SeqCst);
        Ok(None)
    })
}

/// Does something before the n-th transaction over a user's links, counted from 0.
fn before_transactions_over(user: &'static str, act: impl Fn(usize) + Send + Sync + 'static) -> Interceptor {
    let transactions = AtomicUsize::new(0);
    let link = format!("y#{user}");
    Interceptor::before(move |call| {
        if call.operation == "TransactWriteItems" && String::from_utf8_lossy(call.body).contains(&link) {
            act(transactions.fetch_add(1, Ordering::SeqCst));
        }
        Ok(())
    })
}

/// One consumer stores that Ann names another identity, and dies. Another one, at work on an event of the former
/// identity, has found that it stands in for nobody, and takes Ann's link to it away. When Ann's event comes again,
/// nothing leads to the former identity any more, which now stands in for a user.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn identity_stands_in_again_if_another_consumer_takes_the_link_of_its_former_user_away() {
    let before = vec![at_clerk(), created()];
    let login = user(ANN).logged_in().at(NOW.plus(-HOUR));
    let renamed = created().with("clerk_user_id", "user_other").at(NOW.plus(-DAY));
    let updated = identity(CLERK).updated().with("email", "new@example.com").at(NOW.plus(-MINUTE));
    let all = [before.clone(), vec![login.clone(), renamed.clone(), updated.clone()]].concat();
    let all: Vec<String> = events::admin().into_iter().chain(all.iter().map(EventBuilder::message)).collect();
    let scenario = given(before).start().await;
    let [login, renamed, updated] =
        [login, renamed, updated].map(|event| stack::messages(&[event.message()]));

    let dying = || Arc::new(Consumer::new(scenario.store_with(dies_after_a_transaction()), || NOW));
    let before_links = [(dying(), login.clone()), (dying(), renamed.clone())];
    // The race that the first one loses gives it the time to look at the stand-in.
    let store = scenario.store_with(before_transactions_over(ANN, move |transaction| {
        let Some((dying, messages)) = before_links.get(transaction) else { return };
        assert_eq!(meanwhile(dying, messages), ["0"], "it dies before the links");
    }));
    let updated = stack::consume(&Consumer::new(store, || NOW), &updated).await;
    let again = stack::consume(&scenario.consumer(), &[login, renamed].concat()).await;

    assert_eq!((updated.failed.len(), again.failed.len()), (0, 0));
    assert_eq!(scenario.projections().await, rebuild::items(&all, Some(NOW)));
}
