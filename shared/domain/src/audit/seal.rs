//! Seals: signed statements about the heads of all chains. Each names the statement before it.

use super::record::ChainedRecord;
use crate::storage::item::{Attributes, Item, Value};
use crate::storage::keys;
use crate::values::ids::{ChainId, Digest};
use crate::values::time::{MINUTE, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// The longest time between the time of a record and its storing, in milliseconds. A record that
/// is older and in no seal is a fault.
pub const MAX_RECORD_DELAY: i64 = 10 * MINUTE;
/// The time after which an empty seal confirms the last one if there are no new records,
/// in milliseconds.
pub const HEARTBEAT: i64 = 10 * MINUTE;

const STATEMENT: &str = "statement";
const HEADS: &str = "heads";
const SIGNATURE: &str = "signature";

/// The last sealed record of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// The chain.
    pub chain: ChainId,
    /// The number of the record.
    pub seq: u64,
    /// The digest of the record.
    pub digest: Digest,
}

/// The statement that a seal signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealStatement {
    /// Its number, from 0.
    pub seal: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The digest of the statement before it; zeros for the first.
    pub previous: Digest,
    /// The number of records that it seals and no seal before it did.
    pub records: u64,
    /// The Merkle root over the heads of the chains that grew.
    pub root: Digest,
    /// The id of the key that signs it; see [`key_id`].
    pub key: String,
}

/// A seal as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The statement.
    pub statement: SealStatement,
    /// The JSON text of the statement, as signed and hashed.
    pub text: String,
    /// The heads of the chains that grew.
    pub heads: Vec<ChainHead>,
    /// The Ed25519 signature of the text.
    pub signature: Vec<u8>,
}

/// The id of a key: the first 16 hexadecimal digits of the SHA-256 of its 32 bytes.
pub fn key_id(key: &VerifyingKey) -> String {
    Digest::of(key.as_bytes()).as_str().chars().take(16).collect()
}

/// The Merkle root of RFC 6962 (section 2.1) over the JSON texts of some heads.
///
/// # Errors
/// If a head cannot be written as JSON.
pub fn merkle_root(heads: &[ChainHead]) -> Result<Digest, serde_json::Error> {
    let leaf = |head: &ChainHead| {
        let text = serde_json::to_vec(head)?;
        Ok(Sha256::new().chain_update([0]).chain_update(text).finalize().into())
    };
    let leaves = heads.iter().map(leaf).collect::<Result<Vec<[u8; 32]>, serde_json::Error>>()?;
    Ok(Digest::from_bytes(&root_of(&leaves)))
}

fn root_of(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        many => {
            // The largest power of two below the number of leaves.
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            Sha256::new()
                .chain_update([1])
                .chain_update(root_of(left))
                .chain_update(root_of(right))
                .finalize()
                .into()
        }
    }
}

impl SealStatement {
    /// The statement that follows the seal `last`; the first one without it. Its time is at least
    /// that of `last`.
    ///
    /// # Errors
    /// If a head cannot be written as JSON.
    pub fn after(
        last: Option<&Seal>,
        heads: &[ChainHead],
        records: u64,
        at: Timestamp,
        key: &VerifyingKey,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            seal: last.map_or(0, |last| last.statement.seal + 1),
            at: last.map_or(at, |last| at.max(last.statement.at)),
            previous: last.map_or_else(Digest::none, Seal::digest),
            records,
            root: merkle_root(heads)?,
            key: key_id(key),
        })
    }
}

impl Seal {
    /// A seal from the text of its statement.
    ///
    /// # Errors
    /// If the text is no statement.
    pub fn new(text: String, heads: Vec<ChainHead>, signature: Vec<u8>) -> Result<Self, serde_json::Error> {
        Ok(Self { statement: serde_json::from_str(&text)?, text, heads, signature })
    }

    /// The digest that the next statement names as `previous`.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }

