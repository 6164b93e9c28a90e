//! What invokes functions apart from the HTTP API: queues and schedules. A new consumer or job is
//! one more row.

use std::time::Duration;

use crate::platform::PROGRAM;

/// A queue, and the function that Lambda's event source mapping invokes with its messages.
#[derive(Debug, Clone)]
pub struct EventSource {
    /// The queue's name.
    pub queue: &'static str,
    /// The queue that receives messages after `max_receive_count` failures.
    pub dead_letters: &'static str,
    /// The function that is invoked.
    pub function: &'static str,
    /// How often a message is received before it goes to the dead-letter queue.
    pub max_receive_count: u32,
    /// The most messages of one invocation.
    pub batch_size: u16,
    /// How long the function may run.
    pub timeout: Duration,
    /// After this long a failed message is received again. In the cloud its visibility timeout has
    /// to pass.
    pub retry_after: Duration,
}

impl EventSource {
    /// The queue's visibility timeout. AWS recommends six times the function's timeout plus the
    /// batching window.
    #[must_use]
    pub fn visibility(&self) -> Duration {
        self.timeout * 6 + Duration::from_secs(20)
    }
}

/// The queue to which the platform sends its events.
pub const EVENTS: EventSource = EventSource {
    queue: "torale-events",
    dead_letters: "torale-events-dlq",
    function: "consumer",
    max_receive_count: 5,
    batch_size: 10_000,
    timeout: Duration::from_secs(60),
    retry_after: Duration::from_secs(3),
};

/// The queue of commands: what Clerk and Temporal have to do after a deactivation.
pub const COMMANDS: EventSource = EventSource {
    queue: "torale-commands",
    dead_letters: "torale-commands-dlq",
    function: "command-executor",
    max_receive_count: 10,
    batch_size: 10,
    timeout: Duration::from_secs(30),
    retry_after: Duration::from_secs(3),
};

/// The commands that the platform itself executes where it is simulated: they reach its process
/// instead of a function.
pub const PLATFORM_COMMANDS: EventSource = EventSource {
    queue: "torale-platform-commands",
    dead_letters: "torale-platform-commands-dlq",
    function: PROGRAM,
    max_receive_count: 10,
    batch_size: 10,
    timeout: Duration::from_secs(30),
    retry_after: Duration::from_secs(3),
};

/// Every queue that invokes a function.
pub const EVENT_SOURCES: &[EventSource] = &[EVENTS, COMMANDS];

/// A function that runs on a schedule.
#[derive(Debug, Clone)]
pub struct ScheduledFunction {
    /// The function.
    pub function: &'static str,
    /// The time between two runs; in the cloud it is a minute.
    pub every: Duration,
    /// How long it may run.
    pub timeout: Duration,
}

/// The relay of the simulated platform's PostgreSQL.
pub const POSTGRES_RELAY: ScheduledFunction = ScheduledFunction {
    function: "postgres-relay",
    every: Duration::from_secs(1),
    timeout: Duration::from_secs(55),
};

/// The sync of the simulated platform's Temporal.
pub const TEMPORAL_SYNC: ScheduledFunction = ScheduledFunction {
    function: "temporal-sync",
    every: Duration::from_secs(3),
    timeout: Duration::from_secs(55),
};

/// Every function that runs on a schedule, whether there is a platform or not.
pub const SCHEDULES: &[ScheduledFunction] = &[
    ScheduledFunction {
        function: "audit-seal",
        every: Duration::from_secs(5),
        timeout: Duration::from_secs(60),
    },
    ScheduledFunction {
        function: "outbox-relay",
        every: Duration::from_secs(2),
        timeout: Duration::from_secs(60),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visibility_timeout_is_at_least_six_function_timeouts() {
        for source in EVENT_SOURCES {
            assert!(source.visibility() >= source.timeout * 6, "{}", source.queue);
        }
    }
}
