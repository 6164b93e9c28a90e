//! What all processes of a schedule share: tables, queues, what is outside, and whether there is anything left to do.

use crate::administrators::{self, Administrator};
use crate::faults::{self, Fault};
use crate::network::SharedTables;
use crate::outside::Outside;
use crate::queue::{Queue, QueueKind};
use crate::tables::Tables;
use crate::trace;
use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep_until, timeout};
use torale_domain::access::rate_limits::RateLimits;
use torale_domain::storage::keys::{CONTROL_TABLE, OUTBOX};

/// Windows of batches: so short that most batches are one message, up to the template's.
const WINDOWS_MS: [u64; 3] = [20, 1_000, 5_000];

/// The most users of an identity that are read at once in half of the schedules: so few that there are several pages.
const USERS: usize = 3;

/// So many times longer do some processes live that die.
const LONG_LIVED: u32 = 40;

/// Everything that outlives a process.
#[derive(Debug)]
pub struct Installation {
    /// The tables.
    pub tables: SharedTables,
    /// `torale-events`.
    pub events: Queue,
    /// `torale-commands`.
    pub commands: Queue,
    /// Clerk and Temporal.
    pub outside: Outside,
    /// What did not hold on the way.
    pub violations: RefCell<Vec<String>>,
    /// Whether one of the consumers is of the release before.
    pub has_earlier_release: Cell<bool>,
    /// The longest time for which a batch of events waits for more of them, in milliseconds.
    pub window: u64,
    /// How many users of an identity consumers and operators read at once; without it, as many as the template's do.
    pub users_page: Option<usize>,
    /// Who makes requests.
    pub administrators: &'static [Administrator],
    /// The rate limits of administrators.
    pub limits: RateLimits,
    changed: Arc<Notify>,
    /// Whether what runs by itself has seen all quiet, and ends.
    is_ending: Cell<bool>,
    /// Callers and operators that are not done.
    busy: Cell<usize>,
}

impl Installation {
    /// One with these tables and administrators.
    pub fn new(tables: Tables, administrators: &'static [Administrator]) -> Self {
        let changed = Arc::new(Notify::new());
        let tables = if faults::may_happen(Fault::StaleRead) { tables } else { tables.always_read_now() };
        Self {
            tables: SharedTables::new(tables.with_stream(Arc::clone(&changed))),
            events: Queue::new(QueueKind::Events, Arc::clone(&changed)),
            commands: Queue::new(QueueKind::Commands, Arc::clone(&changed)),
            outside: Outside::random(),
            violations: RefCell::default(),
            has_earlier_release: Cell::new(false),
            window: WINDOWS_MS[fastrand::usize(..WINDOWS_MS.len())],
            users_page: fastrand::bool().then(|| fastrand::usize(1..=USERS)),
            administrators,
            limits: administrators::limits(),
            changed,
            is_ending: Cell::new(false),
            busy: Cell::new(0),
        }
    }

    /// Runs what is not done by itself, such as a caller: until its end, all is not quiet.
    pub async fn keep_busy(&self, doing: impl Future<Output = ()>) {
        self.busy.set(self.busy.get() + 1);
        doing.await;
        self.busy.set(self.busy.get() - 1);
        self.changed.notify_waiters();
    }

    /// Whether the outbox has entries.
    pub fn has_outbox_entries(&self) -> bool {
        self.tables.lock().has_items(CONTROL_TABLE, OUTBOX)
    }

    /// Whether nothing is left to do.
    pub fn is_quiet(&self) -> bool {
        self.busy.get() == 0
            && self.events.is_empty()
            && self.commands.is_empty()
            && !self.has_outbox_entries()
    }

    /// Runs what ends once all is quiet. Whatever arrives when the first of it has seen that is for the next run: else
    /// the others would wait for what the first one does.
    pub async fn until_quiet(&self, processes: impl Future<Output = ()>) {
        self.is_ending.set(false);
        processes.await;
    }

    /// Waits until a moment, or until something changes that may bring it forward. False once all is quiet.
    pub async fn wait(&self, next: impl Fn() -> Option<Instant>) -> bool {
        loop {
            let changed = self.changed.notified();
            if self.is_ending.get() {
                return false;
            }
            if self.is_quiet() {
                self.is_ending.set(true);
                self.changed.notify_waiters();
                return false;
            }
            let Some(at) = next() else {
                changed.await;
                continue;
            };
            tokio::select! {
                biased;
                () = sleep_until(at) => return true,
                () = changed => {}
            }
        }
    }

    /// What does not hold.
    pub fn violation(&self, what: String) {
        trace::note(|| what.clone());
        self.violations.borrow_mut().push(what);
    }
}

/// Runs processes until all of them have ended. Only one that can go on is looked at.
pub async fn all<'a>(processes: impl IntoIterator<Item = LocalBoxFuture<'a, ()>>) {
    FuturesUnordered::from_iter(processes).collect::<()>().await;
}

/// What is counted when a process begins while another one of its name runs.
const AT_ONCE: [(&str, &str); 3] =
    [("relay", "relays at once"), ("executor", "executors at once"), ("sealer", "sealers at once")];

thread_local! {
    /// How many of these run.
    static RUNNING: RefCell<[u32; AT_ONCE.len()]> = const { RefCell::new([0; AT_ONCE.len()]) };
}

/// A process of one of these names, while it runs.
struct Running(Option<usize>);

impl Running {
    fn begin(name: &str) -> Self {
        let of = AT_ONCE.iter().position(|(one, _)| *one == name);
        if let Some(of) = of {
            let others = RUNNING.with_borrow_mut(|running| {
                running[of] += 1;
                running[of] - 1
            });
            if others > 0 {
                faults::count(AT_ONCE[of].1, None);
            }
        }
        Self(of)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(of) = self.0 {
            RUNNING.with_borrow_mut(|running| running[of] -= 1);
        }
    }
}

/// Runs what a process does, which may end amid it: `None` if it has.
pub async fn mortal<T>(name: &'static str, life: Duration, doing: impl Future<Output = T>) -> Option<T> {
    faults::count(name, None);
    let _running = Running::begin(name);
    if !faults::happens(Fault::Death, name) {
        return Some(doing.await);
    }
    // Mostly amid its work, and sometimes after it has waited for an answer that did not come.
    let life = if fastrand::u8(..4) == 0 { life * LONG_LIVED } else { life }.mul_f64(fastrand::f64());
    let done = timeout(life, doing).await.ok();
    if done.is_none() {
        trace::note(|| format!("{name} dies"));
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    /// Seed 346866 of commit 7c01db8: a command whose request was late arrived when the executor had seen all quiet and
    /// ended, and the others not yet, which then waited for it for ever.
    #[tokio::test(start_paused = true)]
    async fn what_arrives_in_the_moment_in_which_all_is_quiet_is_left_for_the_next_run() {
        let world = Installation::new(Tables::default(), &[]);
        let first = async {
            assert!(!world.wait(|| None).await, "all is quiet");
            world.commands.push("late".to_owned());
        };
        let second =
            async { assert!(!world.wait(|| world.events.next()).await, "the first has seen it quiet") };
        let running = world.until_quiet(all([first.boxed_local(), second.boxed_local()]));
        timeout(Duration::from_secs(3600), running).await.unwrap();
        assert!(!world.is_quiet());
    }
}
