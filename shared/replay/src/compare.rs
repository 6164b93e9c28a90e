//! Whether a generation is what it should be: item by item, against another or against the log itself.
//!
//! Two digests tell which parts differ; only those are looked at again, item by item. What is found twice, the same both
//! times, is a difference; what has changed meanwhile is in motion, and said to be no more than that.

use crate::build::build_in_memory;
use crate::{Replay, ReplayError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use torale_domain::projections::compare::{BUCKETS, Fingerprint, bucket};
use torale_domain::projections::generation::Generation;
use torale_domain::projections::repair::Difference;
use torale_domain::replay::rebuild::Tally;
use torale_domain::storage::item::{Attributes, Item, Key};
use torale_domain::storage::keys::{self, Lanes};
use torale_platform::store::{StoreError, TransactError};

/// Parts of a table that are read at once.
const SEGMENTS: i32 = 4;
/// Items that are compared at once, one by one.
const ITEMS: u64 = 200_000;
/// How often what is in motion is looked at.
const ROUNDS: u32 = 5;
/// How often what was found is mended before it is given up.
const MENDINGS: u32 = 10;

/// What a generation is compared with.
#[derive(Debug, Clone, Copy)]
pub enum Expected<'a> {
    /// Another generation.
    Table(&'a Generation),
    /// What the log says, over so many lanes.
    Log(Lanes),
}

/// What came of a comparison.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// How many items there should be, and the digest of all of them.
    pub expected: (u64, String),
    /// How many there are, and theirs.
    pub found: (u64, String),
    /// Items that differ, by key.
    pub differences: Vec<Difference>,
    /// Items that were changing all the time.
    pub in_motion: usize,
    /// True if there may be more differences than these: there were too many to look at all of them.
    pub more: bool,
    /// What was found in the log, if it was read.
    pub tally: Tally,
}

impl Comparison {
    /// True if nothing differs.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty() && !self.more
    }
}

type Differences = BTreeMap<Key, Difference>;

/// What a look at the items has found.
#[derive(Debug, Default)]
struct ComparisonPass {
    all: Differences,
    /// Those that were the same the last time: nothing has changed, or a counter has moved and is wrong by as much as before.
    standing: BTreeSet<Key>,
    /// True if nothing is in motion.
    certain: bool,
}

impl ComparisonPass {
    fn then(&self, all: Differences) -> Self {
        let stands = |key: &&Key| {
            let pair = all.get(*key).zip(self.all.get(*key));
            pair.is_some_and(|(now, before)| {
                now == before || now.drift().is_some_and(|drift| before.drift() == Some(drift))
            })
        };
        let standing: BTreeSet<Key> = all.keys().filter(stands).cloned().collect();
        let certain = standing.len() == all.len();
        Self { all, standing, certain }
    }
}

