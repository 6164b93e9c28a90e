//! Faults of an audit trail, and how they read.

use crate::values::ids::ChainId;
use crate::values::time::Timestamp;
use std::fmt;

/// A fault of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrailFault {
    /// The time that it concerns: that of the record or the seal, or when a missing one must
    /// have been made.
    pub at: Timestamp,
    /// What is wrong.
    pub kind: TrailFaultKind,
}

/// What is wrong with the audit trail. Chains and seals are named with the number of the
/// record or seal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrailFaultKind {
    /// The item under this key is neither a record nor a seal, or does not belong under this key.
    UnreadableItem(String),
    /// The item under this key has an attribute, or a spelling, that was never written.
    ItemAltered(String),
    /// Seals are missing: the first number, and how many.
    SealsMissing(u64, u64),
    /// Nothing was sealed any more, although there are later records or much time has passed.
    SealingStopped,
    /// The seal is not signed by a known key.
    SealForged(u64),
    /// The seal does not name the one before it.
    SealOutOfPlace(u64),
    /// The heads of the seal are not those that were signed.
    HeadsChanged(u64),
    /// The seal that was expected does not exist, or has another digest.
    SealNotFound(u64),
    /// There are two different records with the same number in a chain.
    RecordTwice(ChainId, u64),
    /// There are two different seals with the same number.
    SealTwice(u64),
    /// The record is missing.
    RecordMissing(ChainId, u64),
    /// The record, or one before it in its chain, is not what was sealed, or not what the
    /// next record names.
    RecordChanged(ChainId, u64),
    /// The record is old enough to be sealed, and is in no seal.
    RecordUnsealed(ChainId, u64),
}

impl fmt::Display for TrailFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.kind)
    }
}

impl fmt::Display for TrailFaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnreadableItem(key) => {
                write!(f, "item {key} is no record or seal, or lies in the wrong place")
            }
            Self::ItemAltered(key) => write!(f, "item {key} holds more or other than what was written"),
            Self::SealTwice(number) => write!(f, "seal {number} is there twice"),
            Self::SealsMissing(number, 1) => write!(f, "seal {number} is missing"),
            Self::SealsMissing(number, count) => {
                write!(f, "{count} seals are missing from number {number} on")
            }
            Self::SealingStopped => write!(f, "nothing was sealed from here on"),
            Self::SealForged(number) => write!(f, "seal {number} is not signed by a key that was given"),
            Self::SealOutOfPlace(number) => write!(f, "seal {number} does not follow the seal before it"),
            Self::HeadsChanged(number) => {
                write!(f, "seal {number}: its heads are not those that were signed")
            }
            Self::SealNotFound(number) => write!(f, "seal {number} is not the one that was expected"),
            Self::RecordTwice(chain, seq) => write!(f, "record {chain}-{seq} is there twice"),
            Self::RecordMissing(chain, seq) => write!(f, "record {chain}-{seq} is missing"),
            Self::RecordChanged(chain, seq) => {
                write!(f, "record {chain}-{seq}, or one before it in its chain, was changed")
            }
            Self::RecordUnsealed(chain, seq) => write!(f, "record {chain}-{seq} is in no seal"),
        }
    }
}