    /// The item to store.
    ///
    /// # Errors
    /// If a head cannot be written as JSON.
    pub fn item(&self) -> Result<Item, serde_json::Error> {
        let texts = [
            (STATEMENT, self.text.clone()),
            (HEADS, serde_json::to_string(&self.heads)?),
            (SIGNATURE, STANDARD.encode(&self.signature)),
        ];
        let attributes: Attributes =
            texts.into_iter().map(|(name, text)| (name.to_owned(), Value::Text(text))).collect();
        Ok(Item { key: keys::audit_seal(self.statement.seal), attributes })
    }

    /// Reads a stored item; `None` if it is no seal, or does not lie under the key of its number.
    pub fn load(item: &Item) -> Option<Self> {
        let text = item.text(STATEMENT)?.to_owned();
        let heads = serde_json::from_str(item.text(HEADS)?).ok()?;
        let signature = STANDARD.decode(item.text(SIGNATURE)?).ok()?;
        let seal = Self::new(text, heads, signature).ok()?;
        (keys::audit_seal(seal.statement.seal) == item.key).then_some(seal)
    }

    /// Whether a stored item is exactly the seal's: nothing was added to it, and its heads are
    /// spelled as they were written.
    pub fn is_stored_as(&self, item: &Item) -> bool {
        self.item().is_ok_and(|written| written == *item)
    }

    /// Whether it was signed with one of these keys, and with the one that it names.
    pub fn is_signed_by(&self, keys: &[VerifyingKey]) -> bool {
        let Ok(signature) = Signature::from_slice(&self.signature) else { return false };
        let named = keys.iter().filter(|key| key_id(key) == self.statement.key);
        named.into_iter().any(|key| key.verify_strict(self.text.as_bytes(), &signature).is_ok())
    }
}

/// The last sealed record of each chain.
pub type SealedHeads = BTreeMap<ChainId, ChainHead>;

/// The records that can be sealed next.
#[derive(Debug, Default)]
pub struct SealableRecords {
    /// The records, chain by chain and in the order of each chain.
    pub chained: Vec<ChainedRecord>,
    /// The new heads of their chains.
    pub heads: Vec<ChainHead>,
    /// The chains whose next record is missing, or does not continue the chain.
    pub broken: Vec<ChainId>,
}

/// Which of some stored records can be sealed next. A record that does not continue its chain is
/// left out with all that follow it: the record before it may still be on its way, or was
/// tampered with.
pub fn sealable(sealed: &SealedHeads, records: Vec<ChainedRecord>) -> SealableRecords {
    let mut chains: BTreeMap<ChainId, Vec<ChainedRecord>> = BTreeMap::new();
    for link in records {
        chains.entry(link.record.chain.clone()).or_default().push(link);
    }
    let mut sealable = SealableRecords::default();
    for (chain, mut chained) in chains {
        // Of two records with the same number the second one does not continue the chain.
        chained.sort_by_key(|link| link.record.seq);
        let head = sealed.get(&chain);
        let mut next = head.map_or(0, |head| head.seq.saturating_add(1));
        let mut previous = head.map_or_else(Digest::none, |head| head.digest.clone());
        let before = sealable.chained.len();
        for link in chained.into_iter().filter(|link| head.is_none_or(|head| link.record.seq > head.seq)) {
            if link.record.seq != next || link.record.previous != previous {
                sealable.broken.push(chain.clone());
                break;
            }
            (next, previous) = (next + 1, link.digest());
            sealable.chained.push(link);
        }
        if sealable.chained.len() > before {
            sealable.heads.push(ChainHead { chain, seq: next - 1, digest: previous });
        }
    }
    sealable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_merkle_root_is_that_of_rfc_6962() {
        // Computed with another program, from the leaves "", 00, 10, 2021, 3031, 40414243 and more
        // of RFC 6962's test vectors.
        let leaf = |bytes: &[u8]| -> [u8; 32] {
            Sha256::new().chain_update([0]).chain_update(bytes).finalize().into()
        };
        let leaves: Vec<[u8; 32]> = [
            &b""[..],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ]
        .map(leaf)
        .to_vec();
        let root = |count: usize| Digest::from_bytes(&root_of(&leaves[..count])).as_str().to_owned();
        assert_eq!(root(0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(root(1), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(root(3), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
        assert_eq!(root(8), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }
}
