//! Comparing a generation, item by item, with another generation or with what the log says.
//!
//! Digests show which buckets differ; only those are compared item by item. An item that differs
//! in the same way in two passes is a difference; one that has changed between them is in motion,
//! and reported as such.

use crate::build::{InMemoryBuild, build_in_memory};
use crate::{Replay, ReplayError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use torale_domain::projections::compare::{BUCKETS, Fingerprint, bucket};
use torale_domain::projections::generation::Generation;
use torale_domain::projections::repair::{Difference, linked_identities, may_set_back};
use torale_domain::replay::rebuild::Tally;
use torale_domain::storage::item::{Attributes, Item, Key};
use torale_domain::storage::keys::{self, Lanes};
use torale_domain::storage::read::{ReadPlan, Reader};
use torale_platform::store::{StoreError, TableReader, TransactError};

/// Segments of a table that are read at once.
const SEGMENTS: i32 = 4;
/// Items that are compared at once, one by one.
const ITEMS: u64 = 200_000;
/// How often items in motion are compared again.
const ROUNDS: u32 = 5;
/// How often differences are repaired and compared again.
const REPAIRS: u32 = 10;
/// After how many rounds in a row that repaired nothing no other is tried.
const IDLE: u32 = 2;

/// The side that a generation is compared with.
#[derive(Debug, Clone, Copy)]
pub enum Expected<'a> {
    /// Another generation.
    Table(&'a Generation),
    /// What the log says, for this number of lanes.
    Log(Lanes),
}

/// The result of a comparison.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// How many items should exist, and the digest of all of them.
    pub expected: (u64, String),
    /// How many items exist, and their digest.
    pub found: (u64, String),
    /// Items that differ, by key.
    pub differences: Vec<Difference>,
    /// Items that changed in every pass.
    pub in_motion: usize,
    /// True if there may be more differences than these: there were too many to compare all of
    /// them item by item.
    pub more: bool,
    /// Items of entities that can't be written: left out of the one side, they may be in the other.
    pub known: Vec<Difference>,
    /// The keys of the items that changed in every pass, and the buckets that were not compared item by item.
    uncertain: (BTreeSet<Key>, BTreeSet<u32>),
    /// The counts of the log, if it was read.
    pub tally: Tally,
}

impl Comparison {
    /// True if nothing differs but what is known to.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty() && !self.more
    }

    /// Whether an item that is no difference is the same on both sides.
    fn is_same(&self, key: &Key) -> bool {
        let (moving, buckets) = &self.uncertain;
        let is_known = self.known.iter().any(|one| one.key == *key);
        !is_known && !moving.contains(key) && !buckets.contains(&bucket(key))
    }
}

type Differences = BTreeMap<Key, Difference>;

/// The result of one pass over the items.
#[derive(Debug, Default)]
struct ComparisonPass {
    all: Differences,
    /// Those that differ as in the pass before: nothing has changed, or a counter has moved and is
    /// wrong by the same amount.
    unchanged: BTreeSet<Key>,
    /// True if nothing is in motion.
    certain: bool,
}

impl ComparisonPass {
    fn then(&self, all: Differences) -> Self {
        let is_unchanged = |key: &&Key| {
            let pair = all.get(*key).zip(self.all.get(*key));
            pair.is_some_and(|(now, before)| {
                now == before || now.drift().is_some_and(|drift| before.drift() == Some(drift))
            })
        };
        let unchanged: BTreeSet<Key> = all.keys().filter(is_unchanged).cloned().collect();
        let certain = unchanged.len() == all.len();
        Self { all, unchanged, certain }
    }
}

