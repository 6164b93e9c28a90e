//! Damage of the audit trail: whatever is lost, changed or added, the offline verification names it.

use crate::damage::changed;
use crate::faults;
use torale_domain::audit::seal::{MAX_RECORD_DELAY, Seal};
use torale_domain::audit::verify::{HourSpan, TrailFaultKind, TrailReport, TrailVerifier};
use torale_domain::audit::{AuditRecord, AuditedRequest, ChainedRecord};
use torale_domain::storage::item::{Attributes, Item, Key};
use torale_domain::values::ids::ChainId;
use torale_platform::audit::seal::Signer;
use torale_testkit::parts;

/// How often it is damaged, each time by itself.
const ROUNDS: usize = 4;

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

/// Damages a trail that is intact, one item at a time, and has it verified with the last seal noted elsewhere.
///
/// # Errors
/// If damage is not named, or of records anything else is.
pub fn check_damage(items: &[Item]) -> Result<(), String> {
    let intact = report(items, None);
    // Where pages were read since it was sealed, the end of their chain can be removed unseen (docs/promises.md, P7).
    let Some((sealed_at, number, digest)) = intact.last.clone().filter(|_| intact.unsealed == 0) else {
        return Ok(());
    };
    for _ in 0..ROUNDS {
        let mut damaged = items.to_vec();
        let position = fastrand::usize(..items.len());
        let subject = Subject::of(&items[position]);
        let (what, subject, key) = match fastrand::u8(..4) {
            0 => ("trail: lost", subject, damaged.swap_remove(position).key),
            1 => {
                let item = &mut damaged[position];
                item.attributes = changed(std::mem::take(&mut item.attributes));
                ("trail: changed", subject, item.key.clone())
            }
            _ => {
                let added = added(&items[position]);
                damaged.push(added.clone());
                ("trail: added", Subject::of(&added), added.key)
            }
        };
        fastrand::shuffle(&mut damaged);
        let report = report(&damaged, Some((number, &digest)));
        faults::count(what, None);
        let mut faults = report.faults.iter();
        let is_named = match subject {
            // A seal that is lost or forged takes the proof from the records under it, too.
            Subject::Seal(_) => faults.any(|fault| subject.is_named_by(&fault.kind, &key)),
            Subject::Record(..) | Subject::Other => {
                !report.faults.is_empty() && faults.all(|fault| subject.is_named_by(&fault.kind, &key))
            }
        };
        // What is added to the end of a chain is not known for the system's own work until it should have been sealed.
        let at = ChainedRecord::load(damaged.iter().find(|item| item.key == key).unwrap_or(&items[position]));
        let is_young = at.is_some_and(|link| link.record.entry.at >= sealed_at.plus(-MAX_RECORD_DELAY));
        let is_unsealed = report.faults.is_empty() && report.unsealed == 1 && is_young;
        if !(is_named || what == "trail: added" && is_unsealed) {
            return Err(format!("{what}: {subject:?}, and verified is {report:?}"));
        }
    }
    Ok(())
}

fn report(items: &[Item], expected: Option<(u64, &torale_domain::values::ids::Digest)>) -> TrailReport {
    let mut verifier = TrailVerifier::new(HourSpan::default());
    items.iter().for_each(|item| verifier.add(item));
    verifier.finish(&[*Signer::key(&parts::audit_key())], expected, None)
}

/// An item next to another one: a record that follows the end of a chain, or has another one's number, or nothing that
/// belongs into a trail.
fn added(next_to: &Item) -> Item {
    let forged = ChainedRecord::load(next_to).and_then(|link| {
        let AuditRecord { chain, seq, previous, entry } = link.record.clone();
        let record = match fastrand::bool() {
            true => AuditRecord { chain, seq: seq + 1, previous: link.digest(), entry },
            false => {
                let entry = AuditedRequest { at: entry.at.plus(1), ..entry };
                AuditRecord { chain, seq, previous, entry }
            }
        };
        let text = serde_json::to_string(&record).ok()?;
        Some(ChainedRecord { record, text }.item())
    });
    let key = Key::stored(next_to.key.pk.clone(), format!("{}~", next_to.key.sk));
    forged.unwrap_or(Item { key, attributes: Attributes::new() })
}
