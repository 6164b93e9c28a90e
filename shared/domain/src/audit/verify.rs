//! The offline verification: is the trail complete, in order and unchanged? (docs/guide/audit.md)

mod fault;
#[cfg(test)]
mod tests;

use super::record::ChainedRecord;
use super::seal::{ChainHead, HEARTBEAT, MAX_RECORD_DELAY, Seal, SealedHeads, merkle_root};
use crate::storage::item::Item;
use crate::storage::keys::{self, AUDIT_SEALS};
use crate::values::ids::{ChainId, Digest};
use crate::values::time::{Hour, Timestamp};
use ed25519_dalek::VerifyingKey;
pub use fault::{TrailFault, TrailFaultKind};
use std::collections::BTreeMap;

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailReport {
    /// The number of records that were checked.
    pub records: u64,
    /// How many of them come after the last seal of their chain.
    pub unsealed: u64,
    /// The number of seals that were checked.
    pub seals: u64,
    /// The last seal: when it was made, its number and its digest.
    pub last: Option<(Timestamp, u64, Digest)>,
    /// The faults, the earliest first; none if the trail is intact.
    pub faults: Vec<TrailFault>,
}

/// Which part of the trail to verify: the chains that began in these hours. Seals are verified
/// from the first one on in any case.
#[derive(Debug, Clone, Copy, Default)]
pub struct HourSpan {
    /// From this hour on.
    pub from: Option<Hour>,
    /// Up to this hour, exclusive.
    pub to: Option<Hour>,
}

impl HourSpan {
    /// Whether an hour lies in the span.
    pub fn contains(&self, hour: Hour) -> bool {
        self.from.is_none_or(|from| hour >= from) && self.to.is_none_or(|to| hour < to)
    }
}

/// What the verification keeps of a record.
#[derive(Debug)]
struct RecordDigest {
    at: Timestamp,
    previous: Digest,
    digest: Digest,
}

/// Verifies an audit trail from the items of its table, given in any order.
#[derive(Debug, Default)]
pub struct TrailVerifier {
    span: HourSpan,
    records: BTreeMap<ChainId, BTreeMap<u64, RecordDigest>>,
    seals: BTreeMap<u64, Seal>,
    faults: Vec<TrailFault>,
}

impl TrailVerifier {
    /// Begins the verification of a part of the trail.
    pub fn new(span: HourSpan) -> Self {
        Self { span, ..Self::default() }
    }

    /// Adds an item of the table.
    pub fn add(&mut self, item: &Item) {
        let fault = |at, kind: fn(String) -> TrailFaultKind| TrailFault {
            at,
            kind: kind(format!("{} / {}", item.key.pk, item.key.sk)),
        };
        if item.key.pk == AUDIT_SEALS {
            match Seal::load(item) {
                Some(seal) => {
                    if !seal.is_stored_as(item) {
                        self.faults.push(fault(seal.statement.at, TrailFaultKind::ItemAltered));
                    }
                    self.add_seal(seal);
                }
                None => self.faults.push(fault(Timestamp::EARLIEST, TrailFaultKind::UnreadableItem)),
            }
            return;
        }
        let hour = keys::parse_audit_records(&item.key.pk);
        if hour.is_some_and(|hour| !self.span.contains(hour)) {
            return;
        }
        match ChainedRecord::load(item) {
            Some(link) => {
                if !link.is_stored_as(item) {
                    self.faults.push(fault(link.record.entry.at, TrailFaultKind::ItemAltered));
                }
                self.add_record(link);
            }
            None => {
                let at = hour.map_or(Timestamp::EARLIEST, Hour::start);
                self.faults.push(fault(at, TrailFaultKind::UnreadableItem));
            }
        }
    }

    fn add_seal(&mut self, seal: Seal) {
        let (number, at) = (seal.statement.seal, seal.statement.at);
        // The same seal twice is no fault: two exports may have been put together.
        if self.seals.get(&number).is_some_and(|other| *other != seal) {
            self.faults.push(TrailFault { at, kind: TrailFaultKind::SealTwice(number) });
        } else {
            self.seals.insert(number, seal);
        }
    }

    fn add_record(&mut self, link: ChainedRecord) {
        let digest = link.digest();
        let record = RecordDigest { at: link.record.entry.at, digest, previous: link.record.previous };
        let (chain, seq) = (link.record.chain, link.record.seq);
        let records = self.records.entry(chain.clone()).or_default();
        // The same record twice is no fault: two exports may have been put together.
        if let Some(other) = records.get(&seq).filter(|other| other.digest != record.digest) {
            let at = other.at.min(record.at);
            self.faults.push(TrailFault { at, kind: TrailFaultKind::RecordTwice(chain, seq) });
        } else {
            records.insert(seq, record);
        }
    }

    /// Verifies what was added.
    ///
    /// `expected` is a seal by number and digest that was noted outside of the table. It is the
    /// only way to detect that the end of a trail was removed together with its seals. `now` is
    /// the present time, for a trail that is still being written: with it, sealing that has
    /// stopped is a fault.
    pub fn finish(
        mut self,
        keys: &[VerifyingKey],
        expected: Option<(u64, &Digest)>,
        now: Option<Timestamp>,
    ) -> TrailReport {
        let sealed = self.check_seals(keys);
        self.check_links();
        self.check_sealed(&sealed);
        let last = self
            .seals
            .values()
            .next_back()
            .map(|seal| (seal.statement.at, seal.statement.seal, seal.digest()));
        let unsealed = self.count_unsealed(&sealed, last.as_ref().map(|(at, ..)| *at));
        if let Some((number, digest)) = expected
            && self.seals.get(&number).is_none_or(|seal| seal.digest() != *digest)
        {
            let at = last.as_ref().map_or(Timestamp::EARLIEST, |(at, ..)| *at);
            self.faults.push(TrailFault { at, kind: TrailFaultKind::SealNotFound(number) });
        }
        self.check_sealing(last.as_ref().map(|(at, ..)| *at), now);
        self.faults.sort();
        self.faults.dedup();
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        TrailReport {
            records: count(self.records.values().map(BTreeMap::len).sum()),
            unsealed,
            seals: count(self.seals.len()),
            last,
            faults: self.faults,
        }
    }