impl Replay {
    /// Compares a generation with the expected items. Between two passes over what differs,
    /// `meanwhile` runs and `pause` passes; before the last pass at least `settle` passes, so that
    /// every write in progress has ended.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn compare<M: Future<Output = Result<(), ReplayError>>>(
        &self,
        expected: Expected<'_>,
        found: &Generation,
        pause: Duration,
        mut meanwhile: impl FnMut() -> M,
    ) -> Result<Comparison, ReplayError> {
        let (mut buckets, mut comparison, mut left_out) = self.buckets(expected, found).await?;
        let fitting = u64::from(BUCKETS) * ITEMS / comparison.expected.0.max(comparison.found.0).max(1);
        let fitting = usize::try_from(fitting.max(1)).unwrap_or(1);
        if buckets.len() > fitting {
            // Some may differ only because events arrived between reading the one and the other.
            meanwhile().await?;
            let again = self.buckets(expected, found).await?;
            buckets.retain(|bucket| again.0.contains(bucket));
            left_out.extend(again.2);
        }
        comparison.more = buckets.len() > fitting;
        comparison.uncertain.1 = buckets.iter().copied().skip(fitting).collect();
        buckets = buckets.into_iter().take(fitting).collect();
        let mut before = ComparisonPass::default();
        for round in 0..=ROUNDS {
            if buckets.is_empty() {
                break;
            }
            if round > 0 {
                meanwhile().await?;
                let certain = round == ROUNDS || before.certain;
                tokio::time::sleep(if certain { pause.max(self.settle) } else { pause }).await;
            }
            // The table is read before the log: then nothing can be in the table that the log does
            // not say.
            let (is, _) = self.items(Expected::Table(found), &buckets).await?;
            let (should, without) = self.items(expected, &buckets).await?;
            left_out.extend(without);
            let now = before.then(differences(should, is));
            buckets = now.all.keys().map(bucket).collect();
            let moving = now.all.keys().filter(|key| !now.unchanged.contains(*key));
            comparison.uncertain.0 = moving.cloned().collect();
            comparison.in_motion = comparison.uncertain.0.len();
            comparison.differences =
                now.unchanged.iter().filter_map(|key| now.all.get(key)).cloned().collect();
            let done = before.certain && now.certain;
            before = now;
            if done {
                break;
            }
        }
        let differences = std::mem::take(&mut comparison.differences).into_iter();
        (comparison.known, comparison.differences) = differences.partition(|one| left_out.contains(&one.key));
        Ok(comparison)
    }

    /// The buckets that differ, the counts and digests of all items, and the entities that are
    /// known to be left out.
    async fn buckets(
        &self,
        expected: Expected<'_>,
        found: &Generation,
    ) -> Result<(BTreeSet<u32>, Comparison, BTreeSet<Key>), ReplayError> {
        let (is, of_table) = self.fingerprint(Expected::Table(found)).await?;
        let (should, InMemoryBuild { tally, mut left_out }) = self.fingerprint(expected).await?;
        left_out.extend(of_table.left_out);
        let comparison = Comparison {
            expected: (should.items(), should.digest()),
            found: (is.items(), is.digest()),
            tally,
            ..Comparison::default()
        };
        Ok((should.differing(&is).into_iter().collect(), comparison, left_out))
    }

    /// Repairs a generation: items that differ are replaced by what the log says, until none does.
    /// `pause` must be long enough for the consumers to write what the log holds. Entities of which
    /// the log may have lost events ([`may_set_back`]) are deleted or set back only if `delete` is
    /// set. Returns how many items were repaired, and what still differs.
    ///
    /// # Errors
    /// If there is such an entity and `delete` is not set, or if the store fails.
    pub async fn repair(
        &self,
        generation: &Generation,
        pause: Duration,
        delete: bool,
    ) -> Result<(u64, Comparison), ReplayError> {
        let comparison = self.verify(generation, pause).await?;
        self.repair_differences(generation, comparison, pause, delete).await
    }

    /// Compares a generation with what the log says.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn verify(&self, generation: &Generation, pause: Duration) -> Result<Comparison, ReplayError> {
        self.compare(Expected::Log(generation.lanes), generation, pause, || async { Ok(()) }).await
    }

    /// Repairs what [`Self::verify`] has found of this generation, as [`Self::repair`] does. Another comparison would
    /// make it what something else is.
    ///
    /// # Errors
    /// As [`Self::repair`].
    pub async fn repair_differences(
        &self,
        generation: &Generation,
        mut comparison: Comparison,
        pause: Duration,
        delete: bool,
    ) -> Result<(u64, Comparison), ReplayError> {
        let (mut repaired, mut idle) = (0, 0);
        for _ in 0..REPAIRS {
            if comparison.differences.is_empty() {
                break;
            }
            let doubtful = if delete { None } else { self.may_set_back(generation, &comparison).await? };
            if let Some(one) = doubtful {
                let text = format!(
                    "the log may have lost events of {}, among others; {repaired} items were repaired",
                    one.key.pk
                );
                return Err(ReplayError::Refused(text));
            }
            // Entities first: a consumer that is about to write what depends on one finds it
            // changed, and plans again.
            let (first, then): (Vec<_>, Vec<_>) =
                comparison.differences.iter().partition(|one| keys::is_entity(&one.key));
            let before = repaired;
            for difference in first.into_iter().chain(then) {
                repaired += u64::from(self.repair_item(generation, difference).await?);
            }
            comparison = self.verify(generation, pause).await?;
            idle = if repaired == before { idle + 1 } else { 0 };
            if idle == IDLE {
                break; // What is left changes faster than it can be compared.
            }
        }
        Ok((repaired, comparison))
    }

    /// An entity that differs and of which the log may have lost events.
    async fn may_set_back<'a>(
        &self,
        generation: &Generation,
        comparison: &'a Comparison,
    ) -> Result<Option<&'a Difference>, ReplayError> {
        let mut linked = linked_identities(&comparison.differences);
        linked.retain(|key| comparison.is_same(key));
        let reader = TableReader::of(&self.store, generation, &self.usage);
        let same = reader.read(ReadPlan::gets(linked).consistent()).await?.items;
        let log_is_readable = comparison.tally.undecodable == 0;
        Ok(may_set_back(&comparison.differences, &same, log_is_readable))
    }

    /// True unless a consumer has changed the item meanwhile.
    async fn repair_item(
        &self,
        generation: &Generation,
        difference: &Difference,
    ) -> Result<bool, ReplayError> {
        match self.store.transact(&generation.table(), vec![difference.repair()], &self.usage).await {
            Ok(()) => Ok(true),
            Err(TransactError::Race) => Ok(false),
            Err(TransactError::Failed(error)) => Err(error.into()),
        }
    }

    async fn fingerprint(&self, of: Expected<'_>) -> Result<(Fingerprint, InMemoryBuild), ReplayError> {
        let all = Mutex::new(Fingerprint::default());
        let build = self
            .each(of, |items| {
                let mut part = Fingerprint::default();
                items.iter().for_each(|item| part.add(item));
                all.lock().unwrap_or_else(PoisonError::into_inner).merge(&part);
            })
            .await?;
        Ok((all.into_inner().unwrap_or_else(PoisonError::into_inner), build))
    }

    /// The items in some buckets, and the entities that were left out of them.
    async fn items(
        &self,
        of: Expected<'_>,
        buckets: &BTreeSet<u32>,
    ) -> Result<(BTreeMap<Key, Attributes>, BTreeSet<Key>), ReplayError> {
        let all = Mutex::new(BTreeMap::new());
        let wanted = |item: &Item| buckets.contains(&bucket(&item.key));
        let build = self
            .each(of, |items| {
                let wanted = items.into_iter().filter(|item| wanted(item));
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.extend(wanted.map(|item| (item.key, item.attributes)));
            })
            .await?;
        Ok((all.into_inner().unwrap_or_else(PoisonError::into_inner), build.left_out))
    }

    /// Hands every item to `each`.
    async fn each(
        &self,
        of: Expected<'_>,
        each: impl Fn(Vec<Item>) + Send + Sync,
    ) -> Result<InMemoryBuild, ReplayError> {
        let each = |items: Vec<Item>| {
            self.meter.wrote(items.len());
            each(items);
        };
        match of {
            Expected::Log(lanes) => build_in_memory(self, lanes, each).await,
            Expected::Table(generation) => {
                let table = generation.table();
                let segments = (0..SEGMENTS).map(|segment| self.segment(&table, segment, &each));
                futures::future::try_join_all(segments).await?;
                Ok(InMemoryBuild {
                    left_out: self.left_out_of(generation).await?,
                    ..InMemoryBuild::default()
                })
            }
        }
    }

    /// The entities that the building of a generation has left out and named.
    async fn left_out_of(&self, generation: &Generation) -> Result<BTreeSet<Key>, ReplayError> {
        let tally = self.board(&generation.name).await?.map(|board| board.tally()).unwrap_or_default();
        let entities = tally.unwritable_entities.into_iter();
        Ok(entities.map(|entity| keys::row_entity(&entity.pk)).collect())
    }

    async fn segment(
        &self,
        table: &str,
        segment: i32,
        each: &(impl Fn(Vec<Item>) + Send + Sync),
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.store.scan_page(table, (segment, SEGMENTS), after.as_ref(), &self.usage).await?;
            each(page.0);
            match page.1 {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }
}

fn differences(mut expected: BTreeMap<Key, Attributes>, found: BTreeMap<Key, Attributes>) -> Differences {
    let mut differences = Differences::new();
    for (key, found) in found {
        let expected = expected.remove(&key);
        if expected.as_ref() != Some(&found) {
            let difference = Difference { key: key.clone(), expected, found: Some(found) };
            differences.insert(key, difference);
        }
    }
    for (key, expected) in expected {
        differences.insert(key.clone(), Difference { key, expected: Some(expected), found: None });
    }
    differences
}
