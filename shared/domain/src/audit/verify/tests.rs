//! Every kind of tampering, and the fault that the verification reports.

use super::*;
use crate::audit::record::tests::{AT, entry};
use crate::audit::record::{AuditRecord, ChainWriter};
use crate::audit::seal::{SealStatement, sealable};
use crate::storage::item::Value;
use crate::values::time::MINUTE;
use ed25519_dalek::{Signer, SigningKey};

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// Three seals over two chains of six records each, and one more record that is not sealed yet.
fn trail() -> Vec<Item> {
    let (mut items, mut sealed, mut last) = (Vec::new(), SealedHeads::new(), None);
    let mut chains = [ChainWriter::start(AT, "aaa"), ChainWriter::start(AT, "bbb")];
    let mut write = |items: &mut Vec<Item>, chain: usize, minute: i64| {
        let link = chains[chain].next_record(entry(AT.plus(minute * MINUTE), "stats.read")).unwrap();
        chains[chain].advance(&link);
        items.push(link.item());
        link
    };
    for round in 0..3 {
        let chained: Vec<ChainedRecord> = (0..4).map(|i| write(&mut items, i % 2, round)).collect();
        let seal = seal_records(last.as_ref(), &mut sealed, chained, AT.plus((round + 1) * MINUTE), &key());
        items.push(seal.item().unwrap());
        last = Some(seal);
    }
    write(&mut items, 0, 3);
    items
}

fn seal_records(
    last: Option<&Seal>,
    sealed: &mut SealedHeads,
    chained: Vec<ChainedRecord>,
    at: Timestamp,
    key: &SigningKey,
) -> Seal {
    let sealable = sealable(sealed, chained);
    assert_eq!(sealable.broken, []);
    sealed.extend(sealable.heads.iter().map(|head| (head.chain.clone(), head.clone())));
    let records = u64::try_from(sealable.chained.len()).unwrap();
    let statement = SealStatement::after(last, &sealable.heads, records, at, &key.verifying_key()).unwrap();
    let text = serde_json::to_string(&statement).unwrap();
    let signature = key.sign(text.as_bytes()).to_vec();
    Seal::new(text, sealable.heads, signature).unwrap()
}

fn report(items: &[Item]) -> TrailReport {
    let mut verifier = TrailVerifier::default();
    items.iter().for_each(|item| verifier.add(item));
    verifier.finish(&[key().verifying_key()], None, None)
}

/// The text of the first fault; empty if there is none.
fn first_fault(items: &[Item]) -> String {
    report(items).faults.first().map(ToString::to_string).unwrap_or_default()
}

/// Changes the text of a record, a statement or heads, and leaves the key as it is.
fn edit(item: &mut Item, from: &str, to: &str) {
    for name in ["record", "statement", "heads"] {
        if let Some(Value::Text(text)) = item.attributes.get_mut(name)
            && text.contains(from)
        {
            *text = text.replace(from, to);
            return;
        }
    }
    panic!("nothing to change");
}

fn position(items: &[Item], id: &str) -> usize {
    let is = |item: &Item| {
        ChainedRecord::load(item).is_some_and(|link| link.record.id() == format!("2026033110-{id}"))
    };
    items.iter().position(is).unwrap()
}

fn seal(items: &mut [Item], number: usize) -> &mut Item {
    items.iter_mut().filter(|item| item.key.pk == AUDIT_SEALS).nth(number).unwrap()
}

#[test]
fn a_complete_trail_is_intact_in_any_order_of_items() {
    let mut items = trail();
    items.reverse();
    let found = report(&items);
    assert_eq!(found.faults, []);
    assert_eq!((found.records, found.unsealed, found.seals), (13, 1, 3));
    assert_eq!(found.last.unwrap().1, 2);
}

