//! A rebuild: how the log is divided into work units, how far each unit is, and which one is next.
//!
//! Units of one stage may run at once, by any number of workers on any number of machines; a stage
//! begins when the one before it is done. If a worker dies, another continues its unit from the
//! last checkpoint and does the very same work: everything a unit reads lies before
//! [`RebuildPlan::cut`] and does not change any more.
//!
//! | stage | one unit a | reads | writes |
//! |---|---|---|---|
//! | entities | lane of the log | the lane's events | items and rows of all entities but tasks, users and identities; subtotals, with their states |
//! | identities | generation | subtotals of entities: identities, and the users that name them | their items; subtotals, with their links |
//! | people | generation | subtotals of entities and identities: users and links | their items and rows; subtotals |
//! | tasks | generation | subtotals of entities: states and totals of tasks | their items and rows; subtotals |
//! | queries | generation | subtotals of tasks: totals of queries | their items and their ranking; subtotals |
//! | counters | generation | all subtotals | the counters |
//!
//! A unit that does not fit into memory is split into the two halves of its keys ([`Slice`]).

pub mod fold;
mod slice;
pub mod subtotals;

use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys::{self, Lanes};
use crate::storage::read::Corrupt;
use crate::values::text::excerpt;
use crate::values::time::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
pub use slice::Slice;
use std::collections::BTreeMap;

/// What is built, and from which part of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildPlan {
    /// The name of the generation.
    pub generation: String,
    /// How many lanes it has.
    pub lanes: u32,
    /// The hour in which the log begins, as hours since 1970.
    pub since: i64,
    /// The rebuild reads what the log received before this time; catching up reads the rest.
    pub cut: Timestamp,
    /// When the rebuild began.
    pub started_at: Timestamp,
}

impl RebuildPlan {
    /// The lanes of the generation.
    pub fn lanes(&self) -> Result<Lanes, Corrupt> {
        let fault = || Corrupt::new(&keys::rebuild_plan(&self.generation), "not a number of lanes");
        Lanes::new(self.lanes).ok_or_else(fault)
    }
}

/// Stages, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// All entities but tasks.
    Entities,
    /// Identities, with the users that name them.
    Identities,
    /// Users, with what their identities say.
    People,
    /// Tasks, with the totals of their executions.
    Tasks,
    /// Queries and their ranking.
    Queries,
    /// Counters.
    Counters,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 6] =
        [Self::Entities, Self::Identities, Self::People, Self::Tasks, Self::Queries, Self::Counters];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Entities => "entities",
            Self::Identities => "identities",
            Self::People => "people",
            Self::Tasks => "tasks",
            Self::Queries => "queries",
            Self::Counters => "counters",
        }
    }

    const fn digit(self) -> char {
        match self {
            Self::Entities => '1',
            Self::Tasks => '2',
            Self::Queries => '3',
            Self::Counters => '4',
            Self::Identities => '5',
            Self::People => '6',
        }
    }

    /// The lanes of the log that it is divided by: none if it reads subtotals alone.
    fn lanes(self) -> Vec<Option<u32>> {
        match self {
            Self::Entities => keys::entity_lanes().map(Some).collect(),
            Self::Identities | Self::People | Self::Tasks | Self::Queries | Self::Counters => vec![None],
        }
    }
}

/// One work unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RebuildUnit {
    /// Its stage.
    pub stage: Stage,
    /// The lane of the log that it reads, if it reads one.
    pub lane: Option<u32>,
    /// The part of all keys that it covers.
    pub slice: Slice,
}

impl RebuildUnit {
    /// Its name: stage, lane and bits of its slice, such as `1-02-01`.
    pub fn name(&self) -> String {
        let lane = self.lane.map_or_else(String::new, |lane| format!("{lane:02}"));
        format!("{}-{lane}-{}", self.stage.digit(), self.slice)
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let (digit, lane, bits) = (parts.next()?, parts.next()?, parts.next()?);
        let stage = Stage::ALL.into_iter().find(|stage| digit.starts_with(stage.digit()))?;
        let lane = if lane.is_empty() { None } else { Some(lane.parse().ok()?) };
        Some(Self { stage, lane, slice: Slice::parse(bits)? })
    }

    /// The units that a rebuild begins with.
    pub fn all() -> Vec<Self> {
        let of =
            |stage: Stage| stage.lanes().into_iter().map(move |lane| Self { stage, lane, slice: Slice::ALL });
        Stage::ALL.into_iter().flat_map(of).collect()
    }

