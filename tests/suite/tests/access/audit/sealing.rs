//! Sealing the audit trail and checking it: crashes, many jobs at once, clocks, backlogs, tampering.

use super::{assert_intact, chain, delete, entry, history, index, put};
use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::Instant;
use torale_domain::audit::seal::{MAX_RECORD_DELAY, Seal};
use torale_domain::audit::verify::TrailFaultKind;
use torale_domain::audit::{ChainWriter, ChainedRecord};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::AUDIT_TABLE;
use torale_domain::values::time::{HOUR, MINUTE};
use torale_platform::audit::seal::{LocalKey, SealError, SealReport, Sealer};
use torale_platform::clock::Clock;
use torale_platform::store::Usage;
use torale_testkit::faults::Faults;
use torale_testkit::stack::{self, NOW, Stack};

/// Seals as the job does at another time.
async fn seal_at(stack: &Stack, clock: Clock) -> SealReport {
    let (store, key, usage) = (stack.store(), stack::audit_key(), Usage::default());
    stack::sealed(&Sealer::new(&store, &key, clock, &usage)).await.unwrap()
}

#[tokio::test]
async fn sealing_that_crashes_at_any_call_is_completed_by_the_next_run() {
    let whole = Stack::start().await;
    history(&whole).await;
    let probe = Faults::none();
    let report = whole.seal_with(&whole.faulty_store(&probe)).await.unwrap();

    assert_eq!((report.seals, report.records, report.broken.len()), (3, 30, 0));

    let (expected, calls) = (index(&whole).await, probe.calls());

    for faults in Faults::everywhere(calls) {
        let stack = Stack::start().await;
        history(&stack).await;

        let crashed = stack.seal_with(&stack.faulty_store(&faults)).await;
        assert!(crashed.is_err() || (faults.after && faults.at == calls - 1), "{faults:?}: {crashed:?}");
        stack.seal().await;

        assert_intact(&stack.check_trail().await, 30);
        assert_eq!(index(&stack).await, expected, "{faults:?}");
    }
}

#[tokio::test]
async fn sealing_by_many_jobs_at_once_seals_each_record_once() {
    let stack = Stack::start().await;
    history(&stack).await;
    let store = stack.store();
    let runs = futures::future::join_all((0..12).map(|_| stack.seal_with(&store))).await;

    assert!(runs.iter().all(|run| matches!(run, Ok(_) | Err(SealError::Overtaken))), "{runs:?}");

    stack.seal().await;
    assert_intact(&stack.check_trail().await, 30);

    let whole = Stack::start().await;
    history(&whole).await;
    whole.seal().await;

    assert_eq!(index(&stack).await, index(&whole).await);
}

#[tokio::test]
async fn sealing_takes_a_late_record_with_the_next_run() {
    let stack = Stack::start().await;
    chain(&stack, "early", &[NOW.plus(-2 * MINUTE), NOW.plus(-MINUTE)]).await;

    assert_eq!(stack.seal().await.records, 2);

    chain(&stack, "late", &[NOW.plus(-MAX_RECORD_DELAY + 1_000), NOW.plus(-MINUTE)]).await;
    assert_eq!(stack.seal().await.records, 2);
    assert_eq!(stack.seal().await, SealReport { last: stack.seal().await.last, ..SealReport::default() });
    assert_intact(&stack.check_trail().await, 4);
}