/// Issue 16, number 15.
#[test]
fn an_attribute_that_was_added_to_a_record_or_a_seal_is_named() {
    for value in [Value::Text(String::new()), Value::Number(0), Value::Bytes(Vec::new())] {
        let mut items = trail();
        let changed = position(&items, "aaa-3");
        items[changed].attributes.insert("note".to_owned(), value.clone());
        let key = items[changed].key.clone();
        let expected = format!("item {} / {} holds more or other than what was written", key.pk, key.sk);
        assert!(first_fault(&items).ends_with(&expected), "{}", first_fault(&items));
        assert_eq!(report(&items).faults.len(), 1, "and nothing else is wrong");

        let mut items = trail();
        seal(&mut items, 1).attributes.insert("note".to_owned(), value);
        let expected = "item seals / 0000000001 holds more or other than what was written";
        assert!(first_fault(&items).ends_with(expected), "{}", first_fault(&items));
        assert_eq!(report(&items).faults.len(), 1, "and nothing else is wrong");
    }
}

/// Blanks and names that nobody reads are in no digest.
#[test]
fn heads_that_are_spelled_differently_are_named() {
    for (from, to) in [("{\"chain\"", "{ \"chain\""), ("{\"chain\"", "{\"note\":1,\"chain\"")] {
        let mut items = trail();
        edit(seal(&mut items, 0), from, to);
        assert!(first_fault(&items).contains("holds more or other"), "{}", first_fault(&items));
    }
}

#[test]
fn two_different_seals_of_one_number_are_found() {
    let mut items = trail();
    let mut other = seal(&mut items, 1).clone();
    edit(&mut other, "\"records\":4", "\"records\":5");
    items.push(other.clone());
    assert!(report(&items).faults.iter().any(|fault| fault.kind == TrailFaultKind::SealTwice(1)));
    items.insert(0, other);
    assert!(report(&items).faults.iter().any(|fault| fault.kind == TrailFaultKind::SealTwice(1)));
    let twice = [trail(), trail()].concat();
    assert_eq!(report(&twice).faults, []);
}

#[test]
fn a_changed_record_is_found() {
    for id in ["aaa-0", "aaa-3", "bbb-5"] {
        let mut items = trail();
        let changed = position(&items, id);
        edit(&mut items[changed], "\"status\":200", "\"status\":201");
        let expected = format!("record 2026033110-{id}, or one before it in its chain, was changed");
        assert!(first_fault(&items).ends_with(&expected), "{id}: {}", first_fault(&items));
    }
}

#[test]
fn a_changed_record_is_found_even_if_its_chain_is_hashed_again() {
    let mut items = trail();
    let mut chain = ChainWriter::start(AT, "aaa");
    for seq in 0..=6 {
        let at = position(&items, &format!("aaa-{seq}"));
        let AuditRecord { mut entry, .. } = ChainedRecord::load(&items[at]).unwrap().record;
        entry.status = if seq == 2 { 403 } else { entry.status };
        let link = chain.next_record(entry).unwrap();
        chain.advance(&link);
        items[at] = link.item();
    }
    assert!(
        first_fault(&items).contains("record 2026033110-aaa-3, or one before it"),
        "{}",
        first_fault(&items)
    );
}

#[test]
fn a_deleted_record_is_found() {
    for id in ["aaa-0", "aaa-2", "bbb-5"] {
        let mut items = trail();
        items.remove(position(&items, id));
        assert!(
            first_fault(&items).ends_with(&format!("record 2026033110-{id} is missing")),
            "{}",
            first_fault(&items)
        );
    }
}

#[test]
fn two_swapped_records_are_found() {
    let mut items = trail();
    let (a, b) = (position(&items, "aaa-1"), position(&items, "aaa-2"));
    let attributes = items[a].attributes.clone();
    items[a].attributes = items[b].attributes.clone();
    items[b].attributes = attributes;
    assert!(first_fault(&items).contains("lies in the wrong place"), "{}", first_fault(&items));
}

#[test]
fn a_removed_end_of_a_chain_is_found() {
    let mut items = trail();
    items.retain(|item| ChainedRecord::load(item).is_none_or(|link| link.record.seq < 4));
    assert!(first_fault(&items).ends_with("record 2026033110-aaa-4 is missing"), "{}", first_fault(&items));
}