impl Replay {
    /// Compares. `pause` lies between looking twice at what differs, and `meanwhile` happens then; of what differs in the
    /// end, `settle` lies between: what was being written has been written by then.
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
        let (mut buckets, mut comparison) = self.buckets(expected, found).await?;
        let fitting = u64::from(BUCKETS) * ITEMS / comparison.expected.0.max(comparison.found.0).max(1);
        let fitting = usize::try_from(fitting.max(1)).unwrap_or(1);
        if buckets.len() > fitting {
            // Some may differ only because events arrived between reading the one and the other.
            meanwhile().await?;
            let again = self.buckets(expected, found).await?.0;
            buckets.retain(|bucket| again.contains(bucket));
        }
        comparison.more = buckets.len() > fitting;
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
            // What is there is read before what should be: nothing can be there that the log does not say.
            let is = self.items(Expected::Table(found), &buckets).await?;
            let should = self.items(expected, &buckets).await?;
            let now = before.then(differences(should, is));
            buckets = now.all.keys().map(bucket).collect();
            comparison.in_motion = now.all.len() - now.standing.len();
            comparison.differences =
                now.standing.iter().filter_map(|key| now.all.get(key)).cloned().collect();
            let done = before.certain && now.certain;
            before = now;
            if done {
                break;
            }
        }
        Ok(comparison)
    }

    /// The buckets that differ, and what is to be said of all items.
    async fn buckets(
        &self,
        expected: Expected<'_>,
        found: &Generation,
    ) -> Result<(BTreeSet<u32>, Comparison), ReplayError> {
        let (is, _) = self.fingerprint(Expected::Table(found)).await?;
        let (should, tally) = self.fingerprint(expected).await?;
        let comparison = Comparison {
            expected: (should.items(), should.digest()),
            found: (is.items(), is.digest()),
            tally,
            ..Comparison::default()
        };
        Ok((should.differing(&is).into_iter().collect(), comparison))
    }

    /// Mends a generation by the log: what differs is replaced by what should be there, until nothing does. `pause` must
    /// be long enough for what the log holds to be written. Entities that the log does not know are deleted only if
    /// `delete` says so: they may as well be missing from the log. Returns how many items were mended, and what is left.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn repair(
        &self,
        generation: &Generation,
        pause: Duration,
        delete: bool,
    ) -> Result<(u64, Comparison), ReplayError> {
        let mut mended = 0;
        let expected = Expected::Log(generation.lanes);
        let mut comparison = self.compare(expected, generation, pause, || async { Ok(()) }).await?;
        for _ in 0..MENDINGS {
            if comparison.differences.is_empty() {
                break;
            }
            let ghost = |one: &Difference| one.expected.is_none() && keys::is_entity(&one.key);
            if let Some(one) = comparison.differences.iter().find(|one| ghost(one)).filter(|_| !delete) {
                let text =
                    format!("the log knows nothing of {}, among others; nothing was deleted", one.key.pk);
                return Err(ReplayError::Refused(text));
            }
            // Entities first: whoever is about to add to what depends on one finds it changed, and plans again.
            let (first, then): (Vec<_>, Vec<_>) =
                comparison.differences.iter().partition(|one| keys::is_entity(&one.key));
            for difference in first.into_iter().chain(then) {
                mended += u64::from(self.mend(generation, difference).await?);
            }
            comparison = self.compare(expected, generation, pause, || async { Ok(()) }).await?;
        }
        Ok((mended, comparison))
    }

    /// True unless someone else has changed the item.
    async fn mend(&self, generation: &Generation, difference: &Difference) -> Result<bool, ReplayError> {
        match self.store.transact(&generation.table(), vec![difference.repair()], &self.usage).await {
            Ok(()) => Ok(true),
            Err(TransactError::Race) => Ok(false),
            Err(TransactError::Failed(error)) => Err(error.into()),
        }
    }

    async fn fingerprint(&self, of: Expected<'_>) -> Result<(Fingerprint, Tally), ReplayError> {
        let all = Mutex::new(Fingerprint::default());
        let tally = self
            .each(of, |items| {
                let mut part = Fingerprint::default();
                items.iter().for_each(|item| part.add(item));
                all.lock().unwrap_or_else(PoisonError::into_inner).merge(&part);
            })
            .await?;
        Ok((all.into_inner().unwrap_or_else(PoisonError::into_inner), tally))
    }

    /// The items of some buckets.
    async fn items(
        &self,
        of: Expected<'_>,
        buckets: &BTreeSet<u32>,
    ) -> Result<BTreeMap<Key, Attributes>, ReplayError> {
        let all = Mutex::new(BTreeMap::new());
        let wanted = |item: &Item| buckets.contains(&bucket(&item.key));
        self.each(of, |items| {
            let wanted = items.into_iter().filter(|item| wanted(item));
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(wanted.map(|item| (item.key, item.attributes)));
        })
        .await?;
        Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands over every item.
    async fn each(
        &self,
        of: Expected<'_>,
        each: impl Fn(Vec<Item>) + Send + Sync,
    ) -> Result<Tally, ReplayError> {
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
                Ok(Tally::default())
            }
        }
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

fn differences(mut should: BTreeMap<Key, Attributes>, is: BTreeMap<Key, Attributes>) -> Differences {
    let mut differences = Differences::new();
    for (key, found) in is {
        let expected = should.remove(&key);
        if expected.as_ref() != Some(&found) {
            let difference = Difference { key: key.clone(), expected, found: Some(found) };
            differences.insert(key, difference);
        }
    }
    for (key, expected) in should {
        differences.insert(key.clone(), Difference { key, expected: Some(expected), found: None });
    }
    differences
}
