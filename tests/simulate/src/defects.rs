//! Defects that are planted on purpose, to see that the simulator finds them.

use clap::ValueEnum;
use std::cell::Cell;

/// A defect of what the system relies on, or of how a process treats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Defect {
    /// The guard that an attribute has a value always holds.
    EqualsIsIgnored,
    /// The guard that an attribute has another value always holds.
    DiffersIsIgnored,
    /// The guard that an attribute has a value or does not exist always holds.
    EqualsOrAbsentIsIgnored,
    /// The guard that something exists always holds.
    PresentIsIgnored,
    /// The guard that an item does not exist always holds.
    AbsentItemIsIgnored,
    /// The guard that an attribute does not exist always holds.
    AbsentAttributeIsIgnored,
    /// The condition of an update that an attribute exists, or does not, always holds.
    UpdatesOfAnythingHold,
    /// The condition of an update that a number is at most, or more than, another one always holds.
    ClaimsAreIgnored,
    /// Items of a transaction that are only checked are not.
    ChecksAreIgnored,
    /// Of some transactions, the last write is left out.
    TransactionsTear,
    /// Strongly consistent reads are stale as well.
    ConsistentReadsAreStale,
    /// Keys that stay unprocessed are not read again.
    UnprocessedKeysAreLost,
    /// What follows the first page of a range is not read.
    LaterPagesAreLost,
    /// A message is deleted from the queue though its batch reports that it failed.
    FailedMessagesAreDeleted,
    /// A message is deleted from the queue when it is received.
    MessagesAreDeletedFirst,
    /// A command is deleted from the queue though it failed.
    FailedCommandsAreDeleted,
    /// A command is deleted from the queue when it is received.
    CommandsAreDeletedFirst,
    /// Messages that a queue did not take count as taken.
    RefusedMessagesCountAsTaken,
    /// A message that was received too often is gone, and not with the dead letters.
    DeadLettersAreDropped,
    /// Nobody redrives dead letters before they are too old.
    DeadLettersAreNotRedriven,
    /// Some events that the queue has taken are lost.
    QueuedEventsAreLost,
    /// Some commands that the queue has taken are lost.
    QueuedCommandsAreLost,
    /// Writes that stay unprocessed are not written again.
    UnprocessedWritesAreLost,
    /// A transaction that lost a race counts as written.
    LostRacesCountAsWritten,
    /// A transaction without an answer counts as written.
    UnansweredTransactionsCountAsWritten,
    /// A transaction that takes its time checks its conditions at its beginning and writes at its end.
    TransactionsAreNotIsolated,
    /// Some records of the log are lost.
    LogRecordsAreLost,
    /// Some entries of the outbox are lost.
    OutboxEntriesAreLost,
    /// Some audit records are lost.
    AuditRecordsAreLost,
    /// Some audit records are changed.
    AuditRecordsAreChanged,
    /// Some bans that Clerk confirms have no effect.
    BansAreLost,
    /// Some pauses that Temporal confirms have no effect.
    PausesAreLost,
    /// Logins and schedules that do not exist at Clerk and Temporal count as banned and paused.
    AbsentIdsCountAsDone,
    /// That a generation was just built is not noted, so that catching up does not wait.
    BuildTimesAreLost,
    /// A request reads some of what it answers from another generation than the live one.
    GenerationsMix,
    /// What says whose a key is and that its user is active is read once by an instance of the endpoints, and kept.
    AccessIsKept,
    /// What was read of a wrong guess of the live generation is not read again.
    GuessesAreKept,
    /// A request is counted whatever room there is in the windows of its administrator.
    LimitsAreIgnored,
    /// Some rows of the index of the audit trail are lost.
    AuditRowsAreLost,
    /// Some webhooks are sent on with a time that is off by an hour.
    WebhooksAreMisdated,
    /// Of several users of one request, those after one who was not deactivated count as deactivated.
    ItemsAfterAFailedOneCountAsDone,
    /// A restore and a repair count as done when they are interrupted.
    InterruptedCountsAsDone,
}

thread_local! {
    static PLANTED: Cell<Option<Defect>> = const { Cell::new(None) };
}

/// Plants a defect for what this thread simulates from now on, or none.
pub fn plant(defect: Option<Defect>) {
    PLANTED.set(defect);
}

/// Whether this defect is planted.
pub fn is(defect: Defect) -> bool {
    PLANTED.get() == Some(defect)
}

/// Whether this defect is planted and shows now, as it does in one of so many occasions.
pub fn shows(defect: Defect, one_in: u8) -> bool {
    is(defect) && fastrand::u8(..one_in) == 0
}
