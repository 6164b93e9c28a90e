//! Seals: a signed statement about the heads of all chains, each naming the one before it.

use super::record::Link;
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

/// A record is stored within this long of its time; what is older and in no seal has no business there.
pub const SETTLED: i64 = 10 * MINUTE;
/// Without new records the last seal is confirmed by an empty one after this long.
pub const HEARTBEAT: i64 = 10 * MINUTE;

const STATEMENT: &str = "statement";
const HEADS: &str = "heads";
const SIGNATURE: &str = "signature";

/// How far a chain is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The chain.
    pub chain: ChainId,
    /// The number of its last sealed record.
    pub seq: u64,
    /// The digest of that record.
    pub digest: Digest,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Its number, from 0.
    pub seal: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The digest of the statement before it; zeros for the first.
    pub previous: Digest,
    /// Records that it adds to what was sealed before.
    pub records: u64,
    /// Merkle root over the heads of the chains that grew.
    pub root: Digest,
    /// The key it is signed with, by [`key_id`].
    pub key: String,
}

/// A seal as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// What it says.
    pub statement: Statement,
    /// The statement's text: what is signed, and what its digest is of.
    pub text: String,
    /// The heads, by chain.
    pub heads: Vec<Head>,
    /// Ed25519 over the text.
    pub signature: Vec<u8>,
}

/// A name for a key: the first 16 hexadecimal digits of the SHA-256 of its 32 bytes.
pub fn key_id(key: &VerifyingKey) -> String {
    Digest::of(key.as_bytes()).as_str().chars().take(16).collect()
}

/// The Merkle root of RFC 6962 (section 2.1) over the JSON texts of the heads.
pub fn merkle_root(heads: &[Head]) -> Result<Digest, serde_json::Error> {
    let leaf = |head: &Head| {
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

impl Statement {
    /// The statement after `last`, about these heads.
    pub fn after(
        last: Option<&Seal>,
        heads: &[Head],
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
    /// A statement with its signature.
    pub fn new(text: String, heads: Vec<Head>, signature: Vec<u8>) -> Result<Self, serde_json::Error> {
        Ok(Self { statement: serde_json::from_str(&text)?, text, heads, signature })
    }

    /// What the next seal names as its previous.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }

    /// The item to store.
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

    /// Reads a stored item; `None` if it is no seal, or not the one that its key says.
    pub fn load(item: &Item) -> Option<Self> {
        let text = item.text(STATEMENT)?.to_owned();
        let heads = serde_json::from_str(item.text(HEADS)?).ok()?;
        let signature = STANDARD.decode(item.text(SIGNATURE)?).ok()?;
        let seal = Self::new(text, heads, signature).ok()?;
        (keys::audit_seal(seal.statement.seal) == item.key).then_some(seal)
    }

    /// Whether one of these keys signed it.
    pub fn is_signed_by(&self, keys: &[VerifyingKey]) -> bool {
        let Ok(signature) = Signature::from_slice(&self.signature) else { return false };
        let named = keys.iter().filter(|key| key_id(key) == self.statement.key);
        named.into_iter().any(|key| key.verify_strict(self.text.as_bytes(), &signature).is_ok())
    }
}

/// How far each chain is sealed.
pub type Sealed = BTreeMap<ChainId, Head>;

/// Stored records that continue what is sealed, and what is in their way.
#[derive(Debug, Default)]
pub struct Fresh {
    /// The links to seal next, chain by chain in order.
    pub links: Vec<Link>,
    /// The heads of the chains that grow.
    pub heads: Vec<Head>,
    /// Chains whose next record is not there, or does not continue what is.
    pub broken: Vec<ChainId>,
}

/// What is to be sealed next of some records. A record that does not continue its chain is passed over with all
/// that follow it: it may be on its way, or was tampered with.
pub fn fresh(sealed: &Sealed, records: Vec<Link>) -> Fresh {
    let mut chains: BTreeMap<ChainId, Vec<Link>> = BTreeMap::new();
    for link in records {
        chains.entry(link.record.chain.clone()).or_default().push(link);
    }
    let mut fresh = Fresh::default();
    for (chain, mut links) in chains {
        // Of two with one number the second continues nothing.
        links.sort_by_key(|link| link.record.seq);
        let known = sealed.get(&chain);
        let mut next = known.map_or(0, |head| head.seq.saturating_add(1));
        let mut previous = known.map_or_else(Digest::none, |head| head.digest.clone());
        let before = fresh.links.len();
        for link in links.into_iter().filter(|link| known.is_none_or(|head| link.record.seq > head.seq)) {
            if link.record.seq != next || link.record.previous != previous {
                fresh.broken.push(chain.clone());
                break;
            }
            (next, previous) = (next + 1, link.digest());
            fresh.links.push(link);
        }
        if fresh.links.len() > before {
            fresh.heads.push(Head { chain, seq: next - 1, digest: previous });
        }
    }
    fresh
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_that_of_rfc_6962() {
        // Computed with another program, from the leaves "", 00, 10, 2021, 3031, 40414243 and more of RFC 6962's test vectors.
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