    /// Its two halves, if it can be split.
    pub fn halves(&self) -> Option<[Self; 2]> {
        self.slice.halves().map(|halves| halves.map(|slice| Self { slice, ..*self }))
    }
}

/// How far a unit is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitState {
    /// Waiting for a worker, or in progress.
    #[default]
    Open,
    /// Too large; its two halves replace it.
    Split,
    /// Done.
    Done,
}

/// Counts of what a unit has read and written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Events folded.
    pub events: u64,
    /// Events of types that this release does not know, by type.
    pub unknown: BTreeMap<String, u64>,
    /// Parts of the log, or messages in them, that can't be read.
    pub undecodable: u64,
    /// The keys of the first 50 of them.
    pub undecodable_in: Vec<String>,
    /// Entities that can't be written: they are left out, with all that they would add to counters.
    pub unwritable: u64,
    /// The first 50 of them.
    pub unwritable_entities: Vec<UnwritableEntity>,
    /// Items written.
    pub items: u64,
    /// Write units, in halves.
    pub write_halves: u64,
    /// Pieces of subtotals stored for later stages.
    #[serde(rename = "runs")]
    pub subtotal_pieces: u32,
}

/// An entity that can't be written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnwritableEntity {
    /// The partition key of its item.
    pub pk: String,
    /// Why.
    pub reason: String,
}

/// Keys of undecodable records, unwritable entities and unknown types that a tally names.
const NAMED: usize = 50;
/// Characters of a reason that are kept.
const REASON_CHARS: usize = 400;
/// Characters of the name of an unknown type that are kept.
const TYPE_CHARS: usize = 80;
/// The name under which further unknown types are counted.
const OTHERS: &str = "(others)";

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.undecodable += other.undecodable;
        self.unwritable += other.unwritable;
        self.items += other.items;
        self.write_halves += other.write_halves;
        self.subtotal_pieces += other.subtotal_pieces;
        for (event_type, count) in &other.unknown {
            self.unknown(event_type, *count);
        }
        self.undecodable_in.extend(other.undecodable_in.iter().cloned());
        self.undecodable_in.truncate(NAMED);
        self.unwritable_entities.extend(other.unwritable_entities.iter().cloned());
        self.name_unwritable();
    }

    /// One of an entity may come again, in another pass over the log.
    fn name_unwritable(&mut self) {
        self.unwritable_entities.sort();
        self.unwritable_entities.dedup_by(|one, other| one.pk == other.pk);
        self.unwritable_entities.truncate(NAMED);
    }

    /// Counts an entity that can't be written.
    pub fn unwritable(&mut self, entity: &Key, reason: &dyn std::fmt::Display) {
        self.unwritable += 1;
        let reason = excerpt(&reason.to_string(), REASON_CHARS);
        self.unwritable_entities.push(UnwritableEntity { pk: entity.pk.clone(), reason });
        self.name_unwritable();
    }

    /// Whether nothing in the log had to be left out.
    pub const fn is_complete(&self) -> bool {
        self.undecodable == 0 && self.unwritable == 0
    }

    /// Counts events of an unknown type.
    pub fn unknown(&mut self, event_type: &str, count: u64) {
        let name: String = event_type.chars().take(TYPE_CHARS).collect();
        let fits = self.unknown.len() < NAMED || self.unknown.contains_key(&name);
        *self.unknown.entry(if fits { name } else { OTHERS.to_owned() }).or_default() += count;
    }

    /// Counts a record that can't be read.
    pub fn undecodable(&mut self, key: &Key) {
        self.undecodable += 1;
        let name = format!("{} / {}", key.pk, key.sk);
        if self.undecodable_in.len() < NAMED && self.undecodable_in.last() != Some(&name) {
            self.undecodable_in.push(name);
        }
    }
}

/// The state of a unit, as its item stores it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitProgress {
    /// How far it is.
    pub state: UnitState,
    /// How many of its entities, links, queries or counters are written, in their order.
    #[serde(rename = "sources", default)]
    pub written: u64,
    /// Whether an earlier release has counted that, which wrote them in another order: such a unit can't be continued.
    #[serde(rename = "written", default, skip_serializing, deserialize_with = "is_there")]
    pub written_otherwise: bool,
    /// The worker that has claimed it, and until when, in milliseconds of unix time.
    pub claim: Option<(String, i64)>,
    /// How much it has read and written.
    pub tally: Tally,
}

