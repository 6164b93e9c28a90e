//! What a schedule is mostly about. Most races need several things at once that are rare by themselves: a theme makes
//! them frequent in a share of the seeds, and the other seeds are about anything.

use crate::faults::{Fault, Odds};
use torale_testkit::generator::Generator;

/// What a schedule is mostly about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Anything.
    Anything,
    /// Users who have much are deactivated, while Clerk and Temporal are often busy.
    Deactivations,
    /// Generations are built, promoted and dropped by two operators at once.
    Rebuilds,
    /// Users are deactivated while generations are promoted.
    Promotions,
}

/// What messages are about where a schedule is about anything. Races need many events of few kinds.
const FOCUSES: [&[&str]; 6] = [
    &[""],
    &[""],
    &["user.created", "identity."],
    &["user.", "identity.", "api_key."],
    &["task.", "execution."],
    &["task.", "temporal."],
];
/// What users have, and what brings it back.
const BELONGINGS: [&str; 8] = [
    "user.created",
    "identity.created",
    "identity.deleted",
    "api_key.created",
    "task.created",
    "task.resumed",
    "temporal.schedule",
    "temporal.schedule.created",
];

impl Theme {
    /// The theme of a seed, and the messages' generator for it.
    pub fn of(seed: u64) -> (Self, Generator) {
        let mut generator = Generator::new(seed);
        let theme = match generator.below(8) {
            0 => Self::Deactivations,
            1 => Self::Rebuilds,
            2 => Self::Promotions,
            _ => Self::Anything,
        };
        let kinds = match theme {
            Self::Anything => generator.pick(&FOCUSES),
            Self::Rebuilds => FOCUSES[0],
            Self::Deactivations | Self::Promotions => &BELONGINGS,
        };
        (theme, generator.of_kinds(kinds))
    }

    /// Makes sure that what the theme is about happens.
    pub fn raise(self, odds: &mut Odds, without: &[Fault]) {
        let faults: &[(Fault, u16)] = match self {
            Self::Anything => &[],
            Self::Deactivations => &[
                (Fault::Caller, 1000),
                (Fault::BusyOutside, 200),
                (Fault::FewReceives, 500),
                (Fault::Outage, 100),
            ],
            Self::Rebuilds => &[(Fault::Replay, 1000), (Fault::Unprocessed, 100)],
            Self::Promotions => &[(Fault::Caller, 1000), (Fault::Replay, 1000)],
        };
        faults.iter().for_each(|(fault, least)| odds.raise(*fault, *least, without));
    }

    /// How many operators there are, if any.
    pub const fn operators(self) -> usize {
        match self {
            Self::Rebuilds => 2,
            Self::Anything | Self::Deactivations | Self::Promotions => 1,
        }
    }

    /// How many administrators make requests at once, if any: they share the requests.
    pub fn callers(self) -> usize {
        match self {
            Self::Anything | Self::Rebuilds => [1, 1, 2, 3][fastrand::usize(..4)],
            Self::Deactivations | Self::Promotions => fastrand::usize(1..=3),
        }
    }

    /// The most requests of all administrators, and the longest pause before each, in milliseconds.
    pub const fn requests(self) -> (u32, u64) {
        match self {
            Self::Anything | Self::Rebuilds => (8, 15_000),
            Self::Deactivations => (16, 8_000),
            // A promotion takes minutes.
            Self::Promotions => (16, 90_000),
        }
    }
}
