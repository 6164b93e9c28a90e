//! The offline check: is the trail whole, in order and unchanged?

use super::record::Link;
use super::seal::{HEARTBEAT, Head, SETTLED, Seal, Sealed, merkle_root};
use crate::storage::item::Item;
use crate::storage::keys::{self, AUDIT_SEALS};
use crate::values::ids::{ChainId, Digest};
use crate::values::time::{Hour, Timestamp};
use ed25519_dalek::VerifyingKey;
use std::collections::BTreeMap;
use std::fmt;

/// One thing that is wrong, and the time to which it belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrailFault {
    /// When: of a record its time, of a seal when it was made, of what is missing when it must have been.
    pub at: Timestamp,
    /// What.
    pub what: TrailFaultKind,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrailFaultKind {
    /// An item is neither record nor seal, or not the one that its key says.
    UnreadableEvent(String),
    /// So many seals are missing, from this number on.
    SealsMissing(u64, u64),
    /// Nothing was sealed any more, although there are later records or it is later by now.
    SealingStopped,
    /// A seal is not signed by a known key.
    SealForged(u64),
    /// A seal does not name the one before it.
    SealOutOfPlace(u64),
    /// A seal's heads are not those that were signed.
    HeadsChanged(u64),
    /// The seal that was expected is not there, or is another.
    SealNotFound(u64),
    /// There are two records of one number in a chain.
    RecordTwice(ChainId, u64),
    /// A record is missing.
    RecordMissing(ChainId, u64),
    /// A record, or one before it in its chain, is not what was sealed, or not what the next one follows.
    RecordChanged(ChainId, u64),
    /// A record is old enough to be sealed, and is not.
    RecordUnsealed(ChainId, u64),
}

