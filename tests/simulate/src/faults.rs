//! What goes wrong, how often, and what has gone wrong so far.

use clap::ValueEnum;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Fault {
    /// A request never arrives.
    LostRequest,
    /// A call takes effect, and its answer never arrives.
    LostAnswer,
    /// A request arrives late: after its sender has given up, or died.
    LateRequest,
    /// A call is refused for lack of capacity.
    Throttled,
    /// A read sees the state of up to a second ago.
    StaleRead,
    /// A page ends early.
    ShortPage,
    /// Some keys or writes of a batch stay unprocessed.
    Unprocessed,
    /// The keys of a batch are read at different moments.
    TornRead,
    /// A transaction takes its time, during which others conflict with it.
    LongTransaction,
    /// A process dies amid a batch and starts again.
    Death,
    /// A message is received once more while somebody has it, or after it was deleted.
    Duplicate,
    /// A message is delivered late.
    LateMessage,
    /// DynamoDB, or Clerk and Temporal, refuse every call for minutes or hours.
    Outage,
    /// A queue gives messages up after few receives, and not as the template says.
    FewReceives,
    /// A process has a clock of its own.
    SkewedClock,
    /// A process's clock is set anew amid a schedule, once or a few times.
    JumpingClock,
    /// One or two operators build, promote, roll back and drop generations meanwhile.
    Replay,
    /// Administrators deactivate and reactivate users and read pages meanwhile, and the audit trail is sealed.
    Caller,
    /// Items of the live projections are lost or changed once everything is quiet.
    Damage,
    /// Items of the log, the audit trail, the quarantine or the control table are lost or changed once everything is
    /// quiet, and restored from a copy.
    Restore,
    /// Events of identities arrive as webhooks of Clerk, which come again until they are accepted, and some are forged.
    Webhook,
    /// Clerk or Temporal refuses a command for the moment.
    BusyOutside,
    /// One of the consumers is of the release before.
    EarlierRelease,
}

/// Which faults happen, and how often.
#[derive(Debug, Clone)]
pub struct Odds {
    of: [u16; Fault::ALL.len()],
    are_calls_instant: bool,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 23] = [
        Self::LostRequest,
        Self::LostAnswer,
        Self::LateRequest,
        Self::Throttled,
        Self::StaleRead,
        Self::ShortPage,
        Self::Unprocessed,
        Self::TornRead,
        Self::LongTransaction,
        Self::Death,
        Self::Duplicate,
        Self::LateMessage,
        Self::Outage,
        Self::FewReceives,
        Self::SkewedClock,
        Self::JumpingClock,
        Self::Replay,
        Self::Caller,
        Self::Damage,
        Self::Restore,
        Self::Webhook,
        Self::BusyOutside,
        Self::EarlierRelease,
    ];

    fn index(self) -> usize {
        Self::ALL.iter().position(|one| *one == self).expect("a fault")
    }

    /// How often it happens at most, in thousandths of the occasions.
    const fn most(self) -> u16 {
        match self {
            Self::LostRequest | Self::LostAnswer | Self::LateRequest | Self::Throttled => 30,
            Self::Death | Self::Duplicate | Self::LateMessage => 200,
            Self::SkewedClock | Self::JumpingClock | Self::Replay | Self::Webhook | Self::BusyOutside => 500,
            // A schedule with damage takes twice as long, since the log is read four times or more.
            Self::Damage | Self::EarlierRelease => 100,
            Self::Restore => 200,
            Self::Outage => 300,
            Self::Caller | Self::FewReceives => 1000,
            Self::StaleRead
            | Self::ShortPage
            | Self::Unprocessed
            | Self::TornRead
            | Self::LongTransaction => 300,
        }
    }
}

impl Odds {
    /// Random odds, by which about half of the faults do not happen at all: so that each is seen alone as well.
    pub fn random(without: &[Fault]) -> Self {
        let of = Fault::ALL.map(|fault| {
            let odds = if fastrand::bool() { fastrand::u16(..=fault.most()) } else { 0 };
            if without.contains(&fault) { 0 } else { odds }
        });
        Self { of, are_calls_instant: false }
    }

    /// Makes a fault happen at least so often, in thousandths of the occasions, unless it never does.
    pub fn raise(&mut self, fault: Fault, least: u16, without: &[Fault]) {
        let odds = &mut self.of[fault.index()];
        *odds = if without.contains(&fault) { 0 } else { least.max(*odds) };
    }

    /// Odds by which nothing goes wrong.
    pub const fn none() -> Self {
        Self { of: [0; Fault::ALL.len()], are_calls_instant: false }
    }

    /// Odds by which nothing goes wrong, and calls take no simulated time: for what runs alone, so that no moment
    /// differs from another one. A schedule costs less then.
    pub const fn instant() -> Self {
        Self { are_calls_instant: true, ..Self::none() }
    }
}

thread_local! {
    static ODDS: RefCell<Odds> = const { RefCell::new(Odds::none()) };
    static SEEN: RefCell<Coverage> = const { RefCell::new(Coverage::new()) };
}

/// How often each fault hit each kind of call that it could have hit, and how often each was called.
pub type Coverage = BTreeMap<(&'static str, Option<Fault>), u64>;

/// Sets the odds of this thread, and returns the former ones.
pub fn replace(odds: Odds) -> Odds {
    ODDS.replace(odds)
}

/// Whether calls take no simulated time.
pub fn are_calls_instant() -> bool {
    ODDS.with_borrow(|odds| odds.are_calls_instant)
}

/// Whether a fault may happen now.
pub fn may_happen(fault: Fault) -> bool {
    ODDS.with_borrow(|odds| odds.of[fault.index()]) > 0
}

/// Decides whether a fault happens, and leaves it to others to count its effects.
pub fn is_drawn(fault: Fault) -> bool {
    let odds = ODDS.with_borrow(|odds| odds.of[fault.index()]);
    odds > 0 && fastrand::u16(..1000) < odds
}

/// Decides whether a fault happens to a call, and counts it, or that it could have.
pub fn happens(fault: Fault, call: &'static str) -> bool {
    let happens = is_drawn(fault);
    if happens {
        count(call, Some(fault));
        crate::trace::note(|| format!("{call}: {fault:?}"));
    } else {
        count_occasion(call, fault);
    }
    happens
}

/// Counts nothing, but notes that a fault could have hit a call if it may happen now: so that one that never does is
/// seen.
pub fn count_occasion(call: &'static str, fault: Fault) {
    if may_happen(fault) {
        SEEN.with_borrow_mut(|seen| {
            seen.entry((call, Some(fault))).or_default();
        });
    }
}

/// Counts a call, or a fault of it.
pub fn count(call: &'static str, fault: Option<Fault>) {
    SEEN.with_borrow_mut(|seen| *seen.entry((call, fault)).or_default() += 1);
}

/// Takes what this thread has counted.
pub fn take_coverage() -> Coverage {
    SEEN.take()
}

/// Calls and faults as a table: a line for each kind of call. A fault that could have hit it and did not is there as 0.
pub fn print(coverage: &Coverage) -> String {
    let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((call, fault), count) in coverage {
        let line = lines.entry(call).or_default();
        match fault {
            None => line.insert(0, format!("{count} times")),
            Some(fault) => line.push(format!("{fault:?} {count}")),
        }
    }
    let lines = lines.into_iter().map(|(call, counts)| format!("{call:16} {}", counts.join(", ")));
    lines.collect::<Vec<_>>().join("\n")
}