#[test]
fn an_end_that_was_removed_together_with_its_seals_is_found_if_a_later_seal_is_expected() {
    let mut items = trail();
    let last = report(&items).last.unwrap();
    items.retain(|item| ChainedRecord::load(item).is_none_or(|link| link.record.seq < 4));
    items.retain(|item| item.key != keys::audit_seal(2));
    assert_eq!(report(&items).faults, [], "nothing in the table shows it");
    let mut verifier = TrailVerifier::default();
    items.iter().for_each(|item| verifier.add(item));
    let found = verifier.finish(&[key().verifying_key()], Some((last.1, &last.2)), None);
    assert_eq!(found.faults[0].kind, TrailFaultKind::SealNotFound(2));
}

#[test]
fn a_chain_that_was_removed_as_a_whole_is_found() {
    let mut items = trail();
    items.retain(|item| !item.key.sk.contains("aaa"));
    assert!(first_fault(&items).ends_with("record 2026033110-aaa-0 is missing"), "{}", first_fault(&items));
}

#[test]
fn an_inserted_record_is_found() {
    let mut items = trail();
    let stranger =
        ChainWriter::start(AT, "ccc").next_record(entry(AT.plus(-MAX_RECORD_DELAY), "users.list")).unwrap();
    items.push(stranger.item());
    assert_eq!(report(&items).faults, [], "it could be on its way to the next seal");
    let mut old = ChainWriter::start(AT.plus(-60 * MINUTE), "ccc");
    let stranger = old.next_record(entry(AT.plus(-60 * MINUTE), "users.list")).unwrap();
    old.advance(&stranger);
    items.push(stranger.item());
    assert!(
        first_fault(&items).ends_with("record 2026033109-ccc-0 is in no seal"),
        "{}",
        first_fault(&items)
    );
}

#[test]
fn a_forged_seal_is_found() {
    // Signed with the forger's own key; everything else is right.
    let mut items = trail();
    let (mut sealed, forger) = (SealedHeads::new(), SigningKey::from_bytes(&[8; 32]));
    let chained = items.iter().filter_map(ChainedRecord::load).filter(|link| link.record.seq < 2).collect();
    let forged = seal_records(None, &mut sealed, chained, AT.plus(MINUTE), &forger);
    *seal(&mut items, 0) = forged.item().unwrap();
    assert!(
        first_fault(&items).ends_with("seal 0 is not signed by a key that was given"),
        "{}",
        first_fault(&items)
    );

    // Changed, under the id of the right key.
    let mut items = trail();
    edit(seal(&mut items, 1), "\"records\":4", "\"records\":3");
    assert!(first_fault(&items).contains("seal 1 is not signed"), "{}", first_fault(&items));

    // With other heads than the signed ones.
    let mut items = trail();
    edit(seal(&mut items, 1), "\"seq\":3", "\"seq\":2");
    assert!(report(&items).faults.iter().any(|fault| fault.kind == TrailFaultKind::HeadsChanged(1)));
}

#[test]
fn a_missing_seal_is_found() {
    for number in [0, 1] {
        let mut items = trail();
        items.retain(|item| item.key != keys::audit_seal(number));
        let missing =
            report(&items).faults.iter().any(|fault| fault.kind == TrailFaultKind::SealsMissing(number, 1));
        assert!(missing, "{:?}", report(&items).faults);
    }
}

#[test]
fn a_span_of_hours_is_verified_by_itself() {
    let mut items = trail();
    let hour = AT.hour();
    let span = |from, to| {
        let mut verifier = TrailVerifier::new(HourSpan { from: Some(Hour(from)), to: Some(Hour(to)) });
        items.iter().for_each(|item| verifier.add(item));
        verifier.finish(&[key().verifying_key()], None, None)
    };
    let (other, same) = (span(hour.0 - 5, hour.0), span(hour.0, hour.0 + 1));
    assert_eq!((other.records, other.faults.len()), (0, 0));
    assert_eq!((same.records, same.faults.len()), (13, 0));
    items.remove(position(&items, "aaa-2"));
    assert_ne!(first_fault(&items), "");
}