/// Somebody has changed the key, or a forger used their own: reported until the last seal is of the present key.
#[tokio::test]
async fn seal_of_another_key_is_reported_until_the_present_key_seals() {
    let stack = Stack::start().await;
    chain(&stack, "one", &[NOW.plus(-HOUR)]).await;
    let other = LocalKey::new(ed25519_dalek::SigningKey::from_bytes(&[8; 32]));
    let (store, usage) = (stack.store(), Usage::default());
    let forged = stack::sealed(&Sealer::new(&store, &other, || NOW, &usage)).await.unwrap();

    assert_eq!(audit_seal::alarm_metrics(&forged).metrics, []);

    let key = stack::audit_key();
    let mut reported = Vec::new();

    for clock in [|| NOW.plus(MINUTE), || NOW.plus(10 * MINUTE), || NOW.plus(11 * MINUTE)] {
        let report = stack::sealed(&Sealer::new(&store, &key, clock, &usage)).await.unwrap();
        reported.push(audit_seal::alarm_metrics(&report).metrics);
    }

    let foreign = vec![("ForeignSeals", "Count", 1)];
    assert_eq!(reported, [foreign.clone(), foreign, vec![]]);
}

#[tokio::test]
async fn sealing_confirms_a_trail_without_traffic_every_ten_minutes() {
    let stack = Stack::start().await;
    chain(&stack, "one", &[NOW.plus(-HOUR)]).await;

    // The hour's own seal, and one that confirms it at the present.
    assert_eq!(seal_at(&stack, || NOW).await.seals, 2);
    assert_eq!(seal_at(&stack, || NOW.plus(MINUTE)).await.seals, 0);
    assert_eq!(seal_at(&stack, || NOW.plus(10 * MINUTE)).await.seals, 1);
    assert_intact(&stack.check_trail().await, 1);
}

/// What the checks in the core do with made-up trails, here with a table that someone has changed.
#[tokio::test]
async fn check_of_the_trail_finds_tampering_with_the_table() {
    for (name, fault) in [
        ("changed", "was changed"),
        ("deleted", "is missing"),
        ("cut", "is missing"),
        ("swapped", "wrong place"),
        ("forged", "not signed by"),
    ] {
        let stack = Stack::start().await;
        history(&stack).await;
        stack.seal().await;
        let records = stack.records().await;
        let text = |link: &ChainedRecord, text: String| put_text(link, text);
        match name {
            "changed" => {
                put(&stack, &text(&records[4], records[4].text.replace("\"status\":200", "\"status\":403")))
                    .await
            }
            "deleted" => delete(&stack, &records[12].item()).await,
            "cut" => delete(&stack, &records[29].item()).await,
            "swapped" => {
                put(&stack, &text(&records[1], records[2].text.clone())).await;
                put(&stack, &text(&records[2], records[1].text.clone())).await;
            }
            _ => forge(&stack).await,
        }
        let faults = stack.check_trail().await.faults;
        assert!(faults[0].to_string().contains(fault), "{name}: {faults:?}");
    }
}

fn put_text(link: &ChainedRecord, text: String) -> Item {
    let mut item = link.item();
    item.attributes.insert("record".to_owned(), torale_domain::storage::item::Value::Text(text));
    item
}

async fn forge(stack: &Stack) {
    let items = stack.audit_items().await;
    let mut seal = items.iter().rev().find_map(Seal::load).unwrap();
    seal.text = seal.text.replace("\"records\":10", "\"records\":11");
    put(stack, &seal.item().unwrap()).await;
}

#[tokio::test]
async fn sealing_reports_a_broken_chain_and_seals_it_up_to_the_gap() {
    let stack = Stack::start().await;
    chain(&stack, "one", &[NOW.plus(-3_000), NOW.plus(-2_000), NOW.plus(-1_000)]).await;
    let gone = stack.records().await[1].item();
    delete(&stack, &gone).await;
    let done = stack.seal().await;

    assert_eq!((done.records, done.broken.len()), (1, 1));
    assert_eq!(audit_seal::alarm_metrics(&done).metrics, [("BrokenChains", "Count", 1)]);
    assert_eq!(audit_seal::alarm_metrics(&Default::default()).metrics, []);

    let faults = stack.check_trail().await.faults;
    assert!(matches!(faults[0].kind, TrailFaultKind::RecordMissing(_, 1)), "{faults:?}");
}

