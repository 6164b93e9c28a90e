//! The state of generations, the log and the quarantine.

use crate::log::LogSpan;
use crate::{Replay, ReplayError, millis};
use serde::Serialize;
use torale_domain::projections::generation::GenerationPointer;
use torale_domain::replay::rebuild::{Tally, UnitState};
use torale_domain::storage::keys;
use torale_domain::values::time::Timestamp;

/// The state of generations, the log and the quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplayStatus {
    /// Every generation that has a table.
    pub generations: Vec<GenerationStatus>,
    /// When the log begins, to the hour.
    pub log_since: Timestamp,
    /// The number of quarantined messages.
    pub quarantined: usize,
}

/// The role of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GenerationRole {
    /// It answers requests.
    Live,
    /// The shadow generation: every event is written to it, and one write makes it live.
    #[serde(rename = "beside")]
    Shadow,
    /// A shadow generation that is not complete yet: its promotion goes on.
    Joining,
    /// Its items are being written.
    Building,
    /// It is built, and falls behind until it is promoted.
    Built,
    /// It has a table, and no metadata.
    Unknown,
}

/// The state of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GenerationStatus {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: GenerationRole,
    /// Its lanes, where they are known.
    pub lanes: Option<u32>,
    /// Items, as the store has counted them last (DynamoDB: every six hours).
    pub items: u64,
    /// Bytes, likewise.
    pub bytes: u64,
    /// The time up to which it holds the log; of the live and the shadow generation: now.
    pub through: Option<Timestamp>,
    /// Events that the log received since; `None` for the live and the shadow generation.
    pub lag_events: Option<u64>,
    /// Seconds since that time.
    pub lag_seconds: Option<i64>,
    /// Units of its building that are done, and all of them.
    pub units: Option<(usize, usize)>,
    /// The counts of its building so far.
    pub tally: Option<Tally>,
    /// Whether it was begun and not brought to its end: it is being built, has not caught up since, or is being
    /// promoted.
    #[serde(skip)]
    pub unfinished: bool,
}

impl Replay {
    /// Reads the state of generations, the log and the quarantine.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn status(&self) -> Result<ReplayStatus, ReplayError> {
        let pointer = self.pointer().await?;
        let mut generations = Vec::new();
        for name in self.store.generations().await? {
            generations.push(self.generation_status(&pointer, name).await?);
        }
        let quarantined = self.quarantined().await?.len();
        Ok(ReplayStatus { generations, log_since: self.beginning().await?.start(), quarantined })
    }

    async fn generation_status(
        &self,
        pointer: &GenerationPointer,
        name: String,
    ) -> Result<GenerationStatus, ReplayError> {
        let (board, position) = (self.board(&name).await?, self.stored_position(&name).await?);
        let shadow = pointer.shadow.as_ref().filter(|shadow| shadow.generation.name == name);
        let role = match (shadow, &board, position) {
            _ if pointer.live.name == name => GenerationRole::Live,
            (Some(shadow), ..) if shadow.complete => GenerationRole::Shadow,
            (Some(_), ..) => GenerationRole::Joining,
            (None, _, Some(_)) => GenerationRole::Built,
            (None, Some(_), None) => GenerationRole::Building,
            (None, None, None) => GenerationRole::Unknown,
        };
        let current = matches!(role, GenerationRole::Live | GenerationRole::Shadow);
        let through = if current { Some(self.now()) } else { position.map(|position| position.through) };
        let unfinished = match role {
            GenerationRole::Building => true,
            // A former generation that was never built here has no plan, and is promoted by its name alone.
            GenerationRole::Joining => board.is_some(),
            GenerationRole::Built => position.is_some_and(|position| position.built_at.is_some()),
            GenerationRole::Live | GenerationRole::Shadow | GenerationRole::Unknown => false,
        };
        let lag_events = match through {
            // It is written as events arrive; any lag is on the queue.
            Some(_) if current => None,
            Some(through) => Some(self.received_since(through).await?),
            None => None,
        };
        let size = self.store.table_size(&keys::projections_table(&name)).await?;
        let done = |state| state == UnitState::Done || state == UnitState::Split;
        let units = board.as_ref().map(|board| {
            let done = board.units.values().filter(|progress| done(progress.state)).count();
            (done, board.units.len())
        });
        let lanes = match pointer.written_generations().find(|generation| generation.name == name) {
            Some(generation) => Some(generation.lanes),
            None => position.map(|position| position.lanes),
        };
        Ok(GenerationStatus {
            role,
            lanes: lanes.map(|lanes| lanes.count()).or(board.as_ref().map(|board| board.plan.lanes)),
            items: size.items,
            bytes: size.bytes,
            through,
            lag_events,
            lag_seconds: through
                .filter(|_| !current)
                .map(|through| (self.now().millis() - through.millis()) / 1_000),
            units,
            tally: board.map(|board| board.tally()),
            unfinished,
            name,
        })
    }

    /// How many events the log has received since a time.
    async fn received_since(&self, from: Timestamp) -> Result<u64, ReplayError> {
        let last = self.now().plus(millis(self.settle)).hour();
        let mut count = 0;
        for lane in keys::log_lanes() {
            let mut pages = self.read(LogSpan { lane, from, before: None, last });
            while let Some(page) = pages.recv().await {
                count += page?.iter().map(|item| u64::try_from(item.number("n")).unwrap_or(0)).sum::<u64>();
            }
        }
        Ok(count)
    }
}
