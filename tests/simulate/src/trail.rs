//! Damage of the audit trail: whatever is lost, changed, forged or added, the offline verification names it.

use crate::damage::changed;
use crate::faults;
use futures::FutureExt;
use std::collections::BTreeMap;
use torale_domain::audit::seal::{HEARTBEAT, MAX_RECORD_DELAY, Seal};
use torale_domain::audit::verify::{HourSpan, TrailFaultKind, TrailReport, TrailVerifier};
use torale_domain::audit::{AuditRecord, AuditedRequest, ChainedRecord};
use torale_domain::storage::item::{Attributes, Item, Key};
use torale_domain::values::ids::{ChainId, Digest};
use torale_domain::values::time::Timestamp;
use torale_platform::audit::seal::Signer;
use torale_testkit::parts;

/// How often it is damaged, each time by itself.
const ROUNDS: usize = 6;

/// What is in a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Record(ChainId, u64),
    Seal(u64),
    /// Something that is neither.
    Other,
}

impl Subject {
    fn of(item: &Item) -> Self {
        match (ChainedRecord::load(item), Seal::load(item)) {
            (Some(link), _) => Self::Record(link.record.chain, link.record.seq),
            (None, Some(seal)) => Self::Seal(seal.statement.seal),
            (None, None) => Self::Other,
        }
    }

    /// Whether a fault names it, or the item under this key.
    fn is_named_by(&self, kind: &TrailFaultKind, key: &Key) -> bool {
        let is_record = |chain: &ChainId, seq: &u64| *self == Self::Record(chain.clone(), *seq);
        let is_seal = |number: &u64| *self == Self::Seal(*number);
        match kind {
            TrailFaultKind::UnreadableItem(item) | TrailFaultKind::ItemAltered(item) => {
                *item == format!("{} / {}", key.pk, key.sk)
            }
            TrailFaultKind::SealsMissing(first, count) => (*first..first + count).any(|one| is_seal(&one)),
            TrailFaultKind::SealForged(number)
            | TrailFaultKind::SealOutOfPlace(number)
            | TrailFaultKind::HeadsChanged(number)
            | TrailFaultKind::SealNotFound(number)
            | TrailFaultKind::SealTwice(number) => is_seal(number),
            TrailFaultKind::RecordTwice(chain, seq)
            | TrailFaultKind::RecordMissing(chain, seq)
            | TrailFaultKind::RecordChanged(chain, seq)
            | TrailFaultKind::RecordUnsealed(chain, seq) => is_record(chain, seq),
            TrailFaultKind::SealingStopped => false,
        }
    }
}

/// What the verification must say.
#[derive(Debug)]
enum Expected {
    /// It names what was damaged; of a record or a foreign item nothing else. A seal that is lost takes the proof
    /// from the records under it, too.
    Named(Subject, Key),
    /// It says exactly this.
    Only(Vec<TrailFaultKind>),
    /// It says this, and what follows from it.
    Also(TrailFaultKind),
    /// There is nothing wrong, and one more record is not sealed yet.
    Unsealed,
}

impl Expected {
    fn is_met_by(&self, report: &TrailReport) -> bool {
        let kinds = || report.faults.iter().map(|fault| &fault.kind);
        match self {
            Self::Named(subject @ Subject::Seal(_), key) => {
                kinds().any(|kind| subject.is_named_by(kind, key))
            }
            Self::Named(subject, key) => {
                !report.faults.is_empty() && kinds().all(|kind| subject.is_named_by(kind, key))
            }
            Self::Only(expected) => {
                expected.iter().all(|one| kinds().any(|kind| kind == one))
                    && kinds().all(|kind| expected.contains(kind))
            }
            Self::Also(expected) => kinds().any(|kind| kind == expected),
            Self::Unsealed => report.faults.is_empty() && report.unsealed == 1,
        }
    }
}