    /// Checks each seal, and that it follows the one before it. Returns the heads of all seals,
    /// with the times of the seals.
    fn check_seals(&mut self, keys: &[VerifyingKey]) -> Vec<(Timestamp, ChainHead)> {
        let (mut expected, mut previous) = (0, Digest::none());
        let (mut heads, mut sealed) = (Vec::new(), SealedHeads::new());
        for seal in self.seals.values() {
            let (number, at) = (seal.statement.seal, seal.statement.at);
            let mut fault = |kind| self.faults.push(TrailFault { at, kind });
            if number > expected {
                fault(TrailFaultKind::SealsMissing(expected, number - expected));
            }
            if expected == number && seal.statement.previous != previous {
                fault(TrailFaultKind::SealOutOfPlace(number));
            }
            if !seal.is_signed_by(keys) {
                fault(TrailFaultKind::SealForged(number));
            }
            let added = |head| added_records(&mut sealed, head);
            let records = seal.heads.iter().map(added).try_fold(0_u64, |sum, added| sum.checked_add(added?));
            let root = merkle_root(&seal.heads).ok();
            if root != Some(seal.statement.root.clone())
                || (expected == number && records != Some(seal.statement.records))
            {
                fault(TrailFaultKind::HeadsChanged(number));
            }
            heads.extend(seal.heads.iter().map(|head| (at, head.clone())));
            (expected, previous) = (number.saturating_add(1), seal.digest());
        }
        heads
    }

    /// Checks that each record follows the one before it in its chain.
    fn check_links(&mut self) {
        for (chain, records) in &self.records {
            let (mut next, mut before, mut previous) = (0, chain.hour().start(), Digest::none());
            for (seq, record) in records {
                if *seq > next {
                    let kind = TrailFaultKind::RecordMissing(chain.clone(), next);
                    self.faults.push(TrailFault { at: before, kind });
                } else if record.previous != previous {
                    let kind = TrailFaultKind::RecordChanged(chain.clone(), seq.saturating_sub(1));
                    self.faults.push(TrailFault { at: before, kind });
                }
                (next, before, previous) = (seq.saturating_add(1), record.at, record.digest.clone());
            }
        }
    }

    /// Checks that every sealed record still exists and is unchanged.
    fn check_sealed(&mut self, heads: &[(Timestamp, ChainHead)]) {
        for (at, ChainHead { chain, seq, digest }) in heads {
            if !self.span.contains(chain.hour()) {
                continue;
            }
            let records = self.records.get(chain);
            let fault = match records.and_then(|records| records.get(seq)) {
                Some(record) if record.digest == *digest => continue,
                Some(record) => {
                    TrailFault { at: record.at, kind: TrailFaultKind::RecordChanged(chain.clone(), *seq) }
                }
                None => {
                    let first_missing =
                        (0..*seq).find(|seq| records.is_none_or(|records| !records.contains_key(seq)));
                    let kind = TrailFaultKind::RecordMissing(chain.clone(), first_missing.unwrap_or(*seq));
                    let last = records.and_then(|records| records.values().next_back());
                    TrailFault { at: last.map_or(chain.hour().start(), |record| record.at).min(*at), kind }
                }
            };
            self.faults.push(fault);
        }
    }

    /// Checks that sealing has not stopped: without new records an empty seal
    /// confirms the last one.
    fn check_sealing(&mut self, last: Option<Timestamp>, now: Option<Timestamp>) {
        let times = || self.records.values().flat_map(BTreeMap::values).map(|record| record.at);
        let Some(since) = last.or_else(|| times().min()) else { return };
        let latest = times().chain(now).max().unwrap_or(since);
        if latest > since.plus(HEARTBEAT + MAX_RECORD_DELAY) {
            self.faults.push(TrailFault { at: since, kind: TrailFaultKind::SealingStopped });
        }
    }

    /// Counts the records that come after the last seal of their chain. One that the last seal
    /// should have covered is a fault.
    fn count_unsealed(&mut self, heads: &[(Timestamp, ChainHead)], last: Option<Timestamp>) -> u64 {
        let mut sealed: BTreeMap<&ChainId, u64> = BTreeMap::new();
        for (_, head) in heads {
            let until = sealed.entry(&head.chain).or_default();
            *until = (*until).max(head.seq.saturating_add(1));
        }
        let mut unsealed = 0;
        for (chain, records) in &self.records {
            for (seq, record) in records.range(sealed.get(chain).copied().unwrap_or(0)..) {
                unsealed += 1;
                if last.is_some_and(|last| record.at < last.plus(-MAX_RECORD_DELAY)) {
                    let kind = TrailFaultKind::RecordUnsealed(chain.clone(), *seq);
                    self.faults.push(TrailFault { at: record.at, kind });
                }
            }
        }
        unsealed
    }
}

/// How many records a head adds to what is sealed of its chain; `None` if it adds none.
fn added_records(sealed: &mut SealedHeads, head: &ChainHead) -> Option<u64> {
    let before = sealed.insert(head.chain.clone(), head.clone());
    let next = before.map_or(0, |before| before.seq.saturating_add(1));
    head.seq.checked_add(1)?.checked_sub(next).filter(|added| *added > 0)
}