impl fmt::Display for TrailFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.at)?;
        match &self.what {
            TrailFaultKind::UnreadableEvent(key) => {
                write!(f, "item {key} is no record or seal, or lies in the wrong place")
            }
            TrailFaultKind::SealsMissing(number, 1) => write!(f, "seal {number} is missing"),
            TrailFaultKind::SealsMissing(number, count) => {
                write!(f, "{count} seals are missing from number {number} on")
            }
            TrailFaultKind::SealingStopped => write!(f, "nothing was sealed from here on"),
            TrailFaultKind::RecordTwice(chain, seq) => write!(f, "record {chain}-{seq} is there twice"),
            TrailFaultKind::SealForged(number) => {
                write!(f, "seal {number} is not signed by a key that was given")
            }
            TrailFaultKind::SealOutOfPlace(number) => {
                write!(f, "seal {number} does not follow the seal before it")
            }
            TrailFaultKind::HeadsChanged(number) => {
                write!(f, "seal {number}: its heads are not those that were signed")
            }
            TrailFaultKind::SealNotFound(number) => {
                write!(f, "seal {number} is not the one that was expected")
            }
            TrailFaultKind::RecordMissing(chain, seq) => write!(f, "record {chain}-{seq} is missing"),
            TrailFaultKind::RecordChanged(chain, seq) => {
                write!(f, "record {chain}-{seq}, or one before it in its chain, was changed")
            }
            TrailFaultKind::RecordUnsealed(chain, seq) => write!(f, "record {chain}-{seq} is in no seal"),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailReport {
    /// Records that were checked.
    pub records: u64,
    /// Of those, the ones that are too new to be sealed.
    pub unsealed: u64,
    /// Seals that were checked.
    pub seals: u64,
    /// When the last seal was made, with its number and digest.
    pub last: Option<(Timestamp, u64, Digest)>,
    /// What is wrong, the earliest first.
    pub faults: Vec<TrailFault>,
}

/// Which part of the trail to check: the chains that began in these hours. Seals are always checked from the first.
#[derive(Debug, Clone, Copy, Default)]
pub struct HourSpan {
    /// From this hour on.
    pub from: Option<Hour>,
    /// Up to this hour, not included.
    pub to: Option<Hour>,
}

impl HourSpan {
    /// Whether an hour lies in it.
    pub fn holds(&self, hour: Hour) -> bool {
        self.from.is_none_or(|from| hour >= from) && self.to.is_none_or(|to| hour < to)
    }
}

/// What is kept of a record: enough to check it, and no more.
#[derive(Debug)]
struct Kept {
    at: Timestamp,
    previous: Digest,
    digest: Digest,
}

/// Takes in the items of the audit table in any order.
#[derive(Debug, Default)]
pub struct TrailVerifier {
    span: HourSpan,
    records: BTreeMap<ChainId, BTreeMap<u64, Kept>>,
    seals: BTreeMap<u64, Seal>,
    faults: Vec<TrailFault>,
}

impl TrailVerifier {
    /// Checks a part of the trail.
    pub fn new(span: HourSpan) -> Self {
        Self { span, ..Self::default() }
    }

    /// Takes in an item.
    pub fn add(&mut self, item: &Item) {
        let unreadable = |at| TrailFault {
            at,
            what: TrailFaultKind::UnreadableEvent(format!("{} / {}", item.key.pk, item.key.sk)),
        };
        if item.key.pk == AUDIT_SEALS {
            match Seal::load(item) {
                Some(seal) => drop(self.seals.insert(seal.statement.seal, seal)),
                None => self.faults.push(unreadable(Timestamp::EARLIEST)),
            }
            return;
        }
        let hour = keys::parse_audit_records(&item.key.pk);
        if hour.is_some_and(|hour| !self.span.holds(hour)) {
            return;
        }
        match Link::load(item) {
            Some(link) => {
                let kept =
                    Kept { at: link.record.entry.at, digest: link.digest(), previous: link.record.previous };
                let (chain, seq) = (link.record.chain, link.record.seq);
                let records = self.records.entry(chain.clone()).or_default();
                // The same line twice, as of two exports put together, is no fault.
                if let Some(other) = records.get(&seq).filter(|other| other.digest != kept.digest) {
                    let at = other.at.min(kept.at);
                    self.faults.push(TrailFault { at, what: TrailFaultKind::RecordTwice(chain, seq) });
                } else {
                    records.insert(seq, kept);
                }
            }
            None => self.faults.push(unreadable(hour.map_or(Timestamp::EARLIEST, Hour::start))),
        }
    }

    /// The verdict. `expected` is a seal that was noted elsewhere, by number and digest: with it, a trail whose end
    /// was cut off together with its seals is found out, too. `now` is the present, of a trail that is being written.
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
            self.faults.push(TrailFault { at, what: TrailFaultKind::SealNotFound(number) });
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

    /// Each seal by itself and after the one before it; how far each chain was sealed, seal by seal.
    fn check_seals(&mut self, keys: &[VerifyingKey]) -> Vec<(Timestamp, Head)> {
        let (mut expected, mut previous) = (0, Digest::none());
        let (mut heads, mut sealed) = (Vec::new(), Sealed::new());
        for seal in self.seals.values() {
            let (number, at) = (seal.statement.seal, seal.statement.at);
            let mut fault = |what| self.faults.push(TrailFault { at, what });
            if number > expected {
                fault(TrailFaultKind::SealsMissing(expected, number - expected));
            }
            if expected == number && seal.statement.previous != previous {
                fault(TrailFaultKind::SealOutOfPlace(number));
            }
            if !seal.is_signed_by(keys) {
                fault(TrailFaultKind::SealForged(number));
            }
            let grown = |head| grown(&mut sealed, head);
            let records = seal.heads.iter().map(grown).try_fold(0_u64, |sum, of| sum.checked_add(of?));
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

    /// Each record after the one before it in its chain.
    fn check_links(&mut self) {
        for (chain, records) in &self.records {
            let (mut next, mut before, mut previous) = (0, chain.hour().start(), Digest::none());
            for (seq, record) in records {
                if *seq > next {
                    let what = TrailFaultKind::RecordMissing(chain.clone(), next);
                    self.faults.push(TrailFault { at: before, what });
                } else if record.previous != previous {
                    let changed = seq.saturating_sub(1);
                    self.faults.push(TrailFault {
                        at: before,
                        what: TrailFaultKind::RecordChanged(chain.clone(), changed),
                    });
                }
                (next, before, previous) = (seq.saturating_add(1), record.at, record.digest.clone());
            }
        }
    }

    /// Everything that was sealed is still there, as it was.
    fn check_sealed(&mut self, heads: &[(Timestamp, Head)]) {
        for (at, Head { chain, seq, digest }) in heads {
            if !self.span.holds(chain.hour()) {
                continue;
            }
            let records = self.records.get(chain);
            let fault = match records.and_then(|records| records.get(seq)) {
                Some(record) if record.digest == *digest => continue,
                Some(record) => {
                    TrailFault { at: record.at, what: TrailFaultKind::RecordChanged(chain.clone(), *seq) }
                }
                None => {
                    // The first that is missing of those up to the head.
                    let first =
                        (0..*seq).find(|seq| records.is_none_or(|records| !records.contains_key(seq)));
                    let what = TrailFaultKind::RecordMissing(chain.clone(), first.unwrap_or(*seq));
                    let known = records.and_then(|records| records.values().next_back());
                    TrailFault { at: known.map_or(chain.hour().start(), |record| record.at).min(*at), what }
                }
            };
            self.faults.push(fault);
        }
    }

    /// Sealing goes on as long as there are records, and confirms the last seal when there are none.
    fn check_sealing(&mut self, last: Option<Timestamp>, now: Option<Timestamp>) {
        let times = || self.records.values().flat_map(BTreeMap::values).map(|record| record.at);
        let Some(since) = last.or_else(|| times().min()) else { return };
        let latest = times().chain(now).max().unwrap_or(since);
        if latest > since.plus(HEARTBEAT + SETTLED) {
            self.faults.push(TrailFault { at: since, what: TrailFaultKind::SealingStopped });
        }
    }

    /// Counts the records after the last seal; older ones that are in no seal are faults.
    fn count_unsealed(&mut self, heads: &[(Timestamp, Head)], last: Option<Timestamp>) -> u64 {
        let mut sealed: BTreeMap<&ChainId, u64> = BTreeMap::new();
        for (_, head) in heads {
            let until = sealed.entry(&head.chain).or_default();
            *until = (*until).max(head.seq.saturating_add(1));
        }
        let mut unsealed = 0;
        for (chain, records) in &self.records {
            for (seq, record) in records.range(sealed.get(chain).copied().unwrap_or(0)..) {
                unsealed += 1;
                if last.is_some_and(|last| record.at < last.plus(-SETTLED)) {
                    let what = TrailFaultKind::RecordUnsealed(chain.clone(), *seq);
                    self.faults.push(TrailFault { at: record.at, what });
                }
            }
        }
        unsealed
    }
}

/// By how many records a head moves its chain; `None` if it does not move it on.
fn grown(sealed: &mut Sealed, head: &Head) -> Option<u64> {
    let before = sealed.insert(head.chain.clone(), head.clone());
    let next = before.map_or(0, |before| before.seq.saturating_add(1));
    head.seq.checked_add(1)?.checked_sub(next).filter(|grown| *grown > 0)
}

#[cfg(test)]
#[path = "verify/tests.rs"]
mod tests;
