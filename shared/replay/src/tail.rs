//! Catching up with the log: later events are folded into a generation as a consumer would, pass
//! by pass.
//!
//! Folding an event again changes nothing, so a pass begins well before the end of the last one.
//! So it also finds records that were received earlier and written later.

use crate::build::GenerationPosition;
use crate::log::{self, LogSpan};
use crate::{Replay, ReplayError, millis};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::events::Event;
use torale_domain::projections::generation::Generation;
use torale_domain::replay::rebuild::Tally;
use torale_domain::storage::item::Key;
use torale_domain::storage::keys;
use torale_domain::values::time::{HOUR, Timestamp};
use torale_platform::config::WRITING_TIME;
use torale_platform::consume::catch_up;
use torale_platform::store::Usage;

/// Events that are folded at once.
const EVENTS: usize = 1_000;
/// A pass that takes less time than this is close enough to the present.
const CLOSE: Duration = Duration::from_secs(1);

/// The result of one pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatchUpPass {
    /// Events that were folded, some of them for the second time.
    pub events: u64,
    /// Counts of unreadable records and unknown types.
    pub tally: Tally,
    /// True if the pass reached the present.
    pub reached_present: bool,
}

/// Follows the log for one generation.
#[derive(Debug)]
pub struct Tail {
    replay: Replay,
    generation: Generation,
    through: Timestamp,
    /// When the generation was built, if it has not caught up since.
    built_at: Option<Timestamp>,
    /// The parts of the log that recent passes folded, by time of receipt.
    seen: BTreeMap<Timestamp, BTreeSet<Key>>,
}

impl Tail {
    /// Continues where the generation's building, or the last pass, ended.
    ///
    /// # Errors
    /// If it is not built yet, or the store fails.
    pub async fn resume(replay: &Replay, generation: &Generation) -> Result<Self, ReplayError> {
        let position = replay.stored_position(&generation.name).await?;
        let GenerationPosition { through, built_at, .. } =
            position.ok_or_else(|| ReplayError::Refused(format!("{} is not built yet", generation.name)))?;
        let (replay, generation) = (replay.clone(), generation.clone());
        Ok(Self { replay, generation, through, built_at, seen: BTreeMap::new() })
    }

    /// How long the first pass waits: until no batch of the building can take effect any more. Batches have no
    /// conditions, so one that got no answer could put back what a pass has changed.
    pub fn until_settled(&self) -> Duration {
        let left = self.built_at.map_or(Duration::ZERO, |built_at| self.replay.until_settled(built_at));
        // The clock of the worker that built it may be ahead.
        left.min(self.replay.settle)
    }

    /// Makes passes until one comes close to the present.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn catch_up(&mut self) -> Result<CatchUpPass, ReplayError> {
        let mut all = CatchUpPass::default();
        let mut before = Duration::MAX;
        loop {
            let began = Instant::now();
            let pass = self.pass().await?;
            all.events += pass.events;
            all.tally.add(&pass.tally);
            // While events keep arriving, every pass finds some: when passes get no shorter, this
            // is close enough.
            let took = began.elapsed();
            if pass.reached_present && (pass.events == 0 || took < CLOSE || took >= before) {
                return Ok(CatchUpPass { reached_present: true, ..all });
            }
            before = took;
        }
    }

    /// Folds what earlier passes have not folded, at most an hour of the log, and stores the new
    /// position. The first one waits for [`Self::until_settled`].
    ///
    /// # Errors
    /// If the store fails, or some events could not be folded in time.
    pub async fn pass(&mut self) -> Result<CatchUpPass, ReplayError> {
        tokio::time::sleep(self.until_settled()).await;
        let began = self.replay.now();
        let to = Some(self.through.plus(HOUR)).filter(|to| *to < began);
        let lanes = keys::log_lanes().map(|lane| self.lane(lane, began, to));
        let mut pass = CatchUpPass { reached_present: to.is_none(), ..CatchUpPass::default() };
        let mut seen = Vec::new();
        for done in futures::future::join_all(lanes).await {
            let (lane, keys) = done?;
            pass.events += lane.events;
            pass.tally.add(&lane.tally);
            seen.extend(keys);
        }
        for key in seen {
            let at = keys::parse_log(&key).map_or(began, |(_, _, at)| at);
            self.seen.entry(at).or_default().insert(key);
        }
        self.through = self.through.max(to.unwrap_or(began));
        self.seen = self.seen.split_off(&self.from());
        self.replay.note_caught_up(&self.generation, self.through).await?;
        self.built_at = None;
        Ok(pass)
    }

    /// The time at which a pass begins: the log before it is complete.
    fn from(&self) -> Timestamp {
        self.through.plus(-millis(self.replay.settle))
    }

    async fn lane(
        &self,
        lane: u32,
        began: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(CatchUpPass, Vec<Key>), ReplayError> {
        // The clock of the receiving consumer may be ahead.
        let last = before.unwrap_or_else(|| began.plus(millis(self.replay.settle))).hour();
        let mut pages = self.replay.read(LogSpan { lane, from: self.from(), before, last });
        let (mut pass, mut keys, mut events) = (CatchUpPass::default(), Vec::new(), Vec::new());
        while let Some(page) = pages.recv().await {
            for item in page? {
                let at = keys::parse_log(&item.key).map_or(began, |(_, _, at)| at);
                if self.seen.get(&at).is_some_and(|seen| seen.contains(&item.key)) {
                    continue;
                }
                events.extend(log::known(&item, &mut pass.tally));
                keys.push(item.key);
                if events.len() >= EVENTS {
                    self.fold(std::mem::take(&mut events), &mut pass).await?;
                }
            }
        }
        self.fold(events, &mut pass).await?;
        Ok((pass, keys))
    }

    async fn fold(&self, events: Vec<Event>, pass: &mut CatchUpPass) -> Result<(), ReplayError> {
        let (usage, count) = (Usage::default(), events.len());
        if count == 0 {
            return Ok(());
        }
        let deadline = Instant::now() + WRITING_TIME;
        let done =
            catch_up(&self.replay.store, &self.generation, events, self.replay.users_page, deadline, &usage)
                .await;
        for (entity, reason) in &done.unwritable {
            pass.tally.unwritable(&keys::entity(entity), reason);
        }
        self.replay.usage.add_parallel(&[&usage]);
        self.replay.meter.read(count);
        pass.events += u64::try_from(count).unwrap_or(0);
        if done.complete { Ok(()) } else { Err(ReplayError::NotFolded(self.generation.name.clone())) }
    }
}
