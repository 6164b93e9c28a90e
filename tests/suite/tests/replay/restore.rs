//! A damaged table is restored in place from a copy of it, and what it has received since stays.

use super::compare::verify;
use super::{assert_same, consume, filled, generations, quiet, rebuild};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use deactivate_user::DeactivateUser;
use stats::Stats;
use std::collections::BTreeMap;
use torale_domain::events::QuarantineReason;
use torale_domain::replay::restore::RestorableTable;
use torale_domain::storage::item::Key;
use torale_domain::storage::keys::{
    self, AUDIT_TABLE, CONTROL_TABLE, Control, EVENTS_TABLE, Lanes, PK, QUARANTINE_TABLE, SK, TableSpec,
};
use torale_domain::values::ids::UserId;
use torale_domain::values::time::{HOUR, MINUTE};
use torale_platform::store::{Usage, log};
use torale_replay::ReplayError;
use torale_replay::restore::{RestoreMode, RestoreReport};
use torale_testkit::events::{ADMIN, ADMIN_KEY_ID, api_key, user};
use torale_testkit::faults::Faults;
use torale_testkit::generator::Generator;
use torale_testkit::interceptor::Interceptor;
use torale_testkit::request::{get, patch};
use torale_testkit::scenario::{Scenario, given, given_an_admin};
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{NOW, RawItem, Stack, key_of};

const USER: &str = "11111111-0000-4000-8000-000000000001";
/// Differences that are named at most.
const MOST: usize = 20;

/// Every item of a table.
async fn items(stack: &Stack, table: &str) -> BTreeMap<Key, RawItem> {
    stack.scan(table).await.into_iter().map(|item| (key_of(&item), item)).collect()
}

async fn put(stack: &Stack, table: &str, item: RawItem) {
    stack.client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
}

async fn change(stack: &Stack, table: &str, item: &RawItem, name: &str, value: AttributeValue) {
    let mut item = item.clone();
    item.insert(name.to_owned(), value);
    put(stack, table, item).await;
}

/// What DynamoDB restores beside a table: its items as they are now, under another name.
async fn copy(stack: &Stack, table: &str) -> String {
    let name = format!("{table}-{}", torale_platform::clock::unique());
    let spec = TableSpec { name: name.clone(), hash_key: PK, range_key: Some(SK), ttl: None };
    stack.store().create_table(&spec).await.unwrap();
    for item in stack.scan(table).await {
        put(stack, &name, item).await;
    }
    name
}

async fn restore(stack: &Stack, table: RestorableTable, copy: &str, mend: RestoreMode) -> RestoreReport {
    // The policies of the log and the trail refuse batches, in which something could be deleted.
    let store = stack.store_as("Operator");
    quiet(store).restore(table, copy, mend, MOST).await.unwrap()
}

/// Compared, missing, different.
fn counts(restored: &RestoreReport) -> (usize, u64, u64) {
    (usize::try_from(restored.compared).unwrap(), restored.missing, restored.different)
}

fn named(restored: &RestoreReport) -> Vec<Key> {
    restored.differences.iter().map(|difference| difference.key.clone()).collect()
}

/// A log with a copy, and what it received after it.
async fn log() -> (Stack, String, BTreeMap<Key, RawItem>) {
    let (stack, _) = filled(9000, 60).await;
    let copy = copy(&stack, EVENTS_TABLE).await;
    consume(&stack, &Generator::new(9001).messages(30)).await;
    let whole = items(&stack, EVENTS_TABLE).await;
    assert!(whole.len() > items(&stack, &copy).await.len());
    (stack, copy, whole)
}