#[test]
fn sealing_that_has_stopped_is_found() {
    let items = trail();
    let stopped = |items: &[Item], now| {
        let mut verifier = TrailVerifier::default();
        items.iter().for_each(|item| verifier.add(item));
        let faults = verifier.finish(&[key().verifying_key()], None, now).faults;
        faults.iter().any(|fault| fault.kind == TrailFaultKind::SealingStopped)
    };
    assert!(!stopped(&items, Some(AT.plus(20 * MINUTE))));
    assert!(stopped(&items, Some(AT.plus(24 * MINUTE))), "the last seal was made at 3 minutes");
    let records: Vec<Item> = items.iter().filter(|item| item.key.pk != AUDIT_SEALS).cloned().collect();
    assert!(!stopped(&records, None), "a trail that has just begun");
    let late = ChainWriter::start(AT.plus(25 * MINUTE), "ddd")
        .next_record(entry(AT.plus(25 * MINUTE), "a"))
        .unwrap();
    for items in [items, records] {
        assert!(stopped(&[items, vec![late.item()]].concat(), None), "records without seals");
    }
}

#[test]
fn a_second_record_of_one_number_is_found() {
    let mut items = trail();
    let genuine = ChainedRecord::load(&items[position(&items, "aaa-2")]).unwrap();
    let mut forged = genuine.record.clone();
    forged.entry.at = forged.entry.at.plus(-1);
    forged.entry.action = "users.deactivate".to_owned();
    let text = serde_json::to_string(&forged).unwrap();
    items.insert(0, ChainedRecord { record: forged, text }.item());
    assert!(
        first_fault(&items).ends_with("record 2026033110-aaa-2 is there twice"),
        "{}",
        first_fault(&items)
    );
    items.swap_remove(0);
    items.push(genuine.item());
    assert_eq!(report(&items).faults, [], "the same line twice is none");
}

#[test]
fn a_record_outside_of_the_hour_of_its_chain_is_found() {
    let mut items = trail();
    let mut record = ChainWriter::start(AT, "ccc").next_record(entry(AT, "users.list")).unwrap().record;
    record.entry.at = AT.plus(5 * 60 * MINUTE);
    let text = serde_json::to_string(&record).unwrap();
    items.push(ChainedRecord { record, text }.item());
    assert!(first_fault(&items).contains("in the wrong place"), "{}", first_fault(&items));
}

#[test]
fn numbers_at_the_end_of_their_range_are_faults_and_no_panic() {
    let mut items = trail();
    edit(seal(&mut items, 1), "\"seq\":3", "\"seq\":18446744073709551615");
    assert!(report(&items).faults.iter().any(|fault| fault.kind == TrailFaultKind::HeadsChanged(1)));
    let mut items = trail();
    let mut far = Seal::load(seal(&mut items, 2)).unwrap();
    far.text = far.text.replace("\"seal\":2", "\"seal\":18446744073709551615");
    far.statement.seal = u64::MAX;
    items.push(far.item().unwrap());
    let missing = TrailFaultKind::SealsMissing(3, u64::MAX - 3);
    assert!(report(&items).faults.iter().any(|fault| fault.kind == missing));
}

#[test]
fn records_after_a_gap_in_their_chain_are_not_sealed_until_it_is_closed() {
    let chained: Vec<ChainedRecord> = trail().iter().filter_map(ChainedRecord::load).collect();
    let mut gap = chained.clone();
    gap.retain(|link| link.record.id() != "2026033110-aaa-2");
    let found = sealable(&SealedHeads::new(), gap);
    assert_eq!(found.broken.len(), 1);
    let heads: Vec<_> = found.heads.iter().map(|head| (head.chain.to_string(), head.seq)).collect();
    assert_eq!(heads, [("2026033110-aaa".to_owned(), 1), ("2026033110-bbb".to_owned(), 5)]);

    // The missing record has arrived.
    let sealed = found.heads.into_iter().map(|head| (head.chain.clone(), head)).collect();
    let rest = sealable(&sealed, chained);
    assert_eq!((rest.broken.len(), rest.chained.len()), (0, 5));
}