/// Of a field that is there, whatever it says.
fn is_there<'de, D: Deserializer<'de>>(field: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(field).map(|_| true)
}

impl UnitProgress {
    /// True if no worker has a valid claim on it.
    pub fn is_free(&self, now: Timestamp) -> bool {
        self.state == UnitState::Open && self.claim.as_ref().is_none_or(|(_, until)| *until < now.millis())
    }

    /// The attributes of its item: one text, so that a conditional write notices any other
    /// worker's write.
    pub fn store(&self) -> serde_json::Result<Attributes> {
        Ok(Attributes::from([(PROGRESS.to_owned(), Value::Text(serde_json::to_string(self)?))]))
    }
}

/// The attribute of a unit's item.
pub const PROGRESS: &str = "progress";
/// The attribute of a plan's item.
pub const PLAN: &str = "plan";

/// The state of a rebuild: its plan and all of its units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildBoard {
    /// What is built.
    pub plan: RebuildPlan,
    /// Its units.
    pub units: BTreeMap<RebuildUnit, UnitProgress>,
}

/// The answer to a worker that looks for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextUnit {
    /// Work on this unit.
    Work(RebuildUnit, UnitProgress),
    /// Wait: other workers hold all open units of the stage.
    Wait,
    /// All items are written.
    Finished,
}

impl RebuildBoard {
    /// A rebuild of which nothing is done yet.
    pub fn new(plan: RebuildPlan) -> Self {
        Self {
            plan,
            units: RebuildUnit::all().into_iter().map(|unit| (unit, UnitProgress::default())).collect(),
        }
    }

    /// Reads the items of a rebuild; `None` without a plan among them.
    pub fn load(items: &[Item]) -> Result<Option<Self>, Corrupt> {
        let mut plan = None;
        let mut units = BTreeMap::new();
        for item in items {
            let unreadable = |e: serde_json::Error| Corrupt::new(&item.key, e);
            if let Some(name) = item.key.sk.strip_prefix(keys::UNITS) {
                let unit = RebuildUnit::parse(name).ok_or_else(|| Corrupt::new(&item.key, "not a unit"))?;
                let progress = item.text(PROGRESS).unwrap_or_default();
                units.insert(unit, serde_json::from_str(progress).map_err(unreadable)?);
            } else if let Some(text) = item.text(PLAN) {
                plan = Some(serde_json::from_str(text).map_err(unreadable)?);
            }
        }
        Ok(plan.map(|plan| Self { plan, units }))
    }

    /// The next unit for a worker that looks for work.
    pub fn next(&self, now: Timestamp) -> NextUnit {
        let open = |stage| {
            self.units
                .iter()
                .filter(move |(unit, progress)| unit.stage == stage && progress.state == UnitState::Open)
        };
        let Some(stage) = Stage::ALL.into_iter().find(|stage| open(*stage).next().is_some()) else {
            return NextUnit::Finished;
        };
        let free = open(stage).find(|(_, progress)| progress.is_free(now));
        free.map_or(NextUnit::Wait, |(unit, progress)| NextUnit::Work(*unit, progress.clone()))
    }

    /// The units of earlier stages whose subtotals a unit of this stage reads, with their numbers
    /// of pieces.
    pub fn subtotals_for(&self, stage: Stage) -> Vec<(RebuildUnit, u32)> {
        let reads = |from: Stage| match stage {
            Stage::Entities => false,
            Stage::Identities | Stage::Tasks => from == Stage::Entities,
            Stage::People => matches!(from, Stage::Entities | Stage::Identities),
            Stage::Queries => from == Stage::Tasks,
            Stage::Counters => from != Stage::Counters,
        };
        let pieces = |progress: &UnitProgress| progress.tally.subtotal_pieces;
        let units = self.units.iter().filter(|(unit, progress)| reads(unit.stage) && pieces(progress) > 0);
        units.map(|(unit, progress)| (*unit, pieces(progress))).collect()
    }

    /// The sum over all units so far.
    pub fn tally(&self) -> Tally {
        self.units.values().fold(Tally::default(), |mut sum, progress| {
            sum.add(&progress.tally);
            sum
        })
    }
}

#[cfg(test)]
mod tests;