/// Takes two parts of the log away, and changes one; returns the changed one's key.
async fn damage(stack: &Stack, copy: &str) -> Key {
    let before: Vec<_> = items(stack, copy).await.into_iter().collect();
    for (key, _) in &before[..2] {
        stack.delete(EVENTS_TABLE, key).await;
    }
    let (key, item) = &before[4];
    change(stack, EVENTS_TABLE, item, "events", AttributeValue::B(Blob::new(*b"broken"))).await;
    key.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_brings_missing_parts_of_the_log_back_and_keeps_what_came_since() {
    let (stack, copy, whole) = log().await;
    let all = items(&stack, &copy).await.len();
    let changed = damage(&stack, &copy).await;
    let broken = items(&stack, EVENTS_TABLE).await[&changed].clone();

    let restored = restore(&stack, RestorableTable::Events, &copy, RestoreMode::Missing).await;

    assert_eq!((counts(&restored), restored.foreign), ((all, 2, 1), 0));
    assert_eq!(named(&restored), std::slice::from_ref(&changed));

    let mut expected = whole.clone();
    expected.insert(changed, broken);

    assert!(items(&stack, EVENTS_TABLE).await == expected, "what differs is not overwritten");

    let restored = restore(&stack, RestorableTable::Events, &copy, RestoreMode::Everything).await;
    assert_eq!(counts(&restored), (all, 0, 1));
    assert!(items(&stack, EVENTS_TABLE).await == whole);

    let verified = verify(&quiet(stack.store_as("Operator"))).await;
    assert!(verified.is_equal() && verified.tally.undecodable == 0);

    let again = restore(&stack, RestorableTable::Events, &copy, RestoreMode::Everything).await;
    assert_eq!(counts(&again), (all, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_that_only_compares_reports_the_same_and_changes_nothing() {
    let (stack, copy, _) = log().await;
    let changed = damage(&stack, &copy).await;
    let tables = async || (items(&stack, EVENTS_TABLE).await, items(&stack, CONTROL_TABLE).await);
    let damaged = tables().await;
    let looking = quiet(stack.store_with(Interceptor::refusing("PutItem")));
    let looked = looking.restore(RestorableTable::Events, &copy, RestoreMode::Nothing, MOST).await.unwrap();

    assert_eq!((looked.missing, looked.different, named(&looked)), (2, 1, vec![changed]));
    assert!(tables().await == damaged);

    let unnamed = looking.restore(RestorableTable::Events, &copy, RestoreMode::Nothing, 0).await.unwrap();
    assert_eq!((unnamed.different, unnamed.differences), (1, vec![]));

    let mended = RestoreReport { inserted: 2, overwritten: 1, ..looked };
    assert_eq!(restore(&stack, RestorableTable::Events, &copy, RestoreMode::Everything).await, mended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_that_dies_at_any_call_is_completed_by_the_next_run() {
    let (stack, copy, whole) = log().await;
    let mend = async |store| {
        quiet(store).restore(RestorableTable::Events, &copy, RestoreMode::Everything, MOST).await
    };

    for at in 0.. {
        let mut died = false;
        for after in [true, false] {
            damage(&stack, &copy).await;
            died = mend(stack.faulty_store(&Faults::new(at, after, true))).await.is_err();
            mend(stack.store_as("Operator")).await.unwrap();
            assert!(items(&stack, EVENTS_TABLE).await == whole, "call {at}, after: {after}");
        }
        // Parts of the copy are read in parallel: the last call is found when a fault there no longer matters.
        if !died {
            assert!(at >= 2 + 4 + 1 + 1 + 3, "tables, copy, keys, beginning, items: {at}");
            return;
        }
    }
}

/// Whatever happens to whichever items: with what came since, the table is as if it had not happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_repairs_any_damage() {
    let (stack, _) = filled(9100, 40).await;
    let mut generator = Generator::new(9101);

    for round in 0..25 {
        consume(&stack, &generator.messages(6)).await;
        let copy = copy(&stack, EVENTS_TABLE).await;
        consume(&stack, &generator.messages(6)).await;
        let mut expected = items(&stack, EVENTS_TABLE).await;
        let everything = generator.chance(70);
        let percent = generator.pick(&[3, 30, 100]);
        let (mut missing, mut different) = (0, 0);
        for (key, item) in items(&stack, &copy).await {
            if !generator.chance(percent) {
                continue;
            }
            if generator.chance(50) {
                stack.delete(EVENTS_TABLE, &key).await;
                missing += 1;
                continue;
            }
            let (name, value) = match generator.below(3) {
                0 => ("events", AttributeValue::B(Blob::new(*b"x"))),
                1 => ("n", AttributeValue::N("7000".to_owned())),
                _ => ("unknown attribute", AttributeValue::Bool(true)),
            };
            change(&stack, EVENTS_TABLE, &item, name, value.clone()).await;
            different += 1;
            if !everything {
                expected.get_mut(&key).unwrap().insert(name.to_owned(), value);
            }
        }
        let mend = if everything { RestoreMode::Everything } else { RestoreMode::Missing };
        let restored = restore(&stack, RestorableTable::Events, &copy, mend).await;
        assert_eq!((restored.missing, restored.different), (missing, different), "round {round}");
        assert!(items(&stack, EVENTS_TABLE).await == expected, "round {round}");
        // For the next round, which begins with a whole one.
        restore(&stack, RestorableTable::Events, &copy, RestoreMode::Everything).await;
    }

    assert!(verify(&quiet(stack.store_as("Operator"))).await.is_equal());
}

/// What is restored would not be read if the log were held to begin later, where the first one appended after the loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_begins_again_where_it_began() {
    for table in [RestorableTable::Events, RestorableTable::Control] {
        let (stack, _) = filled(9200, 30).await;
        let copy = copy(&stack, table.table()).await;
        let begins = async || {
            let item = stack.store().control(&keys::log_beginning(), &Usage::default()).await.unwrap();
            log::beginning(&item.unwrap()).unwrap()
        };
        let beginning = begins().await;
        stack.delete(CONTROL_TABLE, &keys::log_beginning()).await;
        if table == RestorableTable::Events {
            for key in items(&stack, EVENTS_TABLE).await.keys() {
                stack.delete(EVENTS_TABLE, key).await;
            }
        }
        consume(&stack, &Generator::new(9201).messages(10)).await;
        assert!(begins().await > beginning);
        let restored = restore(&stack, table, &copy, RestoreMode::Missing).await;
        assert!(restored.missing > 0 && restored.different == 0, "{restored:?}");
        assert_eq!(restored.inserted, restored.missing);
        assert_eq!(begins().await, beginning);
        assert!(verify(&quiet(stack.store_as("Operator"))).await.is_equal());
        assert_eq!(restore(&stack, table, &copy, RestoreMode::Missing).await.missing, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused() {
    let stack = Stack::start().await;
    let replay = quiet(stack.store_as("Operator"));
    let copy = copy(&stack, CONTROL_TABLE).await;
    let refused = async |table, copy: &str, mend| match replay.restore(table, copy, mend, MOST).await {
        Err(ReplayError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    let why = refused(RestorableTable::Events, "torale-events-restored", RestoreMode::Missing).await;

    assert!(why.contains("no table torale-events-restored"), "{why}");

    let why = refused(RestorableTable::Events, EVENTS_TABLE, RestoreMode::Missing).await;
    assert!(why.contains("no copy of itself"), "{why}");

    for table in [RestorableTable::Control, RestorableTable::Quarantine] {
        let why = refused(table, &copy, RestoreMode::Everything).await;
        assert!(why.contains(&format!("nothing of {} is overwritten", table.table())), "{why}");
    }

    stack.client.delete_table().table_name(EVENTS_TABLE).send().await.unwrap();
    let why = refused(RestorableTable::Events, &copy, RestoreMode::Missing).await;

    assert!(why.contains("no table torale-events,"), "{why}");
}

/// Nothing could be removed from the log again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_from_a_copy_of_another_table_changes_nothing() {
    let (stack, _) = filled(9300, 60).await;
    stack.read(&get::<Stats>("")).await;
    stack.seal().await;
    let tables = [
        RestorableTable::Events,
        RestorableTable::Audit,
        RestorableTable::Quarantine,
        RestorableTable::Control,
    ];

    for of in tables {
        let copy = copy(&stack, of.table()).await;
        let expected = items(&stack, of.table()).await.len();
        assert!(expected > 0, "{of:?}");
        for table in tables.into_iter().filter(|table| *table != of) {
            let before = items(&stack, table.table()).await;
            let restored = restore(&stack, table, &copy, RestoreMode::Missing).await;
            assert_eq!((counts(&restored), restored.foreign), ((0, 0, 0), u64::try_from(expected).unwrap()));
            assert!(items(&stack, table.table()).await == before, "{of:?} into {table:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_makes_the_audit_trail_intact_with_what_was_recorded_since() {
    let stack = given_an_admin().start().await;
    let app = stack.app();
    let record = async |requests: usize| {
        for _ in 0..requests {
            assert_eq!(get::<Stats>("").send(&app).await.status, 200);
        }
    };
    // One chain, a part of which is in the copy.
    record(6).await;
    stack.seal().await;
    let copy = copy(&stack, AUDIT_TABLE).await;
    record(4).await;
    stack.seal().await;
    let whole = items(&stack, AUDIT_TABLE).await;

    let records: Vec<RawItem> = items(&stack, &copy).await.into_values().collect();
    let text = records[3]["record"].as_s().unwrap().replace("\"status\":200", "\"status\":403");
    stack.delete(AUDIT_TABLE, &key_of(&records[1])).await;
    change(&stack, AUDIT_TABLE, &records[3], "record", AttributeValue::S(text)).await;
    stack.delete(AUDIT_TABLE, &keys::audit_seal(0)).await;

    assert!(stack.check_trail().await.faults.len() >= 3);

    let restored = restore(&stack, RestorableTable::Audit, &copy, RestoreMode::Everything).await;
    assert_eq!((counts(&restored), named(&restored)), ((7, 2, 1), vec![key_of(&records[3])]));
    assert!(items(&stack, AUDIT_TABLE).await == whole);

    let report = stack.check_trail().await;
    assert_eq!((report.faults.as_slice(), report.records, report.unsealed), (&[][..], 10, 0));
}

/// The seals of the copy would break the trail, and could not be removed again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_inserts_no_seal_that_has_been_replaced_by_another() {
    let stack = given_an_admin().start().await;

    for _ in 0..4 {
        stack.read(&get::<Stats>("")).await;
        stack.seal().await;
    }

    let copy = copy(&stack, AUDIT_TABLE).await;

    for number in 1..4 {
        stack.delete(AUDIT_TABLE, &keys::audit_seal(number)).await;
    }

    // The job makes another seal in place of the first that is gone, over all that is not sealed any more.
    stack.seal().await;

    assert_eq!(stack.check_trail().await.faults, []);

    for mend in [RestoreMode::Nothing, RestoreMode::Missing, RestoreMode::Everything] {
        let restored = restore(&stack, RestorableTable::Audit, &copy, mend).await;
        assert_eq!((counts(&restored), restored.superseded), ((8, 0, 0), 3), "{mend:?}");
        assert_eq!(named(&restored), [1, 2, 3].map(keys::audit_seal));
        assert_eq!(stack.check_trail().await.faults, []);
    }
}

/// A message that was received again since stays as it is now; one that was redriven since is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_brings_missing_messages_back_into_quarantine_and_keeps_newer_ones() {
    let stack = Stack::start().await;
    stack.consume(&["{ no event".to_owned(), "{ nor this".to_owned()]).await;
    let copy = copy(&stack, QUARANTINE_TABLE).await;
    stack.delete(QUARANTINE_TABLE, &keys::quarantine(b"{ no event", 0)).await;
    let again = NOW.plus(MINUTE);
    stack
        .store()
        .quarantine("{ nor this", &QuarantineReason::TimeOutOfRange, again, &Usage::default())
        .await
        .unwrap();
    let restored = restore(&stack, RestorableTable::Quarantine, &copy, RestoreMode::Missing).await;

    assert_eq!(counts(&restored), (2, 1, 1));

    let replay = quiet(stack.store_as("Operator"));
    let times = replay.quarantined().await.unwrap().into_iter().map(|one| (one.complete, one.received_at));

    assert_eq!(times.collect::<Vec<_>>(), [(true, NOW.to_string()), (true, again.to_string())]);
}

/// A user whose deactivation waits in the outbox, and a generation that was built and made live.
async fn with_control_items() -> Scenario {
    let stack = given(user(USER).created().at(NOW.plus(-HOUR))).start().await;
    let unreachable = FakeSqs::unreachable().client();
    let answer = patch::<DeactivateUser>(USER).send_with(&stack.app(), &unreachable).await;
    assert_eq!(answer.status, 200);
    let replay = quiet(stack.store_as("Operator"));
    let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    generations::promote(&replay, &generation.name).await;
    stack
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_brings_back_control_items_that_cannot_be_derived_and_leaves_the_others_out() {
    let stack = with_control_items().await;
    let copy = copy(&stack, CONTROL_TABLE).await;
    let whole = items(&stack, CONTROL_TABLE).await;

    for key in whole.keys() {
        stack.delete(CONTROL_TABLE, key).await;
    }

    let restored = restore(&stack, RestorableTable::Control, &copy, RestoreMode::Missing).await;
    let user_id = UserId::parse(USER).unwrap();
    let mut expected = vec![
        keys::deactivation(user_id),
        keys::requested_commands(user_id),
        keys::last_generation(),
        keys::live_generation(),
        keys::log_beginning(),
    ];
    expected.sort();

    assert_eq!((counts(&restored), restored.inserted, restored.foreign), ((5, 5, 0), 5, 0));
    assert_eq!(
        restored.left_out.keys().copied().collect::<Vec<_>>(),
        [Control::OutboxEntry, Control::Limit, Control::KeyUse, Control::Rebuild]
    );
    assert_eq!(restored.left_out[&Control::OutboxEntry], 1);

    let found = items(&stack, CONTROL_TABLE).await;
    assert_eq!(found.keys().cloned().collect::<Vec<_>>(), expected);
    for (key, item) in &found {
        let mut copied = whole[key].clone();
        if *key == keys::live_generation() {
            // The shadow generation was not written since.
            copied.retain(|name, _| !name.starts_with("beside"));
            assert!(copied.len() < whole[key].len());
        }
        if *key == keys::log_beginning() {
            // Whoever reads the log next searches it again for what is earlier than the noted hour.
            assert!(copied.remove("searched").is_some());
        }
        assert_eq!(*item, copied);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_keeps_control_items_that_have_changed_since() {
    let stack = with_control_items().await;
    let copy = copy(&stack, CONTROL_TABLE).await;
    quiet(stack.store_as("Operator")).rollback().await.unwrap();
    // As after restoring an older part of the log: an hour that is earlier than the copy's is right, too.
    stack.store().note_beginning(NOW.plus(-5 * HOUR), &Usage::default()).await.unwrap();
    let since = items(&stack, CONTROL_TABLE).await;
    let restored = restore(&stack, RestorableTable::Control, &copy, RestoreMode::Missing).await;

    assert_eq!((counts(&restored), named(&restored)), ((5, 0, 1), vec![keys::live_generation()]));
    assert!(items(&stack, CONTROL_TABLE).await == since);
}

/// P8: a generation that was not written while the pointer was gone is not promoted as if it had been.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restored_pointer_names_no_shadow_generation_that_lacks_events() {
    let stack = given_an_admin().start().await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap().name;
    generations::promote(&replay, &second).await;
    replay.rollback().await.unwrap();
    let copy = copy(&stack, CONTROL_TABLE).await;
    stack.delete(CONTROL_TABLE, &keys::live_generation()).await;
    consume(&stack, &[api_key(ADMIN_KEY_ID).revoked(ADMIN).message()]).await;

    for missing in [1, 0] {
        let restored = restore(&stack, RestorableTable::Control, &copy, RestoreMode::Missing).await;
        assert_eq!((restored.missing, restored.inserted, restored.different), (missing, missing, 0));
    }

    assert!(replay.rollback().await.is_err(), "there is no shadow generation");
    generations::promote(&replay, &second).await;
    assert_eq!(get::<Stats>("").send(&stack.app()).await.status, 401);
    assert_same(&stack, "g1", &second).await;
}