/// A kind of damage: how it is counted, and what it does to the items of a trail, if they allow it.
type Damage = (&'static str, fn(&mut Vec<Item>) -> Option<Expected>);

const DAMAGES: [Damage; 13] = [
    ("trail: lost", lose),
    ("trail: changed", |items| change(items)),
    ("trail: foreign item", add_foreign),
    ("trail: record forged", |items| forge_record(items)),
    ("trail: record twice", add_twice),
    ("trail: late record", |items| add_at_end(items, false)),
    ("trail: young record", |items| add_at_end(items, true)),
    ("trail: signature forged", |items| forge_signature(items)),
    ("trail: heads forged", |items| forge_heads(items)),
    ("trail: head dropped", |items| drop_head(items)),
    ("trail: seal signed anew", |items| sign_anew(items)),
    ("trail: seal twice", add_seal_twice),
    ("trail: seals exchanged", |items| exchange_seals(items)),
];

/// Damages a trail that is intact, one item at a time, and has it verified with the last seal noted elsewhere.
///
/// # Errors
/// If damage is not named, or of records anything else is.
pub fn check_damage(items: &[Item]) -> Result<(), String> {
    let intact = report(items, None);
    let Some((_, number, digest)) = intact.last.clone() else { return Ok(()) };
    // Where pages were read since it was sealed, the end of their chain can be removed unseen (docs/promises.md, P7).
    if intact.unsealed > 0 {
        faults::count("trail: not damaged", None);
        return Ok(());
    }
    for _ in 0..ROUNDS {
        let mut damaged = items.to_vec();
        let (what, damage) = DAMAGES[fastrand::usize(..DAMAGES.len())];
        let Some(expected) = damage(&mut damaged) else { continue };
        faults::count(what, None);
        fastrand::shuffle(&mut damaged);
        let report = report(&damaged, Some((number, &digest)));
        if !expected.is_met_by(&report) {
            return Err(format!("{what}: expected {expected:?}, and verified is {report:?}"));
        }
    }
    Ok(())
}

/// What the verification says of a trail; `expected` is the last seal as it was noted elsewhere.
pub fn report(items: &[Item], expected: Option<(u64, &Digest)>) -> TrailReport {
    let mut verifier = TrailVerifier::new(HourSpan::default());
    items.iter().for_each(|item| verifier.add(item));
    verifier.finish(&[*Signer::key(&parts::audit_key())], expected, None)
}

fn lose(items: &mut Vec<Item>) -> Option<Expected> {
    let item = items.swap_remove(fastrand::usize(..items.len()));
    Some(Expected::Named(Subject::of(&item), item.key))
}

/// Changes an attribute, which is then no JSON any more, or adds one.
fn change(items: &mut [Item]) -> Option<Expected> {
    let item = fastrand::choice(items.iter_mut())?;
    let subject = Subject::of(item);
    item.attributes = changed(std::mem::take(&mut item.attributes));
    Some(Expected::Named(subject, item.key.clone()))
}

fn add_foreign(items: &mut Vec<Item>) -> Option<Expected> {
    let next_to = fastrand::choice(items.iter())?.key.clone();
    let key = Key::stored(next_to.pk, format!("{}~", next_to.sk));
    items.push(Item { key: key.clone(), attributes: Attributes::new() });
    Some(Expected::Named(Subject::Other, key))
}

/// One of the records, and where it is.
fn record(items: &[Item]) -> Option<(usize, AuditRecord)> {
    let records = items.iter().enumerate();
    let records = records.filter_map(|(at, item)| Some((at, ChainedRecord::load(item)?.record)));
    fastrand::choice(records.collect::<Vec<_>>())
}

/// The item of a record, written as this system writes it.
fn written(record: AuditRecord) -> Option<Item> {
    let text = serde_json::to_string(&record).ok()?;
    Some(ChainedRecord { record, text }.item())
}

/// Another answer than the one that was given.
fn forge_record(items: &mut [Item]) -> Option<Expected> {
    let (at, mut record) = record(items)?;
    record.entry.status ^= 1;
    let expected = TrailFaultKind::RecordChanged(record.chain.clone(), record.seq);
    items[at] = written(record)?;
    Some(Expected::Only(vec![expected]))
}

/// A second record of a number, of another time of the same hour. Whichever is met first is compared with the others.
fn add_twice(items: &mut Vec<Item>) -> Option<Expected> {
    let (_, mut record) = record(items)?;
    let (chain, seq, at) = (record.chain.clone(), record.seq, record.entry.at);
    record.entry.at = [at.plus(1), at.plus(-1)].into_iter().find(|other| other.hour() == at.hour())?;
    let item = written(record)?;
    let key = item.key.clone();
    items.push(item);
    Some(Expected::Named(Subject::Record(chain, seq), key))
}

/// A record that goes on with its chain: of the time of the last one, which the last seal should have covered, or of
/// the time of the last seal, where that is in the hour of a chain.
fn add_at_end(items: &mut Vec<Item>, is_young: bool) -> Option<Expected> {
    let sealed_at = seals(items).into_iter().map(|(_, seal)| seal.statement.at).max()?;
    let (_, any) = record(items)?;
    let chain = items.iter().filter_map(ChainedRecord::load).filter(|link| link.record.chain == any.chain);
    let last = chain.max_by_key(|link| link.record.seq)?;
    let at: Timestamp = if is_young { sealed_at } else { last.record.entry.at };
    if at.hour() != any.chain.hour() {
        return None;
    }
    let AuditRecord { chain, seq, entry, .. } = last.record.clone();
    let entry = AuditedRequest { at, ..entry };
    let added = AuditRecord { chain: chain.clone(), seq: seq + 1, previous: last.digest(), entry };
    items.push(written(added)?);
    match is_young {
        true => Some(Expected::Unsealed),
        false => Some(Expected::Only(vec![TrailFaultKind::RecordUnsealed(chain, seq + 1)])),
    }
}

/// The seals, and where they are.
fn seals(items: &[Item]) -> Vec<(usize, Seal)> {
    items.iter().enumerate().filter_map(|(at, item)| Some((at, Seal::load(item)?))).collect()
}

/// One of the seals with heads, and where it is.
fn seal_with_heads(items: &[Item], least: usize) -> Option<(usize, Seal)> {
    fastrand::choice(
        seals(items).into_iter().filter(|(_, seal)| seal.heads.len() >= least).collect::<Vec<_>>(),
    )
}

/// A byte of a signature is another one.
fn forge_signature(items: &mut [Item]) -> Option<Expected> {
    let (at, mut seal) = fastrand::choice(seals(items))?;
    let position = fastrand::usize(..seal.signature.len());
    seal.signature[position] ^= 1 << fastrand::u8(..8);
    items[at] = seal.item().ok()?;
    Some(Expected::Only(vec![TrailFaultKind::SealForged(seal.statement.seal)]))
}

/// The heads are the same, in another order.
fn forge_heads(items: &mut [Item]) -> Option<Expected> {
    let (at, mut seal) = seal_with_heads(items, 2)?;
    seal.heads.reverse();
    items[at] = seal.item().ok()?;
    Some(Expected::Only(vec![TrailFaultKind::HeadsChanged(seal.statement.seal)]))
}

/// A head is gone, which may take the proof from the records of its chain.
fn drop_head(items: &mut [Item]) -> Option<Expected> {
    let (at, mut seal) = seal_with_heads(items, 1)?;
    seal.heads.swap_remove(fastrand::usize(..seal.heads.len()));
    items[at] = seal.item().ok()?;
    Some(Expected::Also(TrailFaultKind::HeadsChanged(seal.statement.seal)))
}

/// Another time of a seal, signed by somebody who has the key: the next seal does not follow this one any more, and the
/// last one is not the one that was noted elsewhere.
fn sign_anew(items: &mut [Item]) -> Option<Expected> {
    let seals = seals(items);
    let number = u64::try_from(fastrand::usize(..seals.len())).ok()?;
    let (at, mut seal) = seals.iter().find(|(_, seal)| seal.statement.seal == number)?.clone();
    seal.statement.at = seal.statement.at.plus(1);
    let text = serde_json::to_string(&seal.statement).ok()?;
    let signature = parts::audit_key().sign(text.as_bytes()).now_or_never()?.ok()?;
    items[at] = Seal::new(text, seal.heads, signature).ok()?.item().ok()?;
    let is_last = usize::try_from(number).is_ok_and(|number| number + 1 == seals.len());
    Some(Expected::Only(vec![match is_last {
        true => TrailFaultKind::SealNotFound(number),
        false => TrailFaultKind::SealOutOfPlace(number + 1),
    }]))
}

/// A second seal of a number, with another signature, as two exports would have it that were put together.
fn add_seal_twice(items: &mut Vec<Item>) -> Option<Expected> {
    let (_, mut seal) = fastrand::choice(seals(items))?;
    seal.signature[0] ^= 1;
    items.push(seal.item().ok()?);
    Some(Expected::Also(TrailFaultKind::SealTwice(seal.statement.seal)))
}

/// Two seals lie under each other's numbers: neither is a seal there. What else is said follows from the other seals.
fn exchange_seals(items: &mut [Item]) -> Option<Expected> {
    let mut left = seals(items);
    if left.len() < 2 {
        return None;
    }
    let last = left.iter().map(|(_, seal)| seal.statement.seal).max()?;
    fastrand::shuffle(&mut left);
    let [(one, _), (other, _)] = [left.pop()?, left.pop()?];
    let keys = [one, other].map(|at| items[at].key.clone());
    let unreadable = keys.each_ref().map(|key| format!("{} / {}", key.pk, key.sk));
    [items[other].key, items[one].key] = keys;
    let left: BTreeMap<u64, Seal> = left.into_iter().map(|(_, seal)| (seal.statement.seal, seal)).collect();
    let mut expected: Vec<_> = unreadable.into_iter().map(TrailFaultKind::UnreadableItem).collect();
    expected.extend(without_seals(items, &left, last));
    Some(Expected::Only(expected))
}

/// What is wrong with an intact trail of which these seals are left, and whose last one was of this number.
fn without_seals(items: &[Item], left: &BTreeMap<u64, Seal>, last: u64) -> Vec<TrailFaultKind> {
    let mut faults = Vec::new();
    // How many records of a chain are proved by the seals that are left.
    let mut proved: BTreeMap<&ChainId, u64> = BTreeMap::new();
    let mut next = 0;
    for (number, seal) in left {
        let mut added = 0;
        for head in &seal.heads {
            added += head.seq + 1 - proved.insert(&head.chain, head.seq + 1).unwrap_or(0);
        }
        if next < *number {
            faults.push(TrailFaultKind::SealsMissing(next, number - next));
        } else if added != seal.statement.records {
            faults.push(TrailFaultKind::HeadsChanged(*number));
        }
        next = number + 1;
    }
    if next <= last {
        faults.push(TrailFaultKind::SealNotFound(last));
    }
    let records: Vec<_> = items.iter().filter_map(ChainedRecord::load).map(|link| link.record).collect();
    let times = || records.iter().map(|record| record.entry.at);
    let sealed = left.values().map(|seal| seal.statement.at).max();
    for record in &records {
        let is_proved = proved.get(&record.chain).is_some_and(|proved| record.seq < *proved);
        if !is_proved && sealed.is_some_and(|at| record.entry.at < at.plus(-MAX_RECORD_DELAY)) {
            faults.push(TrailFaultKind::RecordUnsealed(record.chain.clone(), record.seq));
        }
    }
    let since = sealed.or_else(|| times().min());
    if since.zip(times().max()).is_some_and(|(since, at)| at > since.plus(HEARTBEAT + MAX_RECORD_DELAY)) {
        faults.push(TrailFaultKind::SealingStopped);
    }
    faults
}