/// A clock that ran ahead must not make what is written meanwhile look as if it had never been sealed.
#[tokio::test]
async fn sealing_with_a_clock_ahead_is_mended_by_the_next_run() {
    let stack = Stack::start().await;
    chain(&stack, "one", &[NOW.plus(-HOUR)]).await;
    seal_at(&stack, || NOW.plus(3 * HOUR)).await;
    chain(&stack, "two", &[NOW, NOW.plus(1_000)]).await;

    assert_eq!(seal_at(&stack, || NOW.plus(MINUTE)).await.records, 2);

    assert_intact(&stack.check_trail().await, 3);
}

/// More than a page, of more instances than a seal has room for at once, over two hours; and a run that is cut off.
#[tokio::test]
async fn sealing_works_through_a_backlog_page_by_page() {
    let stack = Stack::start().await;

    for n in 0..600 {
        chain(&stack, &format!("i{n:04}"), &[NOW.plus(-HOUR + n * 1_000), NOW.plus(-HOUR + n * 1_000 + 500)])
            .await;
    }

    let (store, key, usage) = (stack.store(), stack::audit_key(), Usage::default());
    let sealer = Sealer::new(&store, &key, || NOW, &usage);
    let cut_off = sealer.run(Instant::now()).await.0;

    assert!(cut_off.records < 1_200, "{cut_off:?}");

    let done = stack::sealed(&sealer).await.unwrap();
    assert_eq!(cut_off.records + done.records, 1_200);
    assert!(done.seals >= 2, "{done:?}");
    assert_intact(&stack.check_trail().await, 1_200);
    assert_eq!(stack::sealed(&sealer).await.unwrap().records, 0);
}

/// Who may put items may put nonsense: the check names it, and it does not stop the sealing.
#[tokio::test]
async fn sealing_is_not_stopped_by_nonsense_in_the_table() {
    let stack = Stack::start().await;
    chain(&stack, "one", &[NOW.plus(-2_000)]).await;
    let nonsense = Key::stored(stack.records().await[0].item().key.pk, "~".to_owned());
    stack.put(AUDIT_TABLE, &nonsense, [("x", AttributeValue::Bool(true))]).await;

    assert_eq!(stack.seal().await.records, 1);

    let faults = stack.check_trail().await.faults;
    assert!(
        matches!(&faults[..], [fault] if matches!(fault.kind, TrailFaultKind::UnreadableItem(_))),
        "{faults:?}"
    );
}

/// How far a chain was sealed in the middle of its hour is known later in that hour.
#[tokio::test]
async fn sealing_continues_a_chain_that_was_sealed_in_the_middle_of_its_hour() {
    let stack = Stack::start().await;
    chain(&stack, "before", &[NOW]).await;
    seal_at(&stack, || NOW).await;
    // 11:00:30.500 and later: the hour after the last seal's.
    let next_hour = NOW.plus(30 * MINUTE);
    let mut long = ChainWriter::start(next_hour, "long");
    let first = long.next_record(entry(next_hour, "stats.read", None)).unwrap();
    long.advance(&first);
    put(&stack, &first.item()).await;

    for n in 0..450 {
        chain(&stack, &format!("i{n:03}"), &[next_hour.plus(n)]).await;
    }

    let done = seal_at(&stack, || NOW.plus(31 * MINUTE)).await;

    assert!(done.seals >= 2 && done.records == 451, "{done:?}");

    // From here on the job looks back to this hour alone.
    chain(&stack, "other", &[NOW.plus(44 * MINUTE)]).await;
    assert_eq!(seal_at(&stack, || NOW.plus(45 * MINUTE)).await.records, 1);

    let later = long.next_record(entry(NOW.plus(46 * MINUTE), "stats.read", None)).unwrap();
    put(&stack, &later.item()).await;
    let done = seal_at(&stack, || NOW.plus(47 * MINUTE)).await;

    assert_eq!((done.records, done.broken.len()), (1, 0));
    assert_intact(&stack.check_trail().await, 454);
}
